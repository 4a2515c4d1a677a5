import { getVersionByNumber, getVersions, settledChangeSet } from "../catalog/version-store.ts";
import { contains } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Reader } from "../db/db.ts";
import { barsOn } from "./bar-store.ts";
import { releaseChanges, releasesOf, type Release } from "./release-store.ts";

/**
 * The newest version of a dataset that readers had and that brings no barred change; null when the dataset was not there before. Releases
 * that were rolled back are passed over, so that a rollback after a rollback never lands on the first one's bad version.
 */
export async function goodVersion(db: Reader, environment: string, datasetId: string): Promise<string | null> {
  const rows = await db
    .selectFrom("release_entries")
    .innerJoin("releases", "releases.id", "release_entries.release_id")
    .select("release_entries.after_version")
    .where("release_entries.dataset_id", "=", datasetId)
    .where("releases.environment", "=", environment)
    .where("releases.state", "!=", "rolled_back")
    .where("releases.live_commit", "is not", null)
    .orderBy("releases.created_at", "desc")
    .orderBy("releases.id", "desc")
    .execute();
  const versions = await getVersions(db, [...new Set(rows.flatMap((row) => row.after_version ?? []))]);
  for (const { after_version: id } of rows) {
    if (id === null) return null;
    const version = versions.get(id);
    if (version !== undefined && (await barsOn(db, [version])).size === 0) return id;
  }
  return null;
}

export interface LaterRelease {
  release: Release;
  changeId: string;
  /** Datasets that the rollback moves and that this release touched. */
  datasetIds: string[];
}

/** Releases after the one that is rolled back, on the same datasets, oldest first, one line per change. */
export async function laterReleases(
  db: Reader,
  environment: string,
  from: { datasetIds: readonly string[]; after: Release },
): Promise<LaterRelease[]> {
  const found = new Map<string, LaterRelease>();
  for (const datasetId of from.datasetIds) {
    for (const release of await releasesOf(db, environment, datasetId, 1000)) {
      const later =
        release.createdAt > from.after.createdAt ||
        (release.createdAt.getTime() === from.after.createdAt.getTime() && release.id > from.after.id);
      if (!later || release.state !== "completed" || release.id === from.after.id) continue;
      for (const changeId of await releaseChanges(db, release.id)) {
        const key = `${release.id} ${changeId}`;
        const datasetIds = [...(found.get(key)?.datasetIds ?? []), datasetId];
        found.set(key, { release, changeId, datasetIds });
      }
    }
  }
  return [...found.values()].sort((a, b) => a.release.createdAt.getTime() - b.release.createdAt.getTime());
}

/** Releases of a dataset since a time, or that brought what a version does not contain. */
export async function releasesSince(
  db: Reader,
  releases: readonly Release[],
  dataset: Dataset,
  to: { time: Date } | { number: number },
): Promise<Release[]> {
  if ("time" in to) return releases.filter((release) => release.createdAt > to.time);
  const target = await getVersionByNumber(db, dataset, to.number);
  const set = await settledChangeSet(db, target);
  const chosen: Release[] = [];
  for (const release of releases) {
    const rows = await db
      .selectFrom("release_changes")
      .innerJoin("change_datasets", "change_datasets.change_id", "release_changes.change_id")
      .select("change_datasets.merge_seq")
      .where("release_changes.release_id", "=", release.id)
      .where("change_datasets.dataset_id", "=", dataset.id)
      .execute();
    if (rows.some((row) => row.merge_seq !== null && !contains(set, Number(row.merge_seq)))) chosen.push(release);
  }
  return chosen;
}
