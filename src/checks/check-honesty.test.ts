import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bound, checkChange, checkMain, checkOf, col, countingEngine, importText, proposeText, rule } from "../../test/harness/checks.ts";
import { lakehouse, type Lakehouse } from "../../test/harness/lakehouse.ts";
import type { Rule } from "../contracts/rule.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { AppError } from "../lib/errors.ts";

/* What a rule says when it cannot say. Each case stands in one contract with a rule that passes: the neighbour is never touched. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  await importText(
    lake,
    "honest.main",
    "id,name,empty,amount,big,price\n1,a,,1.5,1000000000000000001,0.10\n2,b,,NaN,1000000000000000002,0.20\n3,c,,2.5,1000000000000000003,0.05\n",
    ["id"],
  );
  const exact = await lake.propose({
    operations: [{ kind: "schema", dataset: "honest.main", edits: [{ edit: "retype", name: "price", type: "decimal(9, 2)" }] }],
  });
  await lake.merge(exact.change?.id ?? "");
});
afterAll(() => lake.close());

const healthy = rule("healthy", { kind: "null_values", column: col("name") });
const range = (name: string, min: string, max?: string): Rule["test"] => ({
  kind: "invalid_values",
  column: col(name),
  valid: {
    is: "range",
    range: { min: { type: "number", value: min }, max: max === undefined ? undefined : { type: "number", value: max } },
  },
});

async function asked(...rules: Rule[]) {
  const checks = await checkMain(lake, "honest.main", { rulesOf: bound([healthy, ...rules]) });
  const neighbour = checkOf(checks, "healthy");
  expect(neighbour).toMatchObject({ verdict: "pass", effect: "none", reason: null, evaluated: 3, bad: 0 });
  return checks;
}

describe("all values null", () => {
  test("row rules pass and say that nothing was looked at; not null fails", async () => {
    const checks = await asked(
      rule("range", { ...range("amount", "0"), column: col("empty") } as Rule["test"]),
      rule("set", { kind: "invalid_values", column: col("empty"), valid: { is: "in", values: [{ type: "text", value: "x" }] } }),
      rule("pattern", { kind: "invalid_values", column: col("empty"), valid: { is: "matches", patterns: ["^x"], how: "any" } }),
      rule("unique", { kind: "duplicate_values", columns: [col("empty")] }),
      rule("filled", { kind: "null_values", column: col("empty") }),
    );
    for (const id of ["set", "pattern", "unique"])
      expect(checkOf(checks, id)).toMatchObject({ verdict: "pass", reason: "vacuous", evaluated: 0, found: "nothing to look at" });
    // An all-null column is text, and text has no number range.
    expect(checkOf(checks, "range")).toMatchObject({ verdict: "inconclusive", reason: "wrong_type" });
    expect(checkOf(checks, "filled")).toMatchObject({ verdict: "fail", effect: "block", bad: 3, found: "3 rows of 3" });
  });

  test("mean, largest value and quantile are inconclusive, and block when the rule is an error", async () => {
    await importText(lake, "honest.nulls", "id,x\n1,\n2,5\n", ["id"]);
    await lake.merge(await proposeText(lake, "honest.nulls", "replace", "id,x\n1,\n"));
    const column = col("x");
    const rules = (["mean", "max", "median"] as const).map((metric) =>
      rule(metric, { kind: "metric", metric, column }, { bound: { op: ">", value: "0" } }),
    );
    const checks = await checkMain(lake, "honest.nulls", {
      rulesOf: bound([
        ...rules,
        rule("fresh", { kind: "null_values", column: col("id") }),
        rule("mild", { kind: "metric", metric: "sum", column }, { bound: { op: ">", value: "0" }, severity: "warning" }),
      ]),
    });
    for (const { id } of rules)
      expect(checkOf(checks, id)).toMatchObject({ verdict: "inconclusive", reason: "no_values", effect: "block", found: null });
    expect(checkOf(checks, "mild")).toMatchObject({ verdict: "inconclusive", effect: "warn" });
    expect(checkOf(checks, "fresh")).toMatchObject({ verdict: "pass" });
  });
});

test("NaN is a value: not null passes, a range fails, a mean cannot be told and says how many there are", async () => {
  const checks = await asked(
    rule("filled", { kind: "null_values", column: col("amount") }),
    rule("range", range("amount", "0")),
    rule("open", { kind: "invalid_values", column: col("amount"), valid: { is: "range", range: { max: { type: "number", value: "9" } } } }),
    rule("mean", { kind: "metric", metric: "mean", column: col("amount") }, { bound: { op: ">", value: "0" } }),
    rule("min", { kind: "metric", metric: "min", column: col("amount") }, { bound: { op: ">", value: "0" } }),
  );
  expect(checkOf(checks, "filled")).toMatchObject({ verdict: "pass", evaluated: 3 });
  expect(checkOf(checks, "range")).toMatchObject({ verdict: "fail", bad: 1, samples: [{ key: [2], row: { amount: "NaN" } }] });
  expect(checkOf(checks, "open")).toMatchObject({ verdict: "fail", bad: 1 });
  for (const id of ["mean", "min"])
    expect(checkOf(checks, id)).toMatchObject({ verdict: "inconclusive", reason: "not_a_number", found: "1 NaN" });
});

test("a missing column and a wrong type are inconclusive", async () => {
  const checks = await asked(
    rule("gone", { kind: "null_values", column: col("nowhere") }),
    rule("gone too", { kind: "metric", metric: "mean", column: col("nowhere") }, { bound: { op: ">", value: "0" } }),
    rule("pair", { kind: "compare_columns", left: col("id"), op: "<", right: col("nowhere") }),
    rule("text as number", range("name", "0")),
    rule("mean of text", { kind: "metric", metric: "mean", column: col("name") }, { bound: { op: ">", value: "0" } }),
    rule("pattern of a number", { kind: "invalid_values", column: col("id"), valid: { is: "matches", patterns: ["1"], how: "any" } }),
    rule("number in texts", { kind: "invalid_values", column: col("id"), valid: { is: "in", values: [{ type: "text", value: "one" }] } }),
  );
  for (const id of ["gone", "gone too", "pair"])
    expect(checkOf(checks, id), id).toMatchObject({ verdict: "inconclusive", reason: "column_missing", effect: "block" });
  for (const id of ["text as number", "mean of text", "pattern of a number", "number in texts"])
    expect(checkOf(checks, id), id).toMatchObject({ verdict: "inconclusive", reason: "wrong_type", effect: "block" });
});

test("a pattern, a format and SQL that do not compile are the rule's own error", async () => {
  const checks = await asked(
    rule("pattern", { kind: "invalid_values", column: col("name"), valid: { is: "matches", patterns: ["[a-z"], how: "any" } }),
    rule("lookahead", { kind: "invalid_values", column: col("name"), valid: { is: "not_matches", patterns: ["(?=a)b"], how: "any" } }),
    rule("format", { kind: "invalid_values", column: col("name"), valid: { is: "time_format", format: "%Q" } }),
    rule("sql", { kind: "sql", query: "SELEC 1" }),
    rule("file", { kind: "sql", query: "SELECT count(*) FROM read_csv('/etc/passwd')" }),
    rule("two", { kind: "sql", query: "SELECT 1, 2" }),
    rule("good sql", { kind: "sql", query: "SELECT count(*) FROM honest.main WHERE price > 100" }),
    rule("good pattern", { kind: "invalid_values", column: col("name"), valid: { is: "matches", patterns: ["^[a-z]$"], how: "any" } }),
  );
  for (const id of ["pattern", "lookahead", "format", "sql", "file", "two"])
    expect(checkOf(checks, id), id).toMatchObject({ verdict: "inconclusive", reason: "rule_error", effect: "block" });
  expect(checkOf(checks, "pattern").found).toContain("missing ]");
  expect(checkOf(checks, "good sql")).toMatchObject({ verdict: "pass", measured: "0" });
  expect(checkOf(checks, "good pattern")).toMatchObject({ verdict: "pass", evaluated: 3 });
});

test("two rules with one text are two results; a bound of one number, decimals and numbers of 10^18 are exact", async () => {
  const checks = await asked(
    rule("twin", range("id", "1")),
    rule("twin", range("id", "1")),
    rule("between", { kind: "metric", metric: "row_count" }, { bound: { op: "between", low: "3", high: "3" } }),
    rule("tenth", range("price", "0.05", "0.2")),
    rule("below a tenth", range("price", "0.1")),
    rule("sum", { kind: "metric", metric: "sum", column: col("price") }, { bound: { op: "=", value: "0.35" } }),
    rule("mean", { kind: "metric", metric: "mean", column: col("big") }, { bound: { op: "=", value: "1000000000000000002" } }),
    rule("large", {
      kind: "invalid_values",
      column: col("big"),
      valid: { is: "in", values: [1, 2].map((n) => ({ type: "number", value: `100000000000000000${n}` }) as const) },
    }),
    rule("largest", { kind: "metric", metric: "max", column: col("big") }, { bound: { op: "<", value: "1000000000000000003" } }),
  );
  expect(checks.checks.filter((item) => item.rule.id === "twin").map(({ verdict }) => verdict)).toEqual(["pass", "pass"]);
  for (const id of ["between", "tenth", "sum", "mean"]) expect(checkOf(checks, id), id).toMatchObject({ verdict: "pass" });
  expect(checkOf(checks, "below a tenth")).toMatchObject({ verdict: "fail", bad: 1, samples: [{ key: [3] }] });
  expect(checkOf(checks, "large")).toMatchObject({ verdict: "fail", bad: 1, samples: [{ row: { big: 1000000000000000003n } }] });
  expect(checkOf(checks, "largest")).toMatchObject({ verdict: "fail", measured: "1000000000000000003" });
});

test("a contract with no rules of its own is untested, which is no pass", async () => {
  expect(await checkMain(lake, "honest.main")).toMatchObject({ untested: false });
  await importText(lake, "honest.bare", "x\n1\n");
  const checks = await checkMain(lake, "honest.bare");
  expect(checks.untested).toBe(true);
  expect(checks.checks.map(({ rule: { id }, reason }) => [id, reason])).toEqual([
    ["built-in/rowCountChange", "no_base"],
    ["built-in/nameReused", null],
  ]);
});

test("no rows at all: row rules are vacuous, numbers cannot be told, and against base the table became empty", async () => {
  await importText(lake, "honest.rows", `id,x\n${Array.from({ length: 10 }, (_, n) => `${n},${n}`).join("\n")}\n`, ["id"]);
  const half = await proposeText(lake, "honest.rows", "replace", "id,x\n1,1\n2,2\n3,3\n4,4\n5,5\n");
  const empty = await proposeText(lake, "honest.rows", "replace", "id,x\n");
  const more = await proposeText(lake, "honest.rows", "replace", "id,x\n1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n");
  expect(checkOf(await checkChange(lake, half), "built-in/rowCountChange")).toMatchObject({
    verdict: "fail",
    effect: "block",
    found: "50 % of base (10 → 5 rows)",
  });
  expect(checkOf(await checkChange(lake, more), "built-in/rowCountChange")).toMatchObject({ verdict: "pass" });
  const rules = bound([
    healthy,
    rule("x", range("x", "0")),
    rule("sum", { kind: "metric", metric: "sum", column: col("x") }, { bound: { op: ">", value: "0" } }),
    rule("rows", { kind: "metric", metric: "row_count" }, { bound: { op: ">=", value: "0" } }),
  ]);
  expect(checkOf(await checkChange(lake, empty), "built-in/rowCountChange")).toMatchObject({
    verdict: "fail",
    found: "0 % of base (10 → 0 rows)",
  });
  const checks = await checkChange(lake, empty, {
    rulesOf: (contract, schema) => rules(contract, schema).filter(({ id }) => id !== "healthy"),
  });
  expect(checkOf(checks, "x")).toMatchObject({ verdict: "pass", reason: "vacuous" });
  expect(checkOf(checks, "sum")).toMatchObject({ verdict: "inconclusive", reason: "no_values" });
  expect(checkOf(checks, "rows")).toMatchObject({ verdict: "pass", measured: "0" });
});

describe("a limit or a failure of the machine", () => {
  type More = NonNullable<Parameters<typeof checkMain>[2]>;
  const one = async (item: Rule, deps: More["deps"] = {}) =>
    checkOf(await checkMain(lake, "honest.main", { rulesOf: bound([item]), deps }), item.id);
  const fails = (code: ErrorCode) => () => Promise.reject(new AppError(code, "Not today."));

  test.each<[ErrorCode, Rule, () => More["deps"]]>([
    ...(["sql.limit", "sql.crashed"] as const).map((code): [ErrorCode, Rule, () => More["deps"]] => [
      code,
      rule(code, { kind: "sql", query: `SELECT count(*) FROM honest.main WHERE name = '${code}'` }),
      () => ({ sandbox: { ...lake.sandbox, query: fails(code) } }),
    ]),
    ...(["engine.memory", "internal"] as const).map((code): [ErrorCode, Rule, () => More["deps"]] => [
      code,
      rule(
        code,
        { kind: "metric", metric: "distinct_count", column: col("name") },
        { bound: { op: code === "internal" ? ">" : ">=", value: "2" } },
      ),
      () => ({ engine: { ...countingEngine(lake.engine).engine, rows: fails(code) } }),
    ]),
  ])("%s is no answer: the rule cannot be told, and is asked again", async (_, item, deps) => {
    expect(await one(item, deps())).toMatchObject({ verdict: "inconclusive", effect: "block", reason: "rule_error", found: "Not today." });
    expect(await one(item)).toMatchObject({ verdict: "pass", reused: false });
    expect(await one(item)).toMatchObject({ verdict: "pass", reused: true });
  });

  test("but a result of more rows than a rule may give is one, each time", async () => {
    const item = rule("wide", { kind: "sql", query: "SELECT id FROM honest.main" });
    expect(await one(item)).toMatchObject({ verdict: "inconclusive", reason: "rule_error", found: "more than 2 rows", reused: false });
    expect(await one(item)).toMatchObject({ verdict: "inconclusive", reused: true });
  });
});
