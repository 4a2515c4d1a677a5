import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { wordsOf } from "../../src/catalog/mentioned.ts";
import { mainCommit } from "../../src/catalog/revision.ts";
import { planMoved } from "../../src/changes/plan-ahead.ts";
import { sidesOfChange } from "../../src/changes/change-sides.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import type { Sandbox } from "../../src/engine/sandbox.ts";
import type { Field } from "../../src/lake/schema.ts";
import { mayNoticeNew } from "../../src/consumers/impact.ts";
import { schemaImpact } from "../../src/consumers/impact-service.ts";

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

test("a query that cannot notice added columns is not planned again, and planning it would say so", async () => {
  const column = (name: string) => ({ name, type: "long" as const });
  const fields = (...names: string[]): Field[] => names.map((name, at) => ({ id: at + 1, name, type: "long", required: false }));
  const [before, after] = [
    ["a", "b", "c", "z"],
    ["a", "b", "c", "z", "d", "Odd name"],
  ];
  const queries = [
    "select a from t",
    "select count(*) as n, sum(b) from t where c > 1",
    "select t.a, u.e from t join u using (c)",
    "select max(a) over (partition by b order by c) from t",
    "select a from t where c in (select c from u)",
    "select * from t",
    "select count(*) from (select * from t union all select a, b, c, z from t)",
    "select d from t join u using (c)",
    "select t.a from t natural join u",
    "from t",
    "select columns('.') from t",
    "select count(t) from t",
    "select a, b + 1 as d, d + 1 as f from t",
    `select "odd name" from t join w on t.a = w.a`,
    "pivot t on a using sum(b)",
    "select a, b from t except select c, e from u",
    "select x.a from t x, t y where x = y",
  ];
  const plan = (t: readonly string[]) => {
    const tables = Object.entries({ "s.t": t, "s.u": ["c", "d", "e"], "s.w": ["a", "Odd name"] }).map(([name, names]) => ({
      name,
      columns: names.map(column),
    }));
    return lake.sandbox.planAll({ queries: queries.map((sql) => ({ sql, tables })), milliseconds: 5000 });
  };
  const [was, is] = [await plan(before), await plan(after)];
  const table = { name: "s.t", before: fields(...before), after: fields(...after) };
  const free = queries.filter((sql, at) => {
    const known = was[at];
    return known?.ok === true && !mayNoticeNew(sql, wordsOf(sql), known.used, [table]);
  });
  expect(free).toEqual(queries.slice(0, 5));
  for (const sql of free) expect(is[queries.indexOf(sql)]).toEqual(was[queries.indexOf(sql)]);
  // The list holds what it is there for: queries that do break.
  expect(queries.filter((_, at) => was[at]?.ok === true && is[at]?.ok === false).length).toBeGreaterThan(2);
});

test("after a merge that moved a query or columns, the queries are planned before anybody asks", async () => {
  const text = "tests:\n  - name: late\n    query: { sql: select max(Confirmed) as most from covid.daily }\n";
  const { change } = await lake.propose({ operations: [], documents: [{ path: "consumers/agency-f", text }] });
  await lake.merge(change?.id ?? "");
  const at = planned;
  await planMoved({ ...lake, sandbox: counting }, (await mainCommit(lake.db)).id);
  expect(planned).toBe(at + 1);
  // Only the query that lists all columns looks again.
  await impact(schema({ edit: "add", name: "deaths", type: "long" }));
  expect(planned).toBe(at + 2);
  const rows = await lake.propose({ operations: [{ kind: "sql", dataset: "covid.daily", sql: `update covid.daily set "Confirmed" = 2` }] });
  await lake.merge(rows.change?.id ?? "");
  await planMoved({ ...lake, sandbox: counting }, (await mainCommit(lake.db)).id);
  expect(planned).toBe(at + 2);
});
