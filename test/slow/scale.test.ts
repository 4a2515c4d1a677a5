import { performance } from "node:perf_hooks";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { diffTrees, readCommit } from "../../src/catalog/commit-store.ts";
import { getRef } from "../../src/catalog/ref-store.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";

/*
 * The catalogue's operations cost what changed, not what there is: with 10 000 datasets they write the rows and take the time that they take with 10.
 */

interface Cost {
  rows: number;
  ms: number;
}

const tables = [
  "tree_nodes",
  "commits",
  "refs",
  "ref_history",
  "versions",
  "changes",
  "change_datasets",
  "releases",
  "release_entries",
  "audit_events",
];

async function rowsIn(lake: Lakehouse): Promise<number> {
  let rows = 0;
  for (const table of tables)
    rows += Number((await sql<{ n: bigint }>`select count(*) as n from ${sql.table(table)}`.execute(lake.db)).rows[0]?.n ?? 0);
  return rows;
}

const least = (values: number[]): number => Math.min(...values);

async function measure(lake: Lakehouse, work: (round: number) => Promise<unknown>, rounds = 9): Promise<Cost> {
  const costs: Cost[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = await rowsIn(lake);
    const began = performance.now();
    await work(round);
    costs.push({ ms: performance.now() - began, rows: (await rowsIn(lake)) - before });
  }
  return { ms: least(costs.map((cost) => cost.ms)), rows: Math.max(...costs.map((cost) => cost.rows)) };
}

async function catalogueOf(count: number): Promise<Lakehouse> {
  const lake = await lakehouse();
  const operations: OperationRequest[] = Array.from({ length: count }, (_, index) => ({
    kind: "create",
    dataset: `many.d${index}`,
    columns: [
      { name: "id", type: "long" },
      { name: "value", type: "string" },
    ],
    key: ["id"],
  }));
  const { change } = await lake.propose({ operations, title: `${count} datasets` });
  await lake.merge(change?.id ?? "");
  return lake;
}

/** Branch, merge, rollback and diff of commits on a catalogue of some size. */
async function operationsOn(lake: Lakehouse): Promise<Record<string, Cost>> {
  const waiting: string[] = [];
  const branch = await measure(lake, async (round) => {
    const file = await lake.file(`row-${round}.csv`, `id,value\n${round},a\n`);
    const { change } = await lake.propose({ operations: [{ kind: "append", dataset: "many.d7", source: source(file) }] });
    waiting.push(change?.id ?? "");
  });
  const merge = await measure(lake, (round) => lake.merge(waiting[round] ?? ""));
  const main = await readCommit(lake.db, (await getRef(lake.db, "main")).commitId);
  const parent = await readCommit(lake.db, main.parents[0] ?? "");
  const diff = await measure(lake, () => diffTrees(lake.db, parent.tree, main.tree));
  const back = await measure(
    lake,
    () => rollback(lake, { target: "many.d7", reason: "scale", actor: "ana", environment: "production" }),
    5,
  );
  return { branch, merge, diff, rollback: back };
}

let small: Lakehouse;
let large: Lakehouse;
beforeAll(async () => {
  small = await catalogueOf(10);
  large = await catalogueOf(10_000);
}, 900_000);
afterAll(async () => {
  await small.close();
  await large.close();
});

test("with 10 000 datasets each operation writes and takes at most twice what it does with 10", async () => {
  const [few, many] = [await operationsOn(small), await operationsOn(large)];
  for (const [name, cost] of Object.entries(many)) {
    const base = few[name] as Cost;
    console.info(`${name.padEnd(9)} rows ${base.rows} → ${cost.rows}   ms ${base.ms.toFixed(1)} → ${cost.ms.toFixed(1)}`);
    expect(cost.rows, name).toBeLessThanOrEqual(Math.max(2 * base.rows, base.rows + 1));
    // Below a few milliseconds the clock says more of the machine than of us.
    expect(cost.ms, name).toBeLessThanOrEqual(2 * base.ms + 5);
  }
});
