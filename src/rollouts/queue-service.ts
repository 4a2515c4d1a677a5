import { mutate, type Mutation } from "../audit/mutation.ts";
import { readTree } from "../catalog/commit-store.ts";
import { lockDatasets } from "../catalog/dataset-store.ts";
import { liveRef, lockRefs, mainRef } from "../catalog/ref-store.ts";
import type { Reader } from "../db/db.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { carryOntoLive } from "./live-carry.ts";
import { findRelease, lockRelease, releaseEntries, waitingReleases } from "./release-store.ts";
import { ship } from "./ship.ts";
import { planOfRelease } from "./step-store.ts";

/**
 * Starts what waited for a release that has ended, the newest first: it contains the older ones of its datasets. Batches that could not be
 * carried beside it are tried again. Safe to run again.
 */
export async function startQueued(deps: LakeDeps, endedId: string): Promise<void> {
  const ended = await findRelease(deps.db, endedId);
  if (ended === undefined) return;
  const waiting = await waitingReleases(deps.db, ended.environment);
  for (const release of waiting.filter((item) => !item.ordinary).toReversed()) await relaunch(deps, release.id);
  if (ended.planned) for (const release of waiting.filter((item) => item.ordinary)) await carryOntoLive(deps, release.id);
}

/** It waits for the same as before: the transaction that found out leaves nothing. */
class StillWaiting extends Error {}

async function relaunch(deps: LakeDeps, id: string): Promise<void> {
  try {
    await mutate(deps, "tidegate", (m) => relaunchIn(m, deps, id));
  } catch (error) {
    if (!(error instanceof StillWaiting)) throw error;
  }
}

async function relaunchIn(m: Mutation, deps: LakeDeps, id: string): Promise<void> {
  const environment = (await findRelease(m.tx, id))?.environment ?? "";
  const refs = await lockRefs(m.tx, [liveRef(environment), mainRef]);
  const [live, main] = [refs.get(liveRef(environment)), refs.get(mainRef)];
  if (live === undefined || main === undefined) throw new StillWaiting();
  const datasetIds = (await releaseEntries(m.tx, id)).map((entry) => entry.datasetId);
  await lockDatasets(m.tx, datasetIds);
  const waited = await lockRelease(m.tx, id);
  if (waited.state !== "waiting" || waited.ordinary || waited.changeId === null) throw new StillWaiting();
  const change = await titleOf(m.tx, waited.changeId);
  const release = await ship(m, deps.ids, {
    environment,
    live,
    mainTree: await readTree(m.tx, main.commitId),
    datasetIds,
    changeId: waited.changeId,
    ordinary: false,
    reason: change.title,
    plan: waited.planned ? await planOfRelease(m.tx, id) : undefined,
    undoes: change.undoes,
    neighbours: waited.neighbours,
    waited,
  });
  if (release.state === "waiting" && release.reason === waited.reason) throw new StillWaiting();
}

async function titleOf(db: Reader, changeId: string): Promise<{ title: string; undoes: boolean }> {
  const row = await db.selectFrom("changes").select(["title", "reverts"]).where("id", "=", changeId).executeTakeFirstOrThrow();
  return { title: row.title, undoes: row.reverts !== null };
}
