import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerFor, readParquet } from "../../src/reading/read-service.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { inspectFiles } from "../../src/lake/doctor.ts";
import type { DataFile } from "../../src/lake/data-file.ts";
import { writeVersion } from "../../src/lake/iceberg/version-writer.ts";
import { liveFiles } from "../../src/lake/iceberg/live-files.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { installReaders, readers, readWith, type Fixture, type Reading } from "./strict/readers.ts";

let lake: Lakehouse;
let missing: string | undefined;
const fixtures: Fixture[] = [];
const readings = new Map<string, Map<string, Reading>>();

/** Every type of the type table that all readers know; `time` stands in a dataset of its own, because Spark has none. */
const allTypes = (from: number, to: number) => `select i::bigint as id, case when i % 13 = 0 then null else (i % 7)::int end as qty,
  case when i % 50 = 0 then 'nan'::double else i * 0.5 end as amount, (i * 0.25)::float as weight, (i * 1.01 - 5)::decimal(12, 2) as price,
  date '1969-12-20' + (i / 10)::int as day, timestamp '1969-12-31 23:59:00.123456' + to_seconds(i) as seen,
  timestamptz '2026-01-01 00:00:00.5+00' + to_seconds(i) as seen_tz, i % 2 = 0 as ok,
  case when i % 10 = 0 then null else 'ünïcode-日本語-🚀-abcdefghijklmnop' || lpad(i::varchar, 6, '0') end as "Country/Region",
  md5(i::varchar)::uuid as uid, encode('b' || i) as bin, case when i % 9 = 0 then null when i % 8 = 0 then [] else [i::int, null, (i + 1)::int] end as tags,
  case when i % 11 = 0 then null else {'city': 'Zürich' || i, 'zip': i::int} end as addr,
  case when i % 17 = 0 then null else map {'k' || (i % 3): i::bigint} end as attrs from range(${from}, ${to}) t(i)`;

async function parquet(name: string, sql: string): Promise<string> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const path = join(lake.dir, name);
  await connection.run("set timezone = 'UTC'");
  await connection.run(`copy (${sql}) to '${path}' (format parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

const person = (at: string) => ({ consumer: undefined, run: undefined, at });

/** Keeps a state as a fixture: its metadata file, and its rows as we read them. */
async function keep(name: string, dataset: string, at: string, extra: Partial<Fixture> = {}): Promise<void> {
  const expected = join(lake.dir, `expected-${name}.parquet`);
  const answer = await readParquet(lake, person(at), dataset, { path: expected });
  fixtures.push({ name, metadata: lake.store.uri(answer.version.metadataKey), expected, ...extra });
}

async function propose(...operations: OperationRequest[]): Promise<string> {
  const { change } = await lake.propose({ operations });
  return change?.id ?? "";
}

async function step(name: string, operation: OperationRequest, extra: Partial<Fixture> = {}): Promise<void> {
  await lake.merge(await propose(operation));
  await keep(name, "strict.all", "main", extra);
}

async function buildFixtures(): Promise<void> {
  const dataset = "strict.all";
  const first = await parquet("first.parquet", allTypes(0, 3000));
  await step("import", { kind: "create", dataset, source: source(first), key: ["id"] }, { filter: "id >= 2900" });
  const more = await parquet("more.parquet", allTypes(3000, 3500));
  await step("append", { kind: "append", dataset, source: source(more) }, { filter: "id >= 3000" });
  const changed = await parquet("changed.parquet", `select * replace (price + 1 as price) from (${allTypes(100, 140)})`);
  await step("upsert", { kind: "upsert", dataset, source: source(changed) });
  const gone = await parquet("gone.parquet", "select i::bigint as id from range(50, 60) t(i)");
  await step("delete", { kind: "delete", dataset, source: source(gone) });
  await step("rename", { kind: "schema", dataset, edits: [{ edit: "rename", name: "qty", to: "quantity" }] });
  await step(
    "widen",
    { kind: "schema", dataset, edits: [{ edit: "retype", name: "quantity", type: "long" }] },
    { filter: "quantity >= 6" },
  );
  await step("drop-and-add", {
    kind: "schema",
    dataset,
    edits: [
      { edit: "drop", name: "weight" },
      { edit: "add", name: "note", type: "string" },
    ],
  });
  const branch = await propose({ kind: "update", dataset, set: [{ column: "note", expression: "'seen'" }], where: "id < 20" });
  await keep("branch", dataset, branch);
  const other = await propose({
    kind: "update",
    dataset,
    set: [{ column: "note", expression: "'other'" }],
    where: "id between 200 and 220",
  });
  await lake.merge(branch);
  await lake.merge(other);
  await keep("three-way", dataset, "main");
  await keep("old-version", `${dataset}@1`, "main");
  const times = await parquet(
    "times.parquet",
    "select i::bigint as id, time '00:00:00.123456' + to_seconds(i) as at from range(0, 100) t(i)",
  );
  await lake.merge(await propose({ kind: "create", dataset: "strict.times", source: source(times), key: ["id"] }));
  await keep("times", "strict.times", "main", { without: ["spark"] });
}

beforeAll(async () => {
  missing = await installReaders();
  lake = await lakehouse({ rowsPerFile: 1000 });
  if (missing !== undefined) return;
  await buildFixtures();
  for (const reader of ["expected", ...readers] as const) readings.set(reader, readWith(reader, fixtures, lake.dir));
}, 600_000);
afterAll(() => lake.close());

test("the strict readers are installed", (context) => {
  if (missing !== undefined && process.env["TIDEGATE_CI"] !== "1") context.skip(`not run: ${missing}`);
  expect(missing).toBeUndefined();
});

describe.each(readers)("%s", (reader) => {
  test("reads every fixture with the same rows, sums and nulls as we do", (context) => {
    if (missing !== undefined) context.skip(`not run: ${missing}`);
    const own = readings.get("expected") ?? new Map<string, Reading>();
    const theirs = readings.get(reader) ?? new Map<string, Reading>();
    const wanted = fixtures.filter((fixture) => fixture.without?.includes(reader) !== true);
    expect(wanted.length).toBeGreaterThanOrEqual(10);
    for (const { name } of wanted) {
      const { filtered: _filtered, planned: _planned, ...found } = theirs.get(name) ?? { name };
      expect(found, `${reader} on ${name}`).toEqual(own.get(name));
    }
  });

  test("finds by a filter exactly the rows that are there", (context) => {
    if (missing !== undefined) context.skip(`not run: ${missing}`);
    const theirs = readings.get(reader);
    expect(theirs?.get("import")?.filtered).toBe(100);
    expect(theirs?.get("append")?.filtered).toBe(500);
  });
});

test("a filter on the key plans only the files that can hold it", (context) => {
  if (missing !== undefined) context.skip(`not run: ${missing}`);
  const theirs = readings.get("pyiceberg");
  expect(theirs?.get("import")?.planned).toBe(1);
  expect(theirs?.get("append")?.planned).toBe(1);
});

describe("an error of a writer, made on purpose", () => {
  const broken: [string, (file: DataFile) => DataFile, string][] = [
    ["a wrong record count", (file) => ({ ...file, rows: file.rows + 1 }), "its row count is not the one in the manifest"],
    ["a wrong file size", (file) => ({ ...file, bytes: file.bytes + 50 }), "its size is not the one in the manifest"],
    [
      "an upper bound that was cut and not raised",
      (file) => ({ ...file, upper: new Map([...file.upper, [10, Buffer.from("ünïcode-日本語-🚀")]]) }),
      "upper bound of Country/Region is wrong",
    ],
    ["a wrong null count", (file) => ({ ...file, nullCounts: new Map([...file.nullCounts, [2, 0]]) }), "null count of qty"],
  ];
  test.each(broken)("%s is found by the doctor", async (_name, edit, problem) => {
    if (missing !== undefined) await buildFixtures().catch(() => undefined);
    const { version } = await answerFor(lake, person("main"), "strict.all@1");
    const { table, state } = await lake.tables.open(version);
    expect(await inspectFiles(lake.store, lake.engine, state.schema, state.files)).toEqual([]);
    const [victim] = state.files;
    if (victim === undefined) throw new Error("no file");
    const base = await writeVersion(lake.store, {
      base: table,
      location: `broken/${problem.length}`,
      schema: table.schema,
      lastColumnId: table.lastColumnId,
      add: [edit(victim.file)],
      remove: new Set([victim.file.key]),
      now: lake.clock.now(),
      ids: lake.ids,
    });
    const findings = await inspectFiles(lake.store, lake.engine, base.schema, await liveFiles(lake.store, base));
    expect(findings.map((finding) => finding.problem)).toContain(problem);
  });
});
