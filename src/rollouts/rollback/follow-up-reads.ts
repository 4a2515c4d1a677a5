import { sql } from "kysely";
import { resolveDataset } from "../../catalog/dataset-store.ts";
import { everBuiltFrom } from "../../catalog/derivation-store.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Reader } from "../../db/db.ts";
import { readersOf } from "../../usage/usage-reads.ts";
import { barsByVersion } from "./bar-store.ts";
import { followUpList, type FollowUp, type FollowUpMark, type Mark } from "./follow-up.ts";
import { namedRelease } from "../release-reads.ts";
import { releaseColumns, releaseContents, releaseFromRow, type Release } from "../release-store.ts";

/**
 * Ids of all versions that somebody has read and that bring a change which these releases brought and which is barred: not the newest
 * candidate alone, but each one before it, what ordinary batches made of them on either side, and what was built from any of these.
 */
export async function barredVersionsRead(db: Reader, releaseIds: readonly string[]): Promise<string[]> {
  const contents = [...(await releaseContents(db, releaseIds)).values()];
  const changes = new Set(contents.flatMap((content) => content.changes));
  const entries = contents.flatMap((content) => content.entries.map((entry) => entry.datasetId));
  if (changes.size === 0 || entries.length === 0) return [];
  const datasetIds = [...new Set([...entries, ...(await everBuiltFrom(db, entries))])];
  const { rows } = await sql<{ id: string }>`
    select versions.id from versions
    where dataset_id = any(${datasetIds}::text[])
      and created_at >= (select min(created_at) from changes where id = any(${[...changes]}::text[]))
      and exists (select from exposures where exposures.version_id = versions.id)`.execute(db);
  const versions = await getVersions(
    db,
    rows.map((row) => row.id),
  );
  const barred = await barsByVersion(db, [...versions.values()]);
  return [...barred].flatMap(([id, by]) => (by.some((change) => changes.has(change)) ? [id] : []));
}

/** The release that a text names: an id, or a dataset, of which the one that was taken back last is meant. */
export async function takenBackRelease(db: Reader, environment: string, text: string): Promise<Release> {
  if (text.startsWith("rel_")) return namedRelease(db, environment, text);
  const { id } = await resolveDataset(db, text);
  const row = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("environment", "=", environment)
    .where("state", "in", ["rolled_back", "aborted"])
    .where(sql<boolean>`exists (select from release_entries where release_id = releases.id and dataset_id = ${id})`)
    .orderBy("finished_at", "desc")
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? namedRelease(db, environment, text) : releaseFromRow(row);
}

/** The list to work through after a release was taken back. */
export async function followUpsOf(db: Reader, releaseId: string): Promise<FollowUp[]> {
  const ids = await barredVersionsRead(db, [releaseId]);
  return followUpList(releaseId, await readersOf(db, ids), await marksOf(db, releaseId));
}

async function marksOf(db: Reader, releaseId: string): Promise<Mark[]> {
  const rows = await db.selectFrom("follow_ups").selectAll().where("release_id", "=", releaseId).execute();
  return rows.map((row) => ({
    consumer: row.consumer,
    mark: row.mark as FollowUpMark,
    note: row.note,
    by: row.marked_by,
    at: row.marked_at,
  }));
}

/** What is open of all releases that were taken back in an environment, the newest release first. */
export async function openFollowUps(db: Reader, environment: string, releases: number): Promise<FollowUp[]> {
  const rows = await db
    .selectFrom("releases")
    .select("id")
    .where("environment", "=", environment)
    .where("state", "in", ["rolled_back", "aborted"])
    .orderBy("finished_at", "desc")
    .orderBy("id")
    .limit(releases)
    .execute();
  const found: FollowUp[] = [];
  for (const { id } of rows) found.push(...(await followUpsOf(db, id)).filter(({ state }) => state === "open"));
  return found;
}
