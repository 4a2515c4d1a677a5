import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";

// Each run of a query is a process of its own.
vi.setConfig({ testTimeout: 120_000 });

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("shop.orders", "id,amount\n1,10\n2,20\n", ["id"]);
  await app.ask("POST", "/v1/consumers", { body: { name: "board", kind: "dashboard", owner: "ops", criticality: "high" } });
});
afterAll(() => app.close());

const total = { name: "total", query: { sql: "select sum(amount) as total from orders" } };
const add = (tests: object[], more: object = {}) => app.ask("POST", "/v1/consumers/board/tests", { body: { tests, ...more } });

test("tests are added by a change that is merged at once; the same again changes nothing", async () => {
  const made = await add([total, { name: "rows", query: { sql: "select count(*) as n from orders", timeout: "30s" } }]);
  expect(made).toMatchObject({
    added: ["total", "rows"],
    unchanged: [],
    waits: null,
    change: { state: "merged", title: "Tests of board: 2 tests" },
  });
  expect(await add([total])).toMatchObject({ change: null, unchanged: ["total"] });
  expect(await app.ask("GET", "/v1/consumer-tests?consumer=board")).toMatchObject([
    { consumer: "board", test: "total", kind: "query", text: total.query.sql, last: { outcome: "new" } },
    { test: "rows", last: { outcome: "new" } },
  ]);
});

test("another test of the same name is refused, or proposed in its place, which waits", async () => {
  const other = { name: "total", query: { sql: "select 1 as total" } };
  expect(await app.refused("POST", "/v1/consumers/board/tests", { body: { tests: [other] } })).toMatchObject({
    status: 409,
    code: "consumer.test_exists",
    found: "total",
  });
  const { change } = await add([other], { replace: true });
  expect(change.state).toBe("open");
  await app.ask("POST", `/v1/changes/${change.id}/close`, { body: {} });
});

test("tests run on a change, from an older version, and on main alone; what they said last is listed", async () => {
  const proposed = await app.ask("POST", "/v1/changes", {
    body: { operations: [{ kind: "sql", dataset: "orders", sql: "update orders set amount = 25 where id = 2" }] },
  });
  const run = (body: object) => app.ask("POST", "/v1/consumer-tests/run", { body });
  const onChange = await run({ change: proposed.change.id });
  expect(onChange.tests).toMatchObject([
    { consumer: "board", owner: "ops", test: "rows", outcome: "same" },
    { test: "total", outcome: "moved", summary: "total 30 → 35" },
  ]);
  expect(await app.ask("GET", "/v1/consumer-tests")).toMatchObject([
    { test: "total", last: { outcome: "moved" } },
    { test: "rows", last: { outcome: "same" } },
  ]);
  await app.ask("POST", `/v1/changes/${proposed.change.id}/acknowledge`, { body: {} });
  await app.ask("POST", `/v1/changes/${proposed.change.id}/merge`);
  expect((await run({ change: proposed.change.id })).tests).toMatchObject([{ reused: true }, { outcome: "moved", reused: true }]);
  expect((await run({ consumer: "board", tests: ["total"], from: "orders@1" })).tests).toMatchObject([
    { outcome: "moved", summary: "total 30 → 35" },
  ]);
  expect((await run({ consumer: "board" })).tests).toMatchObject([{ outcome: "same" }, { outcome: "same" }]);
  expect(await app.refused("POST", "/v1/consumer-tests/run", { body: { consumer: "board", tests: ["nothing"] } })).toMatchObject({
    status: 404,
    code: "consumer.test_not_found",
  });
});

test("a test is taken away by a change that waits", async () => {
  const change = await app.ask("POST", "/v1/consumers/board/tests/remove", { body: { test: "rows" } });
  expect(change).toMatchObject({ state: "open", title: "Tests of board: without rows" });
  expect(await app.ask("GET", "/v1/consumer-tests")).toHaveLength(2);
  await app.ask("POST", `/v1/changes/${change.id}/merge`);
  expect(await app.ask("GET", "/v1/consumer-tests")).toHaveLength(1);
  expect(await app.refused("POST", "/v1/consumers/board/tests/remove", { body: { test: "rows" } })).toMatchObject({
    code: "consumer.test_not_found",
  });
});

test("a query that does not run on what main has is refused by its name, and no change is left behind", async () => {
  const { length } = await app.ask("GET", "/v1/changes");
  const queries = ["select nothing from orders", "drop table orders", "select 1 from elsewhere"];
  const tests = [total, ...queries.map((sql, at) => ({ name: `wrong ${at}`, query: { sql } }))];
  expect(await app.refused("POST", "/v1/consumers/board/tests", { body: { tests } })).toMatchObject({
    code: "consumer.query_invalid",
    found: "wrong 0, wrong 1, wrong 2",
    details: { tests: [{ code: "sql.failed" }, { code: "sql.refused" }, { code: "sql.unknown_table" }] },
  });
  expect(await app.ask("GET", "/v1/changes")).toHaveLength(length);
});

test("tests that cannot be read, and consumers that nobody added, are refused", async () => {
  const bad = { name: "../x", query: { sql: "select 1" } };
  expect(await app.refused("POST", "/v1/consumers/board/tests", { body: { tests: [bad] } })).toMatchObject({
    code: "consumer.test_invalid",
  });
  expect(await app.refused("POST", "/v1/consumers/nobody/tests", { body: { tests: [total] } })).toMatchObject({
    code: "consumer.not_found",
  });
});
