import { afterAll, beforeAll, expect, test } from "vitest";
import { changeDatasets } from "../../src/changes/change-store.ts";
import { showChange } from "../../src/changes/change-reads.ts";
import { openRestore } from "../../src/changes/restore-service.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { martOf } from "../harness/mart.ts";

/* Derived datasets on real parts: declared, built on the branch of a change and in its merge. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 4 });
});
afterAll(() => lake.close());

test("a derived dataset is built when it is declared, and rebuilt on the branch of a change of what it is built from", async () => {
  const mart = martOf(lake, "build");
  await mart.build();
  const before = await mart.delays();
  expect(before).toEqual([
    ["DEN", "Denver", 2, 12],
    ["LAS", "Las Vegas", 1, 1],
    ["ORD", "Chicago", 1, 60],
  ]);
  const proposed = await mart.change("airports", "delete", "iata\nORD\n");
  expect(proposed.datasets.map((item) => [item.dataset, item.derived, item.outcome.deleted])).toEqual([
    ["build.airports", false, 1],
    ["build.delays", true, 1],
  ]);
  const id = proposed.change?.id ?? "";
  expect(await mart.delays(id)).toEqual(before.slice(0, 2));
  expect(await mart.delays()).toEqual(before);
  const items = await changeDatasets(lake.db, id);
  expect(items.map((item) => item.derived).sort()).toEqual([false, true]);
  const done = await lake.merge(id);
  expect(done.datasets.map((item) => item.dataset).sort()).toEqual(["build.airports", "build.delays"]);
  // Main had not moved: the version that was tested on the branch is the one that main has.
  const tested = new Map(items.map((item) => [item.datasetId, item.candidateVersion]));
  for (const item of done.datasets) expect(item.after?.id).toBe(tested.get(item.datasetId));
  expect(await mart.delays()).toEqual(before.slice(0, 2));
  expect(await mart.delays("live")).toEqual(before.slice(0, 2));
});

test.each(["airports first", "flights first"])("two changes on two sources of one mart meet in it, %s", async (order) => {
  const ns = order.replace(" ", "_");
  const mart = martOf(lake, ns);
  await mart.build();
  const airports = await mart.change("airports", "upsert", "iata,city\nDEN,Mile High City\n");
  const flights = await mart.change("flights", "append", "id,origin,delay\n5,DEN,100\n6,LAS,2\n");
  const changes = order === "airports first" ? [airports, flights] : [flights, airports];
  for (const proposed of changes) await mart.merged(proposed);
  const expected = [
    ["DEN", "Mile High City", 3, 112],
    ["LAS", "Las Vegas", 2, 3],
    ["ORD", "Chicago", 1, 60],
  ];
  expect(await mart.delays()).toEqual(expected);
  expect(await mart.delays("live")).toEqual(expected);
});

test("a derived dataset of a derived one follows through both, and what nothing concerns is not built again", async () => {
  const mart = martOf(lake, "deep");
  await mart.build();
  const sql = "select city, delay from deep.delays where delay > 10";
  await mart.merged(await mart.derive("late", sql, ["city"]));
  const late = async (branch: string) => (await mart.rows("late", branch)).map((row) => row["city"]);
  expect(await late("main")).toEqual(["Chicago", "Denver"]);
  await mart.create("other", "id\n1\n", ["id"]);
  expect((await mart.change("other", "append", "id\n2\n")).datasets).toHaveLength(1);
  const proposed = await mart.change("flights", "append", "id,origin,delay\n5,LAS,99\n");
  expect(proposed.datasets.map((item) => item.dataset)).toEqual(["deep.flights", "deep.delays", "deep.late"]);
  expect(await late(proposed.change?.id ?? "")).toEqual(["Chicago", "Denver", "Las Vegas"]);
  await mart.merged(proposed);
  expect(await late("live")).toEqual(["Chicago", "Denver", "Las Vegas"]);
});

test("files that hold the same rows are kept, and content that was built before is taken over", async () => {
  const mart = martOf(lake, "kept");
  await mart.build();
  const first = await mart.change("airports", "upsert", "iata,city\nXXX,Nowhere\n");
  const rebuilt = first.datasets.find((item) => item.derived);
  // No flight lands there: the mart is another version over the same files.
  expect(rebuilt?.candidate?.metadataKey).toBe(rebuilt?.base?.metadataKey);
  expect(rebuilt?.candidate?.inputs).not.toEqual(rebuilt?.base?.inputs);
  await mart.merged(first);
  await mart.merged(await mart.change("flights", "append", "id,origin,delay\n9,XXX,1\n"));
  const less = await mart.change("flights", "delete", "id\n9\n");
  expect(less.datasets.find((item) => item.derived)?.outcome.deleted).toBe(1);
  const restored = await openRestore(lake, { datasets: ["kept.flights"], to: "@1", actor: "ana" });
  const shown = await showChange(lake.db, restored.change.id);
  const martItem = shown.datasets.find((item) => item.dataset === "kept.delays");
  expect(martItem?.derived).toBe(true);
  // Flights @1 and these airports were built together by the first change.
  expect(martItem?.candidate?.metadataKey).toBe(rebuilt?.candidate?.metadataKey);
  await lake.merge(restored.change.id);
  expect(await mart.delays()).toHaveLength(3);
});

test("the SQL of a mart changed on both sides is a conflict; changed on one, it is built over what the other brought", async () => {
  const mart = martOf(lake, "twice");
  await mart.build();
  const ours = await mart.derive("delays", `${mart.sql} having count(*) > 1`);
  const theirs = await mart.derive("delays", `${mart.sql} having count(*) < 2`);
  await mart.merged(await mart.change("flights", "append", "id,origin,delay\n5,LAS,9\n"));
  await mart.merged(ours);
  expect((await mart.delays()).map((row) => row[0])).toEqual(["DEN", "LAS"]);
  await expect(lake.merge(theirs.change?.id ?? "")).rejects.toMatchObject({ code: "merge.conflict" });
});

test("nothing is written to a derived dataset directly, by files, statements, schema edits or a restore", async () => {
  const mart = martOf(lake, "refused");
  await mart.build();
  const dataset = "refused.delays";
  for (const kind of ["append", "upsert", "delete", "replace"] as const) {
    const refusal = { code: "dataset.derived", hint: expect.stringContaining("--derive") as unknown };
    await expect(mart.change("delays", kind, "iata\nDEN\n")).rejects.toMatchObject(refusal);
  }
  const refused = (operation: object) => lake.propose({ operations: [{ dataset, ...operation } as never] });
  await expect(refused({ kind: "sql", sql: "delete from refused.delays" })).rejects.toMatchObject({ code: "dataset.derived" });
  await expect(refused({ kind: "update", set: [{ column: "city", expression: "'x'" }] })).rejects.toMatchObject({
    code: "dataset.derived",
  });
  await expect(refused({ kind: "schema", edits: [{ edit: "drop", name: "city" }] })).rejects.toMatchObject({ code: "dataset.derived" });
  await mart.merged(await mart.change("flights", "append", "id,origin,delay\n5,LAS,9\n"));
  await expect(openRestore(lake, { datasets: [dataset], to: "@1", actor: "ana" })).rejects.toMatchObject({ code: "dataset.derived" });
});

test("SQL that cannot build a dataset is refused by what is wrong with it", async () => {
  const mart = martOf(lake, "wrong");
  await mart.build();
  await expect(mart.derive("x", "select * from wrong.nowhere")).rejects.toMatchObject({ code: "dataset.not_found" });
  await expect(mart.derive("x", "select * from wrong.x")).rejects.toMatchObject({ code: "derived.cycle" });
  await expect(mart.derive("x", "delete from wrong.flights")).rejects.toMatchObject({ code: "sql.refused" });
  await expect(mart.derive("x", "select id, random() as r from wrong.flights")).rejects.toMatchObject({
    code: "derived.changing",
    found: "random",
  });
  await expect(mart.derive("x", "select nothing from wrong.flights")).rejects.toMatchObject({ code: "sql.failed" });
  await expect(mart.derive("x", "select origin from wrong.flights", ["origin"])).rejects.toMatchObject({ code: "key.duplicate" });
  await expect(mart.derive("x", "select origin from wrong.flights", ["id"])).rejects.toMatchObject({ code: "key.missing" });
  await mart.merged(await mart.derive("cities", "select distinct city from wrong.delays"));
  await expect(mart.derive("delays", "select city as iata from wrong.cities")).rejects.toMatchObject({ code: "derived.cycle" });
});

test("a change that would leave a derived dataset without what it is built from is refused and names it", async () => {
  const mart = martOf(lake, "gone");
  await mart.build();
  await expect(mart.drop("airports")).rejects.toMatchObject({ code: "dataset.in_use", found: "gone.delays" });
  const operations = [{ kind: "schema" as const, dataset: "gone.airports", edits: [{ edit: "drop" as const, name: "city" }] }];
  await expect(lake.propose({ operations })).rejects.toMatchObject({
    code: "derived.failed",
    message: expect.stringContaining("gone.delays cannot be rebuilt") as unknown,
  });
  // With the SQL that does without it, in the same change, it goes through.
  const sql = "select a.iata, count(*) as n from gone.airports a join gone.flights f on f.origin = a.iata group by a.iata";
  const proposed = await lake.propose({ operations: [...operations, { kind: "derive", dataset: "gone.delays", sql }] });
  await mart.merged(proposed);
  expect(await mart.rows("delays", "live")).toEqual([
    { iata: "DEN", n: 2 },
    { iata: "LAS", n: 1 },
    { iata: "ORD", n: 1 },
  ]);
  await mart.merged(await mart.drop("delays", "airports"));
});

test("what main has got since a change began is rebuilt by its merge, and a drop that something was built from meanwhile fails", async () => {
  const mart = martOf(lake, "since");
  await mart.create("airports", "iata,city\nDEN,Denver\n", ["iata"]);
  const edit = await mart.change("airports", "append", "iata,city\nLAS,Las Vegas\n");
  const gone = await mart.drop("airports");
  const sql = "select city from since.airports";
  await mart.merged(await mart.derive("cities", sql));
  const done = await lake.merge(edit.change?.id ?? "");
  expect(done.datasets.map((item) => item.dataset).sort()).toEqual(["since.airports", "since.cities"]);
  expect(await mart.rows("cities", "live")).toEqual([{ city: "Denver" }, { city: "Las Vegas" }]);
  await expect(lake.merge(gone.change?.id ?? "")).rejects.toMatchObject({ code: "merge.conflict" });
  await mart.create("other", "a\n1\n", []);
  const dropOther = await mart.drop("other");
  await mart.merged(await mart.derive("copy", "select a from since.other"));
  await expect(lake.merge(dropOther.change?.id ?? "")).rejects.toMatchObject({ code: "dataset.in_use", found: "since.copy" });
});
