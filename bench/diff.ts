/*
 * Row diff of two versions of which 3 of 32 files differ, against DuckDB by hand: one full outer join with the same counts per column over just
 * those six files, and over all files. Times in one process by turns, the fastest round of each; peak memory in a process of its own.
 *
 *   npm run bench -- diff [--scale 0.01]      BENCH_ASSERT=1 fails when a bar of the design is missed
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { diffTables } from "../src/diffs/diff-service.ts";
import type { DiffFile, DiffSide } from "../src/diffs/diff.ts";
import { duckdbEngine } from "../src/engine/duckdb/duckdb-engine.ts";
import { column, type Plan } from "../src/engine/plan.ts";
import type { FieldType, Schema } from "../src/lake/schema.ts";
import { toJson } from "../src/lib/json.ts";

const fileCount = 32;
const changedFiles = new Set([3, 11, 29]);
const rows = Number(process.env["BENCH_ROWS"] ?? 10_000_000);
const rounds = Number(process.env["BENCH_ROUNDS"] ?? 5);
const memoryMb = Number(process.env["BENCH_MEMORY_MB"] ?? 4096);
const threads = 2;

const columns: readonly [name: string, type: FieldType, sql: string][] = [
  ["id", "long", "id"],
  ["user_id", "int", "(hash(id, 1) % 100000)::int"],
  ["amount", "decimal(10, 2)", "((hash(id, 2) % 1000000) / 100)::decimal(10, 2)"],
  ["score", "double", "(hash(id, 3) % 1000) / 7.0"],
  ["email", "string", "'user' || (hash(id, 4) % 100000) || '@example.com'"],
  ["code", "string", "chr((65 + hash(id, 5) % 26)::int)"],
  ["created_at", "timestamp", "timestamp '2024-01-01' + to_seconds((hash(id, 6) % 10000000)::bigint)"],
  ["updated_at", "timestamp", "timestamp '2025-01-01' + to_seconds((hash(id, 7) % 10000000)::bigint)"],
  ["country", "string", "['de', 'fr', 'us', 'gb'][(hash(id, 8) % 4 + 1)::int]"],
  ["status", "string", "['new', 'paid', 'sent'][(hash(id, 9) % 3 + 1)::int]"],
  ["reference", "string", "hash(id, 10)::varchar"],
  ["flag", "boolean", "hash(id, 11) % 2 = 0"],
];
const names = columns.map(([name]) => name);
const valueNames = names.filter((name) => name !== "id");

const fileName = (version: 1 | 2, index: number): string => `v${version}-${String(index).padStart(2, "0")}.parquet`;

async function openDuckdb(dir: string): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(threads),
    memory_limit: `${memoryMb}MiB`,
    temp_directory: join(dir, "spill"),
  });
  return instance.connect();
}

/** 32 files sorted by key; in three of them 1 % of the rows are modified, 0.1 % removed, 0.1 % added. */
async function generate(dir: string): Promise<void> {
  const connection = await openDuckdb(dir);
  const perFile = Math.ceil(rows / fileCount);
  const ids = columns.map((_, index) => `${names[index]}: ${index + 1}`).join(", ");
  const write = (query: string, name: string) =>
    connection.run(`COPY (${query}) TO '${join(dir, name)}' (FORMAT parquet, FIELD_IDS {${ids}})`);
  for (let index = 0; index < fileCount; index += 1) {
    const [from, to] = [index * perFile, Math.min(rows, (index + 1) * perFile)];
    const plain = `SELECT ${columns.map(([name, , sql]) => `${sql} AS ${name}`).join(", ")} FROM (SELECT range * 2 AS id FROM range(${from}, ${to}))`;
    await write(plain, fileName(1, index));
    if (!changedFiles.has(index)) continue;
    const amount = "CASE WHEN hash(id, 99) % 100 = 0 THEN amount + 1 ELSE amount END";
    await write(
      `SELECT * REPLACE (${amount} AS amount) FROM (${plain}) WHERE hash(id, 77) % 1000 <> 0 ` +
        `UNION ALL SELECT * REPLACE (id + 1 AS id) FROM (${plain}) WHERE hash(id, 78) % 1000 = 0 ORDER BY id`,
      fileName(2, index),
    );
  }
  connection.disconnectSync();
}

function filesOf(version: 1 | 2, which: "all" | "changed"): string[] {
  return Array.from({ length: fileCount }, (_, index) => index)
    .filter((index) => which === "all" || changedFiles.has(index))
    .map((index) => fileName(version === 2 && changedFiles.has(index) ? 2 : 1, index));
}

function byHand(dir: string, which: "all" | "changed"): string {
  const scan = (version: 1 | 2) =>
    `read_parquet([${filesOf(version, which)
      .map((name) => `'${join(dir, name)}'`)
      .join(", ")}])`;
  const differs = (name: string) => `a.${name} IS DISTINCT FROM b.${name}`;
  const both = "a.id IS NOT NULL AND b.id IS NOT NULL";
  const cells = valueNames.map((name) => `count(*) FILTER (WHERE ${both} AND ${differs(name)})`);
  return (
    "SELECT count(*) FILTER (WHERE a.id IS NULL), count(*) FILTER (WHERE b.id IS NULL), " +
    `count(*) FILTER (WHERE ${both} AND (${valueNames.map(differs).join(" OR ")})), ${cells.join(", ")} FROM ${scan(1)} a FULL JOIN ${scan(2)} b ON a.id = b.id`
  );
}

const ways = ["tidegate", "hand-changed", "tidegate-all", "hand-all"] as const;
type Way = (typeof ways)[number];

/** The peak memory of one way, run once in this process, which ends with it. */
async function printPeak(dir: string, way: Way): Promise<void> {
  await (
    await runnerOf(dir, way)
  )();
  process.stdout.write(JSON.stringify({ peakMb: process.resourceUsage().maxRSS / 1024 }));
  process.exit(0);
}

function runnerOf(dir: string, way: Way): Promise<() => Promise<number[]>> {
  return way.startsWith("tidegate") ? tidegate(dir, way) : hand(dir, way === "hand-all" ? "all" : "changed");
}

async function hand(dir: string, which: "all" | "changed"): Promise<() => Promise<number[]>> {
  const connection = await openDuckdb(dir);
  return async () => {
    const [row = []] = (await connection.runAndReadAll(byHand(dir, which))).getRows();
    return row.slice(0, 3).map(Number);
  };
}

async function tidegate(dir: string, way: Way): Promise<() => Promise<number[]>> {
  const engine = await duckdbEngine({ memoryMb, threads, tempDir: join(dir, `engine-${way}`) });
  const fields = columns.map(([name, type], index) => ({ id: index + 1, name, type, required: name === "id" }));
  const schema: Schema = { type: "struct", "schema-id": 0, fields, "identifier-field-ids": [1] };
  const side = async (version: 1 | 2): Promise<DiffSide> => {
    const files = await Promise.all(
      filesOf(version, "all").map(async (name): Promise<DiffFile> => {
        const input: Plan = { op: "table", files: [{ uri: join(dir, name), rows: 0, deletes: [] }], fields: fields.slice(0, 1) };
        const [row] = await engine.rows({
          op: "aggregate",
          input,
          by: [],
          measures: [
            { name: "n", of: { fn: "count_all" } },
            { name: "lower", of: { fn: "min", of: column("id") } },
            { name: "upper", of: { fn: "max", of: column("id") } },
          ],
        });
        // Under another key on each side no file is shared: the cost of a diff that must read everything.
        const key = way === "tidegate-all" ? `${version}/${name}` : name;
        const keyRange = { lower: String(row?.["lower"]), upper: String(row?.["upper"]) };
        return { key, scan: { uri: join(dir, name), rows: Number(row?.["n"]), deletes: [] }, keyRange };
      }),
    );
    return { label: `v${version}`, schema, content: { files } };
  };
  const [before, after] = [await side(1), await side(2)];
  return async () => {
    const result = await diffTables(engine, before, after);
    if (result.samples.length === 0) throw new Error(toJson(result));
    return [result.rows.added, result.rows.removed, result.rows.modified];
  };
}

interface Measured {
  ms: number;
  counts: number[];
  peakMb: number;
}

/** All ways by turns, so that what else the machine does hits them alike; the fastest round of each counts. */
async function measure(dir: string): Promise<Record<Way, Measured>> {
  const found = {} as Record<Way, Measured>;
  const self = fileURLToPath(import.meta.url);
  for (const way of ways) {
    const output = execFileSync(process.execPath, [...process.execArgv, self, way, dir], { encoding: "utf8", env: process.env });
    found[way] = { ms: Infinity, counts: [], peakMb: Number((JSON.parse(output) as { peakMb: number }).peakMb) };
  }
  const runners = new Map<Way, () => Promise<number[]>>();
  for (const way of ways) runners.set(way, await runnerOf(dir, way));
  for (let round = 0; round < rounds; round += 1) {
    for (const [way, run] of runners) {
      // What takes long is measured less often.
      const times = way.endsWith("all") ? 1 : 4;
      for (let time = 0; time < times; time += 1) {
        const start = performance.now();
        const counts = await run();
        found[way] = { ...found[way], counts, ms: Math.min(found[way].ms, performance.now() - start) };
      }
    }
  }
  return found;
}

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "tidegate-bench-"));
  try {
    await generate(dir);
    const { size } = await stat(join(dir, fileName(1, 0)));
    const files = `${fileCount} files of ${(size / 1e6).toFixed(1)} MB, ${changedFiles.size} differ`;
    console.log(`${rows} rows × ${columns.length} columns, ${files}; ${threads} threads, ${memoryMb} MB`);
    const found = await measure(dir);
    for (const way of ways) {
      const { ms, peakMb, counts } = found[way];
      console.log(`${way.padEnd(14)} ${ms.toFixed(0).padStart(6)} ms  peak ${peakMb.toFixed(0).padStart(5)} MB  ${counts.join(" ")}`);
    }
    const same = ways.every((way) => found[way].counts.join() === found.tidegate.counts.join());
    const toHand = found.tidegate.ms / found["hand-changed"].ms;
    const toFull = found["hand-all"].ms / found.tidegate.ms;
    const share = found["hand-all"].ms / found["hand-changed"].ms;
    console.log(`to DuckDB by hand on the six files: ${toHand.toFixed(2)} × (bar 1.3, goal 1.1); counts ${same ? "agree" : "DIFFER"}`);
    console.log(`faster than the full join: ${toFull.toFixed(1)} × (bar 8; by hand on the six files ${share.toFixed(1)} ×)`);
    console.log(`when every file differs: ${(found["tidegate-all"].ms / found["hand-all"].ms).toFixed(2)} × the full join by hand`);
    if (!same || (process.env["BENCH_ASSERT"] === "1" && (toHand > 1.3 || toFull < 8))) process.exitCode = 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const [way, dir] = process.argv.slice(2);
if (way !== undefined && dir !== undefined) await printPeak(dir, way as Way);
else {
  await main();
  process.exit();
}
