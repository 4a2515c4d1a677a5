import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("geo.airports", "iata,city,country\nDEN,Denver,US\nLAS,Las Vegas,US\n", ["iata"]);
  await app.importCsv("air.flights", "id,origin,delay\n1,DEN,5\n2,DEN,7\n3,LAS,1\n", ["id"]);
  await derive(
    "air.delays",
    "select a.iata, upper(a.city) as city, sum(f.delay) as delay from flights f join airports a on f.origin = a.iata group by a.iata, a.city",
    ["iata"],
  );
  await derive("air.late", "select city from delays where delay > 10", ["city"]);
});
afterAll(() => app.close());

async function derive(dataset: string, sql: string, key: string[]) {
  const operations = [{ kind: "derive", dataset, sql, key }];
  return app.ask("POST", "/v1/changes", { body: { operations, auto: true } });
}

const lineage = (of: string, more = "") => app.ask("GET", `/v1/lineage?of=${of}${more}`);

test("a dataset shows what it is built from and what is built from it", async () => {
  const mart = await app.ask("GET", "/v1/datasets/air.delays");
  expect(mart.derived.from).toEqual(["air.flights", "geo.airports"]);
  expect(mart.into).toEqual(["air.late"]);
  const source = await app.ask("GET", "/v1/datasets/geo.airports");
  expect([source.derived, source.into]).toEqual([null, ["air.delays"]]);
});

test("lineage goes up to all sources, column by column, with what decides about rows marked", async () => {
  const found = await lineage("air.late", "&direction=up");
  expect(found.up).toEqual([
    {
      from: "air.delays",
      to: "air.late",
      distance: 1,
      columns: [
        { from: "city", to: "city", rows: false },
        { from: "delay", to: "city", rows: true },
      ],
    },
    {
      from: "air.flights",
      to: "air.delays",
      distance: 2,
      columns: [
        { from: "origin", to: "city", rows: true },
        { from: "delay", to: "delay", rows: false },
        { from: "origin", to: "delay", rows: true },
      ],
    },
    {
      from: "geo.airports",
      to: "air.delays",
      distance: 2,
      columns: [
        { from: "city", to: "city", rows: true },
        { from: "iata", to: "city", rows: true },
        { from: "city", to: "delay", rows: true },
        { from: "iata", to: "delay", rows: true },
      ],
    },
  ]);
  expect(found.down).toEqual([]);
});

test("a column that nothing uses leads nowhere, and one that is used leads to all that comes from it and who reads that", async () => {
  expect((await lineage("geo.airports.country")).down).toEqual([]);
  await app.ask("POST", "/v1/consumers", { body: { name: "board", kind: "dashboard", owner: "root" } }).catch(() => undefined);
  await app.send("GET", "/v1/datasets/air.late/rows?as=board");
  const found = await lineage("air.flights.DELAY", "&direction=down");
  expect(found.column).toBe("delay");
  expect(found.down.map((edge: { from: string; to: string; distance: number }) => [edge.from, edge.to, edge.distance])).toEqual([
    ["air.flights", "air.delays", 1],
    ["air.delays", "air.late", 2],
  ]);
  expect(found.readers.map((item: { dataset: string; columns: string[] }) => [item.dataset, item.columns])).toEqual([
    ["air.late", ["city"]],
  ]);
});

test("a column and a dataset that are not there are named", async () => {
  expect(await app.refused("GET", "/v1/lineage?of=geo.airports.nothing")).toMatchObject({ code: "column.not_found" });
  expect(await app.refused("GET", "/v1/lineage?of=no.where")).toMatchObject({ code: "dataset.not_found" });
});
