/*
 * A contract of 60 rules against one hand-written SELECT with the same exact aggregates over the same files; the same contract after a 1 %
 * append, with what is kept of the files; exact uniqueness of a column that is not sorted, apart. Times by turns in one process, the fastest
 * round of each; peak memory in a process of its own.
 *
 *   npm run bench -- checks [--scale 0.1]      BENCH_ASSERT=1 fails when a bar of the design is missed
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { readCommit } from "../src/catalog/commit-store.ts";
import { resolveDataset } from "../src/catalog/dataset-store.ts";
import { changeRef, getRef, mainRef } from "../src/catalog/ref-store.ts";
import { treeSide, type Side } from "../src/catalog/side.ts";
import { merge } from "../src/changes/merge-service.ts";
import type { OperationRequest } from "../src/changes/operation.ts";
import { propose } from "../src/changes/propose-service.ts";
import { checkDatasets, type CheckOptions } from "../src/checks/check-service.ts";
import { openServices } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import type { Rule, RuleTest, Validity } from "../src/contracts/rule.ts";
import type { Services } from "../src/http/services.ts";

const rows = Number(process.env["BENCH_ROWS"] ?? 10_000_000);
const rounds = Number(process.env["BENCH_ROUNDS"] ?? 3);
const memoryMb = Number(process.env["BENCH_MEMORY_MB"] ?? 8192);
const threads = 2;
const dataset = "bench.orders";

const columns: readonly [name: string, sql: string][] = [
  ["id", "id"],
  ["user_id", "(hash(id, 1) % 100000)::int"],
  ["amount", "((hash(id, 2) % 1000000) / 100)::decimal(10, 2)"],
  ["score", "(hash(id, 3) % 1000) / 7.0"],
  ["email", "'user' || (hash(id, 4) % 100000) || '@example.com'"],
  ["code", "chr((65 + hash(id, 5) % 26)::int)"],
  ["created_at", "timestamp '2024-01-01' + to_seconds((hash(id, 6) % 10000000)::bigint)"],
  ["updated_at", "timestamp '2025-01-01' + to_seconds((hash(id, 7) % 10000000)::bigint)"],
  ["country", "['de', 'fr', 'us', 'gb'][(hash(id, 8) % 4 + 1)::int]"],
  ["status", "CASE WHEN hash(id, 9) % 50 = 0 THEN NULL ELSE ['new', 'paid', 'sent'][(hash(id, 9) % 3 + 1)::int] END"],
  ["reference", "hash(id, 10)::varchar"],
  ["flag", "hash(id, 11) % 2 = 0"],
];

/** A rule and the aggregates of the hand-written SELECT that say the same. */
interface Pair {
  rule: Rule;
  sql: readonly string[];
}

const named = (name: string) => ({ name, fieldId: columns.findIndex(([column]) => column === name) + 1 });
const number = (value: string) => ({ type: "number", value }) as const;
const text = (value: string) => ({ type: "text", value }) as const;

function pairs(): Pair[] {
  const found: Pair[] = [];
  // All of them hold: a rule that fails costs one more query, for its samples.
  const add = (
    test: RuleTest,
    sql: readonly string[],
    more: Partial<Rule> = { unit: "percent", bound: { op: "<=", value: "100" } },
  ): void => {
    const id = `rule ${found.length}`;
    found.push({
      rule: { id, title: id, severity: "error", scope: "snapshot", test, where: [], unit: "rows", source: "bench", ...more },
      sql,
    });
  };
  const valid = (name: string, is: Validity, condition: string): void =>
    add({ kind: "invalid_values", column: named(name), valid: is }, [`count(${name})`, `count(*) FILTER (WHERE NOT (${condition}))`]);
  const metric = (name: string, of: Extract<RuleTest, { kind: "metric" }>["metric"], sql: string): void =>
    add({ kind: "metric", metric: of, column: named(name) }, [sql], { bound: { op: "!=", value: "-1" } });
  for (const [name] of columns)
    add(
      { kind: "null_values", column: named(name) },
      [`count(*) - count(${name})`],
      name === "status" ? { bound: { op: ">", value: "0" } } : {},
    );
  const range = (name: string, min: string, max: string): void =>
    valid(name, { is: "range", range: { min: number(min), max: number(max) } }, `${name} BETWEEN ${min} AND ${max}`);
  range("id", "0", "1000000000");
  range("user_id", "0", "99999");
  range("user_id", "10", "200000");
  range("amount", "0", "10000");
  range("amount", "1", "9000");
  range("score", "0", "200");
  range("score", "1", "100");
  for (const name of ["created_at", "updated_at"]) {
    const range = { min: { type: "time", value: "2024-01-01T00:00:00" }, max: { type: "time", value: "2026-01-01T00:00:00" } } as const;
    valid(name, { is: "range", range }, `${name} BETWEEN timestamp '2024-01-01' AND timestamp '2026-01-01'`);
  }
  const letters = Array.from({ length: 26 }, (_, at) => String.fromCharCode(65 + at));
  valid("code", { is: "in", values: letters.map(text) }, `code IN (${letters.map((letter) => `'${letter}'`).join(", ")})`);
  valid("country", { is: "in", values: ["de", "fr", "us"].map(text) }, "country IN ('de', 'fr', 'us')");
  valid("status", { is: "in", values: ["new", "paid", "sent"].map(text) }, "status IN ('new', 'paid', 'sent')");
  valid("status", { is: "not_in", values: [text("lost")] }, "status NOT IN ('lost')");
  valid(
    "email",
    { is: "matches", patterns: ["^[a-z0-9]+@example\\.com$"], how: "any" },
    "regexp_matches(email, '^[a-z0-9]+@example\\.com$')",
  );
  valid("reference", { is: "matches", patterns: ["^[0-9]+$"], how: "any" }, "regexp_matches(reference, '^[0-9]+$')");
  valid("email", { is: "like", patterns: ["user%"], how: "any" }, "email LIKE 'user%'");
  valid("email", { is: "length", min: 10, max: 30 }, "length(email) BETWEEN 10 AND 30");
  valid("code", { is: "length", min: 1, max: 1 }, "length(code) BETWEEN 1 AND 1");
  valid("reference", { is: "length", min: 10, max: 20 }, "length(reference) BETWEEN 10 AND 20");
  valid("country", { is: "length", min: 2, max: 2 }, "length(country) BETWEEN 2 AND 2");
  valid("user_id", { is: "multiple_of", of: "1" }, "user_id % 1 = 0");
  const pair = (left: string, right: string): void =>
    add({ kind: "compare_columns", left: named(left), op: "<", right: named(right) }, [
      `count(*) FILTER (WHERE ${left} IS NOT NULL OR ${right} IS NOT NULL)`,
      `count(*) FILTER (WHERE NOT coalesce(${left} < ${right}, false))`,
    ]);
  pair("created_at", "updated_at");
  pair("score", "amount");
  for (const status of ["new", "paid", "sent"]) {
    const where = [{ column: named("status"), op: "=", value: text(status) }] as const;
    add(
      { kind: "invalid_values", column: named("amount"), valid: { is: "range", range: { min: number("5") } } },
      [`count(*) FILTER (WHERE status = '${status}')`, `count(*) FILTER (WHERE status = '${status}' AND NOT amount >= 5)`],
      { where, unit: "percent", bound: { op: "<=", value: "100" } },
    );
  }
  for (const name of ["id", "user_id", "amount", "score", "created_at", "updated_at"]) {
    metric(name, "min", `min(${name})`);
    metric(name, "max", `max(${name})`);
  }
  for (const name of ["amount", "score", "user_id"]) {
    metric(name, "sum", `sum(${name})`);
    metric(name, "mean", `avg(${name})`);
  }
  for (const name of ["amount", "score"]) metric(name, "stddev", `stddev_samp(${name})`);
  add({ kind: "metric", metric: "row_count" }, ["count(*)"], { bound: { op: ">", value: "0" } });
  add({ kind: "duplicate_values", columns: [named("id")] }, ["count(id) - count(DISTINCT id)"]);
  return found;
}

const rulesOf =
  (made: readonly Pair[]): CheckOptions["rulesOf"] =>
  () =>
    made.map(({ rule }) => rule);
const unsorted: Pair = {
  rule: {
    id: "unsorted",
    title: "unsorted",
    severity: "error",
    scope: "snapshot",
    test: { kind: "duplicate_values", columns: [named("reference")] },
    where: [],
    unit: "rows",
    source: "bench",
  },
  sql: ["count(reference) - count(DISTINCT reference)"],
};

async function openDuckdb(dir: string): Promise<DuckDBConnection> {
  const settings = { threads: String(threads), memory_limit: `${memoryMb / 2}MiB`, temp_directory: join(dir, "spill") };
  return (await DuckDBInstance.create(":memory:", settings)).connect();
}

const open = (dir: string): Promise<Services> =>
  openServices(readConfig({ TIDEGATE_MEMORY_MB: String(memoryMb), TIDEGATE_THREADS: String(threads) }, dir, { data: join(dir, "data") }));

async function generate(dir: string, name: string, from: number, to: number): Promise<string> {
  const connection = await openDuckdb(dir);
  const path = join(dir, name);
  const list = columns.map(([column, sql]) => `${sql} AS ${column}`).join(", ");
  await connection.run(`COPY (SELECT ${list} FROM (SELECT range AS id FROM range(${from}, ${to}))) TO '${path}' (FORMAT parquet)`);
  connection.disconnectSync();
  return path;
}

async function bring(services: Services, operation: OperationRequest): Promise<string> {
  const { change } = await propose(services, { operations: [operation], actor: "bench", origin: "person" });
  if (change === undefined) throw new Error("nothing was proposed");
  return change.id;
}

async function sideOf(services: Services, ref: string): Promise<Side> {
  return treeSide(services.db, ref, (await readCommit(services.db, (await getRef(services.db, ref)).commitId)).tree);
}

async function forget(services: Services): Promise<void> {
  await services.db.deleteFrom("samples").execute();
  await services.db.deleteFrom("evidence").execute();
}

async function check(services: Services, base: Side | undefined, candidate: Side, made: readonly Pair[]): Promise<number> {
  const { id } = await resolveDataset(services.db, dataset);
  const began = performance.now();
  const [found] = await checkDatasets(services, { base, candidate, datasetIds: [id] }, { rulesOf: rulesOf(made) });
  const took = performance.now() - began;
  const odd = found?.checks.filter(({ verdict }) => verdict === "inconclusive") ?? [];
  if (odd.length > 0 || found?.checks.length !== made.length)
    throw new Error(odd.map(({ rule, found: what }) => `${rule.id}: ${what}`).join("; "));
  return took;
}

async function filesOf(services: Services, side: Side): Promise<string[]> {
  const { id } = await resolveDataset(services.db, dataset);
  const content = await side.get(id);
  if (content === undefined) throw new Error("no dataset");
  const { state } = await services.tables.open(content);
  return state.files.map(({ file }) => services.store.uri(file.key));
}

async function byHand(connection: DuckDBConnection, files: readonly string[], made: readonly Pair[]): Promise<number> {
  const began = performance.now();
  await connection.runAndReadAll(
    `SELECT ${made.flatMap(({ sql }) => sql).join(", ")} FROM read_parquet([${files.map((file) => `'${file}'`).join(", ")}])`,
  );
  return performance.now() - began;
}

/** The peak memory of one way in a process that does nothing else. */
async function printPeak(dir: string, way: string): Promise<void> {
  const services = await open(dir);
  const side = await sideOf(services, mainRef);
  if (way === "tidegate") {
    await forget(services);
    await check(services, undefined, side, pairs());
  } else {
    await byHand(await openDuckdb(dir), await filesOf(services, side), pairs());
  }
  process.stdout.write(JSON.stringify({ peakMb: process.resourceUsage().maxRSS / 1024 }));
  await services.close();
  process.exit(0);
}

function peakOf(dir: string, way: string): number {
  const output = execFileSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), way, dir], {
    encoding: "utf8",
    env: process.env,
  });
  return (JSON.parse(output) as { peakMb: number }).peakMb;
}

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "tidegate-bench-"));
  try {
    const services = await open(dir);
    const made = pairs();
    const first = await generate(dir, "first.parquet", 0, rows);
    await merge(services, {
      changeId: await bring(services, { kind: "create", dataset, source: { paths: [first], names: ["first"] }, key: ["id"] }),
      actor: "bench",
      byPerson: true,
    });
    const main = await sideOf(services, mainRef);
    const files = await filesOf(services, main);
    console.log(
      `${made.length} rules on ${rows} rows × ${columns.length} columns in ${files.length} files; ${threads} threads, ${memoryMb / 2} MB for the engine`,
    );
    const connection = await openDuckdb(dir);
    const best = { cold: Infinity, hand: Infinity, again: Infinity, unsortedCold: Infinity };
    for (let round = 0; round < rounds; round += 1) {
      await forget(services);
      best.cold = Math.min(best.cold, await check(services, undefined, main, made));
      best.hand = Math.min(best.hand, await byHand(connection, files, made));
      best.again = Math.min(best.again, await check(services, undefined, main, made));
      best.unsortedCold = Math.min(best.unsortedCold, await check(services, undefined, main, [unsorted]));
    }
    const more = await generate(dir, "more.parquet", rows, Math.round(rows * 1.01));
    const change = await bring(services, { kind: "append", dataset, source: { paths: [more], names: ["more"] } });
    const candidate = await sideOf(services, changeRef(change));
    const appended = await check(services, main, candidate, made);
    const unsortedAfter = await check(services, main, candidate, [unsorted]);
    await services.close();
    const peak = { cold: peakOf(dir, "tidegate"), hand: peakOf(dir, "hand") };
    const line = (name: string, ms: number, rest = ""): void => console.log(`${name.padEnd(34)} ${ms.toFixed(0).padStart(7)} ms  ${rest}`);
    line("contract, cold", best.cold, `peak ${peak.cold.toFixed(0)} MB`);
    line("the same SELECT by hand", best.hand, `peak ${peak.hand.toFixed(0)} MB`);
    line("contract, same question again", best.again);
    line("contract after a 1 % append", appended);
    line("uniqueness, unsorted column, cold", best.unsortedCold);
    line("the same after a 1 % append", unsortedAfter);
    const [toHand, share] = [best.cold / best.hand, appended / best.cold];
    console.log(`to DuckDB by hand: ${toHand.toFixed(2)} × (bar 1.2, goal 0.8)`);
    console.log(`after a 1 % append: ${(share * 100).toFixed(1)} % of cold (bar 5 %, goal 2 %)`);
    if (process.env["BENCH_ASSERT"] === "1" && (toHand > 1.2 || share > 0.05)) process.exitCode = 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const [way, dir] = process.argv.slice(2);
if (way !== undefined && dir !== undefined) await printPeak(dir, way);
else {
  await main();
  process.exit();
}
