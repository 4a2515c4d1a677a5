import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { addConsumer } from "../access/consumer-service.ts";
import { proposeContract } from "../../test/harness/checks.ts";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { readCommit } from "../catalog/commit-store.ts";
import { changeRef, getRef, mainRef } from "../catalog/ref-store.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import type { DocumentEdit, OperationRequest } from "../changes/operation.ts";
import type { Contract } from "../contracts/contract.ts";
import type { Sandbox } from "../engine/sandbox.ts";
import { AppError } from "../lib/errors.ts";
import type { TestResult } from "./consumer-test.ts";
import { testConsumers } from "./test-service.ts";

// Each run of a query is a process of its own.
vi.setConfig({ testTimeout: 120_000 });

let lake: Lakehouse;
/** What the sandbox was asked, counted. */
let asked = 0;
let counting: Sandbox;

beforeAll(async () => {
  lake = await lakehouse();
  counting = {
    ...lake.sandbox,
    query: (...request) => {
      asked += 1;
      return lake.sandbox.query(...request);
    },
  };
  const orders = ["id,region,amount,email"];
  for (let id = 1; id <= 100; id += 1) orders.push(`${id},${["at", "be", "ch", "de"][id % 4]},${id}.50,p${id}@x.org`);
  await create("shop.orders", orders.join("\n"));
  await create("shop.regions", "code,name\nat,Austria\nbe,Belgium\nch,Switzerland\nde,Germany");
  await create("shop.other", "id\n1");
  await addConsumer(lake, "ana", { name: "board", kind: "dashboard", criticality: "high", owner: "ops", labels: {} });
});
afterAll(() => lake.close());

async function create(dataset: string, csv: string): Promise<void> {
  const file = await lake.file(`${dataset}.csv`, csv);
  const key = [csv.slice(0, csv.search(/[,\n]/))];
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset, source: source(file), key }] });
  await lake.merge(change?.id ?? "");
}

const sql = (dataset: string, text: string): OperationRequest => ({ kind: "sql", dataset, sql: text });

const treeOf = async (ref: string): Promise<string> => (await readCommit(lake.db, (await getRef(lake.db, ref)).commitId)).tree;

/** Merges the document of the consumer `board`. */
async function tests(text: string): Promise<void> {
  const { change } = await lake.propose({ operations: [], documents: [{ path: "consumers/board", text }] });
  if (change !== undefined) await lake.merge(change.id);
}

async function sidesOf(
  operations: OperationRequest[],
  documents: DocumentEdit[] = [],
): Promise<{ base: Side; candidate: Side; datasetIds: string[] }> {
  const { change, datasets } = await lake.propose({ operations, documents });
  const candidate = treeSide(lake.db, "candidate", await treeOf(changeRef(change?.id ?? "")));
  return { base: treeSide(lake.db, "base", await treeOf(mainRef)), candidate, datasetIds: datasets.map((item) => item.datasetId) };
}

async function run(operations: OperationRequest[], documents?: DocumentEdit[]): Promise<TestResult[]> {
  return testConsumers({ ...lake, sandbox: counting }, await sidesOf(operations, documents));
}

const query = (name: string, text: string, more = ""): string =>
  `tests:\n  - name: ${name}\n    query:\n      sql: ${JSON.stringify(text)}\n${more}`;
const brief = ({ test: name, outcome, verdict, summary }: TestResult) => ({ test: name, outcome, verdict, summary });

test("a number that moves is told with consumer, owner and both values; what reads other datasets does not run", async () => {
  await tests(
    `${query("revenue", "select sum(amount) as revenue from orders")}  - name: elsewhere\n    query: { sql: select count(*) from shop.other }\n`,
  );
  const [found, ...more] = await run([sql("shop.orders", "update shop.orders set amount = amount * 2 where id <= 50")]);
  expect(more).toEqual([]);
  expect(found).toMatchObject({
    consumer: "board",
    owner: "ops",
    criticality: "high",
    kind: "query",
    test: "revenue",
    outcome: "moved",
    verdict: "fail",
    summary: "revenue 5 100 → 6 400",
    moves: [{ what: "revenue", before: "5 100", after: "6 400" }],
    reads: [{ dataset: "shop.orders", columns: ["amount"] }],
    rowsScanned: { before: 100, after: 100 },
    reused: false,
  });
});

test("the same question on the same content runs no query; a moved input runs it again", async () => {
  await tests(query("regions", "select region, count(*) as n from orders group by region"));
  const sides = await sidesOf([sql("shop.orders", "update shop.orders set amount = 1 where id = 3")]);
  const deps = { ...lake, sandbox: counting };
  const [first] = await testConsumers(deps, sides);
  expect(first).toMatchObject({ outcome: "same", verdict: "pass", reused: false });
  const before = asked;
  const [again] = await testConsumers(deps, sides);
  expect(again).toEqual({ ...first, reused: true });
  expect(asked).toBe(before);
  const [other] = await run([sql("shop.orders", "update shop.orders set amount = 1 where id = 4")]);
  expect(other).toMatchObject({ outcome: "same", reused: false });
  expect(asked).toBeGreaterThan(before);
});

describe("outcomes", () => {
  const drop: OperationRequest = { kind: "schema", dataset: "shop.orders", edits: [{ edit: "drop", name: "region" }] };
  const touch = sql("shop.orders", "update shop.orders set amount = 2 where id = 5");
  test.each<[string, string, OperationRequest, string, string | RegExp]>([
    ["broken", "select region from orders", drop, "fail", /region/],
    ["already_broken", "select nothing from orders", drop, "pass", /nothing/],
    [
      "fixed",
      "select region2 from orders",
      { kind: "schema", dataset: "shop.orders", edits: [{ edit: "rename", name: "region", to: "region2" }] },
      "pass",
      /runs again/,
    ],
    ["nondeterministic", "select random() as dice, count(*) from orders", touch, "inconclusive", /differs from itself/],
    ["same", "select count(*) as n from orders where id > 3", touch, "pass", "1 row"],
  ])("%s", async (outcome, text, operation, verdict, summary) => {
    await tests(query("only", text));
    const [found] = (await run([operation])).map(brief);
    expect(found).toMatchObject({ outcome, verdict });
    if (typeof summary === "string") expect(found?.summary).toBe(summary);
    else expect(found?.summary).toMatch(summary);
  });

  test("a query that never ends on current is not run; one that never ends on candidate only is broken, with the limit named", async () => {
    await tests(query("endless", "select count(*) from orders, range(100000000000) r(i) where sin(i) > 2", "      timeout: 500ms\n"));
    expect((await run([touch])).map(brief)).toEqual([
      { test: "endless", outcome: "not_run", verdict: "inconclusive", summary: expect.stringContaining("500 ms") as string },
    ]);
    const onlyAfter =
      "select count(*) from orders, range(case when (select min(amount) from orders) < 0 then 100000000000 else 1 end) r(i) where sin(i) > 2";
    await tests(query("endless", onlyAfter, "      timeout: 3s\n"));
    const [found] = await run([sql("shop.orders", "update shop.orders set amount = -1 where id = 1")]);
    expect(found).toMatchObject({ outcome: "broken", verdict: "fail", summary: expect.stringContaining("3000 ms") as string });
  });

  test("what was stopped at a limit is no answer: it counts once, and is asked again", async () => {
    const cases = [
      { name: "candidate", text: "select count(*) from orders where id > 0", nth: 2, first: "broken", later: "same" },
      { name: "second run of current", text: "select count(*) from orders where id > 1", nth: 3, first: "not_run", later: "same" },
      { name: "broken already", text: "select nothing2 from orders", nth: 2, first: "already_broken", later: "already_broken" },
    ];
    await tests(`tests:\n${cases.map(({ name, text }) => `  - name: ${name}\n    query: { sql: ${JSON.stringify(text)} }\n`).join("")}`);
    const sides = await sidesOf([touch]);
    const calls = new Map<string, number>();
    const stopped: Sandbox["query"] = (request, ...more) => {
      const nth = (calls.get(request.sql) ?? 0) + 1;
      calls.set(request.sql, nth);
      const isOver = cases.some((item) => item.text === request.sql && item.nth === nth);
      return isOver ? Promise.reject(new AppError("sql.limit", "The SQL took too long.")) : lake.sandbox.query(request, ...more);
    };
    const asked = async (query: Sandbox["query"]) => {
      const found = await testConsumers({ ...lake, sandbox: { ...lake.sandbox, query } }, sides);
      for (const item of found) expect(Object.keys(item)).not.toContain("untold");
      return cases.map(({ name }) => {
        const { outcome, reused, summary } = found.find((item) => item.test === name) as TestResult;
        return { outcome, reused, stopped: summary.includes("too long") };
      });
    };
    expect(await asked(stopped)).toEqual(cases.map(({ first }) => ({ outcome: first, reused: false, stopped: true })));
    expect(await asked(lake.sandbox.query)).toEqual(cases.map(({ later }) => ({ outcome: later, reused: false, stopped: false })));
    expect((await asked(stopped)).map(({ reused }) => reused)).toEqual([true, true, true]);
  });

  test("slower: the same numbers by a join that fans out", async () => {
    const text =
      "select count(distinct o.id) as n, max(sin(o.id * s.i)) > 2 as odd from orders o join regions r on o.region = r.name or o.region = r.code join range(20000) s(i) on true";
    await tests(query("slow", text));
    const more = Array.from({ length: 12 }, (_, at) => `x${at},de`);
    const file = await lake.file("more.csv", `code,name\n${more.join("\n")}\n`);
    const [found] = await run([{ kind: "append", dataset: "shop.regions", source: source(file) }]);
    expect(found).toMatchObject({ outcome: "slower", verdict: "fail" });
    expect(found?.summary).toMatch(
      /^[\d.]+ × slower, [\d ]+ → [\d ]+ ms; (the join on .*|a join without a key) fans out: [\d ]+ → [\d ]+ rows$/,
    );
  });
});

describe("tests are read from base", () => {
  const touch = sql("shop.orders", "update shop.orders set amount = 1000 where id = 5");
  const edit = (text: string | null): DocumentEdit[] => [{ path: "consumers/board", text }];
  test("one that the candidate removes or loosens runs as base has it; one that only the candidate has is new", async () => {
    await tests(query("total", "select sum(amount) as total from orders"));
    const [kept] = await run([touch], edit(null));
    expect(kept).toMatchObject({ test: "total", outcome: "moved" });
    const changed = `${query("total", "select 1 as total from orders limit 1")}  - name: added\n    query: { sql: select 1 as one }\n`;
    const found = await run([touch], edit(changed));
    expect(found.map(({ test: name, outcome, summary }) => [name, outcome, summary.slice(0, 12)])).toEqual([
      ["added", "new", "new: runs, 1"],
      ["total", "moved", "total 5 100 "],
    ]);
    const [bad] = await run([], edit(query("broken", "select nothing from orders")));
    expect(bad).toMatchObject({
      outcome: "broken",
      verdict: "fail",
      summary: expect.stringContaining("a new test that does not run") as string,
    });
  });
});

describe("masked columns", () => {
  test("what comes from them is masked in the words of a test, other columns are not; where that cannot be told all is", async () => {
    const edit = (contract: Contract): Contract => ({
      ...contract,
      schema: contract.schema.map((table) => ({
        ...table,
        properties: table.properties.map((item) => (item.name === "email" ? { ...item, classification: "pii" } : item)),
      })),
    });
    await lake.merge(await proposeContract(lake, "shop.orders", edit));
    const change = sql("shop.orders", "update shop.orders set email = 'zoe@x.org', amount = amount + 1 where id <= 3");
    const moved = async (text: string) => {
      await tests(query("mails", text));
      const [found] = await run([change]);
      return [found?.summary, JSON.stringify(found?.moves).includes("zoe")];
    };
    const numbers = "select sum(amount) as revenue, max(email) as last, count(*) as n from orders";
    expect(await moved(numbers)).toEqual(["last ••• → •••, revenue 5 100 → 5 103", false]);
    expect(await moved("select min(id) as id, email from orders where email like 'z%' group by email")).toEqual(["1 new key: •••", false]);
  });
});
