import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../src/access/consumer-service.ts";
import { showChange } from "../src/changes/change-reads.ts";
import { setPlan } from "../src/changes/plan-service.ts";
import { merge } from "../src/changes/merge-service.ts";
import { acknowledge } from "../src/changes/verdict-service.ts";
import { showRelease } from "../src/rollouts/release-reads.ts";
import { advance, unhold } from "../src/rollouts/release-service.ts";
import { importText, proposeText, rollBack } from "./harness/changes.ts";
import { lakehouse, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

/* Each step is tested for those whom it moves: a consumer that it would break stays on what it has. */

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
  hours(30 * 24 + 1);
  expect(await columnsOf("later.t", "board")).toEqual(["id", "tip"]);
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
