import { describe, expect, test } from "vitest";
import { contract, ownRules, problems, schema } from "../../test/harness/contract-parts.ts";
import { rulesOf } from "./contract-rules.ts";

describe("relationships", () => {
  test("of a column, of the table, composite, and by ids of the same document", () => {
    const other = { id: "cty", name: "geo.countries", properties: [{ id: "iso", name: "iso_code" }] };
    const rules = rulesOf(
      {
        ...contract({
          properties: [{ name: "day", relationships: [{ to: "geo.countries.name" }, { to: "schema/cty/properties/iso" }] }],
          table: { relationships: [{ id: "pair", from: ["orders.id", "orders.fare"], to: ["prices.id", "prices.fare"] }] },
        }),
        schema: [
          ...contract({
            properties: [{ name: "day", relationships: [{ to: "geo.countries.name" }, { to: "schema/cty/properties/iso" }] }],
            table: { relationships: [{ id: "pair", from: ["orders.id", "orders.fare"], to: ["prices.id", "prices.fare"] }] },
          }).schema,
          other as never,
        ],
      },
      schema,
    ).filter((rule) => rule.source !== "built-in");
    expect(
      rules.map(({ id, test }) => [id, test.kind === "foreign_key" ? [test.columns.map((item) => item.fieldId), test.to] : null]),
    ).toEqual([
      ["day/relationships", [[5], { dataset: "geo.countries", columns: ["name"] }]],
      ["day/relationships-2", [[5], { dataset: "geo.countries", columns: ["iso_code"] }]],
      ["pair", [[1, 2], { dataset: "prices", columns: ["id", "fare"] }]],
    ]);
  });

  test("what leads out of the document is refused: nothing is fetched", () => {
    const to = "https://example.com/other.yaml#/schema/a/properties/b";
    expect(problems({ properties: [{ name: "day", relationships: [{ to }, { to: "nowhere" }] }] })).toMatchObject([
      { reason: "reference", found: expect.stringContaining("https") as string },
      { reason: "reference", found: "«nowhere»" },
    ]);
  });

  test("both sides name as many columns, in one dataset", () => {
    const relationships = [
      { from: ["orders.id"], to: ["a.x", "a.y"] },
      { from: ["orders.id", "orders.fare"], to: ["a.x", "b.y"] },
      { from: "orders.nope", to: "a.x" },
    ];
    expect(problems({ table: { relationships } }).map((item) => item.reason)).toEqual(["reference", "reference", "column_unknown"]);
  });
});

describe("service levels", () => {
  test("latency and freshness are one thing, retention the other; nothing need get fresher to pass", () => {
    const slaProperties = [
      { property: "latency", value: 2, unit: "d", element: "orders.at" },
      { property: "freshness", value: "PT26H", element: "at" },
      { property: "retention", value: 3, unit: "y", element: "sales.orders.at" },
      { property: "availability", value: "99.9 %" },
    ];
    const rules = ownRules({ top: { slaProperties } });
    expect(rules.map(({ id, bound, noWorseThanBase }) => [id, bound, noWorseThanBase])).toEqual([
      ["at/freshness", { op: "<=", value: "172800000" }, true],
      ["at/freshness-2", { op: "<=", value: "93600000" }, true],
      ["at/retention", { op: "<=", value: "94608000000" }, true],
    ]);
  });

  test("without a column it is kept, and said not to be checked; a length of time must be one", () => {
    const slaProperties = [
      { property: "latency", value: 2, unit: "d" },
      { property: "latency", value: 2, unit: "fortnights", element: "orders.at" },
    ];
    expect(problems({ top: { slaProperties } })).toMatchObject([{ reason: "not_checked" }, { level: "error", reason: "wrong_value" }]);
  });
});

describe("built-in rules", () => {
  test("every dataset is compared with base; a rule of the contract takes their place", () => {
    const all = rulesOf(contract({}), schema);
    expect(all.map((rule) => [rule.id, rule.severity])).toEqual([
      ["built-in/rowCountChange", "error"],
      ["built-in/nameReused", "warning"],
    ]);
    const implementation = { rule: "rowCountChange", mustBeGreaterThan: 90 };
    const rules = rulesOf(contract({ table: { quality: [{ type: "custom", engine: "tidegate", implementation }] } }), schema);
    expect(rules.map((rule) => [rule.id, rule.bound])).toEqual([
      ["rowCountChange", { op: ">", value: "90" }],
      ["built-in/nameReused", { op: "=", value: "0" }],
    ]);
  });
});

describe("rules over several columns", () => {
  const own = (implementation: Record<string, unknown>) => ({ type: "custom", engine: "tidegate", implementation });
  const table = (implementation: Record<string, unknown>) => ({
    properties: [{ name: "fare" }, { name: "id" }],
    table: { quality: [own(implementation)] },
  });

  test("combinations, sums and how many columns there are", () => {
    expect(
      ownRules(
        table({
          rule: "combinations",
          columns: ["fare", "id"],
          values: [
            [1, "a"],
            [null, 2.5],
          ],
        }),
      )[0]?.test,
    ).toMatchObject({
      kind: "combinations",
      columns: [{ name: "fare" }, { name: "id" }],
      valid: [
        [
          { type: "number", value: "1" },
          { type: "text", value: "a" },
        ],
        [null, { type: "number", value: "2.5" }],
      ],
    });
    expect(ownRules(table({ rule: "rowSum", columns: ["fare", "id"], total: 100 }))[0]?.test).toMatchObject({
      kind: "row_sum",
      total: "100",
    });
    expect(ownRules(table({ rule: "columnCount", mustBe: 2 }))[0]).toMatchObject({
      test: { kind: "column_count" },
      bound: { op: "=", value: "2" },
    });
    const column = { properties: [{ name: "fare", quality: [own({ rule: "mostCommon", values: [1] })] }] };
    expect(ownRules(column)[0]?.test).toMatchObject({ kind: "most_common", ties: false, values: [{ value: "1" }] });
  });

  test("a column that is not there and values that are no list are refused", () => {
    expect(problems(table({ rule: "rowSum", columns: ["fare", "tip"], total: 1 }))).toMatchObject([
      { reason: "column_unknown", found: "tip" },
    ]);
    expect(problems(table({ rule: "combinations", columns: ["fare"], values: ["a"] }))).toMatchObject([{ reason: "wrong_value" }]);
  });
});
