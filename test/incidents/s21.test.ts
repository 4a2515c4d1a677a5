import { afterAll, beforeAll, expect, test } from "vitest";
import type { SchemaEdit } from "../../src/changes/operation.ts";
import type { Data } from "../harness/app.ts";
import { against, csvOf, failing, incident, range, testsOf, type Incident } from "../harness/incident.ts";

/*
 * S21: a column is dropped, and weeks later its name comes back with another meaning. One of eight readers still reads the old one, and would
 * take the new for it.
 */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("trade.orders", orders, ["id"]);
  await replay.table("trade.quotes", orders, ["id"]);
  for (const name of desks) await replay.consumer(name, { kind: "service", owner: "ben", criticality: "high" }, {});
  await replay.consumer(old, { kind: "service", owner: "ina", criticality: "high" }, { "test orders": testOrders });
  for (const name of [...desks, old]) await replay.read(name, "trade.orders", { limit: 1 });
});
afterAll(() => replay.close());

const desks = range(7, (at) => `desk-${at + 1}`);
const old = "desk-8";
/** Flag 1: a test order, which is never sent. */
const orders = csvOf(
  "id,flag,amount",
  range(800, (at) => [at, at % 10 === 0 ? 1 : 0, 10 + (at % 90)]),
);
const testOrders = "select count(*) as not_sent from trade.orders where flag = 1";
const plan = `
steps:
  - { ring: [desk-1, desk-8], wait: 1h }
  - everyone: true
`;

async function edited(dataset: string, edits: readonly SchemaEdit[]): Promise<string> {
  const { change } = await replay.lake.propose({ operations: [{ kind: "schema", dataset, edits }], actor: "eve" });
  return change?.id ?? "";
}

const dropped = (dataset: string) => edited(dataset, [{ edit: "drop", name: "flag" }]);

/** The name comes back; now flag 1 is a large order, which is sent at once. */
async function reused(dataset: string): Promise<string> {
  const set = [{ column: "flag", expression: "case when amount > 50 then 1 else 0 end" }];
  const operations = [
    { kind: "schema" as const, dataset, edits: [{ edit: "add" as const, name: "flag", type: "long" as const }] },
    { kind: "update" as const, dataset, set },
  ];
  const { change } = await replay.lake.propose({ operations, actor: "eve" });
  return change?.id ?? "";
}

/** How many orders a desk takes for test orders. */
async function notSent(desk: string): Promise<number> {
  const answer = await replay.app.send("POST", "/v1/query", { token: await replay.token(desk), body: { sql: testOrders } });
  const [row] = JSON.parse(await answer.text()) as { not_sent: number }[];
  return row?.not_sent ?? Number.NaN;
}

/** Lets a release go from step to step, with all desks at work. */
async function goes(release: string): Promise<string> {
  for (const name of desks) await replay.read(name, "trade.orders", { columns: "id,amount", limit: 1 });
  await replay.later(61);
  return (await replay.release(release)).release.state;
}

const who = (): Promise<Data> => replay.app.ask("GET", "/v1/who-has/trade.orders");

test("the drop holds back the one reader whose query breaks, and who-has shows that it is left behind", async () => {
  const id = await dropped("trade.orders");
  expect(testsOf(await replay.verdict(id), old)).toMatchObject([{ outcome: "broken", owner: "ina" }]);
  const release = await replay.force(id, plan);
  await replay.later(0);
  expect(await goes(release)).toBe("completed_with_holds");
  expect(await notSent(old)).toBe(80);
  const has = await who();
  expect(has.versions.map((item: Data) => item.consumers)).toEqual([7, 1]);
  expect(has.consumers[0]).toMatchObject({
    consumer: old,
    owner: "ina",
    version: 1,
    reason: `held by ${release}`,
    lastRead: { version: 1 },
  });
});

test("when the name comes back the change warns of it and waits; let in, seven desks have it, and the eighth stays where it is", async () => {
  await replay.later(14 * 24 * 60);
  const id = await reused("trade.orders");
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["built-in/nameReused"]);
  expect(against(verdict, "check")).toEqual([expect.stringMatching(/no column bears a name that another column had.*found flag/)]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
  await replay.policy(
    "rules:\n  - { name: names are not handed out twice, when: { schema: name_reused }, refuse: give it a name of its own }\n",
  );
  expect(await replay.refusal(id)).toMatchObject({
    code: "merge.blocked",
    message: expect.stringContaining("a name of its own") as string,
  });
  const release = await replay.force(id, plan);
  await replay.later(0);
  expect(await goes(release)).toMatch(/^completed/);
  expect(await notSent("desk-1")).toBe(range(800, (at) => at % 90 > 40).filter(Boolean).length);
  expect(await notSent(old)).toBe(80);
  const has = await who();
  expect(has.versions.map((item: Data) => item.consumers)).toEqual([7, 1]);
  expect(has.consumers.filter((item: Data) => item.version !== has.live).map((item: Data) => [item.consumer, item.version])).toEqual([
    [old, 1],
  ]);
});

test("without a stored query its own read takes the drop back, and then a pin keeps it: it never meets the new meaning", async () => {
  await replay.consumer(old, {}, {});
  const readsFlag = async (): Promise<number> => {
    const path = "/v1/datasets/trade.quotes/rows?columns=id,flag&limit=1";
    const answer = await replay.app.send("GET", path, { token: await replay.token(old) });
    await answer.text();
    return answer.status;
  };
  expect(await readsFlag()).toBe(200);
  const id = await dropped("trade.quotes");
  const release = await replay.force(id, plan);
  expect(await readsFlag()).toBe(404);
  expect((await replay.release(release)).release).toMatchObject({
    state: "rolled_back",
    reason: expect.stringMatching(/^HARM: desk-8 fails on the candidate and did not before: .*flag/) as string,
  });
  expect(await readsFlag()).toBe(200);
  await replay.lake.drain();
  await replay.lake.merge((await replay.app.ask("GET", `/v1/changes/${id}`)).revertedBy[0] as string);
  await replay.lake.drain();

  const body = { dataset: "trade.quotes", until: "60d", reason: "it still reads the old flag" };
  const pin = await replay.app.ask("POST", `/v1/consumers/${old}/pin`, { body });
  for (const step of [dropped, reused]) {
    await replay.force(await step("trade.quotes"));
    await replay.lake.drain();
    expect(await readsFlag()).toBe(200);
  }
  const has = await replay.app.ask("GET", "/v1/who-has/trade.quotes");
  expect(has.consumers).toMatchObject([{ consumer: old, reason: expect.stringMatching(/^pinned by root until/) as string }]);
  expect([has.consumers[0].version, has.live > has.consumers[0].version]).toEqual([pin.keeps[0].version, true]);
});
