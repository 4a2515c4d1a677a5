import { mutate, type Mutation } from "../audit/mutation.ts";
import { readCommit, readSome } from "../catalog/commit-store.ts";
import { getDatasets, lockDatasets, resolveDataset, undropDatasets } from "../catalog/dataset-store.ts";
import { liveRef, lockRefs } from "../catalog/ref-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";
import { insertBar } from "./bar-store.ts";
import { goodVersion, laterReleases, releasesSince, type LaterRelease } from "./rollback-reads.ts";
import { finishRelease, findRelease, insertRelease, releaseChanges, releaseEntries, releasesOf, type Release } from "./release-store.ts";
import { moveLive } from "./ship.ts";

export interface RollbackRequest {
  /** A dataset's name, or the id of a release. */
  target: string;
  /** Rolls back everything released for the dataset since a time or a version number. */
  to?: { time: Date } | { number: number } | undefined;
  reason: string;
  actor: string;
  environment: string;
}

export interface RolledBack {
  releases: Release[];
  /** Changes that are barred now. */
  barred: string[];
  datasets: { datasetId: string; dataset: string; from: Version | undefined; to: Version | undefined }[];
  /** Later releases whose effect is being carried onto the version that readers are back on. */
  stays: string[];
  liveCommit: string;
}

/**
 * Takes readers back at once and bars what was rolled back: one transaction, no engine, no file. What follows from it (the revert, later
 * releases carried onto the old version) is ordered in the same transaction and done by the outbox.
 */
export async function rollback(deps: LakeDeps, request: RollbackRequest): Promise<RolledBack> {
  const releases = await chooseReleases(deps, request);
  const chosen = new Set(releases.map((release) => release.id));
  const changes = [...new Set((await Promise.all(releases.map((release) => barredBy(deps, release)))).flat())];
  const entries = (await Promise.all(releases.map((release) => releaseEntries(deps.db, release.id)))).flat();
  const datasetIds = [...new Set(entries.map((entry) => entry.datasetId))];
  return mutate(deps, request.actor, async (m) => {
    const live = (await lockRefs(m.tx, [liveRef(request.environment)])).get(liveRef(request.environment));
    if (live === undefined) throw new AppError("branch.not_found", "live is missing.", { hint: "tidegate doctor" });
    await lockDatasets(m.tx, datasetIds);
    for (const release of releases) {
      const now = await findRelease(m.tx, release.id);
      if (now?.state === "rolled_back") throw alreadyBack(release);
      for (const changeId of await barredBy(deps, release, m)) {
        for (const { datasetId } of await releaseEntries(m.tx, release.id)) {
          await insertBar(m.tx, { changeId, datasetId, at: m.at, by: m.actor, reason: request.reason, releaseId: release.id });
        }
      }
      await finishRelease(m.tx, release.id, { state: "rolled_back", at: m.at, reason: request.reason });
    }
    const tree = (await readCommit(m.tx, live.commitId)).tree;
    const from = await readSome(m.tx, tree, datasetIds);
    const edits = new Map<string, string | null>();
    for (const id of datasetIds) edits.set(id, await goodVersion(m.tx, request.environment, id));
    await undropDatasets(
      m.tx,
      datasetIds.filter((id) => edits.get(id) !== null),
    );
    const release = await recordRollback(m, deps, request, { datasetIds, from, edits, changes });
    const liveCommit = await moveLive(m, live, {
      edits,
      message: `roll back ${changes.join(", ")}`,
      releaseId: release.id,
      parentTree: tree,
    });
    await m.tx.updateTable("releases").set({ live_commit: liveCommit }).where("id", "=", release.id).execute();
    const later = (await laterReleases(m.tx, request.environment, { datasetIds, after: releases.at(-1) as Release })).filter(
      (item) => !chosen.has(item.release.id),
    );
    const stays = await orderCarrying(m, deps, request, later);
    for (const changeId of changes) m.enqueue("change.barred", { change: changeId, actor: m.actor });
    m.record({
      action: "release.rollback",
      subject: release.id,
      payload: { barred: changes, reason: request.reason, datasets: datasetIds.length },
    });
    return describe(m, { datasetIds, from, edits, releases, changes, stays, liveCommit });
  });
}

function alreadyBack(release: Release): AppError {
  return new AppError("rollback.nothing", `${release.id} was rolled back already.`, { found: release.reason, hint: "tidegate log --live" });
}

/** The changes that a release brought; one that only moved readers back brings none. */
async function barredBy(deps: LakeDeps, release: Release, m?: Mutation): Promise<string[]> {
  return releaseChanges(m?.tx ?? deps.db, release.id);
}

/** What to roll back, oldest last. */
async function chooseReleases(deps: LakeDeps, request: RollbackRequest): Promise<Release[]> {
  const { db } = deps;
  if (request.target.startsWith("rel_")) {
    const release = await findRelease(db, request.target);
    if (release === undefined)
      throw new AppError("release.not_found", `There is no release ${request.target}.`, { hint: "tidegate log --live" });
    if (release.state === "rolled_back") throw alreadyBack(release);
    return [release];
  }
  const dataset = await resolveDataset(db, request.target);
  const all = (await releasesOf(db, request.environment, dataset.id, 1000)).filter(
    (release) => release.state === "completed" && release.changeId !== null,
  );
  const chosen =
    request.to === undefined ? all.filter((release) => !release.ordinary).slice(0, 1) : await releasesSince(db, all, dataset, request.to);
  const rollable = await withoutFirst(deps, dataset.id, chosen, request);
  if (rollable.length > 0) return rollable;
  const [ordinary] = all;
  throw new AppError("rollback.nothing", `There is nothing to roll back for ${dataset.name}.`, {
    expected: "a release that a person merged",
    found: ordinary === undefined ? "no release" : `only ordinary batches, the newest is ${ordinary.id}`,
    hint: ordinary === undefined ? `tidegate log ${dataset.name}` : `tidegate rollback ${ordinary.id}`,
  });
}

/** The first release of a dataset stays: there is nothing before it to go back to, unless the release itself is named. */
async function withoutFirst(deps: LakeDeps, datasetId: string, releases: Release[], request: RollbackRequest): Promise<Release[]> {
  if (request.target.startsWith("rel_")) return releases;
  const kept: Release[] = [];
  for (const release of releases) {
    const entry = (await releaseEntries(deps.db, release.id)).find((item) => item.datasetId === datasetId);
    if (entry?.beforeVersion !== null) kept.push(release);
  }
  return kept;
}

interface Move {
  datasetIds: string[];
  from: Map<string, string>;
  edits: Map<string, string | null>;
  changes: string[];
}

/** A rollback is itself a release, so that the line of live names what made each of its commits. */
async function recordRollback(m: Mutation, deps: LakeDeps, request: RollbackRequest, move: Move): Promise<Release> {
  const release: Release = {
    id: deps.ids.next("rel"),
    environment: request.environment,
    changeId: null,
    state: "completed",
    reason: `rollback: ${request.reason}`,
    createdAt: m.at,
    finishedAt: m.at,
    liveCommit: null,
    ordinary: true,
  };
  const entries = move.datasetIds.map((id) => ({
    datasetId: id,
    beforeVersion: move.from.get(id) ?? null,
    afterVersion: move.edits.get(id) ?? null,
  }));
  await insertRelease(m.tx, { ...release, entries, changes: [] });
  return release;
}

/** Later releases go on as waiting ones; the outbox carries their effects onto the version that readers are back on, in order. */
async function orderCarrying(m: Mutation, deps: LakeDeps, request: RollbackRequest, later: readonly LaterRelease[]): Promise<string[]> {
  const stays: string[] = [];
  for (const { changeId, release, datasetIds } of later) {
    const id = deps.ids.next("rel");
    await insertRelease(m.tx, {
      id,
      environment: request.environment,
      changeId,
      state: "waiting",
      reason: `carried on after the rollback; released before as ${release.id}`,
      createdAt: m.at,
      finishedAt: null,
      liveCommit: null,
      ordinary: true,
      entries: datasetIds.map((datasetId) => ({ datasetId, beforeVersion: null, afterVersion: null })),
      changes: [changeId],
    });
    await finishRelease(m.tx, release.id, { state: "superseded", at: m.at, reason: `carried on as ${id}` });
    m.enqueue("release.waiting", { release: id });
    stays.push(changeId);
  }
  return stays;
}

async function describe(m: Mutation, move: Move & { releases: Release[]; stays: string[]; liveCommit: string }): Promise<RolledBack> {
  const datasets = await getDatasets(m.tx, move.datasetIds);
  const ids = move.datasetIds.flatMap((id) => [move.from.get(id) ?? [], move.edits.get(id) ?? []].flat());
  const versions = await getVersions(m.tx, ids);
  return {
    releases: move.releases,
    barred: move.changes,
    stays: move.stays,
    liveCommit: move.liveCommit,
    datasets: move.datasetIds.map((id) => ({
      datasetId: id,
      dataset: datasets.get(id)?.name ?? id,
      from: versions.get(move.from.get(id) ?? ""),
      to: versions.get(move.edits.get(id) ?? ""),
    })),
  };
}
