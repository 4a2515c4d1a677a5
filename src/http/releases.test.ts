import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "../../test/harness/app.ts";
import { addConsumer, setConsumer } from "../access/consumer-service.ts";
import { addGroup } from "../access/group-service.ts";
import { addPerson } from "../access/person-service.ts";
import { createToken } from "../access/token-service.ts";
import { proposeAndMerge } from "../changes/auto-merge-service.ts";
import { merge } from "../changes/merge-service.ts";
import { review } from "../changes/review-service.ts";
import { acknowledge } from "../changes/verdict-service.ts";
import { parsePlan } from "../rollouts/plans/plan-document.ts";
import { report } from "../rollouts/judge/outcome-service.ts";
import { reportsPerMinute } from "../rollouts/judge/outcome.ts";

let app: TestApp;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  app = await testApp({ local: false, localToken: "the-local-token" });
  await addPerson(app.lake, "root", { name: "max", role: "maintainer" });
  await addPerson(app.lake, "root", { name: "eve", role: "editor" });
  for (const name of ["max", "eve"]) tokens[name] = (await createToken(app.lake, "root", { person: name, label: "" })).token;
  for (const name of ["board", "report"]) {
    await addConsumer(app.lake, "root", { name, kind: "dashboard", criticality: "normal", labels: {} });
    tokens[name] = (await createToken(app.lake, "root", { consumer: name, label: "" })).token;
  }
});
afterAll(() => app.close());

const as = (name: string) => ({ token: tokens[name] ?? "" });
let round = 0;

/** A dataset with a change to it that waits for its merge. */
async function changed(): Promise<{ dataset: string; change: string }> {
  const dataset = `doors.t${(round += 1)}`;
  const file = async (csv: string) => app.lake.file(`${dataset}-${Math.random()}.csv`, csv);
  const source = { paths: [await file("id,v\n1,a\n")], names: ["t.csv"] };
  const made = await app.lake.propose({ operations: [{ kind: "create", dataset, source, key: ["id"] }], origin: "import" });
  await app.lake.merge(made.change?.id ?? "");
  const rows = { paths: [await file("id,v\n1,A\n")], names: ["t.csv"] };
  const { change } = await app.lake.propose({ operations: [{ kind: "upsert", dataset, source: rows }] });
  return { dataset, change: change?.id ?? "" };
}

const ring = "steps: [{ ring: board, wait: 2h }, { everyone: true }]";

async function started(): Promise<{ dataset: string; change: string; release: string }> {
  const found = await changed();
  await app.ask("POST", `/v1/changes/${found.change}/plan`, { ...as("max"), body: { plan: ring } });
  return { ...found, release: (await app.lake.merge(found.change)).release.id };
}

const rowsAs = async (dataset: string, consumer: string): Promise<{ text: string; reason: string | null; version: string | null }> => {
  const answer = await app.send("GET", `/v1/datasets/${dataset}/rows`, as(consumer));
  return { text: await answer.text(), reason: answer.headers.get("tidegate-reason"), version: answer.headers.get("tidegate-version") };
};

test("a release is listed, shown, paused, resumed and advanced, and every door serves its readers their view", async () => {
  const { dataset, change, release } = await started();
  const [line] = await app.ask("GET", `/v1/releases?state=open&dataset=${dataset}`, as("eve"));
  expect(line).toMatchObject({ id: release, state: "running", step: 1, steps: 2, moved: 1, planned: true, datasets: [dataset] });
  const shown: Data = await app.ask("GET", `/v1/releases/${release}`, as("eve"));
  expect(shown).toMatchObject({ changes: [change], datasets: [{ dataset, before: 1 }] });
  expect(shown.steps.map((step: Data) => [step.text, step.state, step.moved])).toEqual([
    ["ring board, for 2 h", "running", ["board"]],
    ["everyone", "waiting", []],
  ]);
  expect(await rowsAs(dataset, "board")).toMatchObject({ text: expect.stringContaining('"A"') as string, reason: `ring 1 of ${release}` });
  expect(await rowsAs(dataset, "report")).toMatchObject({ text: expect.stringContaining('"a"') as string, reason: "live" });
  const viewOf = (consumer: string) => app.ask("GET", `/v1/view?datasets=${dataset}`, as(consumer));
  const [ring, live] = [await viewOf("board"), await viewOf("report")];
  expect(ring).toMatchObject({ reason: `ring 1 of ${release}`, leaseUntil: null, datasets: [{ dataset, version: 2 }] });
  expect(live).toMatchObject({ reason: "live", datasets: [{ dataset, version: 1 }] });
  expect(ring.view).not.toBe(live.view);
  const looked = async (consumer: string) => (await app.ask("GET", `/v1/datasets/${dataset}/rows/1`, as(consumer))).v as string;
  expect([await looked("board"), await looked("report")]).toEqual(["A", "a"]);
  expect((await app.ask("GET", `/v1/releases/${dataset}`, as("eve"))).release.id).toBe(release);
  const sql = { sql: `select v from ${dataset}` };
  const queried = async (consumer: string) => (await app.send("POST", "/v1/query", { ...as(consumer), body: sql })).text();
  expect([await queried("board"), await queried("report")]).toEqual([
    expect.stringContaining('"A"') as string,
    expect.stringContaining('"a"') as string,
  ]);
  expect(await app.ask("POST", `/v1/releases/${release}/pause`, { ...as("max"), body: { reason: "month end" } })).toMatchObject({
    state: "paused",
    reason: "month end",
  });
  expect(await app.refused("POST", `/v1/releases/${release}/advance`, { ...as("max"), body: {} })).toMatchObject({
    status: 409,
    code: "release.state",
  });
  expect((await app.ask("POST", `/v1/releases/${release}/resume`, { ...as("max"), body: {} })).state).toBe("running");
  expect((await app.ask("POST", `/v1/releases/${release}/advance`, { ...as("max"), body: {} })).state).toBe("completed");
  expect(await rowsAs(dataset, "report")).toMatchObject({ text: expect.stringContaining('"A"') as string, reason: "live" });
});

test("who looks through a consumer's eyes is not the consumer: nothing is read in its name, no run begins, and no step follows", async () => {
  const { dataset, release } = await started();
  const look = await app.send("GET", `/v1/datasets/${dataset}/rows?as=board&run=night`, as("eve"));
  expect([look.headers.get("tidegate-reason"), await look.text()]).toEqual([`ring 1 of ${release}`, expect.stringContaining('"A"')]);
  await app.lake.ledger.flush();
  const read = await app.ask("GET", `/v1/who-read/${dataset}@2`, as("eve"));
  expect(read.readers.map((line: Data) => line.consumer as string)).toEqual(["(unattributed)"]);
  expect(await app.lake.db.selectFrom("view_leases").select("run").where("run", "=", "night").execute()).toEqual([]);
  expect((await app.ask("GET", `/v1/releases/${release}`, as("eve"))).judged.verdict).toBe("NO_DATA");
  await app.ask("POST", `/v1/releases/${release}/advance`, { ...as("max"), body: { reason: "the board is shut today" } });
  const events: Data[] = await app.ask("GET", `/v1/audit?subject=${release}`, as("eve"));
  const unproved = events.find((event) => event.action === "release.advance_unproved");
  expect(JSON.parse(unproved?.payload as string)).toMatchObject({ verdict: "NO_DATA", why: "the board is shut today" });
});

test("abort takes the readers of a release back and bars its change; of a release that all readers have it is refused", async () => {
  const { dataset, change, release } = await started();
  await rowsAs(dataset, "board");
  const back = await app.ask("POST", `/v1/releases/${release}/abort`, { ...as("max"), body: { reason: "wrong" } });
  expect(back).toMatchObject({ barred: [change], readers: [{ consumer: "board" }] });
  expect((await rowsAs(dataset, "board")).text).toContain('"a"');
  expect((await app.ask("GET", `/v1/releases/${release}`, as("eve"))).release).toMatchObject({ state: "aborted", reason: "wrong" });
  const other = await changed();
  const done = (await app.lake.merge(other.change)).release.id;
  expect(await app.refused("POST", `/v1/releases/${done}/abort`, { ...as("max"), body: {} })).toMatchObject({
    code: "release.state",
    hint: `tidegate rollback ${done}`,
  });
});

test("who may not merge does not move releases, and a consumer does not see them", async () => {
  const { change, release } = await started();
  for (const verb of ["advance", "pause", "resume", "abort"]) {
    expect(await app.refused("POST", `/v1/releases/${release}/${verb}`, { ...as("eve"), body: {} })).toMatchObject({ status: 403 });
    expect(await app.refused("POST", `/v1/releases/${release}/${verb}`, { ...as("board"), body: {} })).toMatchObject({ status: 403 });
  }
  expect(await app.refused("GET", `/v1/releases/${release}`, as("board"))).toMatchObject({ status: 403 });
  expect(await app.refused("POST", `/v1/changes/${change}/plan`, { ...as("eve"), body: { plan: ring } })).toMatchObject({ status: 403 });
  expect(await app.refused("GET", "/v1/releases/rel_nothing", as("eve"))).toMatchObject({ status: 404, code: "release.not_found" });
  const fed = await changed();
  await app.lake.db.updateTable("releases").set({ ordinary: true }).where("environment", "=", "production").execute();
  expect(await app.refused("GET", `/v1/releases/${fed.dataset}`, as("eve"))).toMatchObject({
    code: "release.not_found",
    found: "only ordinary batches",
  });
  await app.lake.db.updateTable("releases").set({ ordinary: false }).where("change_id", "is not", null).execute();
});

test("a consumer is pinned by its owner, also through a group, and by maintainers; not by others, and not by its own token", async () => {
  const { dataset } = await started();
  await addPerson(app.lake, "root", { name: "fay", role: "viewer" });
  tokens["fay"] = (await createToken(app.lake, "root", { person: "fay", label: "" })).token;
  await addGroup(app.lake, "root", { name: "desk", members: ["fay"] });
  await setConsumer(app.lake, "root", { name: "report", owner: "desk" });
  const body = { dataset, until: "2d", reason: "month end" };
  for (const name of ["eve", "report"])
    expect(await app.refused("POST", "/v1/consumers/report/pin", { ...as(name), body })).toMatchObject({ code: "auth.denied" });
  expect(await app.refused("POST", "/v1/consumers/nobody/pin", { ...as("max"), body })).toMatchObject({ code: "consumer.not_found" });
  for (const until of ["soon", "2020-01-01", "500d"])
    expect(await app.refused("POST", "/v1/consumers/report/pin", { ...as("max"), body: { ...body, until } })).toMatchObject({
      code: "usage.invalid",
    });
  expect(await app.ask("POST", "/v1/consumers/report/pin", { ...as("fay"), body })).toMatchObject({
    dataset,
    owner: "fay",
    keeps: [{ dataset, version: 1 }],
  });
  expect((await rowsAs(dataset, "report")).reason).toMatch(/^pinned by fay until /);
  expect(await app.ask("GET", "/v1/pins?consumer=report", as("eve"))).toHaveLength(1);
  const hold = { consumer: "report", until: "7d", reason: "audit" };
  expect(await app.refused("POST", `/v1/releases/${dataset}/hold`, { ...as("eve"), body: hold })).toMatchObject({ code: "auth.denied" });
  await app.ask("POST", `/v1/releases/${dataset}/hold`, { ...as("fay"), body: hold });
  expect((await app.ask("GET", `/v1/releases/${dataset}`, as("eve"))).holds).toMatchObject([{ consumer: "report", owner: "desk" }]);
  await app.ask("POST", `/v1/releases/${dataset}/unhold`, { ...as("fay"), body: { consumer: "report" } });
  const why = await app.ask("GET", `/v1/consumers/report/why?dataset=${dataset}`, as("eve"));
  expect(why).toMatchObject({
    version: 1,
    says: [{ by: "live" }, { by: "pin" }, { by: "release" }],
    next: { text: "its pin ends, and it has what all have" },
  });
  expect((await app.ask("GET", `/v1/releases/${dataset}`, as("eve"))).pins).toMatchObject([{ consumer: "report", reason: "month end" }]);
  expect(await app.refused("POST", "/v1/consumers/report/unpin", { ...as("eve"), body: {} })).toMatchObject({ code: "auth.denied" });
  expect(await app.ask("POST", "/v1/consumers/report/unpin", { ...as("max"), body: {} })).toMatchObject({ dataset });
  expect((await rowsAs(dataset, "report")).reason).toBe("live");
});

test("after a rollback the list to work through names the readers of every version that is barred, and people say what was done", async () => {
  const { lake } = app;
  const found = await changed();
  const plan = "steps: [{ ring: board }, { ring: report }, { everyone: true }]";
  await app.ask("POST", `/v1/changes/${found.change}/plan`, { ...as("max"), body: { plan } });
  const release = (await lake.merge(found.change)).release.id;
  await rowsAs(found.dataset, "board");
  const { change } = await lake.propose({
    operations: [
      { kind: "append", dataset: found.dataset, source: { paths: [await lake.file("more.csv", "id,v\n7,g\n")], names: ["more.csv"] } },
    ],
    origin: "feed",
  });
  await acknowledge(lake, { changeId: change?.id ?? "", person: "root", actor: "root" });
  await review(lake, { changeId: change?.id ?? "", person: "max", actor: "max", kind: "approve" });
  await merge(lake, { changeId: change?.id ?? "", actor: "root", ordinary: true, byPerson: true });
  await lake.drain();
  await app.ask("POST", `/v1/releases/${release}/advance`, { ...as("max"), body: {} });
  await rowsAs(found.dataset, "report");
  const back = await app.ask("POST", `/v1/releases/${release}/abort`, { ...as("max"), body: { reason: "wrong" } });
  const read = (lines: Data[]): string[] =>
    lines.map((line: Data) => `${line.consumer as string} ${line.dataset as string}@${line.version as number}`);
  expect(read(back.readers).map((text) => text.split("@")[0])).toEqual([`board ${found.dataset}`, `report ${found.dataset}`]);
  expect(new Set(back.readers.map((line: Data) => line.version as number)).size).toBe(2);

  const path = `/v1/releases/${found.dataset}/follow-ups`;
  const list: Data[] = await app.ask("GET", path, as("eve"));
  expect(list.map((item) => [item.consumer, item.release, item.state])).toEqual([
    ["board", release, "open"],
    ["report", release, "open"],
  ]);
  expect(list.flatMap((item) => read(item.reads))).toEqual(read(back.readers));
  const mark = (body: object, who = "eve") => ({ ...as(who), body });
  expect(await app.refused("POST", path, mark({ consumer: "board", mark: "waived" }))).toMatchObject({
    status: 400,
    code: "follow_up.note_missing",
  });
  expect(await app.refused("POST", path, mark({ consumer: "nobody", mark: "notified" }))).toMatchObject({
    status: 404,
    code: "follow_up.not_found",
  });
  expect(await app.refused("POST", path, mark({ consumer: "board", mark: "notified" }, "board"))).toMatchObject({ status: 403 });
  await app.ask("POST", path, mark({ consumer: "board", mark: "notified" }));
  await app.ask("POST", path, mark({ consumer: "board", mark: "recomputed", note: "ran again" }));
  expect(await app.ask("POST", path, mark({ consumer: "report", mark: "waived", note: "nobody looks at it" }))).toMatchObject({
    state: "waived",
    note: "nobody looks at it",
    markedBy: "eve",
  });
  expect((await app.ask("GET", `/v1/releases/${release}`, as("eve"))).followUps).toEqual({ open: 0, notified: 0, done: 2 });
  const record: Data[] = await app.ask("GET", `/v1/audit?subject=${release}`, as("eve"));
  expect(record.filter(({ action }) => action === "release.follow_up")).toHaveLength(3);

  // Who reads a barred version after all, by a file that it kept, is open again.
  const { id: versionId } = await lake.db
    .selectFrom("versions")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .select("versions.id")
    .where("datasets.name", "=", found.dataset)
    .where("versions.number", "=", back.readers[0].version)
    .executeTakeFirstOrThrow();
  lake.clock.advance(3_600_000);
  (await lake.ledger.open([{ consumer: "board", versionId, columns: ["v"], door: "rows", run: "" }])).done({ rows: 1, bytes: 1 });
  const open: Data[] = (await app.ask("GET", "/v1/follow-ups", as("eve"))).filter((item: Data) => item.release === release);
  expect(open.map((item) => [item.consumer, item.state, item.note])).toEqual([["board", "open", "ran again"]]);
  // The numbers were right after all: nothing is barred, and nothing is left to do.
  await app.ask("POST", "/v1/unbar", { ...as("max"), body: { change: found.change, reason: "right after all" } });
  expect(await app.ask("GET", path, as("eve"))).toEqual([]);
});

test("a consumer reports its own outcome, what it counts for is said, and what it says of its side is refused", async () => {
  const { dataset, change } = await changed();
  const plan = `${ring}\nguardrails: [{ outcome: conversion, worse: lower, kind: rate, margin: 2 % }, { outcome: latency, margin: 0.25 sd }]`;
  const planned = await app.ask("POST", `/v1/changes/${change}/plan`, { ...as("max"), body: { plan } });
  expect(planned.judging).toEqual([
    "each moved consumer must read the candidate, and none may fail where it worked",
    expect.stringMatching(/^conversion: not lower by more than 2 %; how many reports SAFE needs is told once some have come/),
    "latency: not higher by more than 0.25 sd; SAFE needs about 723 reports, both sides together",
  ]);
  const release = (await app.lake.merge(change)).release.id;
  await rowsAs(dataset, "board");
  const outcome = { id: "load-1", dataset, metric: "conversion", value: 1, latencyMs: 300, ok: true };
  const told = await app.ask("POST", "/v1/outcomes", { ...as("board"), body: outcome });
  expect(told).toMatchObject({ id: "load-1", release, step: 1, arm: "candidate", repeated: false, takenBack: false });
  expect((await app.ask("POST", "/v1/outcomes", { ...as("board"), body: outcome })).repeated).toBe(true);
  expect(await app.refused("POST", "/v1/outcomes", { ...as("board"), body: { ...outcome, id: "2", arm: "current" } })).toMatchObject({
    status: 400,
    code: "request.invalid",
  });
  expect(await app.refused("POST", "/v1/outcomes", { ...as("max"), body: outcome })).toMatchObject({ status: 403, code: "auth.denied" });
  expect(await app.refused("POST", "/v1/outcomes", { body: outcome })).toMatchObject({ status: 401 });
  const shown: Data = await app.ask("GET", `/v1/releases/${release}`, as("eve"));
  expect(shown.judged.guardrails.map((item: Data) => [item.guardrail, item.verdict, item.candidate])).toEqual([
    ["consumers", "SAFE", 1],
    ["conversion", "NO_DATA", 1],
    ["latency", "NO_DATA", 1],
  ]);
  await app.ask("POST", `/v1/releases/${release}/abort`, { ...as("max"), body: {} });
});

test("who reports too often is told when to come back, and others are not held up by it", async () => {
  const { dataset } = await changed();
  const send = (consumer: string, at: number) =>
    report(app.lake, { consumer, environment: "production" }, { id: `often-${at}`, dataset, ok: true });
  app.lake.clock.advance(60_000 - (app.lake.clock.now().getTime() % 60_000));
  for (let at = 0; at < reportsPerMinute; at += 1) await send("report", at);
  await expect(send("report", reportsPerMinute)).rejects.toMatchObject({ code: "outcome.too_many" });
  expect((await send("board", 0)).repeated).toBe(false);
  const answer = await app.send("POST", "/v1/outcomes", { ...as("report"), body: { id: "more", dataset, ok: true } });
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "59"]);
  app.lake.clock.advance(60_000);
  expect((await app.ask("POST", "/v1/outcomes", { ...as("report"), body: { id: "more", dataset, ok: true } })).repeated).toBe(false);
});

test("a proposal brings its plan with it; a plan that is none is refused before anything is written, and so is one on somebody's open change", async () => {
  const { dataset, change: open } = await changed();
  const operations = [{ kind: "update", dataset, set: [{ column: "v", expression: "'B'" }] }];
  const opened = async () => (await app.ask("GET", `/v1/changes?dataset=${dataset}`, as("eve"))).length as number;
  const before = await opened();
  expect(await app.refused("POST", "/v1/changes", { ...as("eve"), body: { operations, plan: "steps: []" } })).toMatchObject({
    code: "plan.invalid",
  });
  const more = { ...as("eve"), body: { operations, plan: ring } };
  expect(await app.refused("POST", `/v1/changes/${open}/operations`, more)).toMatchObject({ code: "auth.denied" });
  const superseding = { operations, plan: `${ring}\nqueue: supersede` };
  expect(await app.refused("POST", "/v1/changes", { ...as("eve"), body: superseding })).toMatchObject({ code: "auth.denied" });
  expect(await opened()).toBe(before);
  const steps = ["ring board, for 2 h", "everyone"];
  const { change, plan } = await app.ask("POST", "/v1/changes", { ...as("eve"), body: { operations, plan: ring } });
  expect(plan).toEqual({ steps, notes: [] });
  expect(await app.ask("GET", `/v1/changes/${change.id}/plan`, as("eve"))).toMatchObject({ from: "change", steps });
  expect((await app.lake.merge(change.id)).release).toMatchObject({ state: "running", step: 1, planned: true });
});

test("policy gives the plan, and then a change cannot bring its own", async () => {
  const free = await changed();
  expect(await app.ask("GET", `/v1/changes/${free.change}/plan`, as("eve"))).toEqual({
    from: "default",
    rule: null,
    steps: ["everyone"],
    queue: "wait",
    judging: [],
    notes: [],
  });
  const merged = await changed();
  expect((await app.lake.merge(merged.change)).release.state).toBe("completed");
  expect(await app.refused("POST", `/v1/changes/${merged.change}/plan`, { ...as("max"), body: { plan: ring } })).toMatchObject({
    code: "change.closed",
  });
  expect(await app.refused("POST", `/v1/changes/${free.change}/plan`, { ...as("max"), body: { plan: "steps: []" } })).toMatchObject({
    code: "plan.invalid",
  });
  const policy = `rules:\n  - name: slowly\n    when: { dataset: "doors.*" }\n    rollout: { steps: [{ ring: report, wait: 1d }, { percent: 50, wait: 1d }] }\n  - { name: batches, when: { dataset: "batch.*" }, automatic: true, untested: allow }\n`;
  const { change } = await app.lake.propose({ operations: [], documents: [{ path: "policy", text: policy }] });
  await app.lake.merge(change?.id ?? "");
  expect(await app.ask("GET", `/v1/changes/${free.change}/plan`, as("eve"))).toEqual({
    from: "policy",
    rule: "slowly",
    steps: ["ring report, for 1 d", "50 % of consumers, for 1 d", "everyone"],
    queue: "wait",
    judging: ["each moved consumer must read the candidate, and none may fail where it worked"],
    notes: [],
  });
  expect(await app.refused("POST", `/v1/changes/${free.change}/plan`, { ...as("max"), body: { plan: ring } })).toMatchObject({
    status: 403,
    code: "plan.policy",
  });
  const brought = { operations: [{ kind: "update", dataset: free.dataset, set: [{ column: "v", expression: "'C'" }] }], plan: ring };
  const changes = async () => (await app.ask("GET", `/v1/changes?dataset=${free.dataset}`, as("eve"))).length as number;
  const before = await changes();
  expect(await app.refused("POST", "/v1/changes", { ...as("eve"), body: brought })).toMatchObject({ code: "plan.policy", found: "slowly" });
  expect(await changes()).toBe(before);
  expect((await app.lake.merge(free.change)).release).toMatchObject({ state: "running", step: 1 });
  expect((await rowsAs(free.dataset, "report")).text).toContain('"A"');
  expect((await rowsAs(free.dataset, "board")).text).toContain('"a"');
  // What policy merges alone goes to all at once as an ordinary batch; with a plan of its own it goes step by step.
  const rows = async (csv: string) => ({ paths: [await app.lake.file(`batch-${csv.length}.csv`, csv)], names: ["batch.csv"] });
  const made = await app.lake.propose({
    operations: [{ kind: "create", dataset: "batch.t", source: await rows("id,v\n1,a\n"), key: ["id"] }],
    origin: "import",
  });
  await app.lake.merge(made.change?.id ?? "");
  const batch = { operations: [{ kind: "append" as const, dataset: "batch.t", source: await rows("id,v\n22,b\n") }], actor: "eve" };
  const auto = { ...batch, origin: "person" as const, plan: parsePlan(ring), byPerson: false };
  expect((await proposeAndMerge(app.lake, auto)).merged?.release).toMatchObject({ state: "running", planned: true, ordinary: false });
});
