import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { report } from "../../src/rollouts/judge/outcome-service.ts";
import { forgetReports } from "../../src/rollouts/judge/report-retention.ts";
import { namedRelease, showRelease } from "../../src/rollouts/release-reads.ts";
import { importText, proposeText, rollBack } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  await addConsumer(lake, "ana", { name: "board", kind: "job", criticality: "normal", labels: {} });
  for (const name of ["old.t", "now.t", "back.t"]) await importText(lake, name, "id,v\n1,10\n", ["id"]);
});
afterAll(() => lake.close());

const days = (count: number): void => lake.clock.advance(count * 86_400_000);

/** A planned release; its first step moves the board. */
async function planned(dataset: string, csv = "id,v\n1,11\n"): Promise<string> {
  const change = await proposeText(lake, dataset, { kind: "upsert", csv });
  const text = "steps: [{ ring: board, wait: 1h }, { everyone: true }]\nguardrails: []\n";
  await setPlan(lake, { changeId: change, text, actor: "ana" });
  const { release } = await lake.merge(change);
  await lake.drain();
  return release.id;
}

/** The board reads, and says how it went. */
async function says(dataset: string, id: string, ok = true): Promise<void> {
  lake.clock.advance(60_000);
  await rowsOf(lake, dataset, { consumer: "board" });
  await lake.ledger.flush();
  lake.clock.advance(60_000);
  const outcome = { id, dataset, ok, pair: `pair of ${id}`, metric: "sold", value: 1 };
  await report(lake, { consumer: "board", environment: "production" }, outcome);
}

const kept = async () => (await lake.db.selectFrom("outcome_reports").select("id").orderBy("id").execute()).map(({ id }) => id);
const counts = async () => {
  const sums = await lake.db.selectFrom("outcomes").select("n").execute();
  const pairs = await lake.db.selectFrom("outcome_pairs").select("pair").execute();
  return { sums: sums.reduce((sum, { n }) => sum + n, 0), pairs: pairs.length };
};

test("single reports are forgotten once no release needs them; what a consumer said last of current stays, and so do the sums", async () => {
  await says("old.t", "a first");
  await says("old.t", "b last of current");
  const ended = await planned("old.t");
  await says("old.t", "c candidate");
  lake.clock.advance(3_600_000);
  await lake.drain();
  expect((await showRelease(lake.db, ended)).release.state).toBe("completed");
  await says("now.t", "d before the release that runs");
  await says("now.t", "e last before it");
  await planned("now.t");
  await says("now.t", "f candidate of what runs");
  const before = await counts();
  expect(before).toEqual({ sums: 12, pairs: 4 });
  await forgetReports(lake);
  expect(await kept()).toHaveLength(6);

  days(29);
  await forgetReports(lake);
  expect(await kept()).toHaveLength(6);
  days(3);
  await says("old.t", "g new");
  await says("old.t", "h newer");
  await forgetReports(lake);
  // «b» is no longer the last of current: «h» is, of a time without a release.
  expect(await kept()).toEqual(["d before the release that runs", "e last before it", "f candidate of what runs", "g new", "h newer"]);
  days(32);
  await forgetReports(lake);
  expect(await kept()).toEqual(["d before the release that runs", "e last before it", "f candidate of what runs", "h newer"]);
  expect(await counts()).toEqual({ sums: before.sums + 4, pairs: 2 });
});

test("a dataset names what was rolled back, also after the revert that opened by itself has been merged", async () => {
  const bad = await planned("back.t");
  await rollBack(lake, bad);
  const named = async () => (await namedRelease(lake.db, "production", "back.t")).id;
  expect(await named()).toBe(bad);
  const revert = await lake.db.selectFrom("changes").select("id").where("reverts", "is not", null).executeTakeFirstOrThrow();
  lake.clock.advance(1000);
  await lake.merge(revert.id);
  await lake.drain();
  expect(await named()).toBe(bad);
  lake.clock.advance(1000);
  const next = await planned("back.t", "id,v\n1,12\n");
  expect(await named()).toBe(next);
});
