import { expect, test } from "vitest";
import type { CheckResult } from "../../checks/check.ts";
import type { Rule, RuleTest } from "../../contracts/rule.ts";
import type { TestMove, TestResult } from "../../consumers/consumer-test.ts";
import { judgeChecks, judgeDrift, judgePaired, keyOf, type Found } from "./data-guardrail.ts";

const ruleOf = (id: string, of: RuleTest): Rule => ({
  id,
  title: id,
  severity: "error",
  scope: "snapshot",
  test: of,
  where: [],
  unit: "rows",
  source: "$",
});
type Facts = Partial<Pick<CheckResult, "verdict" | "effect" | "reason" | "found" | "bad">>;
const facts = (given: Facts) => ({ verdict: "pass" as const, effect: "none" as const, reason: null, found: null, bad: null, ...given });
const found = (id: string, given: Facts = {}): Found => ({
  datasetId: "ds_1",
  dataset: "shop.orders",
  check: { rule: ruleOf(id, { kind: "column_count" }), ...facts(given) },
});
const column = (name: string, given: Facts = {}): Found => ({
  datasetId: "ds_1",
  dataset: "shop.orders",
  check: { rule: ruleOf(name, { kind: "drift", column: { name, fieldId: 1 }, by: "quantiles" }), ...facts(given) },
});

const failing = { verdict: "fail", effect: "block", found: "3 rows", bad: 3 } as const;
const warning = { verdict: "fail", effect: "warn", found: "3 rows", bad: 3 } as const;
const accepted = (...items: Found[]) => new Map(items.map((item) => [keyOf(item), item]));

test.each<[string, Found[], ReturnType<typeof accepted>, string, string]>([
  ["no rule fails", [found("a"), found("b")], accepted(), "SAFE", "checks: 2 rules, none fails where current does not"],
  [
    "a rule of severity error fails",
    [found("a", warning), found("b", failing), found("c", failing)],
    accepted(),
    "HARM",
    "checks: fails where current does not: shop.orders: b, found 3 rows; and 1 more",
  ],
  [
    "a rule fails on current no less",
    [found("a", { ...failing, effect: "info", reason: "already_failing" })],
    accepted(),
    "SAFE",
    "checks: 1 rule, none fails where current does not",
  ],
  [
    "a rule cannot be told",
    [found("a", { verdict: "inconclusive", effect: "block", found: "rule_error" })],
    accepted(),
    "INCONCLUSIVE",
    "checks: cannot be told: shop.orders: a, found rule_error",
  ],
  ["a warning", [found("a", warning)], accepted(), "INCONCLUSIVE", "checks: warning where current has none: shop.orders: a, found 3 rows"],
  ["a warning that the merge had, no less", [found("a", warning)], accepted(found("a", warning)), "SAFE", "checks: 1 rule, none fails"],
  ["a warning that has grown since", [found("a", { ...warning, bad: 4 })], accepted(found("a", warning)), "INCONCLUSIVE", "warning"],
  ["harm is harm though the merge had it", [found("a", failing)], accepted(found("a", failing)), "HARM", "a, found 3 rows"],
])("checks: %s", (_, items, known, verdict, reason) => {
  expect(judgeChecks(items, known)).toMatchObject({ verdict, reason: expect.stringContaining(reason) as string });
});

const holds = { columns: "all", harm: false } as const;
const shifted = { verdict: "fail", effect: "warn", found: "at most 50: 50 % → 5 %" } as const;
const few = { reason: "too_few_rows", effect: "info", found: "too few rows to tell: 12, needs 50" } as const;

test.each<[string, Parameters<typeof judgeDrift>, string, string]>([
  ["no column moved", [holds, [column("fare"), column("tip")], []], "SAFE", "drift: 2 columns as on current"],
  [
    "a shift waits for a person",
    [holds, [column("fare", shifted)], []],
    "INCONCLUSIVE",
    "drift: fare of shop.orders: at most 50: 50 % → 5 %",
  ],
  ["a shift where the plan says so", [{ ...holds, harm: true }, [column("fare", shifted)], []], "HARM", "drift: fare of shop.orders"],
  ["too few rows are no reason against it", [holds, [column("fare", few)], []], "SAFE", "drift: too few rows to tell: 12, needs 50"],
  [
    "a column of which it cannot be told",
    [{ ...holds, harm: true }, [column("fare", { verdict: "inconclusive", effect: "warn", found: "out of memory" })], []],
    "INCONCLUSIVE",
    "drift: cannot be told: shop.orders: fare, found out of memory",
  ],
  ["a named column that is nowhere", [holds, [], ["fair"]], "INCONCLUSIVE", "drift: there is no column fair"],
])("drift: %s", (_, given, verdict, reason) => {
  expect(judgeDrift(...given)).toMatchObject({ verdict, reason: expect.stringContaining(reason) as string });
});

const moved = (before: number, after: number): TestMove => ({
  what: "revenue",
  before: String(before),
  after: String(after),
  numbers: { before, after },
});
const result = (given: Partial<TestResult> = {}): TestResult => ({
  consumer: "board",
  owner: null,
  criticality: "normal",
  test: "total",
  kind: "query",
  verdict: "pass",
  outcome: "moved",
  summary: "",
  moves: [],
  error: { before: null, after: null },
  milliseconds: null,
  rowsScanned: null,
  reads: [],
  evidence: "",
  reused: false,
  ...given,
});
const percent = { tests: "all", margin: { value: 5, by: "percent" }, harm: false } as const;
const less = { ...percent, worse: "lower" } as const;

test.each<[string, Parameters<typeof judgePaired>, string, string]>([
  [
    "the same on both sides",
    [percent, [result({ outcome: "same" })], []],
    "SAFE",
    "paired: 1 test, no number moves further than is tolerated",
  ],
  ["by just what is tolerated", [percent, [result({ moves: [moved(100, 105)] })], []], "SAFE", "1 test"],
  ["a little further", [percent, [result({ moves: [moved(100, 105.001)] })], []], "INCONCLUSIVE", "total of board: revenue 100 → 105.001"],
  ["the other way, where only less is worse", [less, [result({ moves: [moved(100, 200)] })], []], "SAFE", "1 test"],
  ["of a negative number", [less, [result({ moves: [moved(-100, -106)] })], []], "INCONCLUSIVE", "revenue -100 → -106"],
  ["harm where the plan says so", [{ ...less, harm: true }, [result({ moves: [moved(100, 90)] })], []], "HARM", "revenue 100 → 90"],
  [
    "what is no number",
    [percent, [result({ moves: [{ what: "row AT", before: "there", after: null }] })], []],
    "INCONCLUSIVE",
    "row AT there → nothing",
  ],
  [
    "more than are compared",
    [percent, [result({ moves: Array(20).fill(moved(100, 101)) })], []],
    "INCONCLUSIVE",
    "more numbers move than are compared",
  ],
  [
    "a test that breaks",
    [{ ...percent, harm: true }, [result({ outcome: "broken", error: { before: null, after: "no fare" } })], []],
    "INCONCLUSIVE",
    "total of board breaks: no fare",
  ],
  [
    "a test that differs from itself",
    [percent, [result({ outcome: "nondeterministic", summary: "random()" })], []],
    "INCONCLUSIVE",
    "cannot be told: total of board: random()",
  ],
  ["a named test that nobody has", [percent, [], ["totals"]], "INCONCLUSIVE", "there is no test totals"],
  ["no test at all", [percent, [], []], "NO_DATA", "no stored test reads these datasets"],
])("paired: %s", (_, given, verdict, reason) => {
  expect(judgePaired(...given)).toMatchObject({ verdict, reason: expect.stringContaining(reason) as string });
});
