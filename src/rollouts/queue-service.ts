import { mutate, type Mutation } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import { lockDatasets } from "../catalog/dataset-store.ts";
import { getRef, liveRef, lockRefs, mainRef } from "../catalog/ref-store.ts";
import { treeSide } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Reader } from "../db/db.ts";
import { eachInTurn } from "../lib/each.ts";
import { boundApart, misfitsOf } from "./fit.ts";
import { carryOntoLive } from "./live-carry.ts";
import { findRelease, lockRelease, releaseEntries, waitingReleases } from "./release-store.ts";
import { closure, ship, untested, type Fit } from "./ship.ts";
import { planOfRelease } from "./step-store.ts";
import type { RolloutDeps } from "./step-tests.ts";

/**
 * Starts what waited for a release that has ended, the newest first: it contains the older ones of its datasets. Batches that could not be
 * carried beside it, or that wait for what it brings, are tried again. One that fails keeps no other waiting. Safe to run again.
 */
export async function startQueued(deps: RolloutDeps, endedId: string): Promise<void> {
  const ended = await findRelease(deps.db, endedId);
  if (ended === undefined) return;
  const waiting = await waitingReleases(deps.db, ended.environment);
  const moved = new Set((await releaseEntries(deps.db, endedId)).map((entry) => entry.datasetId));
  const batches = waiting.filter((item) => item.ordinary && (ended.planned || item.neighbours.some((id) => moved.has(id))));
  const others = waiting.filter((item) => !item.ordinary).toReversed();
  await eachInTurn([...others, ...batches], ({ id }) => startWaiting(deps, id));
}

/**
 * A step moved readers: batches that wait for what it brings are tried again. After the last one that is all that its own readers had before,
 * though its bake goes on.
 */
export async function tryBeside(deps: RolloutDeps, releaseId: string): Promise<void> {
  const release = await findRelease(deps.db, releaseId);
  if (release === undefined) return;
  const brings = new Set((await releaseEntries(deps.db, releaseId)).map((entry) => entry.datasetId));
  const waiting = await waitingReleases(deps.db, release.environment);
  const batches = waiting.filter((item) => item.ordinary && item.neighbours.some((id) => brings.has(id)));
  await eachInTurn(batches, ({ id }) => startWaiting(deps, id));
}

/** Tries every batch of an environment that waits again. */
export async function tryBatches(deps: RolloutDeps, environment: string): Promise<void> {
  const batches = (await waitingReleases(deps.db, environment)).filter((item) => item.ordinary);
  await eachInTurn(batches, ({ id }) => startWaiting(deps, id));
}

/** Tries to give readers a release that waits: a batch is carried to all sides, anything else is shipped as main has it. */
export async function startWaiting(deps: RolloutDeps, id: string): Promise<void> {
  const release = await findRelease(deps.db, id);
  if (release?.state !== "waiting" || release.changeId === null) return;
  const isRevert = release.ordinary && (await titleOf(deps.db, release.changeId)).undoes;
  if (!release.ordinary || isRevert) await relaunch(deps, id);
  if (release.ordinary) await carryOntoLive(deps, id);
}

/** It waits for the same as before: the transaction that found out leaves nothing. */
class StillWaiting extends Error {}

/** Readers, main or what waits moved while the view was looked at. */
class Moved extends Error {}

const attempts = 10;

async function relaunch(deps: RolloutDeps, id: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const fit = await fitOf(deps, id);
    try {
      await mutate(deps, "tidegate", (m) => relaunchIn(m, deps, { id, fit, isLast: attempt === attempts }));
      return;
    } catch (error) {
      if (error instanceof StillWaiting) return;
      if (!(error instanceof Moved)) throw error;
    }
  }
}

/** Looks at the view that a waiting release would give, where something bound to it stands otherwise to readers than on main. */
async function fitOf(deps: RolloutDeps, id: string): Promise<Fit | undefined> {
  const { db } = deps;
  const waited = await findRelease(db, id);
  if (waited?.state !== "waiting") return undefined;
  const { environment, ordinary, neighbours } = waited;
  const [live, main] = [await getRef(db, liveRef(environment)), await getRef(db, mainRef)];
  const [liveTree, mainTree] = [await readTree(db, live.commitId), await readTree(db, main.commitId)];
  const datasetIds = (await releaseEntries(db, id)).map((entry) => entry.datasetId);
  const plan = waited.planned ? await planOfRelease(db, id) : undefined;
  const { datasets } = await closure({ tx: db }, { environment, live, mainTree, datasetIds, ordinary, neighbours, waited, plan });
  const after = await readSome(db, mainTree, [...datasets]);
  const moving = new Map([...datasets].map((item) => [item, after.get(item) ?? null]));
  if ((await boundApart(db, { liveTree, mainTree, moving, byTests: false })).length === 0) return undefined;
  const versions = await getVersions(db, [...after.values()]);
  const edits = new Map([...moving].map(([item, version]) => [item, versions.get(version ?? "") ?? null]));
  const misfits = await misfitsOf(deps, {
    now: treeSide(db, live.name, liveTree),
    next: treeSide(db, id, liveTree, edits),
    main: treeSide(db, mainRef, mainTree),
    datasetIds: [...datasets],
  });
  return { generation: live.generation, moving, misfits };
}

async function relaunchIn(m: Mutation, deps: RolloutDeps, try_: { id: string; fit: Fit | undefined; isLast: boolean }): Promise<void> {
  const { id, fit, isLast } = try_;
  const environment = (await findRelease(m.tx, id))?.environment ?? "";
  const refs = await lockRefs(m.tx, [liveRef(environment), mainRef]);
  const [live, main] = [refs.get(liveRef(environment)), refs.get(mainRef)];
  if (live === undefined || main === undefined) throw new StillWaiting();
  const datasetIds = (await releaseEntries(m.tx, id)).map((entry) => entry.datasetId);
  await lockDatasets(m.tx, datasetIds);
  const waited = await lockRelease(m.tx, id);
  if (waited.state !== "waiting" || waited.changeId === null) throw new StillWaiting();
  const change = await titleOf(m.tx, waited.changeId);
  const release = await ship(m, deps.ids, {
    environment,
    live,
    mainTree: await readTree(m.tx, main.commitId),
    datasetIds,
    changeId: waited.changeId,
    ordinary: waited.ordinary,
    reason: change.title,
    plan: waited.planned ? await planOfRelease(m.tx, id) : undefined,
    undoes: change.undoes,
    neighbours: waited.neighbours,
    waited,
    fit,
  });
  if (release.state !== "waiting") return;
  if (release.reason.startsWith(untested) && !isLast) throw new Moved();
  if (release.reason === waited.reason) throw new StillWaiting();
}

async function titleOf(db: Reader, changeId: string): Promise<{ title: string; undoes: boolean }> {
  const row = await db
    .selectFrom("changes")
    .select(["title", "reverts", "generation"])
    .where("id", "=", changeId)
    .executeTakeFirstOrThrow();
  // A revert to which somebody wrote more brings that as well.
  return { title: row.title, undoes: row.reverts !== null && row.generation === 1 };
}
