import { describe, expect, test } from "vitest";
import { brief, ownRules, problems } from "../../test/harness/contract-parts.ts";

describe("keys of a column", () => {
  test("required counts nulls in the rows added, unique looks at the whole table", () => {
    expect(brief(ownRules({ properties: [{ name: "fare", required: true, unique: true }] }))).toEqual([
      {
        id: "fare/required",
        test: { kind: "null_values", column: { name: "fare", fieldId: 2 } },
        bound: { op: "=", value: "0" },
        scope: "added",
        severity: "error",
      },
      {
        id: "fare/unique",
        test: { kind: "duplicate_values", columns: [{ name: "fare", fieldId: 2 }] },
        bound: { op: "=", value: "0" },
        scope: "snapshot",
        severity: "error",
      },
    ]);
  });

  test("a composite primary key is unique in the order of its positions, and none of its columns is null", () => {
    const rules = ownRules({
      properties: [
        { name: "fare", primaryKey: true, primaryKeyPosition: 2 },
        { name: "id", primaryKey: true, primaryKeyPosition: 1 },
      ],
    });
    expect(rules.map((rule) => rule.id)).toEqual(["id/primaryKey", "fare/primaryKey", "primaryKey"]);
    expect(rules[2]?.test).toEqual({
      kind: "duplicate_values",
      columns: [
        { name: "id", fieldId: 1 },
        { name: "fare", fieldId: 2 },
      ],
    });
  });

  test("each of logicalTypeOptions is a rule of its own, numbers with all their digits", () => {
    const number = { minimum: 0, exclusiveMaximum: 0.1, multipleOf: 1e-7 };
    const rules = ownRules({
      properties: [
        { name: "fare", logicalType: "number", logicalTypeOptions: number },
        { name: "id", logicalType: "integer", logicalTypeOptions: { format: "u8", maximum: 123456789012345678901234567890n } },
        { name: "Country/Region", logicalTypeOptions: { minLength: 2, maxLength: 56, pattern: "^[A-Z]", format: "email" } },
        { name: "at", logicalType: "timestamp", logicalTypeOptions: { minimum: "2020-01-01T00:00:00", format: "yyyy-MM-dd" } },
        { name: "day", logicalType: "date", logicalTypeOptions: { format: "dd.MM.yyyy" } },
        { name: "tags", logicalType: "array", logicalTypeOptions: { minItems: 1, maxItems: 3, uniqueItems: true } },
      ],
    });
    const validity = rules.map(({ id, test }) => [id, test.kind === "invalid_values" ? test.valid : test.kind]);
    expect(validity).toEqual([
      ["fare/minimum", { is: "range", range: { min: { type: "number", value: "0" } } }],
      ["fare/exclusiveMaximum", { is: "range", range: { max: { type: "number", value: "0.1" }, exclusiveMax: true } }],
      ["fare/multipleOf", { is: "multiple_of", of: "0.0000001" }],
      ["id/format", { is: "range", range: { min: { type: "number", value: "0" }, max: { type: "number", value: "255" } } }],
      ["id/maximum", { is: "range", range: { max: { type: "number", value: "123456789012345678901234567890" } } }],
      ["Country/Region/minLength", { is: "length", min: 2 }],
      ["Country/Region/maxLength", { is: "length", max: 56 }],
      ["Country/Region/pattern", { is: "matches", patterns: ["^[A-Z]"], how: "any" }],
      ["Country/Region/format", { is: "format", name: "email" }],
      ["at/minimum", { is: "range", range: { min: { type: "time", value: "2020-01-01T00:00:00" } } }],
      ["day/format", { is: "time_format", format: "%d.%m.%Y" }],
      ["tags/minItems", { is: "items", min: 1 }],
      ["tags/maxItems", { is: "items", max: 3 }],
      ["tags/uniqueItems", { is: "items", unique: true }],
    ]);
  });

  test("an enum is a set of valid values; null needs no place in it", () => {
    const [rule] = ownRules({ properties: [{ name: "day", enum: [{ value: "Mo", label: "Monday" }, { value: 2 }, { value: null }] }] });
    expect(rule?.test).toMatchObject({
      kind: "invalid_values",
      valid: {
        is: "in",
        values: [
          { type: "text", value: "Mo" },
          { type: "number", value: "2" },
        ],
      },
    });
  });

  test("rules inside a nested column are said not to be checked", () => {
    const items = { logicalType: "string", enum: [{ value: "a" }], items: { required: true } };
    expect(problems({ properties: [{ name: "tags", logicalType: "array", items }] })).toMatchObject([
      { level: "warning", reason: "not_checked", path: ["schema", 0, "properties", 0, "items"] },
      { level: "warning", reason: "not_checked", path: ["schema", 0, "properties", 0, "items", "items"] },
    ]);
  });

  test("a column that the data does not have is kept without a field id", () => {
    expect(ownRules({ properties: [{ name: "tip", required: true }] })[0]?.test).toEqual({
      kind: "null_values",
      column: { name: "tip", fieldId: undefined },
    });
  });
});

describe("quality of the library", () => {
  const quality = (item: Record<string, unknown>, property = "fare") => ownRules({ properties: [{ name: property, quality: [item] }] })[0];

  test.each([
    [{ mustBe: 0 }, { op: "=", value: "0" }],
    [{ mustNotBe: 1.5 }, { op: "!=", value: "1.5" }],
    [{ mustBeGreaterThan: 1 }, { op: ">", value: "1" }],
    [{ mustBeGreaterOrEqualTo: 1 }, { op: ">=", value: "1" }],
    [{ mustBeLessThan: 1 }, { op: "<", value: "1" }],
    [{ mustBeLessOrEqualTo: 1 }, { op: "<=", value: "1" }],
    [{ mustBeBetween: [5, 5] }, { op: "between", low: "5", high: "5" }],
    [{ mustNotBeBetween: [-1, 1] }, { op: "not_between", low: "-1", high: "1" }],
  ])("operator %j", (operator, bound) => {
    expect(quality({ metric: "nullValues", ...operator })?.bound).toEqual(bound);
  });

  test("metrics of a column and of the table", () => {
    const property = [
      { id: "few_nulls", metric: "nullValues", mustBeLessThan: 1, unit: "percent", severity: "warning", dimension: "cp" },
      { metric: "missingValues", arguments: { missingValues: [null, "", "N/A"] }, mustBe: 0 },
      { metric: "invalidValues", arguments: { validValues: [1, 2.5] }, mustBe: 0 },
      { type: "library", rule: "duplicateCount", mustBeLessThan: 10 },
    ];
    const table = [
      { metric: "rowCount", mustBeBetween: [100, 120] },
      { metric: "duplicateValues", arguments: { properties: ["id", "fare"] }, mustBe: 0 },
    ];
    const rules = ownRules({ properties: [{ name: "fare", quality: property }, { name: "id" }], table: { quality: table } });
    expect(rules.map(({ id, test, unit, scope }) => [id, test.kind, unit, scope])).toEqual([
      ["few_nulls", "null_values", "percent", "added"],
      ["fare/missingValues", "missing_values", "rows", "added"],
      ["fare/invalidValues", "invalid_values", "rows", "added"],
      ["fare/duplicateValues", "duplicate_values", "rows", "snapshot"],
      ["rowCount", "metric", "rows", "snapshot"],
      ["duplicateValues/id+fare", "duplicate_values", "rows", "snapshot"],
    ]);
    expect(rules[0]).toMatchObject({ severity: "warning", dimension: "completeness" });
  });

  test("two rules with one text are two rules", () => {
    const twice = { metric: "nullValues", mustBe: 0 };
    const rules = ownRules({ properties: [{ name: "fare", quality: [twice, twice] }] });
    expect(rules.map((rule) => rule.id)).toEqual(["fare/nullValues", "fare/nullValues-2"]);
  });

  test("one id on two columns names the second by its column", () => {
    const item = { id: "no_nulls", metric: "nullValues", mustBe: 0 };
    const rules = ownRules({
      properties: [
        { name: "fare", quality: [item] },
        { name: "id", quality: [item] },
      ],
    });
    expect(rules.map((rule) => rule.id)).toEqual(["no_nulls", "id/nullValues/no_nulls"]);
  });

  test.each([
    ["two operators", { metric: "nullValues", mustBe: 0, mustBeLessThan: 5 }, "ambiguous"],
    ["no operator", { metric: "nullValues" }, "missing_key"],
    ["a bound that is no number", { metric: "nullValues", mustBe: "none" }, "wrong_type"],
    ["a range upside down", { metric: "nullValues", mustBeBetween: [2, 1] }, "wrong_type"],
    ["a metric of tables on a column", { metric: "freshRows", mustBe: 1 }, "wrong_value"],
    ["a pattern with lookahead", { metric: "invalidValues", arguments: { pattern: "(?=a)b" }, mustBe: 0 }, "pattern"],
    ["values and a pattern", { metric: "invalidValues", arguments: { pattern: "a", validValues: ["a"] }, mustBe: 0 }, "ambiguous"],
    ["neither values nor a pattern", { metric: "invalidValues", mustBe: 0 }, "missing_key"],
  ])("refused: %s", (_name, item, reason) => {
    expect(problems({ properties: [{ name: "fare", quality: [item] }] })).toMatchObject([{ level: "error", reason }]);
  });

  test("a query's placeholders become the dataset and the column, quoted", () => {
    const query = "SELECT count(*) FROM ${table} WHERE {column} IS NULL";
    const rule = ownRules({ properties: [{ name: "Country/Region", quality: [{ type: "sql", query, mustBe: 0 }] }] })[0];
    expect(rule?.test).toEqual({ kind: "sql", query: 'SELECT count(*) FROM sales.orders WHERE "Country/Region" IS NULL' });
    const boolean = ownRules({ table: { quality: [{ type: "sql", query: "SELECT true", mustBe: true }] } })[0];
    expect(boolean?.bound).toEqual({ op: "=", value: "1" });
    expect(problems({ table: { quality: [{ type: "sql", query: "SELECT {column} FROM {object}", mustBe: 0 }] } })).toMatchObject([
      { reason: "wrong_value", found: "{column}" },
    ]);
    expect(problems({ table: { quality: [{ type: "sql", query: "DROP TABLE x", mustBe: 0 }] } })).toMatchObject([{ found: "«DROP»" }]);
  });
});

describe("our own settings and rules", () => {
  test("custom properties set scope, the milder bound, «no worse than base» and conditions", () => {
    const customProperties = [
      { property: "tidegate.scope", value: "snapshot" },
      { property: "tidegate.warn", value: { mustBeLessThan: 1 } },
      { property: "tidegate.noWorseThanBase", value: true },
      { property: "tidegate.where", value: ["day = 'Mo''s'", "fare >= 1.50", '"Country/Region" is not null'] },
      { property: "other", value: { kept: true } },
    ];
    const rule = ownRules({ properties: [{ name: "fare", quality: [{ metric: "nullValues", mustBeLessThan: 5, customProperties }] }] })[0];
    expect(rule).toMatchObject({
      scope: "snapshot",
      warn: { op: "<", value: "1" },
      noWorseThanBase: true,
      where: [
        { column: { name: "day", fieldId: 5 }, op: "=", value: { type: "text", value: "Mo's" } },
        { column: { name: "fare", fieldId: 2 }, op: ">=", value: { type: "number", value: "1.50" } },
        { column: { name: "Country/Region", fieldId: 3 }, op: "is_not_null" },
      ],
    });
  });

  test.each([
    ["tidegate.scope", "all", "wrong_value"],
    ["tidegate.warn", 5, "wrong_value"],
    ["tidegate.noWorseThanBase", "yes", "wrong_value"],
    ["tidegate.where", "fare", "wrong_value"],
    ["tidegate.where", "nope = 1", "column_unknown"],
  ])("refused: %s %j", (property, value, reason) => {
    const item = { metric: "nullValues", mustBe: 0, customProperties: [{ property, value }] };
    expect(problems({ properties: [{ name: "fare", quality: [item] }] })).toMatchObject([{ level: "error", reason }]);
  });

  const own = (implementation: unknown) => ({ type: "custom", engine: "tidegate", implementation });

  test("a rule of our own, as an object or as YAML in a text", () => {
    const rules = ownRules({
      properties: [
        { name: "fare", quality: [own({ rule: "quantile", at: 0.95, mustBeLessThan: 100 }), own("rule: drift\nby: quantiles\n")] },
        { name: "at", logicalType: "timestamp", quality: [own({ rule: "freshness", within: "26 h" })] },
      ],
      table: {
        quality: [
          own({ rule: "compareColumns", left: "id", is: "<=", right: "fare" }),
          own({ rule: "history", metric: "rowCount", last: 7 }),
        ],
      },
    });
    expect(rules.map(({ id, test, bound }) => [id, test, bound])).toEqual([
      ["fare/quantile", { kind: "metric", metric: "quantile", column: { name: "fare", fieldId: 2 }, at: 0.95 }, { op: "<", value: "100" }],
      ["fare/drift", { kind: "drift", column: { name: "fare", fieldId: 2 }, by: "quantiles" }, undefined],
      ["at/freshness", { kind: "freshness", column: { name: "at", fieldId: 4 } }, { op: "<=", value: "93600000" }],
      [
        "compareColumns",
        { kind: "compare_columns", left: { name: "id", fieldId: 1 }, op: "<=", right: { name: "fare", fieldId: 2 } },
        { op: "=", value: "0" },
      ],
      ["history", { kind: "history", metric: "row_count", last: 7 }, { op: "<=", value: "3" }],
    ]);
  });

  test.each([
    ["no such rule", { rule: "magic" }, ["rule"], "wrong_value"],
    ["an unknown key", { rule: "drift", by: "nulls", when: "always" }, ["when"], "unknown_key"],
    ["an operator where the rule decides", { rule: "drift", by: "nulls", mustBe: 0 }, ["mustBe"], "unknown_key"],
    ["a missing key", { rule: "quantile", mustBe: 1 }, [], "missing_key"],
    ["a share out of range", { rule: "quantile", at: 95, mustBe: 1 }, ["at"], "wrong_value"],
    ["no bound", { rule: "mean" }, [], "missing_key"],
    ["a rule of tables", { rule: "rowCountChange" }, ["rule"], "wrong_value"],
    ["a pattern that RE2 cannot take", { rule: "matches", patterns: ["a", "(a)\\1"] }, ["patterns", 1], "pattern"],
    ["no object", 5, [], "wrong_type"],
  ])("refused: %s", (_name, implementation, path, reason) => {
    expect(problems({ properties: [{ name: "fare", quality: [own(implementation)] }] })).toMatchObject([
      { reason, path: ["schema", 0, "properties", 0, "quality", 0, "implementation", ...path] },
    ]);
  });

  test("rules of other engines are kept, and said not to be checked", () => {
    const item = { type: "custom", engine: "soda", implementation: "type: duplicate_percent" };
    expect(problems({ properties: [{ name: "fare", quality: [item] }] })).toMatchObject([{ level: "warning", reason: "not_checked" }]);
  });
});
