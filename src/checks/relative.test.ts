import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bound, checkChange, checkOf, col, importText, proposeText, rule } from "../../test/harness/checks.ts";
import { lakehouse, type Lakehouse } from "../../test/harness/lakehouse.ts";
import type { Rule, RuleTest } from "../contracts/rule.ts";

/* Rules that compare: with base, with the last versions, with what tools are known to do. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const rows = (from: number, to: number, line: (n: number) => string): string =>
  Array.from({ length: to - from }, (_, index) => line(from + index)).join("\n");
/** A spread of values that repeats, without a generator. */
const spread = (n: number): number => ((n * 7919) % 1000) / 10;
const code = (n: number): string => "abcde"[(n * 31) % 5] as string;

async function checked(dataset: string, csv: string, tests: Record<string, RuleTest>, more: Partial<Rule> = {}) {
  const change = await proposeText(lake, dataset, "append", csv);
  const checks = await checkChange(lake, change, {
    rulesOf: bound(Object.entries(tests).map(([id, of]) => rule(id, of, { scope: "added", ...more }))),
  });
  return (id: string) => checkOf(checks, id);
}

test("drift is told per column, by nulls, values, categories and how many there are; the same distribution is none", async () => {
  await importText(
    lake,
    "drift.base",
    `id,x,c,n\n${rows(0, 3000, (n) => `${n},${spread(n)},${code(n)},${n % 50 === 0 ? "" : n % 200}`)}\n`,
    ["id"],
  );
  const tests: Record<string, RuleTest> = {
    values: { kind: "drift", column: col("x"), by: "quantiles" },
    categories: { kind: "drift", column: col("c"), by: "categories" },
    nulls: { kind: "drift", column: col("n"), by: "nulls" },
    distinct: { kind: "drift", column: col("n"), by: "distinct" },
    text: { kind: "drift", column: col("c"), by: "quantiles" },
  };
  const same = await checked(
    "drift.base",
    `id,x,c,n\n${rows(5000, 6000, (n) => `${n},${spread(n)},${code(n)},${n % 50 === 0 ? "" : n % 200}`)}\n`,
    tests,
  );
  for (const id of ["values", "categories", "nulls", "distinct"])
    expect(same(id), id).toMatchObject({ verdict: "pass", effect: "none", reason: null });
  expect(same("text")).toMatchObject({ verdict: "inconclusive", reason: "wrong_type" });
  const moved = await checked(
    "drift.base",
    `id,x,c,n\n${rows(5000, 6000, (n) => `${n},${spread(n) + 40},${n % 2 === 0 ? "new" : code(n)},${n % 3 === 0 ? "" : n % 7}`)}\n`,
    tests,
  );
  for (const id of ["values", "categories", "nulls", "distinct"]) expect(moved(id), id).toMatchObject({ verdict: "fail", effect: "block" });
  expect(moved("categories").found).toBe("new 0 % → 50 %");
  expect(moved("nulls").found).toBe("nulls 2 % → 33.3 %");
  // Too few rows tell nothing, and that holds nothing up.
  const few = await checked("drift.base", "id,x,c,n\n9000,9999,z,\n", tests);
  expect(few("values")).toMatchObject({ verdict: "pass", effect: "info", reason: "too_few_rows" });
});

test("a change of unit is a constant factor between quantiles; other shifts are none", async () => {
  await importText(lake, "unit.base", `id,x\n${rows(0, 1000, (n) => `${n},${spread(n) + 5}`)}\n`, ["id"]);
  const tests: Record<string, RuleTest> = { unit: { kind: "scaled", column: col("x") } };
  const inches = await checked("unit.base", `id,x\n${rows(2000, 2500, (n) => `${n},${(spread(n) + 5) / 2.54}`)}\n`, tests);
  expect(inches("unit")).toMatchObject({ verdict: "fail", effect: "block" });
  expect(inches("unit").found).toMatch(/^x is 0\.39\d* times what it was/);
  expect((await checked("unit.base", `id,x\n${rows(2000, 2500, (n) => `${n},${spread(n) + 60}`)}\n`, tests))("unit")).toMatchObject({
    verdict: "pass",
  });
});

test("a shift is seen whatever the first base was, and however far base has moved since", async () => {
  await importText(lake, "late.base", "id,x\n1,1.5\n", ["id"]);
  await lake.merge(await proposeText(lake, "late.base", "replace", "id,x\n"));
  const tests: Record<string, RuleTest> = {
    values: { kind: "drift", column: col("x"), by: "quantiles" },
    unit: { kind: "scaled", column: col("x") },
  };
  const batch = (from: number, count: number, value: (n: number) => number): string =>
    `id,x\n${rows(from, from + count, (n) => `${n},${value(n)}`)}\n`;
  const asked = async (csv: string, merge = false) => {
    const change = await proposeText(lake, "late.base", "append", csv);
    const checks = await checkChange(lake, change, {
      rulesOf: bound(Object.entries(tests).map(([id, of]) => rule(id, of, { scope: "added" }))),
    });
    if (merge) await lake.merge(change);
    return ["values", "unit"].map((id) => checkOf(checks, id).verdict);
  };
  // The first base is empty, the second small.
  expect(
    await asked(
      batch(0, 100, (n) => spread(n) + 5),
      true,
    ),
  ).toEqual(["pass", "pass"]);
  expect(
    await asked(
      batch(1000, 2000, (n) => spread(n) + 5),
      true,
    ),
  ).toEqual(["pass", "pass"]);
  expect(await asked(batch(5000, 500, (n) => (spread(n) + 5) * 3))).toEqual(["fail", "fail"]);
  expect(await asked(batch(5000, 500, (n) => spread(n) + 5))).toEqual(["pass", "pass"]);
  // All values move far beyond the edges that were made on the way; the next shift is seen none the less.
  await lake.merge(
    await proposeText(
      lake,
      "late.base",
      "replace",
      batch(0, 2000, (n) => 1000 * (spread(n) + 5)),
    ),
  );
  expect(await asked(batch(5000, 500, (n) => 1000 * (spread(n) + 5)))).toEqual(["pass", "pass"]);
  expect(await asked(batch(5000, 500, (n) => 3000 * (spread(n) + 5)))).toEqual(["fail", "fail"]);
});

test("edges are kept as long as they fit: a value that always was frequent renews none", async () => {
  await importText(lake, "ties.base", `id,x\n${rows(0, 2000, (n) => `${n},${n % 2 === 0 ? 0 : spread(n)}`)}\n`, ["id"]);
  const tests: Record<string, RuleTest> = { values: { kind: "drift", column: col("x"), by: "quantiles" } };
  const made = async () =>
    Number(
      (
        await lake.db
          .selectFrom("samples")
          .select((eb) => eb.fn.countAll().as("n"))
          .where(sql`body::text`, "like", "%shares%")
          .executeTakeFirstOrThrow()
      ).n,
    );
  const before = await made();
  for (const from of [5000, 6000]) {
    const change = await proposeText(
      lake,
      "ties.base",
      "append",
      `id,x\n${rows(from, from + 500, (n) => `${n},${n % 2 === 0 ? 0 : spread(n)}`)}\n`,
    );
    expect(
      checkOf(
        await checkChange(lake, change, { rulesOf: bound([rule("values", tests["values"] as RuleTest, { scope: "added" })]) }),
        "values",
      ).verdict,
    ).toBe("pass");
    await lake.merge(change);
  }
  expect((await made()) - before).toBe(1);
});

test("a metric is compared with base by difference and ratio, exactly where digits are", async () => {
  await importText(lake, "metric.base", `id,x\n${rows(0, 10, (n) => `${n},${n}`)}\n`, ["id"]);
  const column = col("x");
  const change = await proposeText(lake, "metric.base", "append", "id,x\n20,55\n");
  const checks = await checkChange(lake, change, {
    rulesOf: bound([
      rule("sum", { kind: "metric_change", metric: "sum", column, by: "difference" }, { bound: { op: "=", value: "55" } }),
      rule("ratio", { kind: "metric_change", metric: "sum", column, by: "ratio" }, { bound: { op: "<=", value: "2" } }),
      rule("distinct", { kind: "metric_change", metric: "distinct_count", column, by: "difference" }, { bound: { op: "<", value: "1" } }),
    ]),
  });
  expect(checkOf(checks, "sum")).toMatchObject({ verdict: "pass", measured: "55", found: "45 → 100" });
  expect(checkOf(checks, "ratio")).toMatchObject({ verdict: "fail" });
  expect(checkOf(checks, "distinct")).toMatchObject({ verdict: "fail", found: "10 → 11" });
});

test("rows that come again under new keys are told; rows that are alike anyway are not", async () => {
  await importText(lake, "twice.base", `id,x,y\n${rows(0, 500, (n) => `${n},${spread(n)},${n}`)}\n`, ["id"]);
  const tests: Record<string, RuleTest> = { twice: { kind: "duplicated_content" } };
  const again = await checked("twice.base", `id,x,y\n${rows(0, 100, (n) => `${n + 7000},${spread(n)},${n}`)}\n`, tests);
  expect(again("twice")).toMatchObject({ verdict: "fail", effect: "block" });
  expect(again("twice").found).toContain("100 of 100 rows");
  expect(
    (await checked("twice.base", `id,x,y\n${rows(800, 900, (n) => `${n + 7000},${spread(n)},${n}`)}\n`, tests))("twice"),
  ).toMatchObject({ verdict: "pass" });
  await importText(lake, "twice.flat", `id,x\n${rows(0, 500, (n) => `${n},${n % 2}`)}\n`, ["id"]);
  expect((await checked("twice.flat", `id,x\n${rows(900, 1000, (n) => `${n},${n % 2}`)}\n`, tests))("twice")).toMatchObject({
    verdict: "pass",
    reason: "vacuous",
  });
});

test("a row count at which tools cut off is suspicious", async () => {
  await importText(lake, "cut.base", "x\n1\n2\n");
  const tests: Record<string, RuleTest> = { cut: { kind: "suspicious_count" } };
  const cut = await checked("cut.base", `x\n${rows(0, 65_535, (n) => String(n))}\n`, tests, { severity: "warning" });
  expect(cut("cut")).toMatchObject({ verdict: "fail", effect: "warn" });
  expect(cut("cut").found).toContain("without a header");
  expect((await checked("cut.base", `x\n${rows(0, 65_530, (n) => String(n))}\n`, tests))("cut")).toMatchObject({ verdict: "pass" });
});

test("a version is compared with the last ones, and with a season only with those at the same place of the cycle", async () => {
  await importText(lake, "past.base", `id,x\n${rows(0, 100, (n) => `${n},1`)}\n`, ["id"]);
  const metric: RuleTest = { kind: "history", metric: "row_count", last: 5 };
  const asked = async (kind: RuleTest) => {
    const change = await proposeText(lake, "past.base", "append", `id,x\n${rows(10_000, 10_500, (n) => `${n},1`)}\n`);
    return checkOf(await checkChange(lake, change, { rulesOf: bound([rule("rows", kind, { bound: { op: "<=", value: "3" } })]) }), "rows");
  };
  expect(await asked(metric)).toMatchObject({ verdict: "pass", effect: "info", reason: "no_history" });
  for (let day = 1; day <= 5; day += 1) {
    lake.clock.advance(86_400_000);
    await lake.merge(await proposeText(lake, "past.base", "append", `id,x\n${rows(day * 1000, day * 1000 + 10, (n) => `${n},1`)}\n`));
  }
  const found = await asked(metric);
  expect(found).toMatchObject({ verdict: "fail", effect: "block" });
  expect(found.found).toContain("650, against 130 ± ");
  // Only every seventh day is the same day of the week: there is no history of those.
  expect(await asked({ ...metric, season: "week" })).toMatchObject({ verdict: "pass", reason: "no_history" });
  expect(await asked({ ...metric, season: "day" })).toMatchObject({ verdict: "fail" });
});

test("freshness is judged as of now from the newest value that was found; no query runs for that", async () => {
  await importText(lake, "fresh.base", "id,at\n1,2026-10-30T00:00:00\n2,2026-10-01T00:00:00\n", ["id"]);
  const rules = bound([
    rule("fresh", { kind: "freshness", column: col("at") }, { bound: { op: "<=", value: String(400 * 86_400_000) } }),
    rule("kept", { kind: "retention", column: col("at") }, { bound: { op: "<=", value: String(10 * 86_400_000) } }),
    rule("base", { kind: "freshness", column: col("at") }, { bound: { op: "<=", value: "1000" }, noWorseThanBase: true }),
  ]);
  const change = await proposeText(lake, "fresh.base", "append", "id,at\n3,2026-10-29T00:00:00\n");
  const before = await checkChange(lake, change, { rulesOf: rules });
  expect(checkOf(before, "fresh")).toMatchObject({ verdict: "pass", expected: "at most 400 d ago" });
  expect(checkOf(before, "kept")).toMatchObject({ verdict: "fail" });
  expect(checkOf(before, "base")).toMatchObject({ verdict: "pass" });
  lake.clock.advance(500 * 86_400_000);
  const after = checkOf(await checkChange(lake, change, { rulesOf: rules }), "fresh");
  expect(after).toMatchObject({ verdict: "fail", reused: true, evidence: checkOf(before, "fresh").evidence });
});

test("a name that another column bore before is told", async () => {
  await importText(lake, "name.base", "id,a,b\n1,2,3\n", ["id"]);
  const edits = [
    { edit: "drop", name: "a" },
    { edit: "rename", name: "b", to: "a" },
  ] as const;
  const changed = await lake.propose({ operations: [{ kind: "schema", dataset: "name.base", edits }] });
  expect(checkOf(await checkChange(lake, changed.change?.id ?? ""), "built-in/nameReused")).toMatchObject({
    verdict: "fail",
    effect: "warn",
    found: "a",
  });
});
