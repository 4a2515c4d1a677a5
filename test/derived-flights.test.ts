import { createRequire } from "node:module";
import { join, sep } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "./harness/app.ts";
import { rowsOf } from "./harness/reads.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const entry = createRequire(import.meta.url).resolve("vega-datasets");
const data = join(entry.slice(0, entry.lastIndexOf(`${sep}build${sep}`)), "data");

test("removing one airport, ORD, takes 1 095 of 20 000 flights out of the mart, and the change's diff of the mart shows it", async () => {
  const load = (dataset: string, file: string, key: string[]) =>
    app.ask("POST", "/v1/imports", { body: { dataset, key, source: { paths: [join(data, file)] } } });
  await load("airports", "airports.csv", ["iata"]);
  await load("flights", "flights-20k.json", []);
  const sql = `select f.origin as iata, a.name, a.state, count(*) as flights, sum(f.delay) as delay
    from flights f join airports a on f.origin = a.iata group by f.origin, a.name, a.state`;
  const operations = [{ kind: "derive", dataset: "delays_by_airport", sql, key: ["iata"] }];
  const declared = await app.ask("POST", "/v1/changes", { body: { operations, auto: true } });
  expect(declared.merged.release.state).toBe("completed");

  const gone = await app.lake.file("gone.csv", "iata\nORD\n");
  const removal = [{ kind: "delete", dataset: "airports", source: { paths: [gone] } }];
  const proposed = await app.ask("POST", "/v1/changes", { body: { operations: removal } });
  expect(
    proposed.datasets.map((item: { dataset: string; derived: boolean; deleted: number }) => [item.dataset, item.derived, item.deleted]),
  ).toEqual([
    ["default.airports", false, 1],
    ["default.delays_by_airport", true, 1],
  ]);
  const flights = async (at: string): Promise<number> => {
    const rows = await rowsOf(app.lake, "delays_by_airport", { at });
    return rows.reduce((sum, row) => sum + Number(row["flights"]), 0);
  };
  expect([await flights("main"), await flights(proposed.change.id)]).toEqual([20_000, 18_905]);

  const diff = await app.ask("GET", `/v1/changes/${proposed.change.id}/diff`);
  const mart = diff.find((item: { dataset: string }) => item.dataset === "default.delays_by_airport");
  expect(mart.result.rows).toMatchObject({ added: 0, removed: 1, modified: 0 });
  expect(JSON.stringify(mart)).toContain("1095");
});
