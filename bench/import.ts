/*
 * The whole import of a CSV file (read, typed, checked, sorted by key, cut into files, made durable, committed, released) against DuckDB's
 * own `COPY (SELECT * FROM read_csv(…) ORDER BY key) TO … (FORMAT parquet)`. Each run in a process of its own, by turns, with the same
 * memory and threads; the fastest round of each counts. Rows come in no order, as exports without ORDER BY do, and once more in key order.
 *
 *   npm run bench -- import [--scale 0.01]      BENCH_ASSERT=1 fails when a bar of the design is missed
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { openServices } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { merge } from "../src/changes/merge-service.ts";
import { propose } from "../src/changes/propose-service.ts";
import { answerFor } from "../src/reading/read-service.ts";

const rows = Number(process.env["BENCH_ROWS"] ?? 10_000_000);
const rounds = Math.min(3, Number(process.env["BENCH_ROUNDS"] ?? 3));
const memoryMb = Number(process.env["BENCH_MEMORY_MB"] ?? 4096);
const threads = 2;

const columns = [
  "id * 2 AS id",
  "(hash(id, 1) % 100000)::int AS user_id",
  "((hash(id, 2) % 1000000) / 100)::decimal(10, 2) AS amount",
  "(hash(id, 3) % 1000) / 7.0 AS score",
  "'user' || (hash(id, 4) % 100000) || '@example.com' AS email",
  "chr((65 + hash(id, 5) % 26)::int) AS code",
  "timestamp '2024-01-01' + to_seconds((hash(id, 6) % 10000000)::bigint) AS created_at",
  "timestamp '2025-01-01' + to_seconds((hash(id, 7) % 10000000)::bigint) AS updated_at",
  "['de', 'fr', 'us', 'gb'][(hash(id, 8) % 4 + 1)::int] AS country",
  "['new', 'paid', 'sent'][(hash(id, 9) % 3 + 1)::int] AS status",
  "'r' || hash(id, 10) AS reference",
  "hash(id, 11) % 2 = 0 AS flag",
];

const orders = ["shuffled", "sorted"] as const;
type Order = (typeof orders)[number];
const ways = ["tidegate", "duckdb"] as const;
type Way = (typeof ways)[number];

interface Run {
  ms: number;
  peakMb: number;
  rows: number;
}

async function openDuckdb(dir: string): Promise<DuckDBConnection> {
  const settings = { threads: String(threads), memory_limit: `${memoryMb}MiB`, temp_directory: join(dir, "spill") };
  return (await DuckDBInstance.create(":memory:", settings)).connect();
}

async function generate(dir: string): Promise<void> {
  const connection = await openDuckdb(dir);
  for (const order of orders) {
    const by = order === "shuffled" ? " ORDER BY hash(id, 99)" : "";
    await connection.run(`COPY (SELECT ${columns.join(", ")} FROM range(${rows}) t(id)${by}) TO '${join(dir, `${order}.csv`)}' (HEADER)`);
  }
  connection.closeSync();
}

/** DuckDB alone, told nothing but the key. */
async function byHand(dir: string, order: Order): Promise<Omit<Run, "peakMb">> {
  const connection = await openDuckdb(dir);
  const began = performance.now();
  const reader = await connection.runAndReadAll(
    `COPY (SELECT * FROM read_csv('${join(dir, `${order}.csv`)}') ORDER BY id) TO '${join(dir, "hand.parquet")}' (FORMAT parquet)`,
  );
  return { ms: performance.now() - began, rows: Number(reader.getRows()[0]?.[0]) };
}

async function byTidegate(dir: string, order: Order): Promise<Omit<Run, "peakMb">> {
  const settings = { TIDEGATE_DATA: join(dir, "data"), TIDEGATE_MEMORY_MB: String(memoryMb), TIDEGATE_THREADS: String(threads) };
  const services = await openServices(readConfig(settings, dir));
  try {
    const source = { paths: [join(dir, `${order}.csv`)], names: [`${order}.csv`] };
    const began = performance.now();
    const operations = [{ kind: "create" as const, dataset: "bench.orders", source, key: ["id"] }];
    const { change } = await propose(services, { operations, actor: "bench", origin: "import" });
    await merge(services, { changeId: change?.id ?? "", actor: "bench", byPerson: true });
    const ms = performance.now() - began;
    const { version } = await answerFor(services, { consumer: undefined, run: undefined, at: undefined }, "bench.orders");
    return { ms, rows: Number(version.rows) };
  } finally {
    await services.close();
    await rm(join(dir, "data"), { recursive: true, force: true });
  }
}

/** One run in this process, which ends with it; its peak memory is this process's. */
async function printRun(way: Way, order: Order, dir: string): Promise<void> {
  const done = await (way === "duckdb" ? byHand : byTidegate)(dir, order);
  process.stdout.write(JSON.stringify({ ...done, peakMb: process.resourceUsage().maxRSS / 1024 }));
  process.exit(0);
}

function runApart(way: Way, order: Order, dir: string): Run {
  const self = fileURLToPath(import.meta.url);
  return JSON.parse(execFileSync(process.execPath, [...process.execArgv, self, way, order, dir], { encoding: "utf8" })) as Run;
}

function fastest(runs: readonly Run[]): Run {
  return { ...(runs[0] as Run), ms: Math.min(...runs.map((run) => run.ms)), peakMb: Math.max(...runs.map((run) => run.peakMb)) };
}

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "tidegate-bench-"));
  try {
    await mkdir(join(dir, "spill"));
    await generate(dir);
    const { size } = await stat(join(dir, "shuffled.csv"));
    console.log(`${rows} rows × ${columns.length} columns, ${(size / 1e6).toFixed(0)} MB of CSV; ${threads} threads, ${memoryMb} MB`);
    for (const order of orders) {
      const found: Record<Way, Run[]> = { tidegate: [], duckdb: [] };
      for (let round = 0; round < rounds; round += 1) for (const way of ways) found[way].push(runApart(way, order, dir));
      const [own, hand] = [fastest(found.tidegate), fastest(found.duckdb)];
      for (const [way, run] of [
        ["tidegate", own],
        ["duckdb", hand],
      ] as const) {
        console.log(
          `${order.padEnd(9)} ${way.padEnd(9)} ${run.ms.toFixed(0).padStart(6)} ms  peak ${run.peakMb.toFixed(0).padStart(5)} MB`,
        );
      }
      const ratio = own.ms / hand.ms;
      const same = own.rows === rows && hand.rows === rows;
      const memory = (own.peakMb / hand.peakMb).toFixed(2);
      console.log(`${order.padEnd(9)} ${ratio.toFixed(2)} × DuckDB (bar 1.5, goal 1.2), memory ${memory} ×${same ? "" : "; ROWS DIFFER"}`);
      if (!same || (process.env["BENCH_ASSERT"] === "1" && ratio > 1.5)) process.exitCode = 1;
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const [way, order, dir] = process.argv.slice(2);
if (way !== undefined && order !== undefined && dir !== undefined) await printRun(way as Way, order as Order, dir);
else {
  await main();
  process.exit();
}
