import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { showChange } from "../../src/changes/change-reads.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { holdBack, unhold } from "../../src/rollouts/pins/hold-service.ts";
import { listPins } from "../../src/rollouts/pins/pin-reads.ts";
import { pin, unpin, type PinRequest } from "../../src/rollouts/pins/pin-service.ts";
import { pinsBesideRelease, showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { answerFor } from "../../src/reading/read-service.ts";
import { importText, proposeText, rollBack } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/*
 * Who stays on what it has while others move: a consumer that a step would break, and one that somebody pinned. Each step is tested for those
 * whom it moves.
 */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  for (const name of ["board", "report"])
    await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", owner: name === "board" ? "bo" : undefined, labels: {} });
  const text = [
    "tests:",
    ...["first", "later", "old"].flatMap((word) => [`  - name: ${word}`, `    query: { sql: "select sum(fare) as total from ${word}.t" }`]),
  ].join("\n");
  for (const name of ["first", "later", "old"]) await importText(lake, `${name}.t`, "id,fare,tip\n1,10,1\n2,20,2\n", ["id"]);
  const { change } = await lake.propose({ operations: [], documents: [{ path: "consumers/board", text: `${text}\n` }] });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

const hours = (count: number): void => lake.clock.advance(count * 3_600_000);
const columnsOf = async (dataset: string, consumer?: string) => Object.keys((await rowsOf(lake, dataset, { consumer }))[0] ?? {}).sort();

/** A change that drops the column that the board reads, merged by break-glass with a plan. */
async function withoutFare(dataset: string, plan: string): Promise<{ change: string; release: string }> {
  const { change } = await lake.propose({ operations: [{ kind: "schema", dataset, edits: [{ edit: "drop", name: "fare" }] }] });
  await setPlan(lake, { changeId: change?.id ?? "", text: plan, actor: "ana" });
  return { change: change?.id ?? "", release: (await lake.merge(change?.id ?? "")).release.id };
}

async function feed(dataset: string, csv: string): Promise<void> {
  const id = await proposeText(lake, dataset, { kind: "append", csv }, { origin: "feed" });
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  await merge(lake, { changeId: id, actor: "ana", ordinary: true, byPerson: true });
  await lake.drain();
}

test("a consumer that a step would break is not moved, and is held back when all others have the release", async () => {
  const { release } = await withoutFare("first.t", "steps: [{ ring: [board, report], wait: 1h }]");
  // Break-glass let it merge, so the first step waits for its own tests.
  expect((await showRelease(lake.db, release)).release).toMatchObject({ state: "running", step: 0 });
  await lake.drain();
  const first = await showRelease(lake.db, release);
  expect(first.release.step).toBe(1);
  expect(first.members.map(({ consumer }) => consumer)).toEqual(["report"]);
  expect([await columnsOf("first.t", "board"), await columnsOf("first.t", "report")]).toEqual([
    ["fare", "id", "tip"],
    ["id", "tip"],
  ]);
  hours(1);
  await lake.drain();
  const done = await showRelease(lake.db, release);
  expect(done.release.state).toBe("completed_with_holds");
  expect(done.holds).toMatchObject([{ consumer: "board", owner: "bo", endedAt: null }]);
  expect(done.holds[0]?.reason).toContain("fare");
  expect([await columnsOf("first.t", "board"), await columnsOf("first.t"), await columnsOf("first.t", "report")]).toEqual([
    ["fare", "id", "tip"],
    ["id", "tip"],
    ["id", "tip"],
  ]);
  expect((await lake.resolver.resolve({ consumer: "board", run: undefined })).reason).toBe(`held by ${release}`);
  await feed("first.t", "id,tip\n3,3\n");
  expect([(await rowsOf(lake, "first.t", { consumer: "board" })).length, (await rowsOf(lake, "first.t")).length]).toEqual([2, 3]);
  await expect(unhold(lake, { release, consumer: "report", actor: "ana" })).rejects.toMatchObject({ code: "hold.not_found" });
  expect((await unhold(lake, { release, consumer: "board", actor: "ana" })).state).toBe("completed");
  expect(await columnsOf("first.t", "board")).toEqual(["id", "tip"]);
});

test("a hold ends by itself at its expiry, and with the rollback of its release", async () => {
  const { release } = await withoutFare("later.t", "steps: [{ ring: report }]");
  await lake.drain();
  await advance(lake, { release, actor: "ana" });
  expect(await columnsOf("later.t", "board")).toEqual(["fare", "id", "tip"]);
  const stateOf = async () => (await showRelease(lake.db, release)).release.state;
  await lake.drain();
  expect(await stateOf()).toBe("completed_with_holds");
  hours(30 * 24 + 1);
  expect(await columnsOf("later.t", "board")).toEqual(["id", "tip"]);
  await lake.drain();
  expect(await stateOf()).toBe("completed");
  await rollBack(lake, release);
  expect(await columnsOf("later.t", "board")).toEqual(["fare", "id", "tip"]);
  expect((await showRelease(lake.db, release)).holds[0]?.endedAt).not.toBeNull();
  expect((await lake.resolver.resolve({ consumer: "board", run: undefined })).reason).toBe("live");
});

test("a consumer that is held back on what is rolled back later is let go with the rollback", async () => {
  const old = (await lake.merge(await proposeText(lake, "old.t", { kind: "upsert", csv: "id,fare,tip\n1,99,1\n" }))).release;
  const { release } = await withoutFare("old.t", "steps: [{ ring: report }]");
  await lake.drain();
  await advance(lake, { release, actor: "ana" });
  const fares = async () => (await rowsOf(lake, "old.t", { consumer: "board" })).map((row) => row["fare"]);
  expect(await fares()).toEqual([99, 20]);
  await rollBack(lake, old.id);
  expect((await rowsOf(lake, "old.t", { consumer: "board" })).map((row) => row["fare"])).not.toContain(99);
  const [bad] = (await showRelease(lake.db, old.id)).changes;
  expect((await showChange(lake.db, bad ?? "")).barred).toBe(true);
});

const pinned = (request: Partial<PinRequest>) =>
  pin(lake, {
    environment: "production",
    consumer: "board",
    until: new Date(lake.clock.now().getTime() + 2 * 86_400_000),
    reason: "month end",
    owner: "ana",
    actor: "ana",
    ...request,
  });
const unpinned = (dataset?: string) => unpin(lake, { environment: "production", consumer: "board", dataset, actor: "ana" });
const reasonOf = async (consumer: string) => (await lake.resolver.resolve({ consumer, run: undefined })).reason;
const values = async (dataset: string, consumer?: string) => (await rowsOf(lake, dataset, { consumer })).map((row) => row["v"]).join(" ");

async function upsert(dataset: string, csv: string, plan?: string): Promise<{ change: string; release: string }> {
  const change = await proposeText(lake, dataset, { kind: "upsert", csv });
  if (plan !== undefined) await setPlan(lake, { changeId: change, text: plan, actor: "ana" });
  return { change, release: (await lake.merge(change)).release.id };
}

test("a pinned consumer stays where it is: no step moves it, feeds pass it by, and the release completes with holds until it is let go", async () => {
  await importText(lake, "pins.rows", "id,v\n1,a\n2,b\n", ["id"]);
  await pinned({ dataset: "pins.rows" });
  const { release } = await upsert("pins.rows", "id,v\n1,A\n", "steps: [{ ring: [board, report], wait: 1h }]");
  expect((await showRelease(lake.db, release)).members.map(({ consumer }) => consumer)).toEqual(["report"]);
  expect(await pinsBesideRelease(lake.db, (await showRelease(lake.db, release)).release, lake.clock.now())).toMatchObject([
    { consumer: "board", owner: "ana", reason: "month end", dataset: "pins.rows", keeps: [{ dataset: "pins.rows", version: 1 }] },
  ]);
  await feed("pins.rows", "id,v\n3,c\n");
  expect([await values("pins.rows", "board"), await values("pins.rows", "report"), await values("pins.rows")]).toEqual([
    "a b",
    "A b c",
    "a b c",
  ]);
  expect(await reasonOf("board")).toMatch(/^pinned by ana until 2026-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  hours(1);
  await lake.drain();
  expect((await showRelease(lake.db, release)).release.state).toBe("completed_with_holds");
  expect([await values("pins.rows", "board"), await values("pins.rows")]).toEqual(["a b", "A b c"]);
  await expect(pinned({ dataset: "pins.rows@1" })).rejects.toMatchObject({ code: "pin.exists", found: "pins.rows" });
  await unpinned("pins.rows");
  await expect(unpinned("pins.rows")).rejects.toMatchObject({ code: "pin.not_found", found: "no pin" });
  expect((await showRelease(lake.db, release)).release.state).toBe("completed");
  expect([await values("pins.rows", "board"), await reasonOf("board")]).toEqual(["A b c", "live"]);
  // What is released to all at once passes a pin by as well.
  await pinned({ dataset: "pins.rows" });
  const { release: atOnce } = await upsert("pins.rows", "id,v\n2,B\n");
  expect([(await showRelease(lake.db, atOnce)).release.state, await values("pins.rows", "board")]).toEqual([
    "completed_with_holds",
    "A b c",
  ]);
  hours(2 * 24);
  expect([await values("pins.rows", "board"), await reasonOf("board")]).toEqual(["A B c", "live"]);
});

test("a pin goes back to a version that readers had; not to one that they never had, that is barred, or that breaks the consumer", async () => {
  await importText(lake, "back.rows", "id,v\n1,a\n", ["id"]);
  const bad = await upsert("back.rows", "id,v\n1,BAD\n");
  await upsert("back.rows", "id,v\n2,b\n");
  await pinned({ dataset: "back.rows@1" });
  expect([await values("back.rows", "board"), await values("back.rows")]).toEqual(["a", "BAD b"]);
  await unpinned();
  const open = await proposeText(lake, "back.rows", { kind: "upsert", csv: "id,v\n9,z\n" });
  const proposed = (await showChange(lake.db, open)).datasets[0]?.candidate?.number;
  await expect(pinned({ dataset: `back.rows@${proposed}` })).rejects.toMatchObject({ code: "pin.not_released" });
  // The board's test of it works on what it has, and would not on a version without the column.
  const edit = async (one: { edit: "drop"; name: string } | { edit: "add"; name: string; type: "int" }) => {
    const { change } = await lake.propose({ operations: [{ kind: "schema", dataset: "first.t", edits: [one] }] });
    await lake.merge(change?.id ?? "");
  };
  if ((await columnsOf("first.t")).includes("fare")) await edit({ edit: "drop", name: "fare" });
  const without = (await answerFor(lake, { consumer: undefined, run: undefined, at: undefined }, "first.t")).version.number;
  await edit({ edit: "add", name: "fare", type: "int" });
  await expect(pinned({ dataset: `first.t@${without}` })).rejects.toMatchObject({ code: "pin.breaks" });
  await pinned({ dataset: "back.rows@2" });
  expect(await values("back.rows", "board")).toBe("BAD");
  // A pin never serves what was rolled back: it ends with the rollback, and the consumer is told.
  await rollBack(lake, bad.release);
  expect(await values("back.rows", "board")).not.toContain("BAD");
  expect(await reasonOf("board")).toBe(`live, no longer pinned by ana: ${bad.change} was rolled back`);
  await expect(pinned({ dataset: "back.rows@2" })).rejects.toMatchObject({ code: "pin.barred", found: bad.change });
  await pinned({ dataset: "back.rows" });
  expect(await reasonOf("board")).toMatch(/^pinned by ana until [^,]+$/);
  await unpinned("back.rows");
});

test("a pin on the whole view keeps all of it, and new datasets out of it", async () => {
  await importText(lake, "whole.rows", "id,v\n1,a\n", ["id"]);
  await pinned({});
  await expect(pinned({ dataset: "whole.rows" })).rejects.toMatchObject({ code: "pin.exists", found: "its whole view" });
  const bad = await upsert("whole.rows", "id,v\n1,A\n");
  await importText(lake, "whole.later", "id,v\n1,a\n", ["id"]);
  expect([await values("whole.rows", "board"), await values("whole.rows", "report")]).toEqual(["a", "A"]);
  await expect(values("whole.later", "board")).rejects.toMatchObject({ code: "dataset.not_found" });
  expect(await listPins(lake.db, { environment: "production", consumer: "board", at: lake.clock.now() })).toMatchObject([
    { dataset: null, owner: "ana", keeps: [] },
  ]);
  await unpinned();
  await pinned({});
  await rollBack(lake, bad.release);
  expect([await values("whole.rows", "board"), await reasonOf("board")]).toEqual([
    "a",
    `live, no longer pinned by ana: ${bad.change} was rolled back`,
  ]);
  // It is told for as long as the pin would have stood.
  hours(2 * 24);
  expect(await reasonOf("board")).toBe("live");
});

test("a person holds a consumer back ahead: no step moves it, what it had of the candidates is taken back, and it is held when all others have it", async () => {
  await importText(lake, "ahead.rows", "id,v\n1,a\n", ["id"]);
  const { release } = await upsert(
    "ahead.rows",
    "id,v\n1,A\n",
    "steps: [{ ring: board, wait: 1h }, { ring: report, wait: 1h }]\nguardrails: []",
  );
  const until = new Date(lake.clock.now().getTime() + 86_400_000);
  const hold = (consumer: string) => holdBack(lake, { release, consumer, reason: "audit", until, owner: "ana", actor: "ana" });
  expect(await values("ahead.rows", "board")).toBe("A");
  await hold("board");
  await hold("report");
  await unhold(lake, { release, consumer: "report", actor: "ana" });
  expect([await values("ahead.rows", "board"), await reasonOf("board")]).toEqual(["a", "live"]);
  await feed("ahead.rows", "id,v\n2,b\n");
  expect(await values("ahead.rows", "board")).toBe("a b");
  hours(1);
  await lake.drain();
  expect((await showRelease(lake.db, release)).members.map(({ consumer }) => consumer)).toEqual(["report"]);
  hours(1);
  await lake.drain();
  const done = await showRelease(lake.db, release);
  expect(done.release.state).toBe("completed_with_holds");
  expect(done.holds.filter(({ endedAt }) => endedAt === null)).toMatchObject([
    { consumer: "board", owner: "bo", reason: "audit", expiresAt: until },
  ]);
  expect([await values("ahead.rows", "board"), await values("ahead.rows"), await reasonOf("board")]).toEqual([
    "a b",
    "A b",
    `held by ${release}`,
  ]);
  await expect(hold("report")).rejects.toMatchObject({ code: "release.state", expected: "a release in steps that not all readers have" });
  // What comes later does not move it sooner: it would get what it is held back from.
  const later = await upsert("ahead.rows", "id,v\n1,AA\n", "steps: [{ ring: [board, report], wait: 1h }]\nguardrails: []");
  expect((await showRelease(lake.db, later.release)).members.map(({ consumer }) => consumer)).toEqual(["report"]);
  expect([await values("ahead.rows", "board"), await values("ahead.rows", "report")]).toEqual(["a b", "AA b"]);
  hours(24);
  await lake.drain();
  expect(await values("ahead.rows", "board")).toBe("AA b");
});

test("a consumer that a step moves once its hold is over is held no more, also when the clock goes back", async () => {
  await importText(lake, "over.rows", "id,v\n1,a\n", ["id"]);
  const { release } = await upsert(
    "over.rows",
    "id,v\n1,A\n",
    "steps: [{ ring: report, wait: 3h }, { ring: board, wait: 3h }]\nguardrails: []",
  );
  const until = new Date(lake.clock.now().getTime() + 7_200_000);
  await holdBack(lake, { release, consumer: "board", reason: "audit", until, owner: "ana", actor: "ana" });
  hours(3);
  await lake.drain();
  expect(await values("over.rows", "board")).toBe("A");
  hours(-2);
  expect((await showRelease(lake.db, release)).holds).toMatchObject([{ consumer: "board", endedAt: expect.any(Date) as Date }]);
  expect([await values("over.rows", "board"), await reasonOf("board")]).toEqual(["A", `ring 2 of ${release}`]);
  hours(2);
  await rollBack(lake, "over.rows");
});

test("who is held back from a release that waits is held back from the one that brings it in its place", async () => {
  await importText(lake, "queue.rows", "id,v\n1,a\n", ["id"]);
  const first = await upsert("queue.rows", "id,v\n1,A\n", "steps: [{ ring: report }]");
  const second = await upsert("queue.rows", "id,v\n2,b\n");
  const until = new Date(lake.clock.now().getTime() + 86_400_000);
  await holdBack(lake, { release: second.release, consumer: "board", reason: "audit", until, owner: "ana", actor: "ana" });
  const third = await upsert("queue.rows", "id,v\n3,c\n");
  lake.clock.advance(1000);
  await advance(lake, { release: first.release, actor: "ana" });
  await lake.drain();
  expect((await showRelease(lake.db, third.release)).release.state).toBe("completed_with_holds");
  expect([await values("queue.rows", "board"), await values("queue.rows")]).toEqual(["A", "A b c"]);
});

test("in a freeze no step starts and no merge of a person reaches readers, while feeds flow on; rollback, and break-glass with a reason, may", async () => {
  for (const name of ["cold.rows", "colder.rows"]) await importText(lake, name, "id,v\n1,a\n", ["id"]);
  const { release } = await upsert("cold.rows", "id,v\n1,A\n", "steps: [{ ring: report, wait: 1h }]");
  const wall = (hoursOff: number) =>
    new Date(lake.clock.now().getTime() + hoursOff * 3_600_000).toISOString().slice(0, 16).replace("T", " ");
  const policy = `rules: []\nfreeze:\n  - { reason: month end, zone: UTC, from: "${wall(-1)}", to: "${wall(4)}" }\n`;
  await lake.merge((await lake.propose({ operations: [], documents: [{ path: "policy", text: policy }] })).change?.id ?? "");
  await values("cold.rows", "report");
  hours(1);
  await lake.drain();
  const frozen = (await showRelease(lake.db, release)).release;
  expect(frozen).toMatchObject({
    state: "running",
    step: 1,
    reason: expect.stringMatching(/^waits until .+ UTC \(freeze: month end\)$/) as string,
  });
  await expect(advance(lake, { release, actor: "ana" })).rejects.toMatchObject({ code: "release.frozen", found: "month end" });
  expect((await advance(lake, { release, actor: "ana", override: "the board shows nothing" })).state).toBe("completed");
  await rollBack(lake, release);
  expect([await values("cold.rows"), await values("cold.rows", "report")]).toEqual(["a", "a"]);

  const change = await proposeText(lake, "colder.rows", { kind: "upsert", csv: "id,v\n1,A\n" });
  await acknowledge(lake, { changeId: change, person: "ana", actor: "ana" });
  const merged = (await merge(lake, { changeId: change, actor: "ana", byPerson: true })).release;
  expect(merged).toMatchObject({ state: "running", step: 0, dueAt: frozen.dueAt });
  await feed("colder.rows", "id,v\n2,b\n");
  expect(await values("colder.rows")).toBe("a b");
  hours(4);
  await lake.drain();
  expect([(await showRelease(lake.db, merged.id)).release.state, await values("colder.rows")]).toEqual(["completed", "A b"]);
});
