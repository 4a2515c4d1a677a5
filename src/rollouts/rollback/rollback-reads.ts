import { sql } from "kysely";
import { getVersionByNumber, getVersions, settledChangeSet } from "../../catalog/version-store.ts";
import { contains } from "../../catalog/change-set.ts";
import type { Dataset } from "../../catalog/dataset.ts";
import type { Version } from "../../catalog/version.ts";
import type { Reader } from "../../db/db.ts";
import { barsByVersion } from "./bar-store.ts";
import { activeStates } from "../release-machine.ts";
import { releaseColumns, releaseFromRow, type Release } from "../release-store.ts";

const firstLook = 20;

/**
 * Per dataset the newest version that readers had and that brings no barred change; null when the dataset was not there before. Releases
 * that were rolled back are passed over, so that a rollback after a rollback never lands on the first one's bad version.
 */
export async function goodVersions(db: Reader, environment: string, datasetIds: readonly string[]): Promise<Map<string, Version | null>> {
  const found = new Map<string, Version | null>();
  let pending = [...datasetIds];
  // Nearly always one of the newest is good; only then is the whole history read.
  for (const most of [firstLook, null]) {
    if (pending.length === 0) break;
    const { rows } = await sql<{ dataset_id: string; after_version: string | null }>`
      select wanted.id as dataset_id, had.after_version
      from unnest(${pending}::text[]) wanted (id) cross join lateral (
        select entries.after_version, releases.live_at, releases.id
        from release_entries entries join releases on releases.id = entries.release_id
        where entries.dataset_id = wanted.id and releases.environment = ${environment}
          and releases.state not in ('rolled_back', 'aborted') and releases.live_commit is not null
        order by releases.live_at desc, releases.id desc limit ${most}
      ) had order by had.live_at desc, had.id desc`.execute(db);
    const versions = await getVersions(db, [...new Set(rows.flatMap((row) => row.after_version ?? []))]);
    const barred = await barsByVersion(db, [...versions.values()]);
    for (const { dataset_id: datasetId, after_version: id } of rows) {
      if (found.has(datasetId)) continue;
      const version = id === null ? null : versions.get(id);
      if (version !== undefined && (version === null || !barred.has(version.id))) found.set(datasetId, version);
    }
    pending = pending.filter((id) => !found.has(id));
  }
  for (const id of pending) found.set(id, null);
  return found;
}

export interface LaterRelease {
  releaseId: string;
  changeId: string;
  /** Datasets that the rollback moves and that this release touched. */
  datasetIds: string[];
}

/** Releases that all readers had after the one that is rolled back, on the same datasets, oldest first, one line per change. */
export async function laterReleases(
  db: Reader,
  environment: string,
  from: { datasetIds: readonly string[]; after: Pick<Release, "id" | "liveAt"> },
): Promise<LaterRelease[]> {
  const { id } = from.after;
  const liveAt = from.after.liveAt as Date;
  const rows = await db
    .selectFrom("releases")
    .innerJoin("release_entries", "release_entries.release_id", "releases.id")
    .innerJoin("release_changes", "release_changes.release_id", "releases.id")
    .select(["releases.id", "release_entries.dataset_id", "release_changes.change_id"])
    .where("release_entries.dataset_id", "in", [...from.datasetIds])
    .where("releases.environment", "=", environment)
    .where("releases.state", "in", ["completed", "completed_with_holds", ...activeStates])
    .where((eb) => eb.or([eb("releases.live_at", ">", liveAt), eb.and([eb("releases.live_at", "=", liveAt), eb("releases.id", ">", id)])]))
    .orderBy("releases.live_at")
    .orderBy("releases.id")
    .orderBy("release_changes.change_id")
    .orderBy("release_entries.dataset_id")
    .execute();
  const found = new Map<string, LaterRelease>();
  for (const row of rows) {
    const key = `${row.id} ${row.change_id}`;
    const known = found.get(key) ?? { releaseId: row.id, changeId: row.change_id, datasetIds: [] };
    known.datasetIds.push(row.dataset_id);
    found.set(key, known);
  }
  return [...found.values()];
}

/** Releases of a dataset that brought a change to readers: those under way first, then the ones that all readers got, newest first. */
export async function broughtReleases(
  db: Reader,
  of: { environment: string; datasetId: string },
  wanted: { ordinary?: boolean; limit: number },
): Promise<(Release & { first: boolean })[]> {
  const ids = await db
    .selectFrom("releases")
    .innerJoin("release_entries", "release_entries.release_id", "releases.id")
    .select(releaseColumns.map((name) => `releases.${name}` as const))
    .select((eb) => eb("release_entries.before_version", "is", null).as("first"))
    .where("releases.environment", "=", of.environment)
    .where("release_entries.dataset_id", "=", of.datasetId)
    .where("releases.state", "in", ["completed", "completed_with_holds", ...activeStates])
    .where("releases.change_id", "is not", null)
    .$if(wanted.ordinary !== undefined, (query) => query.where("releases.ordinary", "=", wanted.ordinary === true))
    .orderBy(sql`releases.live_at is null`, "desc")
    .orderBy("releases.live_at", "desc")
    .orderBy("releases.created_at", "desc")
    .orderBy("releases.id", "desc")
    .limit(wanted.limit)
    .execute();
  return ids.map((row) => ({ ...releaseFromRow(row), first: Boolean(row.first) }));
}

/** Releases of a dataset since a time, or that brought what a version does not contain. */
export async function releasesSince<R extends Release>(
  db: Reader,
  releases: readonly R[],
  dataset: Dataset,
  to: { time: Date } | { number: number },
): Promise<R[]> {
  if ("time" in to) return releases.filter((release) => (release.liveAt ?? release.createdAt) > to.time);
  const target = await getVersionByNumber(db, dataset, to.number);
  const set = await settledChangeSet(db, target);
  const chosen: R[] = [];
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
