import { mutate, type Mutation } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import { lockDatasets } from "../catalog/dataset-store.ts";
import { getRef, liveRef, lockRefs, mainRef, type Ref } from "../catalog/ref-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, type WriteLease } from "../catalog/write-lease.ts";
import type { Reader } from "../db/db.ts";
import { nameDrafts, type Draft } from "../effects/version-writer.ts";
import type { CarriedLine, Fitting, Refused } from "./carried.ts";
import { boundApart } from "./fit.ts";
import { linesFor, sameLines, type Line } from "./lines.ts";
import { moveLive } from "./live-line.ts";
import { keepPinned } from "./pins/pin-moves.ts";
import { nextReleaseState } from "./release-machine.ts";
import { findRelease, finishRelease, putEntriesOf, releaseEntries, type Release } from "./release-store.ts";
import { minute, setState } from "./release-turn.ts";
import { barsOn } from "./rollback/bar-store.ts";
import type { RolloutDeps } from "./step-tests.ts";
import { keepFormerEntries } from "./views/reader-history.ts";

/* What becomes of a batch that was built on its lines: its commit point, and what waits. */

export interface Try {
  release: Release;
  changeId: string;
  /** Only onto the candidates of this release: all others have the batch. */
  rolloutId?: string | undefined;
}

/** The lines of a batch, or live and the only one onto which it is to be carried. */
export const linesOf = (lines: readonly Line[], rolloutId: string | undefined): Line[] =>
  lines.filter(({ release }) => release === undefined || rolloutId === undefined || release.id === rolloutId);

/** The batch waits, and so does each rollout beside which it should have been carried: its readers would lose something otherwise. */
export async function hold(deps: RolloutDeps, batch: Release, { line, why }: Refused, lines: readonly Line[]): Promise<"done"> {
  await mutate(deps, "tidegate", async (m) => {
    await lockRefs(m.tx, [liveRef(batch.environment)]);
    const reason = line.release === undefined ? why : `beside ${line.release.id}: ${why}`;
    await m.tx.updateTable("releases").set({ reason }).where("id", "=", batch.id).where("state", "=", "waiting").execute();
    m.record({ action: "release.hold", subject: batch.id, payload: { reason } });
    for (const { release, isOnlyBound } of lines) {
      if (isOnlyBound && release?.id !== line.release?.id) continue;
      const now = release && (await findRelease(m.tx, release.id));
      if (now !== undefined) await holdRollout(m, now, `${batch.changeId ?? batch.id} cannot be carried to both sides: ${reason}`);
    }
  });
  return "done";
}

/** The batch waits for what its datasets are bound to, on the side where it does not fit. Nothing is held for that. */
export async function waitForFit(
  deps: RolloutDeps,
  wait: { release: Release; tree: string; ids: readonly string[]; why: string },
): Promise<"done"> {
  const { release, why } = wait;
  if (release.reason === why) return "done";
  await mutate(deps, "tidegate", async (m) => saysItWaits(m, release.id, { ...(await waitingFor(m.tx, wait)), reason: why }));
  return "done";
}

/** What must move before a batch is tried again: its datasets, and whatever they are bound to and readers have otherwise than main. */
async function waitingFor(db: Reader, { tree, ids }: { tree: string; ids: readonly string[] }): Promise<{ neighbours: string[] }> {
  const mainTree = await readTree(db, (await getRef(db, mainRef)).commitId);
  const apart = await boundApart(db, { liveTree: tree, mainTree, moving: await readSome(db, tree, ids), byTests: true });
  return { neighbours: [...new Set([...ids, ...apart.map(({ id }) => id)])] };
}

async function saysItWaits(m: Mutation, id: string, wait: { reason: string; neighbours: string[] }): Promise<void> {
  await m.tx.updateTable("releases").set(wait).where("id", "=", id).where("state", "=", "waiting").execute();
  m.record({ action: "release.wait", subject: id, payload: { reason: wait.reason } });
}

/** Holds a release under way, if it still is. */
async function holdRollout(m: Mutation, release: Release, reason: string): Promise<void> {
  if (release.state !== "running" && release.state !== "paused" && release.state !== "held") return;
  const state = nextReleaseState(release, "hold");
  await m.tx.updateTable("releases").set({ state, reason, due_at: null, look_at: null }).where("id", "=", release.id).execute();
  m.record({ action: "release.hold", subject: release.id, payload: { reason } });
  m.enqueue("release.stopped", { release: release.id, reason });
}

/** A release whose candidates do without a batch stops: its next step would take from readers what all have. It tries again by itself. */
async function leaveBehind(m: Mutation, batch: Try, line: Line, why: string): Promise<void> {
  const release = line.release && (await findRelease(m.tx, line.release.id));
  if (release === undefined) return;
  const reason = lacksText(batch.changeId, why);
  m.record({ action: "release.lacks", subject: release.id, payload: { change: batch.changeId, reason } });
  // Who stopped it says when it goes on; what it lacks is asked then.
  if (release.state !== "running" && release.lookAt === null) return;
  await setState(m, release, { event: "hold", reason, dueAt: null, lookAt: new Date(m.at.getTime() + minute) });
}

/** What candidates do without, and why, in words. */
export const lacksText = (changeId: string, why: string): string => `its candidates do without ${changeId}, which all others have: ${why}`;

interface Carrying extends Fitting, Try {
  live: Ref;
  tree: string;
  /** The datasets of the batch. */
  ids: readonly string[];
  /** All that was looked at, live first. */
  lines: readonly Line[];
  lease: WriteLease;
}

/** The commit point: live and all candidates have the batch with it, or none has; where it does not fit on live, those candidates have it. */
export async function commitCarried(deps: RolloutDeps, work: Carrying): Promise<"done" | "live moved"> {
  const { release, goes, waits } = work;
  const ids = [...new Set(goes.flatMap(({ results }) => [...results.keys()]))];
  return mutate(deps, "tidegate", async (m) => {
    const live = (await lockRefs(m.tx, [work.live.name])).get(work.live.name);
    const entries = (await releaseEntries(m.tx, release.id)).map((entry) => entry.datasetId);
    const now = linesOf(await linesFor(m.tx, release.environment, entries), work.rolloutId);
    if (live?.generation !== work.live.generation || !sameLines(now, work.lines)) {
      m.record({ action: "release.retry", subject: release.id, payload: {} });
      return "live moved";
    }
    await lockDatasets(m.tx, ids);
    await endLease(m.tx, work.lease, m.at);
    const named = await nameResults(m, goes);
    const [own] = goes;
    const barred = await barsOn(m.tx, [...((own && named.get(own)) ?? new Map<string, Version>()).values()]);
    if (barred.size > 0) {
      const reason = `waits for the revert of ${[...barred].join(", ")}`;
      await m.tx.updateTable("releases").set({ reason }).where("id", "=", release.id).execute();
      m.record({ action: "release.hold", subject: release.id, payload: { barred: [...barred] } });
      return "done";
    }
    const moving = new Map([...named.values()].flatMap((versions) => [...versions].map(([id, version]) => [id, version.id] as const)));
    await keepPinned(m, release.environment, { moving, liveTree: work.tree });
    for (const carried of goes) {
      const { line } = carried;
      if (line.release === undefined) continue;
      const versions = [...(named.get(carried) ?? [])];
      const before = new Map(line.entries.map((entry) => [entry.datasetId, entry.beforeVersion]));
      const moved = versions.map(([datasetId, version]) => ({
        datasetId,
        beforeVersion: before.get(datasetId) ?? carried.before.get(datasetId)?.id ?? null,
        afterVersion: version.id,
      }));
      await keepFormerEntries(m.tx, line.release.id, { datasetIds: versions.map(([datasetId]) => datasetId), at: m.at });
      await putEntriesOf(m.tx, line.release.id, moved);
      m.record({ action: "release.carry", subject: line.release.id, payload: { change: release.changeId } });
    }
    if (waits !== undefined) {
      await saysItWaits(m, release.id, { ...(await waitingFor(m.tx, work)), reason: waits });
      return "done";
    }
    for (const { line, why } of work.behind) await leaveBehind(m, work, line, why);
    if (work.rolloutId !== undefined) {
      // All others have had it since it was carried the first time.
      await m.tx
        .updateTable("releases")
        .set({ reason: await titleOf(m, release) })
        .where("id", "=", release.id)
        .execute();
      return "done";
    }
    return commitToLive(m, { ...work, live, after: (own && named.get(own)) ?? new Map(), before: own?.before ?? new Map() });
  });
}

/** Names what was built, once each: what two lines share is one version. */
async function nameResults(m: Mutation, lines: readonly CarriedLine[]): Promise<Map<CarriedLine, Map<string, Version>>> {
  const known = new Map<Draft, Version>();
  const named = new Map<CarriedLine, Map<string, Version>>();
  for (const carried of lines) {
    const drafts = [...carried.results.values()].flatMap((result) => ("draft" in result && !known.has(result.draft) ? [result.draft] : []));
    const versions = await nameDrafts(m, drafts);
    for (const draft of drafts) known.set(draft, versions.get(draft.version.datasetId) as Version);
    const after = [...carried.results].map(
      ([id, result]) => [id, "version" in result ? result.version : (known.get(result.draft) as Version)] as const,
    );
    named.set(carried, new Map(after));
  }
  return named;
}

async function titleOf(m: Mutation, release: Release): Promise<string> {
  const row = await m.tx.selectFrom("changes").select("title").where("id", "=", release.changeId).executeTakeFirst();
  return row?.title ?? release.reason;
}

async function commitToLive(
  m: Mutation,
  work: Pick<Carrying, "release" | "live" | "tree" | "behind"> & {
    after: Map<string, Version>;
    before: ReadonlyMap<string, Version | undefined>;
  },
): Promise<"done"> {
  const { release, after, before } = work;
  if (after.size === 0) {
    await finishRelease(m.tx, release.id, { state: "superseded", at: m.at, reason: "readers have it already" });
    m.record({ action: "release.supersede", subject: release.id, payload: { change: release.changeId } });
    m.enqueue("release.ended", { release: release.id });
    return "done";
  }
  const edits = new Map([...after].map(([id, version]) => [id, version.id]));
  const message = await titleOf(m, release);
  const reason = [message, ...work.behind.map(({ line, why }) => `readers of ${line.release?.id ?? ""} do without it: ${why}`)].join("; ");
  const moved = await moveLive(m, work.live, { edits, message, releaseId: release.id, parentTree: work.tree });
  const entries = [...edits].map(([datasetId, afterVersion]) => ({
    datasetId,
    beforeVersion: before.get(datasetId)?.id ?? null,
    afterVersion,
  }));
  await finishRelease(m.tx, release.id, { state: "completed", at: m.at, live: moved, reason, entries });
  m.record({ action: "release.complete", subject: release.id, payload: { carried: release.changeId } });
  m.enqueue("release.completed", { release: release.id });
  return "done";
}
