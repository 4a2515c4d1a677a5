import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { sidesOfChange } from "../changes/change-sides.ts";
import type { OperationRequest } from "../changes/operation.ts";
import type { Sandbox } from "../engine/sandbox.ts";
import { schemaImpact } from "./impact-service.ts";

vi.setConfig({ testTimeout: 120_000 });

let lake: Lakehouse;
let planned = 0;
let counting: Sandbox;

beforeAll(async () => {
  lake = await lakehouse();
  counting = {
    ...lake.sandbox,
    planAll: (request) => {
      planned += request.queries.length;
      return lake.sandbox.planAll(request);
    },
  };
  const csv = "Province/State,Country/Region,Confirmed\nHubei,China,67800\nLazio,Italy,1414\n";
  await create("covid.daily", csv, ["Province/State"]);
  await create("covid.places", "name,people\nItaly,60\n", ["name"]);
  const query = (name: string, sql: string): string => `  - name: ${name}\n    query: { sql: ${JSON.stringify(sql)} }\n`;
  const documents = [
    ["agency-a", query("by country", `select "Country/Region" as c, sum("Confirmed") as n from daily group by 1`)],
    ["agency-b", query("italy", `select count(*) from covid.daily where "Country/Region" = 'Italy'`)],
    ["agency-c", query("joined", `select p.people, d."Confirmed" from daily d join places p on p.name = d."Country/Region"`)],
    ["agency-d", query("total", `select sum("Confirmed") as total from daily`) + query("places", "select count(*) from places")],
    ["agency-e", query("all", "select * from daily") + query("gone", "select nothing from daily")],
  ].map(([name, tests]) => ({ path: `consumers/${name}`, text: `tests:\n${tests}` }));
  const { change } = await lake.propose({ operations: [], documents });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

async function create(dataset: string, csv: string, key: string[]): Promise<void> {
  const file = await lake.file(`${dataset}.csv`, csv);
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset, source: source(file), key }] });
  await lake.merge(change?.id ?? "");
}

async function impact(...operations: OperationRequest[]) {
  const { change } = await lake.propose({ operations });
  return schemaImpact({ ...lake, sandbox: counting }, await sidesOfChange(lake.db, change!));
}

type Edits = Extract<OperationRequest, { kind: "schema" }>["edits"];
const schema = (...edits: Edits): OperationRequest => ({ kind: "schema", dataset: "covid.daily", edits });

test("a rename breaks who uses the column by its name; who lists all columns uses it; the others are safe", async () => {
  const found = await impact(schema({ edit: "rename", name: "Country/Region", to: "Country_Region" }));
  expect(found.map((item) => [item.consumer, item.test, item.impact])).toEqual([
    ["agency-a", "by country", "breaks"],
    ["agency-b", "italy", "breaks"],
    ["agency-c", "joined", "breaks"],
    ["agency-d", "total", "safe"],
    ["agency-e", "all", "uses"],
    ["agency-e", "gone", "broken_before"],
  ]);
  expect(found[0]).toMatchObject({
    columns: [{ dataset: "covid.daily", column: "Country/Region", what: "renamed to Country_Region" }],
    error: expect.stringContaining("Country/Region") as string,
  });
});

describe("other edits", () => {
  const broken = ["agency-e gone"];
  test.each<[string, OperationRequest[], string[]]>([
    ["a drop", [schema({ edit: "drop", name: "Country/Region" })], ["agency-a by country", "agency-b italy", "agency-c joined"]],
    ["a column more", [schema({ edit: "add", name: "people", type: "long" })], []],
    ["a column more that makes a name ambiguous", [schema({ edit: "add", name: "name", type: "string" })], []],
    ["a dataset dropped", [{ kind: "drop", dataset: "covid.places" }], ["agency-c joined", "agency-d places"]],
  ])("%s", async (_, operations, breaks) => {
    const found = await impact(...operations);
    const named = (kind: string): string[] => found.filter((item) => item.impact === kind).map((item) => `${item.consumer} ${item.test}`);
    expect(named("breaks")).toEqual(breaks);
    expect(named("broken_before")).toEqual(operations[0]?.kind === "drop" ? [] : broken);
  });

  test("a retype of a column is told to who uses it", async () => {
    const found = await impact(schema({ edit: "retype", name: "Confirmed", type: "double" }));
    const used = found
      .filter((item) => item.impact === "uses")
      .map((item) => `${item.consumer} ${item.columns.map(({ what }) => what).join()}`);
    expect(used).toEqual([
      "agency-a double, was long",
      "agency-c double, was long",
      "agency-d double, was long",
      "agency-e double, was long",
    ]);
  });
});

test("data alone concerns no stored query; what was planned before is known", async () => {
  expect(await impact({ kind: "sql", dataset: "covid.daily", sql: `update covid.daily set "Confirmed" = 1` })).toEqual([]);
  const edit = schema({ edit: "rename", name: "Confirmed", to: "Cases" });
  const first = await impact(edit);
  const before = planned;
  expect(await impact(edit)).toEqual(first);
  expect(planned).toBe(before);
});

test("a query that cannot be planned in time is told, and the others are planned all the same", async () => {
  const tables = [{ name: "covid.daily", columns: [{ name: "a", type: "long" as const }] }];
  const endless = `select ${Array.from({ length: 150_000 }, (_, at) => `a + ${at}`).join(", ")} from daily`;
  const found = await lake.sandbox.planAll({
    queries: [endless, "select a from daily", "select b from daily", "select 1; select 2"].map((sql) => ({ sql, tables })),
    milliseconds: 1500,
  });
  expect(found.map((item) => (item.ok ? item.used : item.code))).toEqual([
    "sql.limit",
    [{ table: "covid.daily", columns: ["a"] }],
    "sql.failed",
    "sql.refused",
  ]);
});
