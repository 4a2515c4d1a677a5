import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCommand, kill, must, postmasterOf, seeded, start, type Ran } from "../harness/command.ts";

/*
 * kill -9 of the command or of Postgres while import, propose, merge and rollback run. After each kill the next command works with no hand
 * needed; what was acknowledged is there, everything is wholly before or wholly after.
 */

const rounds = process.env["TIDEGATE_SOAK"] === "1" ? 400 : 40;
const seed = Number(process.env["TIDEGATE_SEED"] ?? 20_261_124);
const folder = mkdtempSync(join(tmpdir(), "tidegate-kills-"));
const data = join(folder, "data");
const phases = ["import", "propose", "merge", "rollback", "append and merge", "build a derived dataset"] as const;
type Phase = (typeof phases)[number];

beforeAll(async () => {
  buildCommand();
  const rows = Array.from({ length: 500 }, (_, id) => `${id},0\n`).join("");
  await must(data, "import", "kill.rows", file("rows.csv", `id,value\n${rows}`), "--key", "id");
  const sources = Array.from({ length: 40 }, (_, id) => `${id},${id % 4},1\n`).join("");
  await must(data, "import", "kill.parts", file("parts.csv", `id,whole,value\n${sources}`), "--key", "id");
  const sums = "select whole, count(*) as parts, sum(value) as value from kill.parts group by whole";
  const { change } = await must<{ change: { id: string } }>(data, "propose", "kill.sums", "--derive", sums, "--key", "whole");
  await must(data, "merge", change.id, "--acknowledge");
});
afterAll(() => {
  kill(postmasterOf(data));
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const merged: string[] = [];
const imported: string[] = [];

/** The command of a phase, made ready, and what its success promises. */
async function prepare(phase: Phase, round: number): Promise<{ args: string[]; acknowledged(ran: Ran): void }> {
  const edit = file(`edit-${round}.csv`, `id,value\n${round},${round + 1}\n${round + 100},${round + 1}\n`);
  const propose = ["propose", "kill.rows", "--upsert", edit];
  if (phase === "import") {
    const name = `kill.extra${round}`;
    return { args: ["import", name, edit, "--key", "id"], acknowledged: () => imported.push(name) };
  }
  if (phase === "propose") return { args: propose, acknowledged: () => undefined };
  if (phase === "append and merge") {
    const more = file(`more-${round}.csv`, `id,value\n${10_000 + round},1\n`);
    return {
      args: ["propose", "kill.rows", "--append", more, "--auto"],
      acknowledged: (ran) => merged.push((ran.data as { change: { id: string } }).change.id),
    };
  }
  if (phase === "build a derived dataset") {
    const parts = file(`parts-${round}.csv`, `id,whole,value\n${round % 40},${round % 4},${round + 2}\n${1000 + round},${round % 5},1\n`);
    return {
      args: ["propose", "kill.parts", "--upsert", parts, "--auto"],
      acknowledged: (ran) => merged.push((ran.data as { change: { id: string } }).change.id),
    };
  }
  const { change } = await must<{ change: { id: string } }>(data, ...propose);
  if (phase === "merge") return { args: ["merge", change.id], acknowledged: () => merged.push(change.id) };
  await must(data, "merge", change.id);
  merged.push(change.id);
  return { args: ["rollback", "kill.rows"], acknowledged: () => undefined };
}

/** The derived dataset is what its SQL gives on the rows that stand beside it, for readers and on main. */
async function sumsHold(what: string): Promise<void> {
  type Row = Record<"id" | "whole" | "parts" | "value", number | string>;
  for (const at of [[], ["--at", "main"]]) {
    const { rows: parts } = await must<{ rows: Row[] }>(data, "read", "kill.parts", "--limit", "10000", ...at);
    const { rows: sums } = await must<{ rows: Row[] }>(data, "read", "kill.sums", "--limit", "10000", ...at);
    const expected = new Map<number, [number, number]>();
    for (const { whole, value } of parts) {
      const [count, sum] = expected.get(Number(whole)) ?? [0, 0];
      expected.set(Number(whole), [count + 1, sum + Number(value)]);
    }
    const found = new Map(sums.map((row) => [Number(row.whole), [Number(row.parts), Number(row.value)]]));
    expect(new Map([...found].sort()), `${what} ${at.join(" ")}`).toEqual(new Map([...expected].sort()));
  }
}

test(`${rounds} kills, spread over ${phases.length} phases`, async () => {
  const below = seeded(seed);
  const counts = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const phase = phases[round % phases.length] as Phase;
    const { args, acknowledged } = await prepare(phase, round);
    const running = start(data, args);
    await sleep(100 + below(1300));
    const victim = below(3) === 0 ? "postgres" : "command";
    if (victim === "postgres") kill(postmasterOf(data));
    else kill(running.child.pid);
    const ran = await running.done;
    const when = ran.exit === undefined ? "during" : ran.exit === 0 ? "after" : "reported";
    const label = `${phase}, ${victim} ${when}`;
    counts.set(label, (counts.get(label) ?? 0) + 1);
    if (ran.exit === 0) acknowledged(ran);
    // The next command needs no hand: it starts what was killed, and finds a whole catalogue.
    const { rows } = await must<{ rows: { id: number }[] }>(data, "read", "kill.rows", "--at", "main");
    expect(new Set(rows.map((row) => row.id)).size, `seed ${seed} round ${round}`).toBe(rows.length);
    if (phase === "build a derived dataset") await sumsHold(`seed ${seed} round ${round}`);
  }
  console.info(
    [...counts]
      .sort()
      .map(([label, count]) => `${label}: ${count}`)
      .join("\n"),
  );
  const log = await must<{ changeId: string | null }[]>(data, "log", "--limit", "1000");
  const known = new Set(log.map((line) => line.changeId));
  expect(
    merged.filter((id) => !known.has(id)),
    "merges that were acknowledged and are gone",
  ).toEqual([]);
  const datasets = new Set((await must<{ name: string }[]>(data, "dataset", "list")).map((line) => line.name));
  expect(
    imported.filter((name) => !datasets.has(name)),
    "imports that were acknowledged and are gone",
  ).toEqual([]);
  await sumsHold("in the end");
  await must(data, "audit", "verify");
  await must(data, "doctor");
  const swept = await must<{ kept: number; condemned: unknown[] }>(data, "gc", "--dry-run");
  console.info(`${merged.length} merges and ${imported.length} imports acknowledged; gc keeps ${swept.kept} files`);
}, 7_200_000);
