import { mutate, type Mutation } from "../../audit/mutation.ts";
import { readSome, readTree } from "../../catalog/commit-store.ts";
import { lockDatasets, resolveDataset, undropDatasets } from "../../catalog/dataset-store.ts";
import type { Dataset } from "../../catalog/dataset.ts";
import { liveRef, lockRefs, standingRef, type Ref } from "../../catalog/ref-store.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import type { LakeDeps } from "../../effects/lake-deps.ts";
import { AppError } from "../../lib/errors.ts";
import { insertBars } from "./bar-store.ts";
import { goodState } from "./good-state.ts";
import { broughtReleases, laterReleases, releasesSince, type LaterRelease } from "./rollback-reads.ts";
import { endHolds } from "../pins/hold-store.ts";
import { moveLive } from "../live-line.ts";
import { isActive, nextReleaseState } from "../release-machine.ts";
import {
  finishRelease,
  findRelease,
  findReleases,
  insertRelease,
  newRelease,
  releaseContents,
  type Release,
  type ReleaseEntry,
} from "../release-store.ts";
import { returnProjected } from "../projections/return-barred.ts";
import { requeueBarred } from "./requeue.ts";

export interface RollbackRequest {
  /** A dataset's name, or the id of a release. */
  target: string;
  /** Rolls back everything released for the dataset since a time or a version number. */
  to?: { time: Date } | { number: number } | undefined;
  reason: string;
  actor: string;
  environment: string;
  /** `abort` ends a release that not all readers have, and refuses one that they have. */
  event?: "roll_back" | "abort" | undefined;
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
  const { environment, reason } = request;
  const releases = await chooseReleases(deps, request);
  const releaseIds = releases.map((release) => release.id);
  return mutate(deps, request.actor, async (m) => {
    const live = standingRef(await lockRefs(m.tx, [liveRef(environment)]), liveRef(environment));
    const contents = await releaseContents(m.tx, releaseIds);
    const released = distinct([...contents.values()].flatMap(({ entries }) => entries.map((entry) => entry.datasetId)));
    await lockDatasets(m.tx, released);
    const now = [...(await findReleases(m.tx, releaseIds)).values()];
    const back = now.find((release) => release.state === "rolled_back" || release.state === "aborted");
    if (back !== undefined) throw alreadyBack(back);
    const states = new Map(now.map((release) => [release.id, nextReleaseState(release, request.event ?? "roll_back")]));
    await insertBars(m.tx, await barsOf(m, contents), { at: m.at, by: m.actor, reason });
    for (const [id, state] of states) {
      await finishRelease(m.tx, id, { state, at: m.at, reason });
      await endHolds(m.tx, id, { at: m.at });
    }
    const changes = distinct([...contents.values()].flatMap((content) => content.changes));
    const announce = (): void => {
      for (const changeId of changes) m.enqueue("change.barred", { change: changeId, actor: m.actor });
      for (const id of releaseIds) m.enqueue("release.ended", { release: id });
    };
    const tree = await readTree(m.tx, live.commitId);
    const reached = now.filter((release) => release.liveAt !== null);
    await requeueBarred(m, environment);
    if (reached.length === 0) {
      await returnProjected(m, new Map());
      const payload = { barred: changes, reason, datasets: released.length };
      for (const id of releaseIds) m.record({ action: "release.rollback", subject: id, payload });
      const candidates = now.filter((release) => isActive(release.state)).flatMap(({ id }) => contents.get(id)?.entries ?? []);
      const datasets = await describeEnded(m, { tree, datasetIds: released, candidates });
      announce();
      return { releases, barred: changes, stays: [], liveCommit: live.commitId, datasets };
    }
    const good = await goodState(m.tx, { environment, tree }, released);
    await returnProjected(m, good);
    const datasetIds = [...good.keys()];
    const datasets = await lockDatasets(m.tx, datasetIds);
    const from = await readSome(m.tx, tree, datasetIds);
    await undropDatasets(
      m.tx,
      datasetIds.filter((id) => datasets.get(id)?.droppedAt != null && good.get(id) != null),
    );
    const move: Move = { datasets, from, edits: new Map([...good].map(([id, version]) => [id, version?.id ?? null])), changes };
    const { releaseId, liveCommit } = await recordRollback(m, deps, request, { ...move, live, tree });
    const after = reached.toSorted((a, b) => Number(a.liveAt) - Number(b.liveAt))[0] as Release;
    const later = (await laterReleases(m.tx, environment, { datasetIds, after })).filter((item) => !releaseIds.includes(item.releaseId));
    const stays = await orderCarrying(m, deps, request, later);
    announce();
    m.record({ action: "release.rollback", subject: releaseId, payload: { barred: changes, reason, datasets: datasetIds.length } });
    return { releases, barred: changes, stays, liveCommit, datasets: await describe(m, move, good) };
  });
}

/** Each change on each dataset that it touched. A release may hold more: batches that fit nowhere but beside its candidates. */
async function barsOf(m: Mutation, contents: Awaited<ReturnType<typeof releaseContents>>): Promise<Bar[]> {
  const changes = distinct([...contents.values()].flatMap((content) => content.changes));
  const rows = await m.tx
    .selectFrom("change_datasets")
    .select(["change_id", "dataset_id"])
    .where("change_id", "in", ["", ...changes])
    .execute();
  const touched = new Set(rows.map((row) => `${row.change_id} ${row.dataset_id}`));
  return [...contents].flatMap(([releaseId, content]) =>
    content.changes.flatMap((changeId) =>
      content.entries.flatMap(({ datasetId }) => (touched.has(`${changeId} ${datasetId}`) ? [{ changeId, datasetId, releaseId }] : [])),
    ),
  );
}

interface Bar {
  changeId: string;
  datasetId: string;
  releaseId: string;
}

const distinct = <T>(items: readonly T[]): T[] => [...new Set(items)];

function alreadyBack(release: Release): AppError {
  return new AppError("rollback.nothing", `${release.id} was ${release.state === "aborted" ? "aborted" : "rolled back"} already.`, {
    found: release.reason,
    hint: `tidegate release show ${release.id}`,
  });
}

/** What to roll back, oldest last. */
async function chooseReleases(deps: LakeDeps, request: RollbackRequest): Promise<Release[]> {
  const { db } = deps;
  if (request.target.startsWith("rel_")) {
    const release = await findRelease(db, request.target);
    if (release === undefined)
      throw new AppError("release.not_found", `There is no release ${request.target}.`, { hint: "tidegate release list" });
    if (release.state === "rolled_back" || release.state === "aborted") throw alreadyBack(release);
    return [release];
  }
  const dataset = await resolveDataset(db, request.target);
  const of = { environment: request.environment, datasetId: dataset.id };
  const chosen =
    request.to === undefined
      ? await broughtReleases(db, of, { ordinary: false, limit: 1 })
      : await releasesSince(db, await broughtReleases(db, of, { limit: 1000 }), dataset, request.to);
  // The first release of a dataset stays: there is nothing before it to go back to, unless the release itself is named.
  const rollable = chosen.filter((release) => !release.first);
  if (rollable.length > 0) return rollable.map(({ first: _first, ...release }) => release);
  const [ordinary] = await broughtReleases(db, of, { limit: 1 });
  throw new AppError("rollback.nothing", `There is nothing to roll back for ${dataset.name}.`, {
    expected: "a release that a person merged",
    found: ordinary === undefined ? "no release" : `only ordinary batches, the newest is ${ordinary.id}`,
    hint: ordinary === undefined ? `tidegate log ${dataset.name}` : `tidegate rollback ${ordinary.id}`,
  });
}

interface Move {
  datasets: Map<string, Dataset>;
  from: Map<string, string>;
  edits: Map<string, string | null>;
  changes: string[];
}

/** Moves readers, and records it as a release of its own, so that the line of live names what made each of its commits. */
async function recordRollback(
  m: Mutation,
  deps: LakeDeps,
  request: RollbackRequest,
  { live, tree, ...move }: Move & { live: Ref; tree: string },
): Promise<{ releaseId: string; liveCommit: string }> {
  const releaseId = deps.ids.next("rel");
  const message = `roll back ${move.changes.join(", ")}`;
  const { commit: liveCommit, at: liveAt } = await moveLive(m, live, { edits: move.edits, message, releaseId, parentTree: tree });
  const facts = { environment: request.environment, changeId: null, createdAt: m.at, ordinary: true };
  await insertRelease(m.tx, {
    ...newRelease({ ...facts, id: releaseId, reason: `rollback: ${request.reason}` }),
    state: "completed",
    finishedAt: m.at,
    liveCommit,
    liveAt,
    entries: [...move.edits].map(([datasetId, afterVersion]) => ({
      datasetId,
      beforeVersion: move.from.get(datasetId) ?? null,
      afterVersion,
    })),
    changes: [],
  });
  return { releaseId, liveCommit };
}

/** Later releases go on as waiting ones; the outbox carries their effects onto the version that readers are back on, in order. */
async function orderCarrying(m: Mutation, deps: LakeDeps, request: RollbackRequest, later: readonly LaterRelease[]): Promise<string[]> {
  const stays: string[] = [];
  for (const { changeId, releaseId, datasetIds } of later) {
    const id = deps.ids.next("rel");
    const reason = `carried on after the rollback; released before as ${releaseId}`;
    await insertRelease(m.tx, {
      ...newRelease({ id, environment: request.environment, changeId, reason, createdAt: m.at, ordinary: true }),
      entries: datasetIds.map((datasetId) => ({ datasetId, beforeVersion: null, afterVersion: null })),
      changes: [changeId],
    });
    await finishRelease(m.tx, releaseId, { state: "superseded", at: m.at, reason: `carried on as ${id}` });
    m.enqueue("release.waiting", { release: id });
    stays.push(changeId);
  }
  return stays;
}

/** What a release that not all readers had moves back: from its candidates to what everybody has. */
async function describeEnded(
  m: Mutation,
  ended: { tree: string; datasetIds: readonly string[]; candidates: readonly ReleaseEntry[] },
): Promise<RolledBack["datasets"]> {
  const now = await readSome(m.tx, ended.tree, ended.datasetIds);
  const offered = new Map(ended.candidates.map((entry) => [entry.datasetId, entry.afterVersion ?? ""]));
  const versions = await getVersions(m.tx, [...now.values(), ...offered.values()]);
  const datasets = await lockDatasets(m.tx, ended.datasetIds);
  return ended.datasetIds.map((datasetId) => ({
    datasetId,
    dataset: datasets.get(datasetId)?.name ?? datasetId,
    from: versions.get(offered.get(datasetId) ?? now.get(datasetId) ?? ""),
    to: versions.get(now.get(datasetId) ?? ""),
  }));
}

async function describe(m: Mutation, move: Move, good: ReadonlyMap<string, Version | null>): Promise<RolledBack["datasets"]> {
  const versions = await getVersions(m.tx, [...move.from.values()]);
  const moved = [...move.datasets.values()].map(({ id, name }) => ({
    datasetId: id,
    dataset: name,
    from: versions.get(move.from.get(id) ?? ""),
    to: good.get(id) ?? undefined,
  }));
  // What was written stands before what is built from it.
  const rank = ({ from, to, dataset }: (typeof moved)[number]): string => `${(from ?? to)?.inputs == null ? 0 : 1} ${dataset}`;
  return moved.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
