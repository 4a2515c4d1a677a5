/*
 * The catalogue's operations against what they cannot do without: one durable commit of the same Postgres. And reading a version against
 * DuckDB reading the same Parquet files by hand. Ratios inside one run; peak memory of this process.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { openServices } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { createTag } from "../src/catalog/tag-service.ts";
import { merge } from "../src/changes/merge-service.ts";
import { propose } from "../src/changes/propose-service.ts";
import type { OperationRequest } from "../src/changes/operation.ts";
import { duckdbEngine } from "../src/engine/duckdb/duckdb-engine.ts";
import { answerFor, readRows } from "../src/reading/read-service.ts";
import { rollback } from "../src/rollouts/rollback-service.ts";
import { scan } from "../src/effects/table-state.ts";

const scale = Number(process.env["BENCH_SCALE"] ?? 1);
const rounds = Math.max(5, Math.round(60 * scale));
const rows = Math.max(10_000, Math.round(2_000_000 * scale));
const datasets = Math.max(20, Math.round(2000 * scale));

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

async function timed(count: number, work: (round: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < count; round += 1) {
    const began = performance.now();
    await work(round);
    times.push(performance.now() - began);
  }
  return median(times);
}

const dir = await mkdtemp(join(tmpdir(), "tidegate-bench-"));
const services = await openServices(readConfig({ TIDEGATE_DATA: join(dir, "data") }, dir));
try {
  const actor = "bench";
  const change = async (operation: OperationRequest) =>
    (await propose(services, { operations: [operation], actor, origin: "person" })).change?.id ?? "";
  const file = async (name: string, text: string) => {
    await writeFile(join(dir, name), text);
    return { paths: [join(dir, name)], names: [name] };
  };
  const many: OperationRequest[] = Array.from({ length: datasets }, (_, index) => ({
    kind: "create",
    dataset: `bench.d${index}`,
    columns: [{ name: "id", type: "long" }],
    key: ["id"],
  }));
  const created = await propose(services, { operations: many, actor, origin: "import" });
  await merge(services, { changeId: created.change?.id ?? "", actor });
  const lines = Array.from({ length: rows }, (_, index) => `${index},${(index * 7919) % 1000},customer ${index % 500}`).join("\n");
  const big = await change({
    kind: "create",
    dataset: "bench.orders",
    source: await file("orders.csv", `id,amount,customer\n${lines}\n`),
    key: ["id"],
  });
  await merge(services, { changeId: big, actor });

  await sql`create table bench_commit (n integer)`.execute(services.db);
  const commit = await timed(rounds, (round) => sql`insert into bench_commit values (${round})`.execute(services.db));
  const branch = await timed(rounds, (round) => createTag(services, { name: `b${round}`, at: "main", actor }));
  const waiting: string[] = [];
  for (let round = 0; round < rounds; round += 1)
    waiting.push(await change({ kind: "append", dataset: `bench.d${round}`, source: await file(`r${round}.csv`, `id\n${round}\n`) }));
  const merged = await timed(rounds, (round) => merge(services, { changeId: waiting[round] ?? "", actor }));
  const back = await timed(rounds, (round) =>
    rollback(services, { target: `bench.d${round}`, reason: "bench", actor, environment: "production" }),
  );

  const answer = await answerFor(services, { consumer: undefined, run: undefined, at: undefined }, "bench.orders");
  const { state } = await services.tables.open(answer.version);
  const drain = async (batches: AsyncIterable<string[]>) => {
    let count = 0;
    for await (const batch of batches) count += batch.length;
    if (count !== rows) throw new Error(`read ${count} of ${rows} rows`);
  };
  const hand = await duckdbEngine({ memoryMb: 2048, threads: 2, tempDir: join(dir, "hand") });
  const plain = scan(services.store, state.files, state.schema.fields);
  const reads = Math.max(3, Math.round(5 * scale));
  const byHand = await timed(reads, () => drain(hand.stream(plain)));
  const reader = { consumer: "bench", run: undefined, at: undefined };
  const read = await timed(reads, async () => drain((await readRows(services, reader, "bench.orders", {})).rows));
  await hand.close();

  const line = (name: string, ms: number, bar: string) =>
    console.log(`${name.padEnd(10)} ${ms.toFixed(1).padStart(8)} ms   ${(ms / commit).toFixed(1).padStart(6)} × one commit   ${bar}`);
  console.log(`${datasets} datasets, ${rows} rows in the one that is read; one durable commit ${commit.toFixed(2)} ms`);
  line("branch", branch, "bar 5 ms");
  line("merge", merged, "bar 50 ms");
  line("rollback", back, "bar 10 ms");
  console.log(
    `read       ${read.toFixed(1).padStart(8)} ms   ${(read / byHand).toFixed(2).padStart(6)} × DuckDB on the same files   bar: no tax`,
  );
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`);
} finally {
  await services.close();
  await rm(dir, { recursive: true, force: true });
}
