import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { shopResults } from "../harness/mutant-model.ts";
import { mutantLake, type MutantLake } from "../harness/mutant-lake.ts";

/* Candidates on which nothing that is read differs: no consumer's test says that something moved or became slower, also on a busy machine. */

vi.setConfig({ testTimeout: 7_200_000, hookTimeout: 600_000 });

const isSoak = process.env["TIDEGATE_SOAK"] === "1";
const unchanged = isSoak ? 200 : 40;

let mutants: MutantLake;
beforeAll(async () => {
  mutants = await mutantLake();
});
afterAll(() => mutants.close());

/** Keeps both cores busy until it is stopped; not beside other suites, which it would slow down, and which keep them busy as well. */
async function withBusyMachine<T>(work: () => Promise<T>): Promise<T> {
  if (!isSoak) return work();
  const busy = Array.from({ length: 2 }, () => new Worker("for (let n = 0; ; n += 1) Math.sqrt(n);", { eval: true }));
  try {
    return await work();
  } finally {
    await Promise.all(busy.map((worker) => worker.terminate()));
  }
}

test(`of ${unchanged} candidates that change nothing that is read, half of them on a machine that is kept busy, none moves anything or makes it slower`, async () => {
  const outcomes = new Map<string, number>();
  const odd: string[] = [];
  const run = async (at: number): Promise<void> => {
    const before = mutants.asked();
    // Each touches what every test of the shop reads, in a column that none of them reads; every fourth touches a neighbour only.
    const operation: OperationRequest =
      at % 4 === 3
        ? { kind: "sql", dataset: "shop.customers", sql: `update shop.customers set note = 'n${at}' where id = ${1 + (at % 160)}` }
        : { kind: "sql", dataset: "shop.orders", sql: `update shop.orders set touched = ${at + 2} where id = ${1 + ((at * 37) % 3000)}` };
    const { tests } = await mutants.judged([operation], "shop");
    expect(tests.map(({ test: name }) => name).sort()).toEqual(at % 4 === 3 ? ["join"] : Object.keys(shopResults).toSorted());
    // They ran, and were not answered from what is kept: base twice and the candidate at least.
    for (const { reused } of tests) expect(reused).toBe(false);
    expect(mutants.asked() - before).toBeGreaterThanOrEqual(3 * tests.filter(({ kind }) => kind === "query").length);
    process.stdout.write(`candidate ${at}: ${tests.map(({ outcome }) => outcome).join(" ")}\n`);
    for (const { test: name, outcome, summary, milliseconds } of tests) {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (outcome !== "same") odd.push(`${at} ${name}: ${outcome}, ${summary}, ${JSON.stringify(milliseconds)}`);
    }
  };
  for (let at = 0; at < unchanged / 2; at += 1) await run(at);
  await withBusyMachine(async () => {
    for (let at = unchanged / 2; at < unchanged; at += 1) await run(at);
  });
  process.stdout.write(
    `\n${unchanged} unchanged candidates: ${[...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", ")}\n`,
  );
  expect(odd).toEqual([]);
});
