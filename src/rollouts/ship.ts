import type { Mutation } from "../audit/mutation.ts";
import { readSome, readTree, writeCommit, writeTree } from "../catalog/commit-store.ts";
import { builtFrom, datasetsOfVersions, everBuiltFrom } from "../catalog/derivation-store.ts";
import { moveRef, type Ref } from "../catalog/ref-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Ids } from "../edges/ids.ts";
import { barsOn } from "./bar-store.ts";
import { finishRelease, insertRelease, releaseContents, waitingReleases, type Release, type ReleaseEntry } from "./release-store.ts";

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
}

/**
 * Releases what main now has of some datasets, inside the merge's own transaction: readers get it with the commit, unless it would bring
 * them a barred change; then the release waits. Waiting releases of the same datasets are contained in it and end as superseded.
 */
export async function ship(m: Mutation, ids: Ids, shipment: Shipment): Promise<Release> {
  const { environment, live } = shipment;
  const contained = await closure(m, shipment);
  const datasets = [...contained.datasets];
  const after = await readSome(m.tx, shipment.mainTree, datasets);
  const versions = await getVersions(m.tx, [...after.values()]);
  const barred = await barsOn(m.tx, [...versions.values()]);
  const liveTree = await readTree(m.tx, live.commitId);
  const before = await readSome(m.tx, liveTree, datasets);
  const entry = (datasetId: string): ReleaseEntry => ({
    datasetId,
    beforeVersion: before.get(datasetId) ?? null,
    afterVersion: after.get(datasetId) ?? null,
  });
  const release: Release = {
    id: ids.next("rel"),
    environment,
    changeId: shipment.changeId,
    state: "waiting",
    reason: barred.size > 0 ? `waits for the revert of ${[...barred].join(", ")}` : shipment.reason,
    createdAt: m.at,
    finishedAt: null,
    liveCommit: null,
    ordinary: shipment.ordinary,
  };
  const own = shipment.changeId === null ? [] : [shipment.changeId];
  if (barred.size > 0) {
    await insertRelease(m.tx, { ...release, entries: shipment.datasetIds.map(entry), changes: own });
    m.record({ action: "release.wait", subject: release.id, payload: { change: shipment.changeId, barred: [...barred] } });
    m.enqueue("release.waiting", { release: release.id });
    return release;
  }
  const edits = new Map(datasets.map((id) => [id, after.get(id) ?? null]));
  const completed: Release = { ...release, state: "completed", finishedAt: m.at };
  const commit = await moveLive(m, live, { edits, message: shipment.reason, releaseId: release.id, parentTree: liveTree });
  await insertRelease(m.tx, {
    ...completed,
    liveCommit: commit,
    entries: datasets.map(entry),
    changes: [...own, ...contained.changes],
  });
  for (const older of contained.releases) {
    await finishRelease(m.tx, older.id, { state: "superseded", at: m.at, reason: `shipped with ${release.id}` });
  }
  m.record({
    action: "release.complete",
    subject: release.id,
    payload: { change: shipment.changeId, datasets: datasets.length, contains: contained.changes },
  });
  m.enqueue("release.completed", { release: release.id });
  return { ...completed, liveCommit: commit };
}

/** Commits entries to an environment's line and moves its ref. */
export async function moveLive(
  m: Mutation,
  live: Ref,
  to: { edits: ReadonlyMap<string, string | null>; message: string; releaseId: string; parentTree: string },
): Promise<string> {
  const tree = await writeTree(m.tx, to.parentTree, to.edits);
  const commit = await writeCommit(m.tx, {
    tree,
    parents: [live.commitId],
    author: m.actor,
    message: to.message,
    at: m.at,
    releaseId: to.releaseId,
  });
  await moveRef(m.tx, live, { name: live.name, commitId: commit, at: m.at, actor: m.actor, reason: to.message });
  return commit;
}

/** The datasets to ship, with those of waiting releases that main's versions contain: half a release is never shipped. */
async function closure(m: Mutation, shipment: Shipment): Promise<{ datasets: Set<string>; releases: Release[]; changes: string[] }> {
  const datasets = new Set(shipment.datasetIds);
  const releases = new Map<string, Release>();
  const changes: string[] = [];
  for (;;) {
    for (const id of await boundBy(m, shipment, datasets)) datasets.add(id);
    const more = (await waitingReleases(m.tx, shipment.environment, [...datasets])).filter((release) => !releases.has(release.id));
    if (more.length === 0) break;
    const contents = await releaseContents(
      m.tx,
      more.map((release) => release.id),
    );
    for (const release of more) {
      releases.set(release.id, release);
      for (const entry of contents.get(release.id)?.entries ?? []) datasets.add(entry.datasetId);
      changes.push(...(contents.get(release.id)?.changes ?? []));
    }
  }
  return { datasets, releases: [...releases.values()], changes: [...new Set(changes)] };
}

/**
 * What must be shipped with some datasets because of what is built from what: their derived datasets, and whatever these were built from and
 * readers do not have yet. A view holds a derived dataset only with its inputs.
 */
async function boundBy(m: Mutation, { mainTree, live }: Shipment, datasetIds: ReadonlySet<string>): Promise<Set<string>> {
  const followers = await everBuiltFrom(m.tx, datasetIds);
  const entries = await readSome(m.tx, mainTree, [...datasetIds, ...followers]);
  const all = [...(await getVersions(m.tx, [...entries.values()])).values()];
  const own = all.filter((version) => version.inputs !== null && datasetIds.has(version.datasetId));
  const versions = [...own, ...(await builtFrom(m.tx, all, datasetIds)).filter((version) => !datasetIds.has(version.datasetId))];
  if (versions.length === 0) return new Set();
  const inputs = await datasetsOfVersions(
    m.tx,
    versions.flatMap((version) => version.inputs ?? []),
  );
  const readers = await readSome(m.tx, await readTree(m.tx, live.commitId), [...followers, ...inputs.values()]);
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
