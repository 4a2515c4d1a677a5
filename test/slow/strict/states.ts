import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { OperationRequest, SchemaEdit } from "../../../src/changes/operation.ts";
import { projectVersion } from "../../../src/effects/projections.ts";
import { createRouter } from "../../../src/http/app.ts";
import type { Services } from "../../../src/http/services.ts";
import { readParquet } from "../../../src/reading/read-service.ts";
import { source, type Lakehouse } from "../../harness/lakehouse.ts";
import type { sparkTables } from "../../harness/spark-fixture.ts";
import { adoptedAt, proposed, proposedBySpark } from "../../harness/spark-line.ts";
import type { Fixture } from "./readers.ts";

/** A state of a dataset that the strict readers read, at the path that `dataset path` gives. */
export interface State extends Fixture {
  dataset: string;
  at: string;
  /** What names this state for good: the version's number, or a branch that stays open. */
  later: { dataset: string; at: string };
  /** Data files of the version, and for each filter those that hold a row which it leaves. */
  files: number;
  holding: Record<string, number>;
}

/** Every type of the type table that all readers know; `time` stands in a dataset of its own, because Spark has none. */
const allTypes = (from: number, to: number) => `select i::bigint as id, case when i % 13 = 0 then null else (i % 7)::int end as qty,
  case when i % 50 = 0 then 'nan'::double else i * 0.5 end as amount, (i * 0.25)::float as weight, (i * 1.01 - 5)::decimal(12, 2) as price,
  date '1969-12-20' + (i / 10)::int as day, timestamp '1969-12-31 23:59:00.123456' + to_seconds(i) as seen,
  timestamptz '2026-01-01 00:00:00.5+00' + to_seconds(i) as seen_tz, i % 2 = 0 as ok,
  case when i % 10 = 0 then null else 'ünïcode-日本語-🚀-abcdefghijklmnop' || lpad(i::varchar, 6, '0') end as "Country/Region",
  md5(i::varchar)::uuid as uid, encode('b' || i) as bin, case when i % 9 = 0 then null when i % 8 = 0 then [] else [i::int, null, (i + 1)::int] end as tags,
  case when i % 11 = 0 then null else {'city': 'Zürich' || i, 'zip': i::int} end as addr,
  case when i % 17 = 0 then null else map {'k' || (i % 3): i::bigint} end as attrs from range(${from}, ${to}) t(i)`;

/** Answers one query of plain DuckDB. */
export async function duck(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("set timezone = 'UTC'");
    return (await connection.runAndReadAll(sql)).getRows();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

export async function parquet(lake: Pick<Lakehouse, "dir">, name: string, sql: string): Promise<string> {
  const path = join(lake.dir, name);
  await duck(`copy (${sql}) to '${path}' (format parquet)`);
  return path;
}

/** What `dataset path <name>[@n] --at <branch>` prints. */
async function pathOf(services: Services, dataset: string, at: string): Promise<string> {
  const { app } = createRouter(services, { local: true });
  const answer = await app.request(`http://in.process/v1/datasets/${encodeURIComponent(dataset)}/path?at=${encodeURIComponent(at)}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return (JSON.parse(text) as { data: { path: string } }).data.path;
}

/** A state with its rows as we read them. */
export async function stateOf(
  services: Services,
  folder: string,
  state: Pick<State, "name" | "dataset" | "at"> & Partial<Fixture>,
): Promise<State> {
  const { dataset, at } = state;
  const isOpenBranch = /on a branch(, moved)?$/.test(state.name);
  const expected = join(folder, `expected-${state.name.replaceAll(" ", "-")}.parquet`);
  const reader = { consumer: undefined, run: undefined, at };
  const { version } = await readParquet(services, reader, dataset, { path: expected });
  const { files } = (await services.tables.open(version)).state;
  const paths = files.map(({ file }) => `'${services.store.uri(file.key)}'`).join(", ");
  const holding: State["holding"] = {};
  for (const [filter, condition] of Object.entries(state.filters ?? {})) {
    const [row] = await duck(`select count(distinct filename) from read_parquet([${paths}], filename = true) where ${condition}`);
    holding[filter] = Number(row?.[0]);
  }
  const later = isOpenBranch ? { dataset, at } : { dataset: `${dataset.replace(/@.*/, "")}@${version.number}`, at: "main" };
  return { ...state, later, metadata: await pathOf(services, dataset, at), expected, files: files.length, holding };
}

/** Filters on types by whose bounds files can be left out. */
const ranges = {
  long: "id >= 2900",
  decimal: "price < 100.00",
  date: "day >= date '1970-09-01'",
  timestamp: "seen < timestamp '1970-01-01T00:10:00'",
  float: "weight > 720.0",
  "nothing there": "id = 77777",
};

/** A dataset with every type through all that can happen to it. */
export async function buildStates(lake: Lakehouse, services: Services): Promise<State[]> {
  const states: State[] = [];
  const dataset = "strict.all";
  const keep = async (name: string, at: string, extra: Partial<Fixture> = {}, of = dataset) => {
    states.push(await stateOf(services, lake.dir, { name, dataset: of, at, ...extra }));
  };
  const step = async (name: string, operation: OperationRequest, extra: Partial<Fixture> = {}) => {
    await lake.merge(await proposed(lake, operation));
    await keep(name, "main", extra);
  };
  const first = await parquet(lake, "first.parquet", allTypes(0, 3000));
  await step("import", { kind: "create", dataset, source: source(first), key: ["id"] }, { filters: ranges });
  const more = await parquet(lake, "more.parquet", allTypes(3000, 3500));
  await step("append", { kind: "append", dataset, source: source(more) }, { filters: { ...ranges, appended: "id >= 3000" } });
  const changed = await parquet(lake, "changed.parquet", `select * replace (price + 1 as price) from (${allTypes(100, 140)})`);
  await step("upsert", { kind: "upsert", dataset, source: source(changed) }, { filters: { key: "id = 120" } });
  const gone = await parquet(lake, "gone.parquet", "select i::bigint as id from range(50, 60) t(i)");
  await step("delete", { kind: "delete", dataset, source: source(gone) }, { filters: { deleted: "id = 55", kept: "id = 2001" } });
  await step("rename", { kind: "schema", dataset, edits: [{ edit: "rename", name: "qty", to: "quantity" }] });
  await step("widen", { kind: "schema", dataset, edits: [{ edit: "retype", name: "quantity", type: "long" }] });
  const edits: SchemaEdit[] = [
    { edit: "drop", name: "weight" },
    { edit: "add", name: "note", type: "string" },
  ];
  await step("drop-and-add", { kind: "schema", dataset, edits }, { filters: { key: "id < 100" } });
  const update = (value: string, where: string): OperationRequest => ({
    kind: "update",
    dataset,
    set: [{ column: "note", expression: value }],
    where,
  });
  const branch = await proposed(lake, update("'seen'", "id < 20"));
  await keep("branch", branch, { filters: { key: "id < 20" } });
  const other = await proposed(lake, update("'other'", "id between 200 and 220"));
  await lake.merge(branch);
  await lake.merge(other);
  await keep("three-way", "main", { filters: { key: "id >= 3400" } });
  await keep("old-version", "main", { filters: ranges }, `${dataset}@1`);
  await keep("old-version-renamed", "main", {}, `${dataset}@5`);
  const times = await parquet(
    lake,
    "times.parquet",
    "select i::bigint as id, time '00:00:00.123456' + to_seconds(i) as at from range(0, 100) t(i)",
  );
  await lake.merge(await proposed(lake, { kind: "create", dataset: "strict.times", source: source(times), key: ["id"] }));
  await keep("times", "main", { without: ["spark"], filters: { key: "id < 10" } }, "strict.times");
  return states;
}

/**
 * A projection: the columns of the first version over what the dataset holds after a rename, an addition, a new order and new rows. The same rows
 * are made by plain DuckDB from what the new version gives.
 */
export async function buildProjected(lake: Lakehouse, services: Services): Promise<Fixture> {
  const dataset = "strict.projected";
  const first = await parquet(lake, "projected-first.parquet", allTypes(0, 600));
  await lake.merge(await proposed(lake, { kind: "create", dataset, source: source(first), key: ["id"] }));
  const edits: SchemaEdit[] = [
    { edit: "rename", name: "qty", to: "quantity" },
    { edit: "rename", name: "Country/Region", to: "land" },
    { edit: "add", name: "note", type: "string" },
    { edit: "reorder", names: ["tags", "note", "price"] },
  ];
  await lake.merge(await proposed(lake, { kind: "schema", dataset, edits }));
  const renamed = `select 'new' as note, * rename (qty as quantity, "Country/Region" as land) from (${allTypes(580, 650)})`;
  const more = await parquet(lake, "projected-more.parquet", renamed);
  await lake.merge(await proposed(lake, { kind: "upsert", dataset, source: source(more) }));
  const read = { consumer: undefined, run: undefined, at: "main" };
  const now = join(lake.dir, "projected-now.parquet");
  const { version } = await readParquet(services, read, dataset, { path: now });
  const old = join(lake.dir, "projected-old.parquet");
  const was = await readParquet(services, read, `${dataset}@1`, { path: old });
  const names = (await duck(`describe select * from '${old}'`)).map(([name]) => String(name));
  const expected = await parquet(
    lake,
    "expected-projected.parquet",
    `select ${names.map((name) => `"${name}"`).join(", ")} from (select * rename (quantity as qty, land as "Country/Region") from '${now}')`,
  );
  const projected = await projectVersion(services, version, was.version);
  if (projected.kind !== "draft") throw new Error(`no projection: ${projected.kind}`);
  const filters = { key: "id >= 640", renamed: "qty = 3", old: "id < 10", price: "price < 100.00" };
  return { name: "projected", metadata: lake.store.uri(projected.version.metadataKey), expected, filters };
}

/** Tables that Spark wrote, with position deletes, and what becomes of them in our hands. */
export async function buildSparkStates(
  lake: Lakehouse,
  services: Services,
  { keyed, parts }: Awaited<ReturnType<typeof sparkTables>>,
): Promise<State[]> {
  const states: State[] = [];
  const keep = async (name: string, dataset: string, at = "main") => {
    states.push(await stateOf(services, lake.dir, { name: `spark ${name}`, dataset, at, filters: { key: "id = 15" } }));
  };
  const rows = async (name: string, ...ids: number[]) => {
    const text = ids.map((id) => `${id},${name},7.50,2026-05-01T00:00:00.000005\n`).join("");
    return source(await lake.file(`${name}.csv`, `id,label,amount,seen\n${text}`));
  };
  await adoptedAt(lake, "spark.keyed", keyed, ["id"], 1);
  await lake.merge(await proposedBySpark(lake, "spark.keyed", keyed));
  await keep("before", "spark.keyed@1");
  await keep("after", "spark.keyed");
  const changed = await proposed(
    lake,
    { kind: "upsert", dataset: "spark.keyed", source: await rows("upserted", 101) },
    { kind: "delete", dataset: "spark.keyed", source: source(await lake.file("gone.csv", "id\n102\n")) },
    { kind: "append", dataset: "spark.keyed", source: await rows("appended", 15, 500) },
  );
  await keep("changed on a branch", "spark.keyed", changed);
  await adoptedAt(lake, "spark.meets", keyed, ["id"], 0);
  const bySpark = await proposedBySpark(lake, "spark.meets", keyed);
  await lake.merge(await proposed(lake, { kind: "upsert", dataset: "spark.meets", source: await rows("concurrent", 80, 400) }));
  await lake.merge(bySpark);
  await keep("merged three-way", "spark.meets");
  await adoptedAt(lake, "spark.parts", parts, [], 1);
  await keep("partitioned", "spark.parts@1");
  await lake.merge(await proposedBySpark(lake, "spark.parts", parts));
  await keep("partitioned, evolved", "spark.parts");
  const update = (qty: string, where: string) =>
    ({ kind: "update", dataset: "spark.parts", set: [{ column: "qty", expression: qty }], where }) as const;
  const [ours, theirs] = [await proposed(lake, update("77", "id = 1")), await proposed(lake, update("78", "id = 2"))];
  await lake.merge(ours);
  await lake.merge(theirs);
  await keep("partitioned, merged three-way", "spark.parts");
  return states;
}
