import { afterAll, beforeAll, expect, test } from "vitest";
import {
  bound,
  checkChange,
  checkMain,
  checkOf,
  col,
  countingEngine,
  importText,
  planOf,
  proposeContract,
  proposeText,
  rule,
  treeOf,
} from "../../test/harness/checks.ts";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { treeSide } from "../catalog/side.ts";
import { sidesOfChange } from "../changes/change-sides.ts";
import { getChange } from "../changes/change-store.ts";
import type { Contract } from "../contracts/contract.ts";
import type { Rule } from "../contracts/rule.ts";
import { checkDatasets } from "./check-service.ts";
import type { DatasetChecks } from "./check.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 100 });
});
afterAll(() => lake.close());

const rows = (from: number, to: number, line: (n: number) => string): string =>
  Array.from({ length: to - from }, (_, index) => line(from + index)).join("\n");
const positive = (more: Partial<Rule> = {}): Rule =>
  rule(
    "positive",
    { kind: "invalid_values", column: col("x"), valid: { is: "range", range: { min: { type: "number", value: "0" } } } },
    more,
  );

test("a rule on added rows looks at what the change adds or modifies, by key and content; on the whole table at all of it", async () => {
  await importText(lake, "scope.keyed", `id,x,y\n${rows(0, 300, (n) => `${n},${n === 7 ? -1 : n},a`)}\n`, ["id"]);
  // One row is new and bad, one is made bad, one good row changes, and one comes again as it is.
  const change = await proposeText(lake, "scope.keyed", "upsert", "id,x,y\n900,-5,a\n20,-6,a\n30,30,b\n40,40,a\n");
  const rules = bound([
    positive({ id: "added", scope: "added" }),
    positive({ id: "all" }),
    rule("share", positive().test, { scope: "added", unit: "percent", bound: { op: "<=", value: "66.7" } }),
  ]);
  const checks = await checkChange(lake, change, { rulesOf: rules });
  expect(checkOf(checks, "added")).toMatchObject({
    verdict: "fail",
    evaluated: 3,
    bad: 2,
    badAdded: 2,
    found: "2 rows of 3",
    expected: "0 rows",
  });
  expect(checkOf(checks, "added").samples.map(({ key, row }) => [key, row])).toEqual([
    [[20], { x: -6 }],
    [[900], { x: -5 }],
  ]);
  expect(checkOf(checks, "all")).toMatchObject({ verdict: "fail", evaluated: 301, bad: 3, badAdded: 2 });
  expect(checkOf(checks, "share")).toMatchObject({ verdict: "pass", found: "66.66 %", expected: "at most 66.7 %" });
});

test("without a key rows count as a multiset: a copy more of a row is one added row", async () => {
  await importText(lake, "scope.keyless", `x\n${rows(0, 250, () => "1")}\n-1\n`);
  const change = await proposeText(lake, "scope.keyless", "replace", `x\n${rows(0, 250, () => "1")}\n-1\n-1\n5\n`);
  const checks = await checkChange(lake, change, { rulesOf: bound([positive({ scope: "added" })]) });
  expect(checkOf(checks, "positive")).toMatchObject({ verdict: "fail", evaluated: 2, bad: 1, samples: [{ key: null, row: { x: -1 } }] });
});

const withQuality =
  (name: string, quality: unknown[]) =>
  (contract: Contract): Contract => ({
    ...contract,
    schema: contract.schema.map((table) => ({
      ...table,
      properties: table.properties.map((property) => (property.name === name ? { ...property, quality } : property)),
    })),
  });
const own = (implementation: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: "custom",
  engine: "tidegate",
  implementation,
  ...more,
});

test("a change that loosens a rule or takes it out is judged by base's rule as well", async () => {
  await importText(lake, "loose.data", `id,x\n${rows(0, 10, (n) => `${n},${n}`)}\n`, ["id"]);
  const strict = withQuality("x", [own({ rule: "range", minimum: 0 }, { id: "least" })]);
  await lake.merge(await proposeContract(lake, "loose.data", strict));
  const change = await proposeText(lake, "loose.data", "append", "id,x\n50,-3\n");
  await proposeContract(lake, "loose.data", withQuality("x", [own({ rule: "range", minimum: -10 }, { id: "least" })]), change);
  const checks = (await checkChange(lake, change))[0]?.checks.filter((item) => item.rule.id === "least") ?? [];
  expect(checks.map(({ verdict, effect }) => [verdict, effect])).toEqual([
    ["pass", "none"],
    ["fail", "block"],
  ]);
  const without = await proposeText(lake, "loose.data", "append", "id,x\n51,-3\n");
  await proposeContract(lake, "loose.data", withQuality("x", []), without);
  expect(checkOf(await checkChange(lake, without), "least")).toMatchObject({ verdict: "fail", effect: "block", badAdded: 1 });
});

test("«no worse than base» lets old bad rows stay and no new one in; a milder bound and the severities have their effects", async () => {
  await importText(lake, "worse.data", `id,x\n${rows(0, 100, (n) => `${n},${n < 5 ? -1 : n}`)}\n`, ["id"]);
  const rules = bound([
    positive({ noWorseThanBase: true }),
    positive({ id: "mild", bound: { op: "<=", value: "10" }, warn: { op: "<=", value: "5" } }),
    positive({ id: "warning", severity: "warning" }),
    positive({ id: "info", severity: "info" }),
  ]);
  const good = await proposeText(lake, "worse.data", "append", "id,x\n200,1\n");
  const bad = await proposeText(lake, "worse.data", "append", "id,x\n200,-1\n");
  const [before, after] = [await checkChange(lake, good, { rulesOf: rules }), await checkChange(lake, bad, { rulesOf: rules })];
  expect(checkOf(before, "positive")).toMatchObject({ verdict: "pass", effect: "none", bad: 5 });
  expect(checkOf(after, "positive")).toMatchObject({ verdict: "fail", effect: "block", bad: 6, badAdded: 1 });
  expect(checkOf(before, "mild")).toMatchObject({ verdict: "pass" });
  expect(checkOf(after, "mild")).toMatchObject({ verdict: "fail", effect: "warn" });
  expect(checkOf(after, "warning")).toMatchObject({ verdict: "fail", effect: "warn" });
  expect(checkOf(after, "info")).toMatchObject({ verdict: "fail", effect: "info" });
});

test("the same question on the same inputs runs no query; an input that moves, and only that, asks again", async () => {
  await importText(lake, "again.one", `id,x,ref\n${rows(0, 500, (n) => `${n},${n - 1},${n % 5}`)}\n`, ["id"]);
  await importText(lake, "again.two", "ref,name\n0,a\n1,b\n2,c\n3,d\n", ["ref"]);
  const rules = bound([
    positive(),
    rule("unique", { kind: "duplicate_values", columns: [col("x")] }),
    rule("mean", { kind: "metric", metric: "mean", column: col("x") }, { bound: { op: ">", value: "1" } }),
    rule("median", { kind: "metric", metric: "median", column: col("x") }, { bound: { op: ">", value: "1" } }),
    rule("ref", { kind: "foreign_key", columns: [col("ref")], to: { dataset: "again.two", columns: ["ref"] } }),
    rule("drift", { kind: "drift", column: col("x"), by: "quantiles" }, { scope: "added" }),
    rule("sql", { kind: "sql", query: "SELECT count(*) FROM again.one WHERE x > 1000" }),
  ]);
  const counting = countingEngine(lake.engine);
  const more = { rulesOf: rules, deps: { engine: counting.engine } };
  const change = await proposeText(lake, "again.one", "append", `id,x,ref\n${rows(600, 700, (n) => `${n},${n - 200},1`)}\n`);
  const first = await checkChange(lake, change, more);
  expect(counting.count()).toBeGreaterThan(0);
  expect(checkOf(first, "ref")).toMatchObject({
    verdict: "fail",
    bad: 100,
    badAdded: 0,
    reused: false,
    samples: [{ key: [4], row: { ref: 4 } }, {}, {}, {}, {}],
  });
  counting.reset();
  const second = await checkChange(lake, change, more);
  expect(counting.count()).toBe(0);
  const shown = (checks: typeof first) => checks.flatMap((item) => item.checks.map(({ reused: _reused, ...check }) => check));
  expect(shown(second)).toEqual(shown(first));
  expect(second[0]?.checks.every(({ reused }) => reused)).toBe(true);
  // The neighbour moves, the files of the dataset itself do not.
  await lake.merge(await proposeText(lake, "again.two", "append", "ref,name\n4,e\n"));
  const other = await proposeText(lake, "again.one", "append", `id,x,ref\n${rows(600, 700, (n) => `${n},${n - 200},1`)}\n`);
  expect(checkOf(await checkChange(lake, other, more), "ref")).toMatchObject({ verdict: "pass", reused: false });
  // A rename moves the key, but nothing is known of the files that was not known before.
  const renamed = await lake.propose({
    operations: [{ kind: "schema", dataset: "again.one", edits: [{ edit: "rename", name: "x", to: "value" }] }],
  });
  const least = bound([
    {
      ...positive(),
      test: { kind: "invalid_values", column: col("value"), valid: { is: "range", range: { min: { type: "number", value: "0" } } } },
    },
  ]);
  counting.reset();
  expect(
    checkOf(
      await checkChange(lake, renamed.change?.id ?? "", {
        ...more,
        rulesOf: (contract, schema) => (schema.fields.some(({ name }) => name === "value") ? least : rules)(contract, schema).slice(0, 1),
      }),
      "positive",
    ).bad,
  ).toBe(1);
  expect(counting.count()).toBeLessThanOrEqual(2);
});

test("after an append only the new files are read; what bounds and counts say exactly is not read at all", async () => {
  await importText(
    lake,
    "files.data",
    `id,x,day\n${rows(0, 1000, (n) => `${n},${n % 97},2026-01-${String((n % 28) + 1).padStart(2, "0")}`)}\n`,
    ["id"],
  );
  const counting = countingEngine(lake.engine);
  const metadataOnly = bound([
    positive(),
    rule("rows", { kind: "metric", metric: "row_count" }, { bound: { op: "=", value: "1000" } }),
    rule("filled", { kind: "null_values", column: col("x") }),
    rule("oldest", { kind: "metric", metric: "min", column: col("day") }, { bound: { op: ">=", value: "2026-01-01" } }),
    rule("most", { kind: "metric", metric: "max", column: col("x") }, { bound: { op: "=", value: "96" } }),
  ]);
  const checks = await checkMain(lake, "files.data", { rulesOf: metadataOnly, deps: { engine: counting.engine } });
  expect(checks.checks.map(({ verdict }) => verdict)).toEqual(["pass", "pass", "pass", "pass", "pass"]);
  expect(counting.count()).toBe(0);
  const scanned = bound([
    rule("even", {
      kind: "invalid_values",
      column: col("x"),
      valid: { is: "in", values: Array.from({ length: 97 }, (_, n) => ({ type: "number", value: String(n) }) as const) },
    }),
    rule("sum", { kind: "metric", metric: "sum", column: col("x") }, { bound: { op: ">", value: "0" } }),
    rule("spread", { kind: "metric", metric: "stddev", column: col("x") }, { bound: { op: "<", value: "30" } }),
    rule("key", { kind: "duplicate_values", columns: [col("id")] }),
  ]);
  const read: string[] = [];
  const watched = {
    ...counting.engine,
    rows: (plan: unknown, options: never) => {
      read.push(...new Set(JSON.stringify(plan).match(/[0-9a-f]{24}-\d{5}\.parquet/g)));
      return lake.engine.rows(plan as never, options);
    },
  };
  await checkMain(lake, "files.data", { rulesOf: scanned, deps: { engine: watched as never } });
  expect(new Set(read).size).toBe(10);
  read.length = 0;
  const change = await proposeText(lake, "files.data", "append", `id,x,day\n${rows(1000, 1010, (n) => `${n},${n % 97},2026-02-01`)}\n`);
  const after = await checkChange(lake, change, { rulesOf: scanned, deps: { engine: watched as never } });
  expect(new Set(read).size).toBe(1);
  expect(checkOf(after, "sum").measured).toBe(String(Array.from({ length: 1010 }, (_, n) => n % 97).reduce((a, b) => a + b, 0)));
  const mean = Array.from({ length: 1010 }, (_, n) => n % 97);
  const average = mean.reduce((a, b) => a + b, 0) / 1010;
  expect(Number(checkOf(after, "spread").measured)).toBeCloseTo(Math.sqrt(mean.reduce((sum, n) => sum + (n - average) ** 2, 0) / 1009), 9);
  expect(checkOf(after, "key")).toMatchObject({ verdict: "pass", evaluated: 1010 });
});

test("a foreign key is broken from either side: by a row that points nowhere, and by a row that is taken away", async () => {
  await importText(lake, "key.customers", "id,name\n1,a\n7,b\n", ["id"]);
  await importText(lake, "key.orders", "order,customer\n10,1\n11,\n", ["order"]);
  const pointing = (contract: Contract): Contract => ({
    ...contract,
    schema: contract.schema.map((table) => ({
      ...table,
      properties: table.properties.map((property) =>
        property.name === "customer" ? { ...property, relationships: [{ type: "foreignKey", to: "key.customers.id" }] } : property,
      ),
    })),
  });
  await lake.merge(await proposeContract(lake, "key.orders", pointing));
  const order = await proposeText(lake, "key.orders", "append", "order,customer\n12,7\n");
  const [own] = await checkChange(lake, order);
  expect(own?.checks.find((item) => item.rule.test.kind === "foreign_key")).toMatchObject({ verdict: "pass", evaluated: 2 });
  const file = await lake.file("gone.csv", "id\n1\n");
  const gone = await lake.propose({ operations: [{ kind: "delete", dataset: "key.customers", source: source(file) }] });
  const found = await checkChange(lake, gone.change?.id ?? "");
  expect(found.map(({ dataset }) => dataset)).toEqual(["key.customers", "key.orders"]);
  expect(found[1]?.checks).toMatchObject([
    {
      rule: { test: { kind: "foreign_key" } },
      verdict: "fail",
      effect: "block",
      bad: 1,
      badAdded: 1,
      samples: [{ key: [10], row: { customer: 1 } }],
    },
  ]);
});

test("what is excused by base, and what a change adds, is asked again when a dataset that base looks at moves", async () => {
  await importText(lake, "beside.customers", "id\n1\n", ["id"]);
  await importText(lake, "beside.orders", "id,customer\n10,1\n11,7\n12,8\n", ["id"]);
  const pointing: Rule["test"] = { kind: "foreign_key", columns: [col("customer")], to: { dataset: "beside.customers", columns: ["id"] } };
  const query = "SELECT count(*) FROM beside.orders WHERE customer NOT IN (SELECT id FROM beside.customers)";
  const rulesOf = bound([
    rule("key", pointing),
    rule("pointing", pointing, { noWorseThanBase: true }),
    rule("sql", { kind: "sql", query }, { noWorseThanBase: true }),
  ]);
  const change = await proposeText(lake, "beside.orders", "upsert", "id,customer\n12,9\n");
  const { candidate, datasetIds } = await sidesOfChange(lake.db, await getChange(lake.db, change));
  const asked = async () => {
    const base = treeSide(lake.db, "main", await treeOf(lake, mainRef));
    // Of the candidate nothing moves, not the customers either.
    const [found] = await checkDatasets(lake, { base, candidate, datasetIds }, { rulesOf });
    return ["pointing", "sql", "key"].map((id) => {
      const { verdict, badAdded } = checkOf(found as DatasetChecks, id);
      return [verdict, badAdded];
    });
  };
  expect(await asked()).toEqual([
    ["pass", null],
    ["pass", null],
    ["fail", 0],
  ]);
  await lake.merge(await proposeText(lake, "beside.customers", "append", "id\n7\n"));
  expect(await asked()).toEqual([
    ["fail", 1],
    ["fail", null],
    ["fail", 1],
  ]);
});

test("a failing rule names the owner, the SQL that finds the same rows, and since when it fails; values of masked columns are hidden", async () => {
  await importText(lake, "told.data", "id,mail,x\n1,a@b.c,1\n2,nobody,2\n3,,3\n", ["id"]);
  const rules = [
    {
      property: "mail",
      classification: "pii",
      quality: [own({ rule: "format", name: "email" }, { id: "mail" }), own({ rule: "max", mustBeLessThan: 1 }, { id: "most" })],
    },
  ];
  await lake.merge(
    await proposeContract(lake, "told.data", (contract) => ({
      ...contract,
      schema: contract.schema.map((table) => ({
        ...table,
        properties: table.properties.map((property) => {
          const found = rules.find((item) => item.property === property.name);
          return found === undefined ? property : { ...property, classification: found.classification, quality: found.quality };
        }),
      })),
    })),
  );
  const checks = await checkMain(lake, "told.data");
  const mail = checkOf(checks, "mail");
  expect(checks.owners).toEqual(["ana"]);
  expect(mail).toMatchObject({
    verdict: "fail",
    bad: 1,
    badAdded: null,
    samples: [{ key: [2], row: { mail: "•••" } }],
    failingSince: { version: "told.data@2" },
  });
  await lake.merge(await proposeText(lake, "told.data", "append", "id,mail,x\n4,x@y.z,1\n"));
  expect(checkOf(await checkMain(lake, "told.data"), "mail").failingSince).toEqual(mail.failingSince);
  await lake.merge(await proposeText(lake, "told.data", "upsert", "id,mail,x\n2,b@c.d,1\n"));
  expect(checkOf(await checkMain(lake, "told.data"), "mail")).toMatchObject({ verdict: "pass", failingSince: null, samples: [] });
});

test("every kind of row rule prints SQL that gives as many rows as it calls bad", async () => {
  await importText(lake, "sql.data", 'id,a,b,name,"odd ""name"\n1,1,2,x y,1\n2,5,2,z,1\n3,,2,"it\'s",2\n4,3,3,x1,\n5,5,9,,3\n', ["id"]);
  await importText(lake, "sql.other", "b\n2\n9\n");
  const text = (value: string) => ({ type: "text" as const, value });
  const number = (value: string) => ({ type: "number" as const, value });
  const invalid = (name: string, valid: Extract<Rule["test"], { kind: "invalid_values" }>["valid"], more: Partial<Rule> = {}) =>
    rule(`${name} ${JSON.stringify(valid)}`, { kind: "invalid_values", column: col(name), valid }, more);
  const rules = [
    rule("null", { kind: "null_values", column: col("a") }),
    rule("missing", { kind: "missing_values", column: col("name"), values: [text("z"), text("")] }),
    invalid("a", { is: "range", range: { min: number("2"), max: number("5"), exclusiveMax: true } }),
    invalid("a", { is: "not_in", values: [number("5")] }),
    invalid("name", { is: "in", values: [text("it's"), text("z")] }),
    invalid("name", { is: "matches", patterns: ["^x", "'"], how: "any" }),
    invalid("name", { is: "not_like", patterns: ["x%", "z"], how: "any" }),
    invalid("name", { is: "length", min: 1, max: 2 }),
    invalid("a", { is: "multiple_of", of: "5" }),
    invalid("name", { is: "json" }),
    invalid('odd "name', { is: "range", range: { max: number("1") } }, { where: [{ column: col("id"), op: ">=", value: number("1") }] }),
    rule("compare", { kind: "compare_columns", left: col("a"), op: "<", right: col("b") }),
    rule("compare or null", { kind: "compare_columns", left: col("a"), op: "<=", right: col("b"), orNull: true }),
    rule("sum", { kind: "row_sum", columns: [col("a"), col("b")], total: "7" }),
    rule("pairs", {
      kind: "combinations",
      columns: [col("a"), col("b")],
      valid: [
        [number("1"), number("2")],
        [null, number("2")],
      ],
    }),
    rule("fk", { kind: "foreign_key", columns: [col("b")], to: { dataset: "sql.other", columns: ["b"] } }),
    rule("twice", { kind: "duplicate_values", columns: [col("a")], counting: "all" }),
  ];
  const checks = await checkMain(lake, "sql.data", { rulesOf: bound(rules) });
  const plans = await Promise.all(["sql.data", "sql.other"].map(async (name) => ({ name, plan: await planOf(lake, name) })));
  const counted = checks.checks.map(({ sql, rule: { test: of } }, at) => {
    const count = of.kind === "duplicate_values" ? "CAST(sum(rows) AS BIGINT)" : "count(*)";
    return `SELECT ${at} AS at, ${count} AS n FROM (${sql})`;
  });
  const found: string[] = [];
  const result = await lake.sandbox.query({ sql: counted.join(" UNION ALL "), tables: plans, caps: lake.sqlCaps });
  for await (const batch of result.rows) found.push(...batch);
  const counts = new Map(found.map((row) => JSON.parse(row) as { at: number; n: number }).map(({ at, n }) => [at, n]));
  for (const [at, check] of checks.checks.entries()) {
    expect(counts.get(at), check.sql).toBe(check.bad);
    expect(check.bad, check.rule.id).toBeGreaterThan(0);
  }
});

test("a rule that no dataset has is refused", async () => {
  await importText(lake, "unknown.data", "x\n1\n");
  await expect(checkMain(lake, "unknown.data", { rules: ["nowhere"] })).rejects.toMatchObject({ code: "check.no_rule", found: "nowhere" });
  expect((await checkMain(lake, "unknown.data", { rules: ["built-in/rowCountChange"] })).checks).toHaveLength(1);
});
