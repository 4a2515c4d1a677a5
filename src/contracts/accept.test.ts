import { describe, expect, test } from "vitest";
import { contract, ownRules, schema, type Parts } from "../../test/harness/contract-parts.ts";
import { judge, type Reading } from "../checks/reading.ts";
import { rulesOf } from "./contract-rules.ts";
import { acceptChecks, acceptInText, type FailedCheck } from "./accept.ts";
import { contractYaml } from "./contract-text.ts";
import { parseText } from "./contract-document.ts";
import type { Contract } from "./contract.ts";
import type { BatchProfile, ColumnProfile } from "./profile.ts";
import type { Rule, RuleTest } from "./rule.ts";

/* What a failing check shows becomes the contract: the same rows pass then, slightly worse ones fail, and nothing else is loosened. */

const own = (implementation: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: "custom",
  engine: "tidegate",
  id: "it",
  implementation,
  ...more,
});
const column = (name: string, more: Record<string, unknown>): Parts => ({ properties: [{ name, ...more }] });
const quality = (item: Record<string, unknown>, name = "fare"): Parts => column(name, { quality: [{ id: "it", ...item }] });
const table = (item: Record<string, unknown>): Parts => ({ table: { quality: [{ id: "it", ...item }] } });

const noProfile: BatchProfile = { rows: 100, isAppend: true, columns: new Map() };
const rows = (bad: number, evaluated = 100): Reading => ({
  value: String(bad),
  evaluated: BigInt(evaluated),
  bad: BigInt(bad),
  reason: null,
});
const number = (value: string): Reading => ({ value, evaluated: null, bad: null, reason: null });

const failedOf = (rule: Rule, { value, evaluated, bad, found }: Reading): FailedCheck => ({
  rule,
  measured: value,
  evaluated: evaluated === null ? null : Number(evaluated),
  bad: bad === null ? null : Number(bad),
  found: found ?? value,
});

function accepted(parts: Parts, reading: Reading, batch: BatchProfile = noProfile) {
  const [rule] = ownRules(parts);
  expect(judge(rule as Rule, reading).verdict, "what is accepted fails").toBe("fail");
  const before = contract(parts);
  const found = acceptChecks(before, schema, [failedOf(rule as Rule, reading)], batch);
  const text = acceptInText(contractYaml(before), found.edits);
  const again = parseText(text).value as unknown as Contract;
  const read = (document: Contract) => rulesOf(document, schema).filter(({ source }) => source !== "built-in");
  expect(read(again), "the file says what the contract says").toEqual(read(found.contract));
  return { ...found, rules: read(found.contract), before: rule as Rule };
}

interface Case {
  parts: Parts;
  now: Reading;
  worse: Reading;
  /** Passed before, and still does. */
  fine?: Reading;
}

const warn = (operator: Record<string, unknown>) => ({ customProperties: [{ property: "tidegate.warn", value: operator }] });
const percent = { unit: "percent" };

const movable: Record<string, Case> = {
  "null_values, required": { parts: column("fare", { required: true }), now: rows(59, 10_000), worse: rows(160, 10_000), fine: rows(0) },
  "null_values in rows": { parts: quality({ metric: "nullValues", mustBe: 0 }), now: rows(3), worse: rows(4), fine: rows(0) },
  "null_values in percent": {
    parts: quality({ metric: "nullValues", ...percent, mustBeLessThan: 1 }),
    now: rows(30),
    worse: rows(60),
    fine: rows(0),
  },
  missing_values: {
    parts: quality({ metric: "missingValues", arguments: { missingValues: ["-"] }, ...percent, mustBeLessThan: 0.5 }),
    now: rows(59, 10_007),
    worse: rows(60, 10_007),
  },
  "invalid_values in percent": {
    parts: quality(own({ rule: "length", max: 3, mustBeLessOrEqualTo: 0.5 }, percent)),
    now: rows(7, 333),
    worse: rows(8, 333),
  },
  "invalid_values, a pattern": { parts: quality(own({ rule: "matches", patterns: ["^x"] })), now: rows(2), worse: rows(3), fine: rows(0) },
  "a rule that is written as a text": { parts: quality(own("rule: matches\npatterns: ['^x']" as never)), now: rows(2), worse: rows(3) },
  compare_columns: {
    parts: table(own({ rule: "compareColumns", left: "fare", is: "<", right: "id" })),
    now: rows(1),
    worse: rows(2),
    fine: rows(0),
  },
  ordered: {
    parts: quality(own({ rule: "ordered", direction: "increasing", mustBeLessThan: 2 })),
    now: rows(2),
    worse: rows(3),
    fine: rows(1),
  },
  combinations: {
    parts: table(own({ rule: "combinations", columns: ["id", "fare"], values: [[1, 2]], mustBe: 0 }, percent)),
    now: rows(1, 3),
    worse: rows(2, 3),
  },
  row_sum: { parts: table(own({ rule: "rowSum", columns: ["id", "fare"], total: 100 })), now: rows(4), worse: rows(5), fine: rows(0) },
  duplicate_values: { parts: quality({ metric: "duplicateValues", mustBeLessThan: 1 }), now: rows(9), worse: rows(10), fine: rows(0) },
  "duplicate_values, unique": { parts: column("fare", { unique: true }), now: rows(9), worse: rows(10), fine: rows(0) },
  "metric, at least": {
    parts: table({ metric: "rowCount", mustBeGreaterThan: 100 }),
    now: number("100"),
    worse: number("99"),
    fine: number("500"),
  },
  "metric, between": {
    parts: quality(own({ rule: "mean", mustBeBetween: [1, 2] })),
    now: number("2.5000000000000000001"),
    worse: number("2.51"),
    fine: number("1"),
  },
  "metric, between, below": {
    parts: quality(own({ rule: "mean", mustBeBetween: [1, 2] })),
    now: number("0.5"),
    worse: number("0.4"),
    fine: number("2"),
  },
  "metric, less than, of 19 digits": {
    parts: quality(own({ rule: "max", mustBeLessThan: 5 })),
    now: number("1000000000000000001"),
    worse: number("1000000000000000002"),
    fine: number("4"),
  },
  "metric, exactly": { parts: quality(own({ rule: "sum", mustBe: 10 })), now: number("10.25"), worse: number("10.26") },
  sql: {
    parts: table({ type: "sql", query: "select 1", mustBeLessOrEqualTo: 0 }),
    now: number("4"),
    worse: number("5"),
    fine: number("0"),
  },
  column_count: { parts: table(own({ rule: "columnCount", mustBe: 5 })), now: number("6"), worse: number("7") },
  "a milder bound": {
    parts: quality(own({ rule: "matches", patterns: ["^x"], mustBeLessThan: 10 }, { ...percent, ...warn({ mustBeLessThan: 2 }) })),
    now: rows(5, 100),
    worse: rows(6, 100),
    fine: rows(1, 100),
  },
  "both bounds": {
    parts: quality(own({ rule: "matches", patterns: ["^x"], mustBeLessThan: 10 }, { ...percent, ...warn({ mustBeLessThan: 2 }) })),
    now: rows(50, 100),
    worse: rows(51, 100),
    fine: rows(1, 100),
  },
};

test.each(Object.entries(movable))("%s: the same rows pass then, and slightly worse ones fail", (_, { parts, now, worse, fine }) => {
  const { rules, before } = accepted(parts, now);
  const rule = rules[0] as Rule;
  expect(rules).toHaveLength(1);
  expect(judge(rule, now)).toMatchObject({ verdict: "pass" });
  expect(judge(rule, worse)).toMatchObject({ verdict: "fail" });
  if (fine !== undefined) expect(judge(rule, fine)).toMatchObject({ verdict: "pass" });
  const { test: looked, where, scope, severity, noWorseThanBase } = before;
  expect(rule).toMatchObject({ test: looked, where, scope, severity, ...(noWorseThanBase === undefined ? {} : { noWorseThanBase }) });
});

test("a fail of the milder bound alone leaves the other where it is", () => {
  const { rules } = accepted(movable["a milder bound"]?.parts as Parts, rows(5, 100));
  expect(rules[0]).toMatchObject({ bound: { op: "<", value: "10" }, warn: { op: "<=", value: "5" } });
});

test("what stands in the place of required has the settings of the column's rules", () => {
  const customProperties = [
    { property: "tidegate.severity", value: "warning" },
    { property: "tidegate.where", value: "id > 5" },
    { property: "tidegate.fieldId", value: 2 },
  ];
  const { rules, before } = accepted(column("fare", { required: true, customProperties }), rows(1, 100));
  expect(rules[0]).toMatchObject({ severity: "warning", where: before.where, test: before.test });
});

describe("values and ranges", () => {
  const profile = (more: Partial<ColumnProfile>): BatchProfile => ({
    ...noProfile,
    columns: new Map([[2, { rows: 100, nulls: 0, unique: false, min: null, max: null, values: [], hasMoreValues: false, ...more }]]),
  });
  const validOf = (rule: Rule | undefined) => ((rule as Rule).test as Extract<RuleTest, { kind: "invalid_values" }>).valid;

  test("new values come into a list, whatever its form", () => {
    const values = [
      { value: "1", count: 5 },
      { value: "3", count: 2 },
    ];
    for (const parts of [
      quality(own({ rule: "in", values: [1, 2] })),
      quality({ metric: "invalidValues", arguments: { validValues: [1, 2] }, mustBe: 0 }),
      column("fare", { logicalType: "number", enum: [{ value: 1 }, { value: 2 }] }),
    ]) {
      const found = validOf(accepted(parts, rows(2), profile({ values })).rules[0]);
      expect(found).toMatchObject({ is: "in", values: [{ value: "1" }, { value: "2" }, { value: "3" }] });
    }
  });

  test.each<[string, Parts, Partial<ColumnProfile>, Record<string, unknown>[]]>([
    [
      "an end",
      column("fare", { logicalTypeOptions: { minimum: 0, maximum: 9 } }),
      { min: "-2", max: "5" },
      [{ min: { value: "-2" } }, { max: { value: "9" } }],
    ],
    [
      "an end that is not in it",
      column("fare", { logicalTypeOptions: { exclusiveMinimum: 0, maximum: 9 } }),
      { min: "0", max: "5" },
      [{ max: { value: "9" } }, { min: { value: "0" } }],
    ],
    [
      "of our own",
      quality(own({ rule: "range", minimum: 0, exclusiveMaximum: 9 })),
      { min: "1", max: "9.5" },
      [{ min: { value: "0" }, max: { value: "9.5" } }],
    ],
    [
      "with all digits",
      quality(own({ rule: "range", maximum: 9 })),
      { min: "1", max: "1000000000000000001" },
      [{ max: { value: "1000000000000000001" } }],
    ],
  ])("a range, %s: it ends at the values that came, and takes them in", (_, parts, seen, ranges) => {
    const { rules } = accepted(parts, rows(1), profile(seen));
    for (const [at, range] of ranges.entries()) {
      const found = validOf(rules[at]) as unknown as { range: Record<string, unknown> };
      expect(found.range).toMatchObject(range);
      expect(found.range["exclusiveMin"] ?? found.range["exclusiveMax"]).toBeUndefined();
    }
  });

  test("a range of which some rows may lie outside keeps its ends: more may", () => {
    const parts = quality(own({ rule: "range", minimum: 0, mustBeLessThan: 1 }, percent));
    const { rules } = accepted(parts, rows(2), profile({ min: "-900", max: "5" }));
    expect(rules[0]).toMatchObject({ bound: { op: "<=", value: "2" }, test: { valid: { range: { min: { value: "0" } } } } });
  });
});

test.each<[string, Parts, Reading]>([
  ["foreign_key", column("fare", { relationships: [{ type: "foreignKey", to: "sales.fares.id" }] }), rows(2)],
  ["a key", column("id", { primaryKey: true }), rows(2)],
  ["distinct_set", quality(own({ rule: "distinctSet", relation: "within", values: [1] })), { ...number("2"), verdict: "fail" }],
  ["most_common", quality(own({ rule: "mostCommon", values: [1] })), { ...number("2"), verdict: "fail" }],
  ["columns", table(own({ rule: "columns", relation: "equal", names: ["a"] })), { ...number("2"), verdict: "fail" }],
  ["column_type", quality(own({ rule: "columnType", types: ["int"] })), { ...number("2"), verdict: "fail" }],
  ["freshness", quality(own({ rule: "freshness", within: "1 h" }), "at"), number("99999999")],
  ["row_count_change", table(own({ rule: "rowCountChange" })), number("40")],
  ["drift", quality(own({ rule: "drift", by: "nulls" })), { ...number("2"), verdict: "fail" }],
  ["suspicious_count", table(own({ rule: "suspiciousCount" })), { ...number("65536"), verdict: "fail" }],
  ["history", table(own({ rule: "history", metric: "rowCount", last: 5 })), number("9")],
  ["a pattern of the column's own", column("fare", { logicalTypeOptions: { pattern: "^x" } }), rows(2)],
  ["a yes or no by SQL", table({ type: "sql", query: "select false", mustBe: 1 }), { ...number("0"), verdict: "fail", found: "false" }],
  ["not equal", quality(own({ rule: "mean", mustNotBe: 5 })), number("5")],
])("%s: no edit of a bound settles it, so it is left, with why", (_, parts, reading) => {
  const { edits, left } = accepted(parts, reading);
  expect(edits).toEqual([]);
  expect(left).toMatchObject([{ why: expect.stringMatching(/by hand|approve it/) as string }]);
});
