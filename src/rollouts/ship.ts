import type { Mutation } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import { builtFrom, datasetsOfVersions, everBuiltFrom } from "../catalog/derivation-store.ts";
import type { Ref } from "../catalog/ref-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Reader } from "../db/db.ts";
import type { Ids } from "../edges/ids.ts";
import { toJson } from "../lib/json.ts";
import { barsOn } from "./rollback/bar-store.ts";
import { boundApart, misfitText } from "./fit.ts";
import { endHolds, putHolds, standingHolds, stayingBack, type Hold } from "./pins/hold-store.ts";
import { moveLive } from "./live-line.ts";
import { freezesOf } from "./plans/freeze-reads.ts";
import { frozenAt, frozenText, type Frozen } from "./plans/freeze.ts";
import { keepPinned } from "./pins/pin-moves.ts";
import { atOnce, isAtOnce, type Plan } from "./plans/plan.ts";
import { isActive, nextReleaseState } from "./release-machine.ts";
import {
  finishRelease,
  insertRelease,
  newRelease,
  openReleases,
  putChanges,
  putEntriesOf,
  releaseContents,
  type Release,
  type ReleaseEntry,
} from "./release-store.ts";
import { startStep } from "./step-commit.ts";
import { planOfRelease, putSteps, stepsOf } from "./step-store.ts";
import { canEnd } from "./supersede.ts";

export interface Shipment {
  environment: string;
  /** The environment's ref, locked by this transaction. */
  live: Ref;
  /** The tree of main as this transaction leaves it. */
  mainTree: string;
  /** Datasets whose version on main moved. */
  datasetIds: readonly string[];
  changeId: string | null;
  ordinary: boolean;
  reason: string;
  /** How it shall reach readers; at once where there is none. */
  plan?: Plan | undefined;
  /** It reverts something: what waits for that goes with it. */
  undoes?: boolean;
  /** Datasets that point at these by a foreign key, or are pointed at: releases of them do not run at the same time. */
  neighbours?: readonly string[];
  /** What the consumers' tests of the merge looked at: the versions from which each dataset moved, and whether a test broke. */
  tested?: { from: ReadonlyMap<string, string | null>; broken: boolean } | undefined;
  /** Somebody lets it merge against the policy: no freeze holds it. */
  breakGlass?: boolean | undefined;
  /** A release that waited and is tried again. */
  waited?: Release | undefined;
  /** Whether what it brings fits to the rest of what readers have, where the merge has not tested the two together. */
  fit?: Fit | undefined;
}

/** How the reason of a release begins whose view nobody has looked at yet. */
export const untested = "is tried beside what readers have of";

/** What was found of the view that a release would give, and for which: another view is another question. */
export interface Fit {
  generation: bigint;
  moving: ReadonlyMap<string, string | null>;
  misfits: readonly string[];
}

/**
 * Releases what main now has of some datasets, inside the merge's own transaction. Without a plan readers get it with the commit. With one its
 * first step starts with the commit. It waits when it would bring readers a barred change, and when a release of the same datasets is under
 * way; an ordinary batch is then carried to both sides. And it waits where something bound to it stands otherwise to readers than on main,
 * until that view was looked at and fits together. In a freeze it waits for its end; batches, reverts and break-glass do not. Waiting releases of the same datasets are contained in it and end as superseded.
 */
export async function ship(m: Mutation, ids: Ids, shipment: Shipment): Promise<Release> {
  const { live } = shipment;
  const contained = await closure(m, shipment);
  const older = new Set(contained.older);
  const active = contained.releases.filter((release) => isActive(release.state) && !older.has(release));
  const waiting = contained.releases.filter((release) => release.state === "waiting");
  const datasets = [...contained.datasets];
  const after = await readSome(m.tx, shipment.mainTree, datasets);
  const versions = await getVersions(m.tx, [...after.values()]);
  const barred = await barsOn(m.tx, [...versions.values()]);
  const liveTree = await readTree(m.tx, live.commitId);
  const before = await readSome(m.tx, liveTree, datasets);
  const parcel: Parcel = {
    release: shipment.waited ?? newRelease({ ...facts(shipment), id: ids.next("rel"), createdAt: m.at }),
    entry: (datasetId) => ({ datasetId, beforeVersion: before.get(datasetId) ?? null, afterVersion: after.get(datasetId) ?? null }),
    own: shipment.changeId === null ? [] : [shipment.changeId],
  };
  if (barred.size > 0)
    return wait(m, shipment, parcel, { reason: `waits for the revert of ${[...barred].join(", ")}`, barred: [...barred] });
  const aside = shipment.ordinary && !shipment.undoes && waiting.some((release) => release.planned);
  if (active.length > 0 || aside) {
    const others = (active.length > 0 ? active : waiting.filter((release) => release.planned)).map((release) => release.id).join(", ");
    const reason = shipment.ordinary ? `being carried beside ${others}` : `queued behind ${others}`;
    return wait(m, shipment, parcel, { reason, barred: [] });
  }
  const moving = new Map(datasets.map((id) => [id, after.get(id) ?? null]));
  // A batch that waits for that is carried by itself, and tested on its way.
  const byTests = shipment.ordinary && shipment.undoes !== true;
  const apart = await boundApart(m.tx, { liveTree, mainTree: shipment.mainTree, moving, byTests });
  const misfit = apart.length === 0 ? undefined : misfitOf(shipment, moving);
  if (misfit !== undefined) {
    const isOpen = misfit === untested;
    const neighbours = [...new Set([...(shipment.neighbours ?? []), ...(isOpen ? [] : apart.map(({ id }) => id))])];
    const reason = isOpen ? `${untested} ${apart.map(({ name }) => name).join(", ")}` : misfit;
    return wait(m, { ...shipment, neighbours }, parcel, { reason, barred: [] });
  }
  const plan = shipment.plan ?? (await planOfNewest(m, waiting));
  const isFree = shipment.ordinary || shipment.undoes === true || shipment.breakGlass === true;
  const frozen = isFree ? undefined : frozenAt(await freezesOf(m.tx, shipment.mainTree), m.at);
  if ((plan !== undefined && !isAtOnce(plan)) || frozen !== undefined)
    return startPlan(m, apart.length === 0 ? shipment : { ...shipment, tested: undefined }, {
      ...parcel,
      plan: plan ?? atOnce,
      waiting,
      contained,
      frozen,
    });
  const changes = contained.changesOf(waiting);
  const entries = datasets.map(parcel.entry);
  const edits = new Map(entries.map((entry) => [entry.datasetId, entry.afterVersion]));
  const { release } = parcel;
  const behind = await keepPinned(m, shipment.environment, { moving: edits, liveTree });
  const ahead = await heldAhead(m, [release, ...waiting]);
  const isHolding = (behind.length > 0 || ahead.length > 0) && !shipment.ordinary;
  const state = nextReleaseState(release, isHolding ? "complete_with_holds" : "complete");
  const moved = await moveLive(m, live, { edits, message: shipment.reason, releaseId: release.id, parentTree: liveTree });
  const completed: Release = {
    ...release,
    state,
    reason: shipment.reason,
    finishedAt: m.at,
    liveCommit: moved.commit,
    liveAt: moved.at,
  };
  if (shipment.waited === undefined) await insertRelease(m.tx, { ...completed, entries, changes: [...parcel.own, ...changes] });
  else {
    await finishRelease(m.tx, release.id, { state, at: m.at, live: moved, reason: shipment.reason, entries });
    await putChanges(m.tx, release.id, changes);
  }
  await putHolds(m.tx, release.id, ahead, { versions: new Map(datasets.map((id) => [id, before.get(id) ?? null])), at: m.at });
  await endContained(m, release.id, waiting);
  m.record({
    action: "release.complete",
    subject: release.id,
    payload: { change: shipment.changeId, datasets: datasets.length, contains: changes },
  });
  m.enqueue("release.completed", { release: release.id });
  return completed;
}

/** What is about to be released, as far as all ways of releasing it share. */
interface Parcel {
  release: Release;
  entry(datasetId: string): ReleaseEntry;
  own: readonly string[];
}

const facts = ({ environment, changeId, ordinary, reason }: Shipment) => ({ environment, changeId, ordinary, reason });

/** What does not fit in the view that a shipment gives; undefined when it fits, {@link untested} when nobody has looked at this view. */
function misfitOf({ fit, live }: Shipment, moving: ReadonlyMap<string, string | null>): string | undefined {
  const isOfThis =
    fit?.generation === live.generation && fit.moving.size === moving.size && [...moving].every(([id, to]) => fit.moving.get(id) === to);
  if (!isOfThis) return untested;
  return fit.misfits.length === 0 ? undefined : `waits: ${misfitText(fit.misfits)}`;
}

/** Puts a release behind what stands against it; one that waited before goes on waiting, and says for what. */
async function wait(m: Mutation, shipment: Shipment, parcel: Parcel, why: { reason: string; barred: string[] }): Promise<Release> {
  const planned = shipment.plan !== undefined && !isAtOnce(shipment.plan);
  const release: Release = { ...parcel.release, planned, reason: why.reason, neighbours: shipment.neighbours ?? [] };
  if (shipment.waited === undefined) {
    const entries = shipment.datasetIds.map(parcel.entry);
    await insertRelease(m.tx, { ...release, entries, changes: parcel.own, plan: shipment.plan });
  } else {
    const { reason, neighbours } = release;
    await m.tx
      .updateTable("releases")
      .set({ reason, neighbours: [...neighbours] })
      .where("id", "=", release.id)
      .execute();
  }
  m.record({ action: "release.wait", subject: release.id, payload: { change: shipment.changeId, reason: why.reason, barred: why.barred } });
  if (shipment.waited === undefined) m.enqueue("release.waiting", { release: release.id });
  return release;
}

/** A waiting release with a plan gives it to the one that contains it: nothing reaches everybody at once because something came after it. */
async function planOfNewest(m: Mutation, waiting: readonly Release[]): Promise<Plan | undefined> {
  const newest = waiting.findLast((release) => release.planned);
  return newest === undefined ? undefined : planOfRelease(m.tx, newest.id);
}

interface Planned extends Parcel {
  plan: Plan;
  waiting: readonly Release[];
  contained: Closure;
  /** A freeze in which its first step does not start. */
  frozen: Frozen | undefined;
}

/** Starts a release's first step. Ordinary batches that wait stay on their own way to readers: they do not wait for the last step. */
async function startPlan(m: Mutation, shipment: Shipment, work: Planned): Promise<Release> {
  const { plan, contained } = work;
  const entries = [...contained.datasets].map(work.entry);
  const [batches, others] = [work.waiting.filter((item) => item.ordinary), work.waiting.filter((item) => !item.ordinary)];
  const bound = [...(shipment.neighbours ?? []), ...[...others, ...contained.older].flatMap((item) => item.neighbours)];
  const neighbours = [...new Set(bound)];
  const release: Release = { ...work.release, planned: true, ordinary: false, neighbours, queue: plan.queue ?? "wait" };
  const contains = contained.changesOf(others);
  const changes = [...work.own, ...contains];
  if (shipment.waited === undefined) await insertRelease(m.tx, { ...release, entries, changes, plan });
  else {
    await putEntriesOf(m.tx, release.id, entries);
    await putSteps(m.tx, release.id, plan);
    await putChanges(m.tx, release.id, changes);
    const guardrails = plan.judging === undefined ? null : toJson(plan.judging);
    await m.tx
      .updateTable("releases")
      .set({ planned: true, ordinary: false, neighbours: [...neighbours], guardrails, queue: release.queue })
      .where("id", "=", release.id)
      .execute();
  }
  const versions = new Map(entries.map((entry) => [entry.datasetId, entry.beforeVersion]));
  await putHolds(m.tx, release.id, await heldAhead(m, [release, ...others]), { versions, at: m.at });
  await endContained(m, release.id, others);
  for (const batch of batches) m.enqueue("release.waiting", { release: batch.id });
  const older = contained.older.map(({ id }) => id);
  const payload = { change: shipment.changeId, datasets: entries.length, contains, steps: plan.steps.length, supersedes: older };
  m.record({ action: "release.start", subject: release.id, payload });
  const steps = await stepsOf(m.tx, release.id);
  const inPlace = older.length === 0 ? "" : `, in place of ${older.join(", ")}`;
  if (plan.steps[0]?.approval === true) {
    const reason = `its first step waits for somebody to advance it${inPlace}`;
    await m.tx.updateTable("releases").set({ state: "running", reason }).where("id", "=", release.id).execute();
    // Nothing starts, but somebody must be told.
    m.enqueue("release.waiting", { release: release.id });
    return { ...release, state: "running", reason };
  }
  if (work.frozen !== undefined) {
    const [reason, due_at] = [`${frozenText(work.frozen)}${inPlace}`, work.frozen.until];
    await m.tx.updateTable("releases").set({ state: "running", reason, due_at }).where("id", "=", release.id).execute();
    return { ...release, state: "running", reason, dueAt: due_at };
  }
  // Whoever is on the candidates of an older one is moved from those: the merge has not tested that.
  if (older.length > 0 || !isTested(shipment, entries)) {
    const reason = `its first step is due once its consumers' tests have run on it${inPlace}`;
    await m.tx.updateTable("releases").set({ state: "running", reason, due_at: m.at }).where("id", "=", release.id).execute();
    return { ...release, state: "running", reason, dueAt: m.at };
  }
  return startStep(m, { release, live: shipment.live, entries, steps, message: shipment.reason, broken: [], projected: [] });
}

/** Whether the merge's own tests were those of the first step: readers have what main had, and nothing broke. */
function isTested({ tested }: Shipment, entries: readonly ReleaseEntry[]): boolean {
  if (tested === undefined || tested.broken) return false;
  return entries.every((entry) => tested.from.has(entry.datasetId) && tested.from.get(entry.datasetId) === entry.beforeVersion);
}

/** Consumers that somebody has held back from releases that are about to go out as one. */
async function heldAhead(m: Mutation, releases: readonly Release[]): Promise<Hold[]> {
  const holds = new Map<string, Hold>();
  for (const release of releases)
    for (const hold of stayingBack(await standingHolds(m.tx, release.id, m.at)))
      if (!holds.has(hold.consumer)) holds.set(hold.consumer, hold);
  return [...holds.values()];
}

async function endContained(m: Mutation, releaseId: string, contained: readonly Release[]): Promise<void> {
  for (const older of contained) {
    if (older.id === releaseId) continue;
    await finishRelease(m.tx, older.id, { state: "superseded", at: m.at, reason: `shipped with ${releaseId}` });
    await endHolds(m.tx, older.id, { at: m.at });
  }
}

export interface Closure {
  datasets: ReadonlySet<string>;
  releases: Release[];
  /** Those under way in whose place the shipment comes. */
  older: Release[];
  changesOf(releases: readonly Release[]): string[];
}

/** The datasets to ship, with those of waiting releases that main's versions contain: half a release is never shipped. */
export async function closure(
  { tx }: { tx: Reader },
  shipment: Pick<Shipment, "environment" | "live" | "mainTree" | "datasetIds" | "ordinary" | "neighbours" | "waited" | "plan">,
): Promise<Closure> {
  const datasets = new Set(shipment.datasetIds);
  const own = new Set(shipment.datasetIds);
  const supersedes = shipment.plan?.queue === "supersede" && !shipment.ordinary;
  const older: Release[] = [];
  const releases = new Map<string, Release>();
  const changes = new Map<string, readonly string[]>();
  for (;;) {
    for (const id of await boundBy(tx, shipment, datasets)) datasets.add(id);
    const more = (
      await openReleases(tx, shipment.environment, [...datasets], shipment.ordinary ? undefined : (shipment.neighbours ?? []))
    ).filter((release) => !releases.has(release.id) && release.id !== shipment.waited?.id);
    if (more.length === 0) break;
    const contents = await releaseContents(
      tx,
      more.map((release) => release.id),
    );
    for (const release of more) {
      releases.set(release.id, release);
      const entries = contents.get(release.id)?.entries ?? [];
      const isOlder = supersedes && canEnd(release) && entries.some((entry) => own.has(entry.datasetId));
      if (isOlder) older.push(release);
      // What is under way is nobody's part: it is gone round. One whose place is taken is contained whole, unless all have it.
      if (release.state !== "waiting" && !(isOlder && release.liveAt === null)) continue;
      for (const entry of entries) datasets.add(entry.datasetId);
      changes.set(release.id, contents.get(release.id)?.changes ?? []);
    }
  }
  return {
    datasets,
    releases: [...releases.values()],
    older,
    changesOf: (of) => [...new Set(of.flatMap((release) => changes.get(release.id) ?? []))],
  };
}

/**
 * What must be shipped with some datasets because of what is built from what: their derived datasets, and whatever these were built from and
 * readers do not have yet. A view holds a derived dataset only with its inputs.
 */
async function boundBy(
  tx: Reader,
  { mainTree, live }: Pick<Shipment, "mainTree" | "live">,
  datasetIds: ReadonlySet<string>,
): Promise<Set<string>> {
  const followers = await everBuiltFrom(tx, datasetIds);
  const entries = await readSome(tx, mainTree, [...datasetIds, ...followers]);
  const all = [...(await getVersions(tx, [...entries.values()])).values()];
  const own = all.filter((version) => version.inputs !== null && datasetIds.has(version.datasetId));
  const versions = [...own, ...(await builtFrom(tx, all, datasetIds)).filter((version) => !datasetIds.has(version.datasetId))];
  if (versions.length === 0) return new Set();
  const inputs = await datasetsOfVersions(
    tx,
    versions.flatMap((version) => version.inputs ?? []),
  );
  const readers = await readSome(tx, await readTree(tx, live.commitId), [...followers, ...inputs.values()]);
  const bound = new Set<string>();
  for (const version of versions) {
    if (readers.get(version.datasetId) !== version.id) bound.add(version.datasetId);
    for (const id of version.inputs ?? []) {
      const input = inputs.get(id);
      if (input !== undefined && readers.get(input) !== id) bound.add(input);
    }
  }
  return new Set([...bound].filter((id) => !datasetIds.has(id)));
}
