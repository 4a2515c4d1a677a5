import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { judge } from "../../src/rollouts/judge/judge-service.ts";
import { report } from "../../src/rollouts/judge/outcome-service.ts";
import type { Outcome } from "../../src/rollouts/judge/outcome.ts";
import { pin } from "../../src/rollouts/pins/pin-service.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance, pause, resume } from "../../src/rollouts/release-service.ts";
import { importText, proposeText, rollBack } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/* The judge looks before each step at what moved consumers read and say: harm goes back by itself, and what is not proved is held. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  for (const name of ["board", "model", "export"]) await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", labels: {} });
});
afterAll(() => lake.close());

const minutes = (count: number): void => lake.clock.advance(count * 60_000);
const stateOf = async (id: string) => (await showRelease(lake.db, id)).release;
const environment = "production";
const read = (dataset: string, consumer: string, run?: string) => rowsOf(lake, dataset, { consumer, run });
const verdictOf = async (id: string) => judge(lake, await stateOf(id));

async function auditOf(release: string): Promise<string[]> {
  const rows = await lake.db.selectFrom("audit_events").select(["action", "actor"]).where("subject", "=", release).orderBy("seq").execute();
  return rows.map((row) => `${row.action} ${row.actor}`);
}

let reports = 0;
const say = (consumer: string, outcome: Partial<Outcome>) => {
  lake.clock.advance(1000);
  return report(lake, { consumer, environment }, { id: `report-${(reports += 1)}`, ...outcome });
};

async function planned(dataset: string, plan: string): Promise<{ change: string; release: string }> {
  await importText(lake, dataset, "id,v\n1,a\n2,b\n", ["id"]);
  for (const consumer of ["board", "model", "export"]) await read(dataset, consumer);
  const change = await proposeText(lake, dataset, { kind: "upsert", csv: "id,v\n1,A\n" });
  await setPlan(lake, { changeId: change, text: plan, actor: "ana" });
  const { release } = await lake.merge(change);
  lake.clock.advance(1000);
  return { change, release: release.id };
}

const rings = "steps: [{ ring: board, wait: 1h }, { ring: model, wait: 1h }, { everyone: true }]";

test("a step whose consumers have not read is held, and goes on by itself once they have", async () => {
  const { release } = await planned("quiet.t", rings);
  minutes(61);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "held", step: 1, reason: "NO_DATA: board has not read the candidate yet" });
  minutes(2);
  await lake.drain();
  expect((await stateOf(release)).state).toBe("held");
  await read("quiet.t", "board");
  minutes(2);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 2 });
  // It looked four times, and has said it once.
  expect(await auditOf(release)).toEqual([
    "release.start ana",
    "release.step ana",
    "release.hold tidegate judge",
    "release.resume tidegate judge",
    "release.step tidegate",
  ]);
  await rollBack(lake, release);
});

test("one moved consumer that says it fails takes the release back at once, also when it is paused, and the record names the judge", async () => {
  const { change, release } = await planned("broken.t", rings);
  await read("broken.t", "board");
  await pause(lake, { release, actor: "ana" });
  const told = await say("board", { dataset: "broken.t", ok: false, reason: "no delay for 2026-11" });
  expect(told).toMatchObject({ place: { releaseId: release, step: 1, arm: "candidate" }, judged: { verdict: "HARM" } });
  expect(await stateOf(release)).toMatchObject({
    state: "rolled_back",
    reason: "HARM: board fails on the candidate and did not before: no delay for 2026-11",
  });
  expect((await read("broken.t", "board"))[0]).toEqual({ id: 1, v: "a" });
  expect((await auditOf(release)).at(-1)).toBe("release.rollback tidegate judge");
  await lake.drain();
  const bars = await lake.db.selectFrom("bars").select("change_id").where("change_id", "=", change).execute();
  expect(bars).toHaveLength(1);
});

test("a failure on current, or of one that failed before it was moved, is no harm", async () => {
  await importText(lake, "sick.t", "id,v\n1,a\n", ["id"]);
  await read("sick.t", "board");
  expect((await say("board", { dataset: "sick.t", ok: false, reason: "was broken all along" })).place).toBeNull();
  const change = await proposeText(lake, "sick.t", { kind: "upsert", csv: "id,v\n1,A\n" });
  await setPlan(lake, { changeId: change, text: rings, actor: "ana" });
  const { release } = (await lake.merge(change)) as { release: { id: string } };
  await read("sick.t", "model");
  expect((await say("model", { dataset: "sick.t", ok: false })).place).toMatchObject({ arm: "current" });
  await read("sick.t", "board");
  expect((await say("board", { dataset: "sick.t", ok: false })).place).toMatchObject({ arm: "candidate" });
  expect(await stateOf(release.id)).toMatchObject({ state: "running" });
  await rollBack(lake, release.id);
});

test("the side and step of a report follow from what was served: before the move, after it, in a run, and late", async () => {
  const { release } = await planned("sides.t", rings);
  const place = async (consumer: string, about: Partial<Outcome> = {}) => {
    const told = await say(consumer, { dataset: "sides.t", metric: "n", value: 1, ...about });
    return told.place === null ? null : `${told.place.arm} ${told.place.step}`;
  };
  // It was moved, and has not read since: what it reports is of what it read before.
  expect(await place("board")).toBe("current 1");
  const before = lake.clock.now();
  lake.clock.advance(1000);
  await read("sides.t", "model", "long");
  await read("sides.t", "board");
  expect(await place("board")).toBe("candidate 1");
  expect(await place("export")).toBe("current 1");
  minutes(61);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ step: 2 });
  // The run of the model began before it was moved; what it reads without a run is the candidate.
  await read("sides.t", "model", "long");
  expect(await place("model", { run: "long" })).toBe("current 2");
  await read("sides.t", "model");
  expect(await place("model")).toBe("candidate 2");
  expect(await place("board", { at: before })).toBe("current 1");
  expect(await place("board", { at: new Date(before.getTime() + 20_000) })).toBe("candidate 1");
  expect(await place("board", { release, dataset: undefined })).toBe("candidate 2");
  expect(await place("board", { run: "never seen" })).toBeNull();
  await rollBack(lake, release);
});

test("a guardrail of an outcome: harm in the first ring's numbers goes back, and too little of them is held with what it needs", async () => {
  const plan = `${rings}\nguardrails: [{ outcome: conversion, worse: lower, kind: rate, margin: 0.02 }]`;
  const { release } = await planned("shop.t", plan);
  await read("shop.t", "board");
  const rate = (good: number, n: number) => ({ sums: { n, sum: good, sumSquares: good } });
  for (const consumer of ["model", "export"]) await say(consumer, { dataset: "shop.t", metric: "conversion", ...rate(60, 500) });
  await say("board", { dataset: "shop.t", metric: "conversion", ...rate(48, 400) });
  minutes(61);
  await lake.drain();
  const held = await stateOf(release);
  expect(held).toMatchObject({ state: "held" });
  expect(held.reason).toMatch(
    /^INCONCLUSIVE: conversion 0\.12 against 0\.12 \(400 reports .* about \d+ \d+ more reports like these make it SAFE$/,
  );
  await resume(lake, { release, actor: "ana" });
  await lake.drain();
  expect((await stateOf(release)).state).toBe("held");
  expect((await advance(lake, { release, actor: "ana", reason: "seen by eye" })).step).toBe(2);
  expect(await auditOf(release)).toContain("release.advance_unproved ana");
  const told = await say("board", { dataset: "shop.t", metric: "conversion", ...rate(10, 1000) });
  // Reports of the second step have no counterpart on current yet.
  expect(told.judged?.verdict).toBe("NO_DATA");
  const last = await say("export", { dataset: "shop.t", metric: "conversion", ...rate(120, 1000) });
  expect(last.judged).toMatchObject({
    verdict: "HARM",
    guardrails: [{ verdict: "NO_DATA" }, { guardrail: "conversion", verdict: "HARM" }],
  });
  expect((await stateOf(release)).reason).toMatch(
    /^HARM: conversion 0\.0\d+ against 0\.1\d+ .*: worse by 0\.0\d+ ± 0\.0\d+, and 0\.02 is tolerated$/,
  );
});

test("pairs are made of reports on the same thing from both sides; exact may decide over what is not proved", async () => {
  const plan = `${rings}\nguardrails: [{ outcome: error, worse: higher, margin: 0, minimum: 30 }]\nexact: decides`;
  const { release } = await planned("pairs.t", plan);
  await read("pairs.t", "board");
  minutes(61);
  await lake.drain();
  expect(await stateOf(release)).toMatchObject({ state: "running", step: 2 });
  await read("pairs.t", "model");
  for (let at = 0; at < 40; at += 1) {
    minutes(1);
    const value = 100 * Math.sin(at);
    await say("export", { dataset: "pairs.t", metric: "error", value, pair: `region ${at}` });
    const told = await say("model", { dataset: "pairs.t", metric: "error", value: value + 5 + (at % 3), pair: `region ${at}` });
    if (told.judged?.verdict === "HARM") break;
  }
  expect((await stateOf(release)).reason).toMatch(/^HARM: error .* \(\d+ pairs\): worse by [56]/);
  const kept = await lake.db.selectFrom("outcome_pairs").select("pair").execute();
  expect(kept.some((row) => row.pair.includes("region"))).toBe(false);
});

test("a wait that ended while nobody was there is no data first, and a plan may do without a judge", async () => {
  const watched = await planned("night.t", rings);
  const free = await planned("free.t", `${rings}\nguardrails: []`);
  await read("night.t", "board");
  minutes(180);
  await lake.drain();
  expect(await stateOf(watched.release)).toMatchObject({
    state: "held",
    reason: "NO_DATA: its wait ended while nobody was there to look",
  });
  expect(await stateOf(free.release)).toMatchObject({ state: "running", step: 2 });
  expect(await verdictOf(free.release)).toBeUndefined();
  minutes(6);
  await lake.drain();
  expect(await stateOf(watched.release)).toMatchObject({ state: "running", step: 2 });
  for (const { release } of [watched, free]) await rollBack(lake, release);
});

test("who is pinned is not waited for, and what it reports counts for neither side", async () => {
  const { release } = await planned("pinned.t", "steps: [{ ring: [board, model], wait: 1h }, { everyone: true }]");
  await read("pinned.t", "board");
  await read("pinned.t", "model");
  expect((await say("model", { dataset: "pinned.t", ok: true })).place).toMatchObject({ arm: "candidate" });
  const expiresAt = new Date(lake.clock.now().getTime() + 86_400_000);
  await pin(lake, {
    environment,
    consumer: "model",
    dataset: "pinned.t@1",
    until: expiresAt,
    reason: "month end",
    owner: "ana",
    actor: "ana",
  });
  await read("pinned.t", "model");
  expect((await say("model", { dataset: "pinned.t", ok: false })).place).toBeNull();
  minutes(60);
  await lake.drain();
  expect((await stateOf(release)).state).toBe("completed_with_holds");
  await rollBack(lake, release);
});

test("nobody advances over harm: the release is taken back instead", async () => {
  const { release } = await planned("late.t", rings);
  await read("late.t", "board");
  await lake.db
    .insertInto("outcome_reports")
    .values({
      consumer: "board",
      id: "meanwhile",
      content_hash: "",
      dataset_id: (await stored("late.t")) ?? "",
      release_id: release,
      step: 1,
      arm: "candidate",
      at: lake.clock.now(),
      received_at: lake.clock.now(),
      ok: false,
      reason: null,
    })
    .execute();
  await expect(advance(lake, { release, actor: "ana" })).rejects.toMatchObject({ code: "judge.harm" });
  expect((await stateOf(release)).state).toBe("rolled_back");

  async function stored(name: string): Promise<string | undefined> {
    return (await lake.db.selectFrom("datasets").select("id").where("name", "=", name).executeTakeFirst())?.id;
  }
});

test("a report that came before is not counted again, another under its id is refused, and so is what cannot be judged", async () => {
  await importText(lake, "same.t", "id,v\n1,a\n", ["id"]);
  const outcome = { id: "one", dataset: "same.t", metric: "once", value: 3 };
  expect((await say("board", outcome)).repeated).toBe(false);
  expect((await say("board", outcome)).repeated).toBe(true);
  const sums = await lake.db.selectFrom("outcomes").select(["n", "mean"]).where("metric", "=", "once").execute();
  expect(sums).toEqual([{ n: 1, mean: 3 }]);
  await expect(say("board", { ...outcome, value: 4 })).rejects.toMatchObject({ code: "outcome.exists" });
  const wrong: Partial<Outcome>[] = [
    { dataset: "same.t" },
    { metric: "n", value: 1 },
    { dataset: "same.t", metric: "n" },
    { dataset: "same.t", metric: "n", value: Number.NaN },
    { dataset: "same.t", metric: "n", values: [1, Number.POSITIVE_INFINITY] },
    { dataset: "same.t", metric: "n", sums: { n: 2, sum: 10, sumSquares: 1 } },
    { dataset: "same.t", metric: "errors", value: 1, ok: true },
    { dataset: "same.t", latencyMs: -1 },
    { dataset: "same.t", ok: true, at: new Date(lake.clock.now().getTime() + 3_600_000) },
  ];
  for (const about of wrong) await expect(say("board", about)).rejects.toMatchObject({ code: "outcome.invalid" });
});

test("nobody outvotes the others by saying that it has more: a reporter counts for as many values as all others of its side", async () => {
  const guardrails = "guardrails: [{ outcome: booked, worse: lower, kind: rate, margin: 0.05 }]";
  const { release } = await planned("votes.t", `steps: [{ ring: [board, model], wait: 1h }, { everyone: true }]\n${guardrails}`);
  for (const consumer of ["board", "model", "export"]) await read("votes.t", consumer);
  const booked = (consumer: string, n: number, share: number) =>
    say(consumer, { dataset: "votes.t", metric: "booked", sums: { n, sum: n * share, sumSquares: n * share } });
  await booked("export", 2000, 0.5);
  await booked("model", 600, 0.5);
  await booked("board", 1_000_000, 0.52);
  const [, told] = (await verdictOf(release))?.guardrails ?? [];
  expect(told).toMatchObject({ guardrail: "booked", verdict: "SAFE", candidate: 1200, current: 2000 });
  // Ten million good ones do not hide that the other's bookings are half of what they were.
  await booked("board", 9_000_000, 0.52);
  expect((await booked("model", 2400, 0.2)).judged?.verdict).toBe("HARM");
  expect((await stateOf(release)).reason).toMatch(/^HARM: booked 0\.39 against 0\.5 \(6 000 reports on the candidate/);
});

test("of a rate other values than 0 to 1 are refused, one by one and in sums", async () => {
  const guardrails = "guardrails: [{ outcome: booked, worse: lower, kind: rate, margin: 0.05 }]";
  const { release } = await planned("rates.t", `steps: [{ ring: board, wait: 1h }, { everyone: true }]\n${guardrails}`);
  await read("rates.t", "board");
  const about = { dataset: "rates.t", metric: "booked" };
  for (const values of [[1000], [-1], [0, 1, 1.5]]) await expect(say("board", { ...about, values })).rejects.toMatchObject(noRate);
  for (const sums of [
    { n: 10, sum: 11, sumSquares: 121 },
    { n: 10, sum: 5, sumSquares: 6 },
  ])
    await expect(say("board", { ...about, sums })).rejects.toMatchObject(noRate);
  await say("board", { ...about, sums: { n: 10, sum: 5, sumSquares: 5 } });
  await say("board", { ...about, value: 0.25 });
  // Another metric may be anything.
  await say("board", { dataset: "rates.t", metric: "euros", value: 1000 });
  await rollBack(lake, release);
});

const noRate = { code: "outcome.invalid", expected: "booked as values from 0 to 1" };

test("a run counts for the side of the view that it began with, also where the ledger has no read of it", async () => {
  const { release } = await planned("runs.t", rings);
  await lake.resolver.resolve({ consumer: "model", run: "before" });
  await read("runs.t", "board");
  minutes(61);
  await lake.drain();
  expect((await stateOf(release)).step).toBe(2);
  await read("runs.t", "model");
  expect((await say("model", { dataset: "runs.t", ok: true, run: "before" })).place).toMatchObject({ arm: "current" });
  expect((await say("model", { dataset: "runs.t", ok: true })).place).toMatchObject({ arm: "candidate" });
  await rollBack(lake, release);
});
