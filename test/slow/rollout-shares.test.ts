import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer, listConsumers } from "../../src/access/consumer-service.ts";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { refuseDeclared } from "../../src/consumers/declared-reads.ts";
import { report } from "../../src/rollouts/judge/outcome-service.ts";
import { holdBack } from "../../src/rollouts/pins/hold-service.ts";
import { pin, unpin } from "../../src/rollouts/pins/pin-service.ts";
import { inShare } from "../../src/rollouts/plans/plan.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { whoHas } from "../../src/rollouts/views/who-has-reads.ts";
import { whyServed } from "../../src/rollouts/views/why-reads.ts";
import { importText, proposeText, rollBack } from "../harness/changes.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/* A consumer that is sticky by its runs: a percentage moves so many of them, and each of them sees one state from its first read to its last. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  await addConsumer(lake, "ana", { name: "export", kind: "job", criticality: "normal", labels: {} });
  await addConsumer(lake, "ana", { name: "shop", kind: "service", criticality: "normal", labels: {}, sticky: "session" });
  const { change } = await lake.propose({ operations: [], documents: [{ path: "consumers/scorer", text: "kind: model\nsticky: run\n" }] });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

const environment = "production";
const plan = "steps: [{ percent: 25, wait: 1h }, { percent: 60, wait: 1h }, { everyone: true }]\nguardrails: []\n";
const hours = (count: number): void => lake.clock.advance(count * 3_600_000);

/** A person's change, merged with a plan, with what follows from it. */
async function merged(dataset: string, csv: string, text = plan): Promise<string> {
  const change = await proposeText(lake, dataset, { kind: "upsert", csv });
  await setPlan(lake, { changeId: change, text, actor: "ana" });
  const { release } = await lake.merge(change);
  await lake.drain();
  return release.id;
}

const seen = async (dataset: string, consumer: string, run?: string): Promise<string> =>
  (await rowsOf(lake, dataset, { consumer, run })).map((row) => String(row["v"])).join(" ");
/** A run of the scorer that is in a share of a release and not in a smaller one. */
const runIn = (seed: string, from: number, to: number, consumer = "scorer"): string => {
  const isIn = (run: string, percent: number): boolean => inShare(run, { seed, consumer, percent });
  return Array.from({ length: 500 }, (_, at) => `${seed}-${at}`).find((run) => isIn(run, to) && !isIn(run, from)) ?? "";
};

test("a percentage moves that share of the runs; each keeps its view, a larger one holds them, and a read without a run has what all have", async () => {
  expect((await listConsumers(lake)).map(({ name, sticky }) => [name, sticky])).toEqual([
    ["export", "consumer"],
    ["scorer", "run"],
    ["shop", "session"],
  ]);
  await expect(refuseDeclared(lake.db, "scorer", { sticky: "consumer" })).rejects.toMatchObject({ code: "consumer.declared" });
  await importText(lake, "runs.t", "id,v\n1,a\n", ["id"]);
  const release = await merged("runs.t", "id,v\n1,A\n");
  const [early, later, never] = [runIn(release, 0, 25), runIn(release, 25, 60), runIn(release, 60, 100)];
  const shown = await showRelease(lake.db, release);
  // Of one consumer that moves as a whole a quarter, rounded up, is that one.
  expect(shown.members.map(({ consumer }) => consumer)).toEqual(["export"]);
  expect(shown.shares.map(({ consumer, percent, unit }) => [consumer, percent, unit])).toEqual([
    ["scorer", 25, "run"],
    ["shop", 25, "session"],
  ]);
  // What is kept of one is served to none of the others, whoever comes first.
  for (let round = 0; round < 2; round += 1) {
    expect(await seen("runs.t", "scorer")).toBe("a");
    expect(await seen("runs.t", "scorer", early)).toBe("A");
    expect(await seen("runs.t", "scorer", later)).toBe("a");
  }
  expect(await seen("runs.t", "shop", runIn(release, 0, 25, "shop"))).toBe("A");
  const reasonOf = async (run: string) => (await lake.resolver.resolve({ consumer: "scorer", run })).reason;
  expect([await reasonOf(early), await reasonOf(later)]).toEqual([`25 % of ${release}, run ${early}`, "run"]);
  const looked = await lake.resolver.resolve({ consumer: "scorer", run: `${never}-not-begun`, looks: true });
  expect(looked.leaseUntil).toBeUndefined();
  const of = { environment, dataset: await resolveDataset(lake.db, "runs.t"), at: lake.clock.now() };
  const why = await whyServed(lake.db, { ...of, consumer: "scorer" });
  expect([why.reason, why.next?.text]).toEqual([
    "live",
    `step 2 of 3 steps of ${release} (60 % of consumers, for 1 h) moves that share of its runs`,
  ]);
  expect(why.says.map(({ text }) => text)).toContainEqual(expect.stringContaining("25 % of its runs have it"));
  const holder = (await whoHas(lake.db, of)).consumers.find(({ consumer }) => consumer === "scorer");
  expect(holder?.reason).toBe(`live; 25 % of its runs have ${release}`);

  hours(1);
  await lake.drain();
  expect((await showRelease(lake.db, release)).release.step).toBe(2);
  // One that has begun keeps what it began with; what begins now is in the larger share.
  const next = Array.from({ length: 500 }, (_, at) => `s${at}`).filter((run) =>
    inShare(run, { seed: release, consumer: "scorer", percent: 60 }),
  );
  expect([await seen("runs.t", "scorer", later), await seen("runs.t", "scorer", next[0]), await seen("runs.t", "scorer", early)]).toEqual([
    "a",
    "A",
    "A",
  ]);
  expect([await seen("runs.t", "scorer", never), await seen("runs.t", "scorer")]).toEqual(["a", "a"]);
  await advance(lake, { release, actor: "ana" });
  expect([await seen("runs.t", "scorer"), await seen("runs.t", "scorer", never), await seen("runs.t", "scorer", "new")]).toEqual([
    "A",
    "a",
    "A",
  ]);
});

test("after a rollback the runs that had it are told at their next read, and the others read on", async () => {
  await importText(lake, "back.t", "id,v\n1,a\n", ["id"]);
  const release = await merged("back.t", "id,v\n1,X\n");
  const [moved, other] = [runIn(release, 0, 25), runIn(release, 60, 100)];
  expect([await seen("back.t", "scorer", moved), await seen("back.t", "scorer", other)]).toEqual(["X", "a"]);
  await rollBack(lake, release);
  await expect(seen("back.t", "scorer", moved)).rejects.toMatchObject({ code: "view.lease_ended" });
  expect([await seen("back.t", "scorer", other), await seen("back.t", "scorer", `${moved}-again`)]).toEqual(["a", "a"]);
});

test("what a run reports counts for the side that it read, and a failure of one in the share takes the release back", async () => {
  await importText(lake, "judged.t", "id,v\n1,a\n", ["id"]);
  const judged = "steps: [{ percent: 25, wait: 1h }, { everyone: true }]\n";
  const release = await merged("judged.t", "id,v\n1,A\n", judged);
  const [moved, other] = [runIn(release, 0, 25), runIn(release, 25, 100)];
  for (const run of [moved, other]) await seen("judged.t", "scorer", run);
  await lake.ledger.flush();
  lake.clock.advance(1000);
  const send = (id: string, run: string, ok: boolean) =>
    report(lake, { consumer: "scorer", environment }, { id, dataset: "judged.t", run, ok });
  await send("one", other, false);
  // What fails on both sides is not the release's doing.
  await send("two", moved, false);
  await lake.drain();
  expect((await showRelease(lake.db, release)).release.state).toBe("running");
  lake.clock.advance(1000);
  await send("three", other, true);
  await lake.drain();
  const rows = await lake.db.selectFrom("outcome_reports").select(["id", "arm"]).where("release_id", "=", release).orderBy("id").execute();
  expect(new Map(rows.map(({ id, arm }) => [id, arm]))).toEqual(
    new Map([
      ["one", "current"],
      ["three", "current"],
      ["two", "candidate"],
    ]),
  );
  expect((await showRelease(lake.db, release)).release.state).toBe("rolled_back");
});

test("no share moves a consumer that is held back or pinned, and a release in the place of another goes on with the same runs", async () => {
  await importText(lake, "kept.t", "id,v\n1,a\n2,b\n", ["id"]);
  await importText(lake, "kept.u", "id,v\n1,a\n", ["id"]);
  const both = ["kept.t", "kept.u"].map(async (name) => ({
    kind: "upsert" as const,
    dataset: name,
    source: source(await lake.file(`${name}.csv`, "id,v\n1,A\n")),
  }));
  const { change } = await lake.propose({ operations: await Promise.all(both) });
  await setPlan(lake, { changeId: change?.id ?? "", text: plan, actor: "ana" });
  const older = (await lake.merge(change?.id ?? "")).release.id;
  await lake.drain();
  const dataset = await resolveDataset(lake.db, "kept.t");
  const runs = Array.from({ length: 500 }, (_, at) => `k${at}`).filter((run) =>
    inShare(run, { seed: older, consumer: "scorer", percent: 25 }),
  );
  const [first, second, third, fourth] = runs;
  expect(await seen("kept.t", "scorer", first)).toBe("A b");
  const until = new Date(lake.clock.now().getTime() + 48 * 3_600_000);
  const who = { consumer: "scorer", reason: "month end", owner: "ana", actor: "ana", until };
  await pin(lake, { ...who, dataset: dataset.name, environment });
  // Nothing binds the two: a share would give the run one dataset as the release has it, and the other as somebody keeps it.
  expect([await seen("kept.t", "scorer", second), await seen("kept.u", "scorer", second)]).toEqual(["a b", "a"]);
  await unpin(lake, { consumer: "scorer", dataset: dataset.name, environment, actor: "ana" });

  const inPlace = "steps: [{ ring: export, wait: 1h }, { everyone: true }]\nguardrails: []\nqueue: supersede\n";
  const newer = await merged("kept.t", "id,v\n2,B\n", inPlace);
  expect((await showRelease(lake.db, older)).release.state).toBe("superseded");
  expect([await seen("kept.t", "scorer", third), await seen("kept.t", "scorer", first), await seen("kept.t", "scorer")]).toEqual([
    "A B",
    "A b",
    "a b",
  ]);
  await holdBack(lake, { ...who, release: newer });
  expect(await seen("kept.t", "scorer", fourth)).toBe("a b");
});
