import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { propose, type Proposed } from "../../src/changes/propose-service.ts";
import { mergeAnyway } from "../harness/merge-anyway.ts";
import { onLine } from "../harness/derived-oracle.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";

/* What a one-row change of a source costs in what is built from it: SELECTs that run, files and bytes that are written. */

const rows = 200_000;
const rowsPerFile = 10_000;
let lake: Lakehouse;
let builds: string[] = [];

const derived = [
  // Rows of the source, one for one.
  { name: "dc.doubled", sql: "select id, amount * 2 as twice from dc.orders", key: ["id"] },
  // Fewer rows than one file holds.
  {
    name: "dc.customers",
    sql: "select customer, count(*) as orders, sum(amount) as amount from dc.orders group by customer",
    key: ["customer"],
  },
  // No key: rows are a multiset.
  { name: "dc.amounts", sql: "select amount, customer from dc.orders", key: undefined },
];
const follower = { name: "dc.big", sql: "select customer, amount from dc.customers where orders > 3", key: ["customer"] };
const apart = { name: "dc.apart", sql: "select n + 1 as m from dc.neighbour", key: ["m"] };

/** The lake, with a count of the SELECTs that build something. */
const counting = (): Lakehouse => ({
  ...lake,
  sandbox: {
    ...lake.sandbox,
    rewrite: (request, ...more) => {
      builds.push(request.target);
      return lake.sandbox.rewrite(request, ...more);
    },
  },
});

beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile });
  const merged = async ({ change }: Proposed) => lake.merge(change?.id ?? "");
  const orders = await parquet(
    "orders.parquet",
    `select i as id, (i * 7919) % 100000 as amount, 'c' || (i % 5000) as customer from range(${rows}) t(i)`,
  );
  await merged(await lake.propose({ operations: [{ kind: "create", dataset: "dc.orders", source: source(orders), key: ["id"] }] }));
  const neighbour = await parquet("neighbour.parquet", "select i as n from range(100) t(i)");
  await merged(await lake.propose({ operations: [{ kind: "create", dataset: "dc.neighbour", source: source(neighbour), key: ["n"] }] }));
  for (const { name, sql, key } of [...derived, follower, apart]) {
    await merged(await lake.propose({ operations: [{ kind: "derive", dataset: name, sql, key }] }));
  }
});
afterAll(() => lake.close());

async function parquet(name: string, sql: string): Promise<string> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const path = join(lake.dir, name);
  await connection.run(`copy (${sql}) to '${path}' (format parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

async function upsert(dataset: string, csv: string): Promise<{ id: string; ran: string[] }> {
  builds = [];
  lake.clock.advance(1000);
  const file = await lake.file(`edit-${lake.clock.now().getTime()}.csv`, csv);
  const operations = [{ kind: "upsert" as const, dataset, source: source(file) }];
  const { change } = await propose(counting(), { operations, actor: "ana", origin: "person" });
  return { id: change?.id ?? "", ran: builds };
}

/** How many files of a dataset a change writes anew, of how many it then has. */
async function written(name: string, id: string): Promise<{ files: number; of: number; bytes: number; all: number }> {
  const [before, after] = [await onLine(lake, name, "main"), await onLine(lake, name, id)];
  const { state } = await lake.tables.open(after.version);
  const fresh = state.files.filter((live) => !before.files.includes(join(lake.dir, "lake", live.file.key)));
  const bytes = (files: typeof state.files): number => files.reduce((sum, { file }) => sum + file.bytes, 0);
  return { files: fresh.length, of: state.files.length, bytes: bytes(fresh), all: bytes(state.files) };
}

test("a one-row change runs the SELECTs that it concerns once each, and writes only files whose rows differ", async () => {
  const { id, ran } = await upsert("dc.orders", "id,amount,customer\n77777,5,c2777\n");
  expect(ran.toSorted()).toEqual(["dc.amounts", "dc.big", "dc.customers", "dc.doubled"]);
  const lines: string[] = [];
  for (const name of ["dc.orders", ...ran.toSorted()]) {
    const cost = await written(name, id);
    lines.push(`${name}: ${cost.files} of ${cost.of} files, ${cost.bytes} of ${cost.all} bytes`);
    // What fits into one file is written whole; of the rest one file, and of a multiset the one that lost a row and the one that got it.
    expect(cost.files, name).toBeLessThanOrEqual(name === "dc.amounts" ? 2 : 1);
    expect(cost.files, name).toBeGreaterThan(0);
  }
  console.info(lines.join("\n"));
  builds = [];
  await mergeAnyway(counting(), id, "ana");
  // Main had not moved: what the branch built is main's.
  expect(builds).toEqual([]);
});

test("a change of a neighbour builds nothing that does not name it, on the branch and in the merge", async () => {
  const before = await Promise.all(derived.map(({ name }) => onLine(lake, name, "main")));
  const { id, ran } = await upsert("dc.neighbour", "n\n500\n");
  expect(ran).toEqual(["dc.apart"]);
  builds = [];
  await mergeAnyway(counting(), id, "ana");
  expect(builds).toEqual([]);
  const after = await Promise.all(derived.map(({ name }) => onLine(lake, name, "main")));
  expect(after.map(({ version }) => version.id)).toEqual(before.map(({ version }) => version.id));
});

test("a rebuild that gives the same rows is another version of the same files, and what follows from it does not run at all", async () => {
  // The amounts of two orders of one customer are exchanged: its sum stays.
  const before = await onLine(lake, "dc.customers", "main");
  const rowsOfOrders = "id,amount,customer\n3,20000,c3\n5003,23757,c3\n";
  const first = await upsert("dc.orders", rowsOfOrders);
  await mergeAnyway(lake, first.id, "ana");
  const second = await upsert("dc.orders", "id,amount,customer\n3,23757,c3\n5003,20000,c3\n");
  expect(second.ran.toSorted()).toEqual(["dc.amounts", "dc.customers", "dc.doubled"]);
  for (const name of ["dc.customers", "dc.big"]) {
    const [now, next] = [await onLine(lake, name, "main"), await onLine(lake, name, second.id)];
    expect(next.version.id, name).not.toBe(now.version.id);
    expect(next.version.metadataKey, name).toBe(now.version.metadataKey);
    // It says from which versions it was built: that is why it is another one.
    expect(next.version.inputs, name).not.toEqual(now.version.inputs);
    expect(await written(name, second.id), name).toMatchObject({ files: 0 });
  }
  expect(before.version.inputs).toHaveLength(1);
});
