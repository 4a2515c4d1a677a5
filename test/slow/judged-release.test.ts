import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { addPerson } from "../../src/access/person-service.ts";
import { createToken } from "../../src/access/token-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { importText } from "../harness/changes.ts";
import { testApp, type Data, type TestApp } from "../harness/app.ts";

/*
 * A release over three rings, seen from outside: it passes its checks and harms what the first ring reports. The judge takes it back, the
 * ledger says who read it, its revert merges, and an hourly append flows all the time. Then a good one goes all the way.
 */

let app: TestApp;
const tokens: Record<string, string> = {};
const consumers = ["board", "pricing", "export"];

beforeAll(async () => {
  app = await testApp({ local: false, localToken: "the-local-token" });
  await addPerson(app.lake, "root", { name: "max", role: "maintainer" });
  tokens["max"] = (await createToken(app.lake, "root", { person: "max", label: "" })).token;
  for (const name of consumers) {
    await addConsumer(app.lake, "root", { name, kind: "dashboard", criticality: "normal", labels: {} });
    tokens[name] = (await createToken(app.lake, "root", { consumer: name, label: "" })).token;
  }
});
afterAll(() => app.close());

const as = (name: string) => ({ token: tokens[name] ?? "" });
const plan = `
steps:
  - { ring: board, wait: 1h }
  - { ring: pricing, wait: 1h }
  - everyone: true
guardrails:
  - { outcome: booked, worse: lower, kind: rate, margin: 0.05 }
`;

let files = 0;
async function propose(operation: "append" | "upsert", csv: string): Promise<string> {
  const path = await app.lake.file(`judged-${(files += 1)}.csv`, csv);
  const source = { paths: [path], names: [path] };
  const { change } = await app.lake.propose({ operations: [{ kind: operation, dataset: "shop.fares", source }] });
  return change?.id ?? "";
}

let trip = 100;
/** An hour later a batch comes, and the server looks. */
async function hour(): Promise<void> {
  app.lake.clock.advance(3_600_000);
  trip += 1;
  const path = await app.lake.file(`hour-${trip}.csv`, `trip,fare\n${trip},10\n`);
  const operations = [{ kind: "append" as const, dataset: "shop.fares", source: { paths: [path], names: [path] } }];
  const { change } = await app.lake.propose({ operations, origin: "feed" });
  await approve(change?.id ?? "");
  await merge(app.lake, { changeId: change?.id ?? "", actor: "max", ordinary: true, byPerson: true });
  await app.services.drainOutbox();
}

async function approve(change: string): Promise<void> {
  await app.ask("POST", `/v1/changes/${change}/acknowledge`, { ...as("max"), body: {} });
  await app.ask("POST", `/v1/changes/${change}/reviews`, { ...as("max"), body: { kind: "approve" } });
}

async function mergeOf(change: string): Promise<Data> {
  await approve(change);
  return app.ask("POST", `/v1/changes/${change}/merge`, { ...as("max"), body: {} });
}

async function rowsOf(consumer: string): Promise<{ rows: { trip: number; fare: number }[]; version: string }> {
  const answer = await app.send("GET", "/v1/datasets/shop.fares/rows?format=json", as(consumer));
  expect(answer.status).toBe(200);
  const rows = JSON.parse(await answer.text()) as { trip: number; fare: number }[];
  return { rows, version: answer.headers.get("tidegate-version") ?? "" };
}

/** Each consumer prices what it reads: who sees a fare above its worth books less. */
let loads = 0;
async function work(count: number): Promise<void> {
  for (const consumer of consumers) {
    const { rows } = await rowsOf(consumer);
    const isDear = rows.some(({ fare }) => fare > 50);
    const good = Math.round(count * (isDear ? 0.25 : 0.6));
    const body = {
      id: `load-${(loads += 1)}`,
      dataset: "shop.fares",
      metric: "booked",
      sums: { n: count, sum: good, sumSquares: good },
      ok: true,
    };
    await app.ask("POST", "/v1/outcomes", { ...as(consumer), body });
  }
}

const shown = (release: string): Promise<Data> => app.ask("GET", `/v1/releases/${release}`, as("max"));

test("harm that no check sees is taken back by the judge in the first ring, and nothing that came meanwhile is lost", async () => {
  const path = await app.lake.file("fares.csv", "trip,fare\n1,10\n2,20\n");
  const source = { paths: [path], names: [path] };
  const made = await app.lake.propose({ operations: [{ kind: "create", dataset: "shop.fares", source, key: ["trip"] }], origin: "import" });
  await app.lake.merge(made.change?.id ?? "");
  await work(50);
  const bad = await propose("upsert", "trip,fare\n2,60\n");
  await app.ask("POST", `/v1/changes/${bad}/plan`, { ...as("max"), body: { plan } });
  const merged = await mergeOf(bad);
  const release: string = merged.release.id;
  expect(merged.release).toMatchObject({ state: "running", step: 1 });

  await work(40);
  await hour();
  // Too little is known: it is held, and the batch reached both sides all the same.
  expect((await shown(release)).release).toMatchObject({ state: "held", reason: expect.stringMatching(/^INCONCLUSIVE/) as string });
  const { version } = await rowsOf("board");
  expect((await rowsOf("board")).rows).toHaveLength(3);
  expect((await rowsOf("export")).rows).toHaveLength(3);
  for (let round = 0; round < 5 && (await shown(release)).release.state === "held"; round += 1) await work(200);

  const taken = await shown(release);
  expect(taken.release).toMatchObject({
    state: "rolled_back",
    reason: expect.stringMatching(/^HARM: booked 0\.25 against 0\.6 /) as string,
  });
  for (const consumer of consumers) expect((await rowsOf(consumer)).rows.map(({ fare }) => fare)).not.toContain(60);
  const [entry] = await app
    .ask("GET", "/v1/audit?limit=100", as("max"))
    .then((all: Data) => all.filter((item: Data) => item.action === "release.rollback"));
  expect(entry).toMatchObject({ actor: "tidegate judge", subject: release });
  const who = await app.ask("GET", `/v1/who-read/${version}`, as("max"));
  expect(who.readers.map((line: Data) => line.consumer)).toEqual(["board"]);

  await hour();
  for (const consumer of consumers) expect((await rowsOf(consumer)).rows).toHaveLength(4);
  const [revert] = (await app.ask("GET", `/v1/changes/${bad}`, as("max"))).revertedBy;
  await mergeOf(revert);
  await app.services.drainOutbox();
  await hour();
  for (const consumer of consumers) {
    const { rows } = await rowsOf(consumer);
    expect(rows).toHaveLength(5);
    expect(rows.find((row) => row.trip === 2)?.fare).toBe(20);
  }
});

test("a good release goes through all rings by itself as its reports prove it, with the batches of each hour", async () => {
  const good = await propose("upsert", "trip,fare\n2,21\n");
  await app.ask("POST", `/v1/changes/${good}/plan`, { ...as("max"), body: { plan } });
  const { release } = await mergeOf(good);
  for (let step = 1; step <= 2; step += 1) {
    await work(2500);
    expect((await shown(release.id)).judged).toMatchObject({ verdict: "SAFE" });
    await hour();
  }
  expect((await shown(release.id)).release).toMatchObject({ state: "completed" });
  for (const consumer of consumers) expect((await rowsOf(consumer)).rows.find((row) => row.trip === 2)?.fare).toBe(21);
});

test("a read or query of a moved consumer that only the candidate fails takes the release back; what fails on both sides does not", async () => {
  const { change } = await app.lake.propose({
    operations: [{ kind: "schema", dataset: "shop.fares", edits: [{ edit: "rename", name: "fare", to: "price" }] }],
  });
  const rings = "steps: [{ ring: board, wait: 1h }, { everyone: true }]";
  await app.ask("POST", `/v1/changes/${change?.id ?? ""}/plan`, { ...as("max"), body: { plan: rings } });
  const { release } = await mergeOf(change?.id ?? "");
  const state = async (): Promise<string> => (await shown(release.id)).release.state;
  const asked = async (consumer: string, method: string, path: string, body?: unknown): Promise<number> => {
    const answer = await app.send(method, path, { ...as(consumer), ...(body === undefined ? {} : { body }) });
    // A query's process is there until its answer has been read.
    await answer.text();
    return answer.status;
  };
  const query = (consumer: string, sql: string): Promise<number> => asked(consumer, "POST", "/v1/query", { sql });
  expect(await query("board", "select price from fares")).toBe(200);
  // Nobody has such a column; somebody who is not moved has no price; a person looks through the board's eyes.
  expect(await query("board", "select nothing from fares")).toBe(400);
  expect(await asked("board", "GET", "/v1/datasets/shop.fares/rows?columns=nothing")).toBe(404);
  expect(await query("export", "select price from fares")).toBe(400);
  expect(await asked("max", "GET", "/v1/datasets/shop.fares/rows?columns=fare&as=board")).toBe(404);
  expect(await state()).toBe("running");
  expect(await query("board", "select sum(fare) as total from fares")).toBe(400);
  expect(await state()).toBe("rolled_back");
  expect((await shown(release.id)).release.reason).toMatch(
    /^HARM: board fails on the candidate and did not before: its query fails \(sql\.failed\)/,
  );
  expect(await query("board", "select sum(fare) as total from fares")).toBe(200);
});

/** A change in the board's ring before everyone; gives its release. */
async function toBoard(
  operations: Parameters<typeof app.lake.propose>[0]["operations"],
  merging: (change: string) => Promise<Data> = mergeOf,
): Promise<string> {
  const { change } = await app.lake.propose({ operations });
  const id = change?.id ?? "";
  await app.ask("POST", `/v1/changes/${id}/plan`, {
    ...as("max"),
    body: { plan: "steps: [{ ring: board, wait: 1h }, { everyone: true }]" },
  });
  const { release } = await merging(id);
  await app.services.drainOutbox();
  return release.id as string;
}

const stateOf = async (release: string): Promise<string> => (await shown(release)).release.state;
async function asked(path: string, body?: unknown): Promise<number> {
  const answer = await app.send(body === undefined ? "GET" : "POST", path, { ...as("board"), ...(body === undefined ? {} : { body }) });
  await answer.text();
  return answer.status;
}
const written = async (csv: string) => {
  const path = await app.lake.file(`written-${(files += 1)}.csv`, csv);
  return { paths: [path], names: [path] };
};

test("a query over two releases is held against the one with which it fails, and against the later one where it takes both", async () => {
  for (const name of ["left", "right", "third"]) await importText(app.lake, `two.${name}`, "id,v\n1,a\n", ["id"]);
  const left = await toBoard([{ kind: "schema", dataset: "two.left", edits: [{ edit: "rename", name: "v", to: "value" }] }]);
  const right = await toBoard([{ kind: "upsert", dataset: "two.right", source: await written("id,v\n1,B\n") }]);
  expect(await asked("/v1/query", { sql: 'select l.v as "from", r.v from two.left l join two.right r using (id)' })).toBe(400);
  expect([await stateOf(left), await stateOf(right)]).toEqual(["rolled_back", "running"]);
  // Either alone does no harm to this query.
  const third = await toBoard([{ kind: "upsert", dataset: "two.third", source: await written("id,v\n1,A\n") }]);
  const sql = "select case when t.v = 'A' and r.v = 'B' then cast(t.v as int) else 1 end as n from two.third t join two.right r using (id)";
  expect(await asked("/v1/query", { sql })).toBe(400);
  expect([await stateOf(third), await stateOf(right)]).toEqual(["rolled_back", "running"]);
  expect((await shown(third)).release.reason).toContain(`only together with ${right}`);
  expect(await asked("/v1/query", { sql })).toBe(200);
});

test("a table that is gone, and a key that is none any more, are failures for whom the step moved; a row that is gone is an answer", async () => {
  await importText(app.lake, "doors.t", "id,v\n1,a\n2,b\n3,c\n4,d\n", ["id"]);
  await importText(app.lake, "doors.u", "id,v\n1,a\n", ["id"]);
  const derive = (key: string[]) => [{ kind: "derive" as const, dataset: "doors.mart", sql: "select id, v from doors.u", key }];
  await app.lake.merge((await app.lake.propose({ operations: derive(["id"]) })).change?.id ?? "");
  const rows = await toBoard([{ kind: "delete", dataset: "doors.t", source: await written("id\n2\n") }]);
  expect([await asked("/v1/datasets/doors.t/rows/1"), await asked("/v1/datasets/doors.t/rows/2")]).toEqual([200, 404]);
  expect(await stateOf(rows)).toBe("running");

  // A key that is loosened waits for its owner; the test is about what its readers meet.
  const keyed = await toBoard(derive(["id", "v"]), app.lake.merge);
  expect(await asked("/v1/datasets/doors.mart/rows/1,a")).toBe(200);
  expect(await asked("/v1/datasets/doors.mart/rows/1")).toBe(400);
  expect([await stateOf(keyed), await asked("/v1/datasets/doors.mart/rows/1")]).toEqual(["rolled_back", 200]);

  await importText(app.lake, "doors.old", "id,v\n1,a\n", ["id"]);
  const dropped = await toBoard([{ kind: "drop", dataset: "doors.old" }]);
  const config = (await (await app.send("GET", "/iceberg/v1/config", as("board"))).json()) as Data;
  const table = `/iceberg/v1/${config.overrides.prefix as string}/namespaces/doors/tables/old`;
  expect(await stateOf(dropped)).toBe("running");
  // Whether it is there may be asked; to load it is to need it.
  const exists = await app.send("HEAD", table, as("board"));
  expect([exists.status, await stateOf(dropped)]).toEqual([404, "running"]);
  expect([await asked(table), await stateOf(dropped), await asked(table)]).toEqual([404, "rolled_back", 200]);
});
