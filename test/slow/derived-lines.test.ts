import { afterAll, beforeAll, expect, test } from "vitest";
import { changeDatasets } from "../../src/changes/change-store.ts";
import { showChange } from "../../src/changes/change-reads.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { openRevert } from "../../src/changes/revert-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { proposeContract } from "../harness/checks.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { martOf } from "../harness/mart.ts";

/* Derived datasets on all lines: what readers have after a rollback, after a revert, and between. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 4 });
});
afterAll(() => lake.close());

test("a rollback takes what was built from the barred version back with it, and later batches flow on into it", async () => {
  const mart = martOf(lake, "bar");
  await mart.build();
  const good = await mart.delays("live");
  const bad = await mart.merged(await mart.change("airports", "upsert", "iata,city\nDEN,???\n"));
  await mart.batch("flights", "id,origin,delay\n10,LAS,50\n");
  expect((await mart.delays("live"))[0]).toEqual(["DEN", "???", 2, 12]);

  const rolled = await mart.rollback("airports");
  expect(rolled.barred).toEqual([bad]);
  expect(rolled.datasets.map((item) => item.dataset).sort()).toEqual(["bar.airports", "bar.delays", "bar.flights"]);
  // At once: all of one state that readers had.
  expect(await mart.delays("live")).toEqual(good);
  await lake.drain();
  const withBatch = [good[0], ["LAS", "Las Vegas", 2, 51], good[2]];
  expect(await mart.delays("live")).toEqual(withBatch);

  await mart.batch("flights", "id,origin,delay\n11,ORD,1\n");
  await lake.drain();
  const later = [good[0], ["LAS", "Las Vegas", 2, 51], ["ORD", "Chicago", 2, 61]];
  expect(await mart.delays("live")).toEqual(later);
  expect((await mart.delays())[0]).toEqual(["DEN", "???", 2, 12]);

  const [revert] = (await showChange(lake.db, bad)).revertedBy;
  await lake.merge(revert ?? "");
  expect(await mart.delays()).toEqual(later);
  expect(await mart.delays("live")).toEqual(later);
});

test("a mart that was declared after the bad change came in goes with it, and comes back built from good rows", async () => {
  const mart = martOf(lake, "late");
  await mart.create("airports", "iata,city\nDEN,Denver\nLAS,Las Vegas\n", ["iata"]);
  await mart.merged(await mart.change("airports", "upsert", "iata,city\nDEN,???\n"));
  const sql = "select upper(city) as city, iata from late.airports";
  await mart.merged(await mart.derive("cities", sql, ["iata"]));
  await mart.rollback("airports");
  await expect(mart.rows("cities", "live")).rejects.toMatchObject({ code: "dataset.not_found" });
  await lake.drain();
  expect((await mart.rows("cities", "live")).map((row) => row["city"])).toEqual(["DENVER", "LAS VEGAS"]);
});

test("a change of the SQL alone changes the rows, is rolled back and reverted like any other, and its schema follows", async () => {
  const mart = martOf(lake, "sql");
  await mart.build();
  const good = await mart.delays();
  const sql = `select iata, count(*) as flights, sum(delay) + 1 as delay, min(delay) as least, any_value(city) as city
    from (select a.iata, a.city, f.delay from sql.flights f join sql.airports a on f.origin = a.iata) group by iata`;
  const proposed = await mart.derive("delays", sql);
  expect(proposed.datasets[0]?.outcome.notes).toEqual([
    "any_value without ORDER BY: which rows sql.delays holds may differ from one rebuild to the next",
  ]);
  const id = await mart.merged(proposed);
  const [row] = await mart.rows("delays", "live");
  expect(row).toEqual({ iata: "DEN", flights: 2, delay: "13", least: 5, city: "Denver" });
  const { state } = await lake.tables.open(proposed.datasets[0]?.candidate as never);
  expect(state.schema.fields.map((field) => [field.id, field.name])).toEqual([
    [1, "iata"],
    [3, "flights"],
    [4, "delay"],
    [5, "least"],
    [2, "city"],
  ]);
  await mart.rollback("delays");
  expect(await mart.delays("live")).toEqual(good);
  await lake.drain();
  await mart.batch("flights", "id,origin,delay\n7,LAS,4\n");
  await lake.drain();
  // Readers have the batch, by the SQL that they are back on.
  expect((await mart.delays("live"))[1]).toEqual(["LAS", "Las Vegas", 2, 5]);
  const [revert] = (await showChange(lake.db, id)).revertedBy;
  await lake.merge(revert ?? "");
  expect((await mart.delays())[1]).toEqual(["LAS", "Las Vegas", 2, 5]);
  expect((await mart.delays("live"))[1]).toEqual(["LAS", "Las Vegas", 2, 5]);
});

test("the revert of a change of a source rebuilds the mart, and the revert of the mart's creation takes it away though it was rebuilt", async () => {
  const mart = martOf(lake, "undo");
  await mart.build();
  const good = await mart.delays();
  const id = await mart.merged(await mart.change("flights", "append", "id,origin,delay\n5,LAS,9\n"));
  const revert = await openRevert(lake, { changeId: id, actor: "ana" });
  expect((await changeDatasets(lake.db, revert.id)).map((item) => item.derived).sort()).toEqual([false, true]);
  await lake.merge(revert.id);
  expect(await mart.delays()).toEqual(good);
  const shown = await lake.db
    .selectFrom("change_datasets")
    .innerJoin("datasets", "datasets.id", "change_datasets.dataset_id")
    .select("change_id")
    .where("datasets.name", "=", "undo.delays")
    .where("created_dataset", "=", true)
    .executeTakeFirstOrThrow();
  await lake.merge((await openRevert(lake, { changeId: shown.change_id, actor: "ana" })).id);
  await expect(mart.rows("delays", "main")).rejects.toMatchObject({ code: "dataset.not_found" });
});

test("a mart that main has got since a change began is checked by its merge, and what waits for an acknowledgement gets it", async () => {
  const mart = martOf(lake, "follows");
  await mart.create("airports", "iata,city\nDEN,Denver\nLAS,Las Vegas\n", ["iata"]);
  const [all, one] = [
    await mart.change("airports", "delete", "iata\nDEN\nLAS\n"),
    await mart.change("airports", "upsert", "iata,city\nDEN,Mile High\n"),
  ];
  await mart.merged(await mart.derive("cities", "select iata, city from follows.airports", ["iata"]));
  const some = [{ metric: "rowCount", mustBeGreaterThan: 0 }];
  const known = { rule: "in", values: ["Denver", "Las Vegas"] };
  const cities = [{ type: "custom", engine: "tidegate", severity: "warning", implementation: known }];
  await lake.merge(
    await proposeContract(lake, "follows.cities", (contract) => ({
      ...contract,
      schema: contract.schema.map((table) => ({
        ...table,
        quality: some,
        properties: table.properties.map((property) => (property.name === "city" ? { ...property, quality: cities } : property)),
      })),
    })),
  );
  const mergeIt = (changeId: string) => merge(lake, { changeId, actor: "ana", byPerson: true });
  const failed = expect.objectContaining({
    state: "failed",
    text: expect.stringContaining("follows.cities: ") as unknown,
  }) as unknown;
  const emptied = { code: "merge.blocked", details: { decision: { items: expect.arrayContaining([failed]) as unknown } } };
  await acknowledge(lake, { changeId: all.change?.id ?? "", person: "ana", actor: "ana" });
  await expect(mergeIt(all.change?.id ?? "")).rejects.toMatchObject(emptied);

  const id = one.change?.id ?? "";
  await expect(mergeIt(id)).rejects.toMatchObject({ code: "merge.waits" });
  const { acknowledged, decision } = await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  expect(acknowledged).toContainEqual(expect.stringContaining("follows.cities"));
  expect(decision.outcome).toBe("ready");
  await mergeIt(id);
  expect(await mart.rows("cities", "live")).toEqual([
    { iata: "DEN", city: "Mile High" },
    { iata: "LAS", city: "Las Vegas" },
  ]);
});
