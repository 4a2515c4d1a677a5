import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCommand, command, kill, must, postmasterOf, seeded, start } from "../harness/command.ts";

/*
 * Four processes on one data folder, first without a server, then as clients of one, with seeded propose, merge, rollback and read. Midway
 * Postgres (then the server) is killed. Nothing that was acknowledged is lost.
 */

const seconds = process.env["TIDEGATE_SOAK"] === "1" ? 300 : 45;
const folder = mkdtempSync(join(tmpdir(), "tidegate-many-"));
const data = join(folder, "data");
const merged: string[] = [];
const reads = new Set<string>();
const codes = new Map<string, number>();

/** What may go wrong among many, each with a clear code. Anything else is a fault of ours. */
const expected = new Set([
  "merge.conflict",
  "merge.lost_race",
  "rollback.nothing",
  "db.unreachable",
  "server.unreachable",
  "revert.conflict",
  "change.closed",
]);

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

beforeAll(async () => {
  buildCommand();
  const rows = Array.from({ length: 200 }, (_, id) => `${id},0\n`).join("");
  await must(data, "import", "many.rows", file("rows.csv", `id,value\n${rows}`), "--key", "id");
  await must(data, "consumer", "add", "board");
});
afterAll(() => {
  kill(postmasterOf(data));
  rmSync(folder, { recursive: true, force: true });
});

async function work(worker: number, seed: number, until: number): Promise<void> {
  const below = seeded(seed);
  for (let step = 0; performance.now() < until; step += 1) {
    const choice = below(10);
    if (choice < 6) await change(worker, step, below);
    else if (choice < 8) await read();
    else note((await command(data, "rollback", "many.rows")).code);
  }
}

function note(code: string | undefined): void {
  codes.set(code ?? "ok", (codes.get(code ?? "ok") ?? 0) + 1);
}

async function change(worker: number, step: number, below: (n: number) => number): Promise<void> {
  const rows = Array.from({ length: 1 + below(3) }, () => `${worker * 50 + below(60)},${step}\n`);
  const path = file(`edit-${worker}.csv`, `id,value\n${[...new Map(rows.map((row) => [row.split(",")[0], row])).values()].join("")}`);
  if (below(2) === 0) {
    const ran = await command(data, "propose", "many.rows", "--upsert", path, "--auto");
    note(ran.code);
    const answer = ran.data as { merged: { change: { id: string } } | null } | undefined;
    if (ran.exit === 0 && answer?.merged != null) merged.push(answer.merged.change.id);
    return;
  }
  const proposed = await command(data, "propose", "many.rows", "--upsert", path);
  note(proposed.code);
  const id = (proposed.data as { change: { id: string } | null } | undefined)?.change?.id;
  if (id === undefined) return;
  const ran = await command(data, "merge", id);
  note(ran.code);
  if (ran.exit === 0) merged.push(id);
}

async function read(): Promise<void> {
  const ran = await command(data, "read", "many.rows", "--as", "board");
  note(ran.code);
  const answer = ran.data as { version: string } | undefined;
  if (ran.exit === 0 && answer !== undefined) reads.add(answer.version);
}

test("four processes without a server, and Postgres killed midway", async () => {
  const until = performance.now() + seconds * 1000;
  const killer = sleep((seconds * 1000) / 2).then(() => kill(postmasterOf(data)));
  await Promise.all([killer, ...[0, 1, 2, 3].map((worker) => work(worker, 11 + worker, until))]);
  await invariants();
}, 1_500_000);

test("a server with four clients, killed midway and started again", async () => {
  const serve = () => start(data, ["serve", "--port", "0"]);
  let server = serve();
  await sleep(3000);
  const until = performance.now() + seconds * 1000;
  const killer = sleep((seconds * 1000) / 2).then(() => {
    kill(server.child.pid);
    server = serve();
  });
  await Promise.all([killer, ...[0, 1, 2, 3].map((worker) => work(worker, 71 + worker, until))]);
  server.child.kill("SIGTERM");
  await server.done;
  await invariants();
}, 1_500_000);

async function invariants(): Promise<void> {
  console.info(
    `${merged.length} merges acknowledged, ${reads.size} versions read; ${[...codes].map(([code, count]) => `${code} ${count}`).join(", ")}`,
  );
  expect([...codes.keys()].filter((code) => code !== "ok" && !expected.has(code))).toEqual([]);
  const log = await must<{ commit: string; changeId: string | null }[]>(data, "log", "--limit", "1000");
  const known = new Set(log.map((line) => line.changeId));
  expect(
    merged.filter((id) => !known.has(id)),
    "merges that were acknowledged and are gone",
  ).toEqual([]);
  expect(new Set(log.map((line) => line.commit)).size, "no commit stands twice on main").toBe(log.length);
  await must(data, "audit", "verify");
  await must(data, "doctor");
  const { rows } = await must<{ rows: { id: number }[] }>(data, "read", "many.rows", "--at", "main");
  expect(new Set(rows.map((row) => row.id)).size, "no key stands twice").toBe(rows.length);
  const { readers } = await must<{ readers: { consumer: string; version: number }[] }>(data, "who-read", "many.rows");
  const recorded = new Set(readers.filter((line) => line.consumer === "board").map((line) => `many.rows@${line.version}`));
  expect(
    [...reads].filter((version) => !recorded.has(version)),
    "reads that were answered and are not recorded",
  ).toEqual([]);
  expect(merged.length).toBeGreaterThan(3);
}
