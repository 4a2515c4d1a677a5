import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../src/access/consumer-service.ts";
import { merge } from "../src/changes/merge-service.ts";
import { showChange } from "../src/changes/change-reads.ts";
import { setPlan } from "../src/changes/plan-service.ts";
import { acknowledge } from "../src/changes/verdict-service.ts";
import { resolveDataset } from "../src/catalog/dataset-store.ts";
import { whatDid } from "../src/reading/history-service.ts";
import { answerFor } from "../src/reading/read-service.ts";
import { listReleases, showRelease } from "../src/rollouts/release-reads.ts";
import { whyServed } from "../src/rollouts/views/why-reads.ts";
import { advance, pause, resume } from "../src/rollouts/release-service.ts";
import { judgingOf } from "../src/rollouts/release-store.ts";
import { rollback } from "../src/rollouts/rollback/rollback-service.ts";
import { unbar } from "../src/rollouts/rollback/unbar-service.ts";
import { readersOf } from "../src/usage/usage-reads.ts";
import { importText, proposeText, rollBack } from "./harness/changes.ts";
import { lakehouse, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  for (const [name, team] of [
    ["board", "ops"],
    ["report", "finance"],
    ["model", "finance"],
    ["export", "sales"],
  ] as const) {
    await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", labels: { team } });
  }
});
afterAll(() => lake.close());

const rings = `
steps:
  - ring: board
    wait: 2h
  - labels: { team: finance }
    wait: 1h
  - everyone: true
`;

/** Rows that consumers of a dataset see, as one text per reader. */
async function seen(dataset: string, readers: readonly (string | undefined)[], column = "v"): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const consumer of readers) {
    const rows = await rowsOf(lake, dataset, { consumer });
    found[consumer ?? "nobody"] = rows.map((row) => String(row[column])).join(" ");
  }
  return found;
}

/** A person's change, merged with a plan; gives the ids of the change and of its release. */
async function planned(dataset: string, csv: string, plan = rings): Promise<{ change: string; release: string }> {
  const change = await proposeText(lake, dataset, { kind: "upsert", csv });
  await setPlan(lake, { changeId: change, text: plan, actor: "ana" });
  return { change, release: (await lake.merge(change)).release.id };
}

/** A batch of a feed, merged by rule alone. */
async function feed(dataset: string, csv: string): Promise<string> {
  const id = await proposeText(lake, dataset, { kind: "append", csv }, { origin: "feed" });
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  lake.clock.advance(1000);
  return (await merge(lake, { changeId: id, actor: "ana", ordinary: true, byPerson: true })).release.id;
}

const numberOf = async (dataset: string, consumer: string) =>
  (await answerFor(lake, { consumer, run: undefined, at: undefined }, dataset)).version.number;
const why = async (consumer: string, dataset: string) =>
  whyServed(lake.db, { environment: "production", consumer, dataset: await resolveDataset(lake.db, dataset), at: lake.clock.now() });

const hours = (count: number): void => lake.clock.advance(count * 3_600_000);
const stateOf = async (id: string) => (await showRelease(lake.db, id)).release;
const everyone = ["board", "report", "model", "export", undefined];

test("a release moves one ring after the other while an hourly append flows on to all, and ends when everybody has it", async () => {
  await importText(lake, "hourly.t", "id,v\n1,a\n2,b\n", ["id"]);
  const { release } = await planned("hourly.t", "id,v\n1,A\n");
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 1, reason: "step 1 of 3" });
  expect(await seen("hourly.t", everyone)).toEqual({ board: "A b", report: "a b", model: "a b", export: "a b", nobody: "a b" });

  const first = await feed("hourly.t", "id,v\n3,c\n");
  await lake.drain();
  expect((await stateOf(first)).state).toBe("completed");
  const [then, had] = [lake.clock.now(), await numberOf("hourly.t", "board")];
  const { dueAt } = await stateOf(release);
  expect(await why("board", "hourly.t")).toMatchObject({ version: had, reason: `ring 1 of ${release}`, next: null });
  expect(await why("report", "hourly.t")).toMatchObject({
    reason: "live",
    says: [
      { by: "live", id: first },
      { by: "release", id: release, text: expect.stringContaining("step 2 moves report") as string },
    ],
    next: { at: dueAt, text: `step 2 of 3 steps of ${release} (ring team=finance, for 1 h) moves it` },
  });
  expect(await seen("hourly.t", everyone)).toEqual({ board: "A b c", report: "a b c", model: "a b c", export: "a b c", nobody: "a b c" });

  hours(2);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 2 });
  await feed("hourly.t", "id,v\n4,d\n");
  await lake.drain();
  expect(await seen("hourly.t", everyone)).toEqual({
    board: "A b c d",
    report: "A b c d",
    model: "A b c d",
    export: "a b c d",
    nobody: "a b c d",
  });

  hours(1);
  await lake.drain();
  const done = await showRelease(lake.db, release);
  expect(done.release.state).toBe("completed");
  expect(done.members.map(({ consumer, ordinal }) => [consumer, ordinal])).toEqual([
    ["board", 1],
    ["model", 2],
    ["report", 2],
  ]);
  expect(new Set(Object.values(await seen("hourly.t", everyone)))).toEqual(new Set(["A b c d"]));
  await feed("hourly.t", "id,v\n5,e\n");
  expect((await seen("hourly.t", [undefined]))["nobody"]).toBe("A b c d e");
  // The record knows what each had then, also of candidates that came and went since.
  const before = await whatDid(lake.db, { environment: "production", consumer: "board", at: then });
  expect([before.reason, before.datasets.map(({ dataset, had: number }) => [dataset, number])]).toEqual([
    `ring 1 of ${release}`,
    [["hourly.t", had]],
  ]);
  expect(before.datasets[0]?.live).not.toBe(had);
  expect(before.datasets[0]?.read.map(({ version }) => version)).toContain(had);
  await expect(whatDid(lake.db, { environment: "production", consumer: "board", at: new Date(0) })).rejects.toMatchObject({
    code: "usage.invalid",
  });
});

test("the way a reader got its version is told, and the ledger names the version that was served", async () => {
  await importText(lake, "told.t", "id,v\n1,a\n", ["id"]);
  const { release } = await planned("told.t", "id,v\n1,A\n");
  const [moved, other] = [
    await lake.resolver.resolve({ consumer: "board", run: undefined }),
    await lake.resolver.resolve({ consumer: "export", run: undefined }),
  ];
  expect([moved.reason, other.reason]).toEqual([`ring 1 of ${release}`, "live"]);
  expect((await lake.resolver.resolve({ consumer: "board", run: undefined })).view.id).toBe(moved.view.id);
  expect(moved.view.id).not.toBe(other.view.id);
  await seen("told.t", ["board", "export"]);
  await lake.ledger.flush();
  const candidate = (await showRelease(lake.db, release)).datasets[0]?.after ?? 0;
  const versions = await lake.db
    .selectFrom("versions")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .selectAll("versions")
    .where("datasets.name", "=", "told.t")
    .execute();
  const readers = async (number: number) =>
    (
      await readersOf(
        lake.db,
        versions.filter((version) => version.number === number).map(({ id }) => id),
      )
    ).map((line) => line.consumer);
  expect(await readers(candidate)).toEqual(["board"]);
  expect(await readers(1)).toEqual(["export"]);
  await rollBack(lake, release);
});

test("a run keeps its view while its consumer is moved, and ends when what it reads is rolled back", async () => {
  await importText(lake, "runs.t", "id,v\n1,a\n", ["id"]);
  const before = { consumer: "board", run: "before" };
  expect(await rowsOf(lake, "runs.t", before)).toEqual([{ id: 1, v: "a" }]);
  const { release } = await planned("runs.t", "id,v\n1,A\n");
  const during = { consumer: "board", run: "during" };
  expect(await rowsOf(lake, "runs.t", before)).toEqual([{ id: 1, v: "a" }]);
  expect(await rowsOf(lake, "runs.t", during)).toEqual([{ id: 1, v: "A" }]);
  await rollback(lake, { target: "runs.t", reason: "bad", actor: "ana", environment: "production" });
  await expect(rowsOf(lake, "runs.t", during)).rejects.toMatchObject({ code: "view.lease_ended" });
  expect(await rowsOf(lake, "runs.t", before)).toEqual([{ id: 1, v: "a" }]);
  expect((await stateOf(release)).state).toBe("rolled_back");
});

test("rollback takes the release under way first: its readers are back at once, live stays, and its revert opens", async () => {
  await importText(lake, "back.t", "id,v\n1,a\n2,b\n", ["id"]);
  await lake.merge(await proposeText(lake, "back.t", { kind: "upsert", csv: "id,v\n2,B\n" }));
  const { change, release } = await planned("back.t", "id,v\n1,A\n");
  await feed("back.t", "id,v\n3,c\n");
  await lake.drain();
  expect(await seen("back.t", ["board", undefined])).toEqual({ board: "A B c", nobody: "a B c" });
  lake.clock.advance(1000);
  const back = await rollback(lake, { target: "back.t", reason: "bad", actor: "ana", environment: "production" });
  expect(back.releases.map(({ id }) => id)).toEqual([release]);
  expect(back.barred).toEqual([change]);
  expect(await seen("back.t", ["board", undefined])).toEqual({ board: "a B c", nobody: "a B c" });
  await feed("back.t", "id,v\n4,d\n");
  await lake.drain();
  expect(await seen("back.t", ["board", undefined])).toEqual({ board: "a B c d", nobody: "a B c d" });
  const [revert] = (await showChange(lake.db, change)).revertedBy;
  expect((await lake.merge(revert ?? "")).release.state).toBe("completed");
  expect(await seen("back.t", ["board", undefined])).toEqual({ board: "a B c d", nobody: "a B c d" });
});

test("a later release of the same datasets waits for the one under way, and starts with its own plan when that has ended", async () => {
  await importText(lake, "queue.t", "id,v\n1,a\n2,b\n3,c\n", ["id"]);
  const one = await planned("queue.t", "id,v\n1,A\n");
  const two = await planned("queue.t", "id,v\n2,B\n");
  const three = await planned("queue.t", "id,v\n3,C\n");
  expect(await stateOf(two.release)).toMatchObject({ state: "waiting", reason: `queued behind ${one.release}` });
  await lake.drain();
  await seen("queue.t", ["board"]);
  hours(2);
  await lake.drain();
  expect(await seen("queue.t", ["board", "report", "export"])).toEqual({ board: "A b c", report: "A b c", export: "a b c" });
  hours(1);
  await lake.drain();
  // The newest of those that waited contains the older one.
  expect((await stateOf(one.release)).state).toBe("completed");
  expect(await stateOf(two.release)).toMatchObject({ state: "superseded", reason: `shipped with ${three.release}` });
  const started = await showRelease(lake.db, three.release);
  expect(started.release).toMatchObject({ state: "running", step: 1 });
  expect(started.changes.toSorted()).toEqual([two.change, three.change].toSorted());
  expect(await seen("queue.t", ["board", "report", undefined])).toEqual({ board: "A B C", report: "A b c", nobody: "A b c" });
  await rollBack(lake, three.release);
});

test("what was queued behind a release that is rolled back waits for the revert, and then follows its own plan", async () => {
  await importText(lake, "after.t", "id,v\n1,a\n2,b\n", ["id"]);
  const bad = await planned("after.t", "id,v\n1,X\n");
  const next = await planned("after.t", "id,v\n2,B\n");
  await rollBack(lake, "after.t");
  await lake.drain();
  expect(await stateOf(next.release)).toMatchObject({ state: "waiting", reason: `waits for the revert of ${bad.change}` });
  const [revert] = (await showChange(lake.db, bad.change)).revertedBy;
  const { release } = await lake.merge(revert ?? "");
  // Readers do not have what main had before: the merge's tests are not those of the step.
  expect(release).toMatchObject({ state: "running", step: 0 });
  await lake.drain();
  expect((await stateOf(release.id)).step).toBe(1);
  expect((await stateOf(next.release)).state).toBe("superseded");
  expect(await seen("after.t", ["board", "export"])).toEqual({ board: "a B", export: "a b" });
  hours(2);
  await lake.drain();
  hours(1);
  await lake.drain();
  expect(await seen("after.t", ["board", "export"])).toEqual({ board: "a B", export: "a B" });
});

test("a batch that cannot be carried to the candidates holds the rollout, which says so and does not advance past it", async () => {
  await importText(lake, "clash.t", "id,v\n1,a\n2,b\n", ["id"]);
  const { release } = await planned("clash.t", "id,v\n1,A\n");
  // Merged on main after the candidate: it changes what the candidate has, and live never had that.
  const batch = await proposeText(lake, "clash.t", { kind: "upsert", csv: "id,v\n1,AA\n" });
  await acknowledge(lake, { changeId: batch, person: "ana", actor: "ana" });
  const waits = (await merge(lake, { changeId: batch, actor: "ana", ordinary: true, byPerson: true })).release;
  await lake.drain();
  expect((await stateOf(waits.id)).state).toBe("waiting");
  expect(await stateOf(release)).toMatchObject({ state: "held", dueAt: null });
  expect((await stateOf(release)).reason).toContain(batch);
  hours(5);
  await lake.drain();
  expect((await stateOf(release)).state).toBe("held");
  await expect(advance(lake, { release, actor: "ana" })).rejects.toMatchObject({ code: "release.state" });
  await resume(lake, { release, actor: "ana" });
  for (const readers of [["board"], ["report", "model"]]) {
    await seen("clash.t", readers);
    await lake.drain();
    hours(1);
  }
  await lake.drain();
  expect((await stateOf(release)).state).toBe("completed");
  // With the rollout over, what waited for it has somewhere to go.
  expect((await seen("clash.t", [undefined]))["nobody"]).toBe("AA b");
});

test("a step never takes from readers what they have: candidates that lack it are held", async () => {
  await importText(lake, "lack.t", "id,v\n1,a\n", ["id"]);
  const { release } = await planned("lack.t", "id,v\n1,A\n");
  const older = (await showRelease(lake.db, release)).datasets[0];
  await feed("lack.t", "id,v\n2,b\n");
  await lake.drain();
  const row = lake.db.selectFrom("versions").innerJoin("datasets", "datasets.id", "versions.dataset_id").select("versions.id");
  const { id } = await row
    .where("datasets.name", "=", "lack.t")
    .where("versions.number", "=", older?.after ?? 0)
    .executeTakeFirstOrThrow();
  await lake.db.updateTable("release_entries").set({ after_version: id }).where("release_id", "=", release).execute();
  const held = await advance(lake, { release, actor: "ana" });
  expect(held).toMatchObject({ state: "held", step: 1, reason: "readers have what its candidates lack of lack.t" });
  expect((await seen("lack.t", ["report"]))["report"]).toBe("a b");
  await rollBack(lake, release);
});

test("a paused release stays where it is however long; a wait that passed meanwhile is over when it goes on", async () => {
  await importText(lake, "paused.t", "id,v\n1,a\n", ["id"]);
  const { release } = await planned("paused.t", "id,v\n1,A\n");
  await pause(lake, { release, actor: "ana", reason: "month end" });
  hours(48);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "paused", step: 1, reason: "month end" });
  expect(await seen("paused.t", ["board", "report"])).toEqual({ board: "A", report: "a" });
  await resume(lake, { release, actor: "ana" });
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 2 });
  await rollBack(lake, release);
});

test("a step that needs approval waits for somebody, and a release with no wait is advanced by hand", async () => {
  await importText(lake, "asks.t", "id,v\n1,a\n", ["id"]);
  const { release } = await planned("asks.t", "id,v\n1,A\n", "steps: [{ring: board, wait: 1h}, {percent: 50, approval: true}]");
  hours(10);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 1, dueAt: null });
  expect((await advance(lake, { release, actor: "ana" })).step).toBe(2);
  const members = (await showRelease(lake.db, release)).members.map(({ consumer }) => consumer);
  // Half of four, and the ring, if it is not among them.
  expect(members.length).toBe(members.filter((name) => name !== "board").length === 2 ? 3 : 2);
  await advance(lake, { release, actor: "ana" });
  expect(await stateOf(release)).toMatchObject({ state: "completed" });
  expect((await seen("asks.t", [undefined]))["nobody"]).toBe("A");
});

test("a bake keeps the release open after all readers have it, and a rollback in it takes all of them back", async () => {
  await importText(lake, "bake.t", "id,v\n1,a\n", ["id"]);
  const { release } = await planned("bake.t", "id,v\n1,A\n", "steps: [{ring: board, wait: 1h}, {everyone: true, wait: 7d}]");
  await seen("bake.t", ["board"]);
  hours(1);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 2, reason: "step 2 of 2, baking" });
  await feed("bake.t", "id,v\n2,b\n");
  await lake.drain();
  expect(await seen("bake.t", ["board", undefined])).toEqual({ board: "A b", nobody: "A b" });
  await rollBack(lake, "bake.t");
  expect(await seen("bake.t", ["board", undefined])).toEqual({ board: "a b", nobody: "a b" });
});

test("rolling back an older release takes readers of a later one's candidates back too, and that one begins again after the revert", async () => {
  await importText(lake, "older.t", "id,v\n1,a\n2,b\n", ["id"]);
  const old = await proposeText(lake, "older.t", { kind: "upsert", csv: "id,v\n1,X\n" });
  const shipped = (await lake.merge(old)).release;
  const { release } = await planned("older.t", "id,v\n2,B\n");
  expect(await seen("older.t", ["board", undefined])).toEqual({ board: "X B", nobody: "X b" });
  await rollBack(lake, shipped.id);
  expect(await seen("older.t", ["board", undefined])).toEqual({ board: "a b", nobody: "a b" });
  expect(await stateOf(release)).toMatchObject({ state: "waiting", step: 0, reason: `waits for the revert of ${old}` });
  const [revert] = (await showChange(lake.db, old)).revertedBy;
  const again = (await lake.merge(revert ?? "")).release;
  await lake.drain();
  expect(await stateOf(again.id)).toMatchObject({ state: "running", step: 1 });
  expect(await seen("older.t", ["board", undefined])).toEqual({ board: "a B", nobody: "a b" });
  const open = await listReleases(lake.db, "production", { state: "open", limit: 100 });
  expect(open.some((line) => line.datasets.includes("older.t") && line.moved === 1)).toBe(true);
});

test("a change whose bar is lifted goes to its rings again from the first, with the judge that it had", async () => {
  await importText(lake, "again.t", "id,v\n1,a\n", ["id"]);
  const { change, release } = await planned("again.t", "id,v\n1,A\n");
  await rollBack(lake, release);
  expect(await seen("again.t", ["board", "report"])).toEqual({ board: "a", report: "a" });
  const lifted = await unbar(lake, { changeId: change, actor: "ana", reason: "it was right", environment: "production" });
  await lake.drain();
  expect(await stateOf(lifted.release.id)).toMatchObject({ state: "running", step: 1, planned: true });
  expect(await seen("again.t", ["board", "report"])).toEqual({ board: "A", report: "a" });
  expect(await judgingOf(lake.db, lifted.release.id)).toEqual(await judgingOf(lake.db, release));
});
