import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { whatDid } from "../../src/reading/history-service.ts";
import { holdBack } from "../../src/rollouts/pins/hold-service.ts";
import { pin, unpin } from "../../src/rollouts/pins/pin-service.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance, pause } from "../../src/rollouts/release-service.ts";
import { whyServed } from "../../src/rollouts/views/why-reads.ts";
import { noticesOf } from "../../src/webhooks/notice-reads.ts";
import { contractOnMain, importText, proposeText, rollBack } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/* A release in the place of an older one: that one ends with its first step, and nobody goes back to what all have in between. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  for (const name of ["board", "report", "export"])
    await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", labels: {} });
});
afterAll(() => lake.close());

const rings = "steps: [{ ring: board, wait: 1h }, { ring: report, wait: 1h }, { everyone: true }]\nguardrails: []\n";
const inPlace = "steps: [{ ring: report, wait: 1h }, { everyone: true }]\nguardrails: []\nqueue: supersede\n";
const approved = "steps: [{ ring: report, approval: true, wait: 1h }, { everyone: true }]\nguardrails: []\nqueue: supersede\n";
const hours = (count: number): void => lake.clock.advance(count * 3_600_000);
const environment = "production";

/** A person's change, merged with a plan; nothing that follows is done yet. */
async function merged(dataset: string, csv: string, plan: string): Promise<{ change: string; release: string }> {
  const change = await proposeText(lake, dataset, { kind: "upsert", csv });
  await setPlan(lake, { changeId: change, text: plan, actor: "ana" });
  return { change, release: (await lake.merge(change)).release.id };
}

async function feed(dataset: string, csv: string): Promise<void> {
  const id = await proposeText(lake, dataset, { kind: "append", csv }, { origin: "feed" });
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  lake.clock.advance(1000);
  await merge(lake, { changeId: id, actor: "ana", ordinary: true, byPerson: true });
  await lake.drain();
}

const stateOf = async (id: string) => (await showRelease(lake.db, id)).release;
/** What the board, the report and all others have. */
async function seen(dataset: string): Promise<[string, string, string]> {
  const of = async (consumer?: string) => (await rowsOf(lake, dataset, { consumer })).map((row) => String(row["v"])).join(" ");
  return [await of("board"), await of("report"), await of()];
}
const why = async (consumer: string, dataset: string) =>
  whyServed(lake.db, { environment, consumer, dataset: await resolveDataset(lake.db, dataset), at: lake.clock.now() });

test("with its first step the older release ends, its readers move on in the same moment, and a rollback takes both back", async () => {
  await importText(lake, "plain.t", "id,v\n1,a\n2,b\n", ["id"]);
  const older = await merged("plain.t", "id,v\n1,A\n", rings);
  await feed("plain.t", "id,v\n3,c\n");
  const newer = await merged("plain.t", "id,v\n2,B\n", inPlace);
  // The tests of those who would move have not run: until then nothing moves, neither forth nor back.
  expect(await stateOf(newer.release)).toMatchObject({ state: "running", step: 0, queue: "supersede" });
  expect((await stateOf(newer.release)).reason).toBe(
    `its first step is due once its consumers' tests have run on it, in place of ${older.release}`,
  );
  expect(await showRelease(lake.db, older.release)).toMatchObject({ inPlace: newer.release, release: { state: "running", step: 1 } });
  expect(await seen("plain.t")).toEqual(["A b c", "a b c", "a b c"]);
  expect((await why("board", "plain.t")).says.map(({ text }) => text)).toEqual(
    expect.arrayContaining([
      expect.stringContaining(`moves nobody more, because ${newer.release} comes in its place`) as string,
      expect.stringContaining("step 1 moves board") as string,
    ]),
  );
  const before = lake.clock.now();
  hours(1);
  await lake.drain();
  expect(await stateOf(older.release)).toMatchObject({ state: "superseded", reason: `superseded by ${newer.release}`, dueAt: null });
  const now = await showRelease(lake.db, newer.release);
  expect(now.release).toMatchObject({ state: "running", step: 1 });
  expect(now.members.map(({ consumer, ordinal }) => [consumer, ordinal])).toEqual([
    ["board", 1],
    ["report", 1],
  ]);
  expect(now.changes.toSorted()).toEqual([older.change, newer.change].toSorted());
  expect(await seen("plain.t")).toEqual(["A B c", "A B c", "a b c"]);
  const [notice] = await noticesOf(lake.db, { topic: "release.ended", event: { release: older.release } }, lake.clock.now());
  expect(notice?.notice).toMatchObject({ type: "release.superseded", lines: ["It had moved board."] });
  // The record still knows what the board had of the older one.
  expect((await whatDid(lake.db, { environment, consumer: "board", at: before })).reason).toBe(`ring 1 of ${older.release}`);
  await feed("plain.t", "id,v\n4,d\n");
  const back = await rollBack(lake, "plain.t");
  expect(back.releases.map(({ id }) => id)).toEqual([newer.release]);
  expect(back.barred.toSorted()).toEqual([older.change, newer.change].toSorted());
  expect(await seen("plain.t")).toEqual(["a b c d", "a b c d", "a b c d"]);
});

test("a process that dies in the first step leaves the older release as it was; it moves nobody more, and goes on if the newer one is aborted", async () => {
  await importText(lake, "dies.t", "id,v\n1,a\n2,b\n", ["id"]);
  const older = await merged("dies.t", "id,v\n1,A\n", rings);
  const newer = await merged("dies.t", "id,v\n2,B\n", inPlace);
  await sql`create function fails() returns trigger language plpgsql as 'begin raise exception ''died''; end'`.execute(lake.db);
  await sql`create trigger dies before insert on release_members for each row execute function fails()`.execute(lake.db);
  await expect(lake.drain()).rejects.toThrow();
  expect([(await stateOf(older.release)).state, (await stateOf(newer.release)).step]).toEqual(["running", 0]);
  expect(await seen("dies.t")).toEqual(["A b", "a b", "a b"]);
  await sql`drop trigger dies on release_members`.execute(lake.db);
  await Promise.all([lake.drain(), lake.drain()]);
  expect([(await stateOf(older.release)).state, (await stateOf(newer.release)).step]).toEqual(["superseded", 1]);
  expect(await seen("dies.t")).toEqual(["A B", "A B", "a b"]);

  const third = await merged("dies.t", "id,v\n1,AA\n", approved);
  expect((await stateOf(third.release)).reason).toBe(`its first step waits for somebody to advance it, in place of ${newer.release}`);
  hours(5);
  await lake.drain();
  expect([(await stateOf(newer.release)).step, (await stateOf(third.release)).step]).toEqual([1, 0]);
  await rollBack(lake, third.release);
  await lake.drain();
  expect(await stateOf(newer.release)).toMatchObject({ state: "completed" });
  expect(await seen("dies.t")).toEqual(["A B", "A B", "A B"]);
});

test("what a person has paused or the judge has not proved is superseded; what does harm is taken back, and the newer one waits for its revert", async () => {
  const judged = "steps: [{ ring: board, wait: 1h }, { everyone: true }]\n";
  await importText(lake, "paused.t", "id,v\n1,a\n2,b\n", ["id"]);
  const paused = await merged("paused.t", "id,v\n1,A\n", rings);
  await pause(lake, { release: paused.release, actor: "ana" });
  const next = await merged("paused.t", "id,v\n2,B\n", inPlace);
  await lake.drain();
  expect([(await stateOf(paused.release)).state, (await stateOf(next.release)).step]).toEqual(["superseded", 1]);
  expect(await seen("paused.t")).toEqual(["A B", "A B", "a b"]);

  await importText(lake, "unproved.t", "id,v\n1,a\n2,b\n", ["id"]);
  const unproved = await merged("unproved.t", "id,v\n1,A\n", judged);
  hours(1);
  await lake.drain();
  expect((await stateOf(unproved.release)).state).toBe("held");
  const other = await merged("unproved.t", "id,v\n2,B\n", inPlace);
  await lake.drain();
  expect([(await stateOf(unproved.release)).state, (await stateOf(other.release)).step]).toEqual(["superseded", 1]);

  await importText(lake, "harm.t", "id,v\n1,a\n2,b\n", ["id"]);
  const harmful = await merged("harm.t", "id,v\n1,X\n", judged);
  await seen("harm.t");
  await lake.ledger.flush();
  const after = await merged("harm.t", "id,v\n2,B\n", approved);
  const { id: datasetId } = await resolveDataset(lake.db, "harm.t");
  // Nobody has looked at the report yet when somebody starts the newer one.
  await lake.db
    .insertInto("outcome_reports")
    .values({
      consumer: "board",
      id: "one",
      content_hash: "",
      dataset_id: datasetId,
      release_id: harmful.release,
      step: 1,
      arm: "candidate",
      at: lake.clock.now(),
      received_at: lake.clock.now(),
      ok: false,
      reason: "no forecast",
    })
    .execute();
  await expect(advance(lake, { release: after.release, actor: "ana" })).rejects.toMatchObject({ code: "release.state" });
  expect((await stateOf(harmful.release)).state).toBe("rolled_back");
  expect(await stateOf(after.release)).toMatchObject({ state: "waiting", reason: `waits for the revert of ${harmful.change}` });
  expect(await seen("harm.t")).toEqual(["a b", "a b", "a b"]);
});

test("what was queued between is contained; a release of another dataset that a foreign key binds is waited for", async () => {
  await importText(lake, "shop.customers", "id,v\n1,Kim\n", ["id"]);
  await importText(lake, "shop.orders", "id,customer,v\n1,1,a\n2,1,b\n", ["id"]);
  const contract = await contractOnMain(lake, "shop.orders");
  const [object, ...others] = contract.schema;
  const properties = object?.properties?.map((item) =>
    item.name === "customer" ? { ...item, relationships: [{ type: "foreignKey", to: "shop.customers.id" }] } : item,
  );
  const edit = { ...contract, schema: [{ ...object, properties } as never, ...others] };
  await lake.merge((await lake.propose({ operations: [{ kind: "contract", dataset: "shop.orders", contract: edit }] })).change?.id ?? "");

  const customers = await merged("shop.customers", "id,v\n2,Lee\n", rings);
  const early = await merged("shop.orders", "id,customer,v\n1,1,A\n", inPlace);
  expect(await stateOf(early.release)).toMatchObject({ state: "waiting", reason: `queued behind ${customers.release}` });
  for (let step = 0; step < 2; step += 1) {
    hours(1);
    await lake.drain();
  }
  expect((await stateOf(customers.release)).state).toBe("completed");
  expect(await stateOf(early.release)).toMatchObject({ state: "running", step: 1 });
  const between = await merged("shop.orders", "id,customer,v\n2,1,B\n", rings);
  const bound = await merged("shop.customers", "id,v\n3,Max\n", rings);
  const last = await merged("shop.orders", "id,customer,v\n3,2,c\n", inPlace);
  await lake.drain();
  expect([(await stateOf(early.release)).reason, (await stateOf(between.release)).reason]).toEqual([
    `superseded by ${last.release}`,
    `shipped with ${last.release}`,
  ]);
  expect((await showRelease(lake.db, last.release)).changes.toSorted()).toEqual([early.change, between.change, last.change].toSorted());
  expect(await seen("shop.orders")).toEqual(["a b", "A B c", "a b"]);
  // It was tried beside what readers have of the customers first; what waits for its step is looked at after that.
  await lake.drain();
  expect(await stateOf(bound.release)).toMatchObject({ state: "waiting", reason: `queued behind ${last.release}` });
});

test("who was held back from the older one is held back from the newer one, and who pinned its candidates keeps them", async () => {
  await importText(lake, "stays.t", "id,v\n1,a\n2,b\n", ["id"]);
  const older = await merged("stays.t", "id,v\n1,A\n", rings);
  const until = new Date(lake.clock.now().getTime() + 48 * 3_600_000);
  const who = { reason: "month end", owner: "ana", actor: "ana", until };
  await holdBack(lake, { ...who, release: older.release, consumer: "report" });
  const dataset = await resolveDataset(lake.db, "stays.t");
  await pin(lake, { ...who, consumer: "board", dataset: dataset.name, environment });
  const newer = await merged("stays.t", "id,v\n2,B\n", inPlace);
  await lake.drain();
  expect((await stateOf(older.release)).state).toBe("superseded");
  const shown = await showRelease(lake.db, newer.release);
  expect([shown.members, shown.holds.map(({ consumer }) => consumer)]).toEqual([[], ["report"]]);
  expect(await seen("stays.t")).toEqual(["A b", "a b", "a b"]);
  hours(1);
  await lake.drain();
  expect(await stateOf(newer.release)).toMatchObject({ state: "completed_with_holds" });
  expect(await seen("stays.t")).toEqual(["A b", "a b", "A B"]);
  await unpin(lake, { consumer: "board", dataset: dataset.name, environment, actor: "ana" });
  expect(await seen("stays.t")).toEqual(["A B", "a b", "A B"]);
});

test("nobody is moved from the older candidates to what breaks it there, and nothing that its readers have is taken from them", async () => {
  await importText(lake, "looked.t", "id,v\n1,a\n", ["id"]);
  const column = async (edit: { edit: "add"; name: string; type: "long" } | { edit: "drop"; name: string }, plan: string) => {
    const { change } = await lake.propose({ operations: [{ kind: "schema", dataset: "looked.t", edits: [edit] }] });
    await setPlan(lake, { changeId: change?.id ?? "", text: plan, actor: "ana" });
    return (await lake.merge(change?.id ?? "")).release.id;
  };
  const older = await column({ edit: "add", name: "tip", type: "long" }, rings);
  const text = 'tests:\n  - name: tips\n    query: { sql: "select sum(tip) as tips from looked.t" }\n';
  const { change } = await lake.propose({ operations: [], documents: [{ path: "consumers/board", text }] });
  await lake.merge(change?.id ?? "");
  // On what all have the test fails, too: only beside the older candidates it shows what would break.
  const newer = await column({ edit: "drop", name: "tip" }, inPlace);
  await lake.drain();
  expect((await stateOf(older)).state).toBe("superseded");
  expect((await showRelease(lake.db, newer)).members.map(({ consumer }) => consumer)).toEqual(["report"]);

  await importText(lake, "lack.t", "id,v\n1,a\n2,b\n", ["id"]);
  const first = await merged("lack.t", "id,v\n1,A\n", rings);
  const second = await merged("lack.t", "id,v\n2,B\n", inPlace);
  const [entry] = await lake.db.selectFrom("release_entries").selectAll().where("release_id", "=", second.release).execute();
  await lake.db
    .updateTable("release_entries")
    .set({ after_version: entry?.before_version ?? null })
    .where("release_id", "=", second.release)
    .execute();
  await lake.drain();
  expect(await stateOf(second.release)).toMatchObject({
    state: "held",
    reason: `readers of ${first.release} have what its candidates lack of lack.t`,
  });
  expect(await seen("lack.t")).toEqual(["A b", "a b", "a b"]);
  await rollBack(lake, second.release);
});
