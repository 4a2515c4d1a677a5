import { sql } from "kysely";
import { atOnce } from "../db/at-once.ts";
import type { ReleasesTable } from "../db/line-tables.ts";
import type { Reader, Tx } from "../db/db.ts";

export type ReleaseState = "waiting" | "running" | "completed" | "rolled_back" | "superseded";

/** The versions that merged changes offer to the readers of one environment. */
export interface Release {
  id: string;
  environment: string;
  changeId: string | null;
  state: ReleaseState;
  reason: string;
  createdAt: Date;
  finishedAt: Date | null;
  liveCommit: string | null;
  /** Merged by rule alone, with no plan: rolled back only when named. */
  ordinary: boolean;
}

export interface ReleaseEntry {
  datasetId: string;
  beforeVersion: string | null;
  afterVersion: string | null;
}

export interface NewRelease extends Release {
  entries: readonly ReleaseEntry[];
  /** All changes that it brings, its own first. */
  changes: readonly string[];
}

export const releaseColumns = [
  "id",
  "environment",
  "change_id",
  "state",
  "reason",
  "created_at",
  "finished_at",
  "live_commit",
  "ordinary",
] as const;

export function releaseFromRow(row: ReleasesTable): Release {
  return {
    id: row.id,
    environment: row.environment,
    changeId: row.change_id,
    state: row.state as ReleaseState,
    reason: row.reason,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    liveCommit: row.live_commit,
    ordinary: row.ordinary,
  };
}

/** Inserts a release with its entries, its changes and its one step. */
export async function insertRelease(tx: Tx, release: NewRelease): Promise<void> {
  const done = release.state === "completed";
  const inserted = tx.insertInto("releases").values({
    id: release.id,
    environment: release.environment,
    change_id: release.changeId,
    state: release.state,
    reason: release.reason,
    created_at: release.createdAt,
    finished_at: release.finishedAt,
    live_commit: release.liveCommit,
    ordinary: release.ordinary,
  });
  const changes = [...new Set(release.changes)].map((id) => ({ release_id: release.id, change_id: id }));
  const step = tx.insertInto("release_steps").values({
    release_id: release.id,
    ordinal: 1,
    kind: "everyone",
    plan: "{}",
    state: done ? "done" : "waiting",
    started_at: done ? release.createdAt : null,
    finished_at: release.finishedAt,
  });
  const [first = [], ...others] = portions(release.entries);
  await atOnce(tx, [
    inserted,
    step,
    ...(changes.length === 0 ? [] : [tx.insertInto("release_changes").values(changes)]),
    ...(first.length === 0 ? [] : [putEntries(tx, release.id, first)]),
  ]);
  for (const portion of others) await putEntries(tx, release.id, portion).execute();
}

function putEntries(tx: Tx, releaseId: string, entries: readonly ReleaseEntry[]) {
  return tx
    .insertInto("release_entries")
    .values(
      entries.map((entry) => ({
        release_id: releaseId,
        dataset_id: entry.datasetId,
        before_version: entry.beforeVersion,
        after_version: entry.afterVersion,
      })),
    )
    .onConflict((oc) =>
      oc.columns(["release_id", "dataset_id"]).doUpdateSet((eb) => ({
        before_version: eb.ref("excluded.before_version"),
        after_version: eb.ref("excluded.after_version"),
      })),
    );
}

/** Entries in portions, each of which fits into one statement. */
function portions(entries: readonly ReleaseEntry[]): ReleaseEntry[][] {
  return Array.from({ length: Math.ceil(entries.length / 1000) }, (_, index) => entries.slice(index * 1000, (index + 1) * 1000));
}

/** Ends a release; a completed one gets the entries that it really brought. */
export async function finishRelease(
  tx: Tx,
  id: string,
  end: { state: ReleaseState; at: Date; reason?: string; liveCommit?: string; entries?: readonly ReleaseEntry[] },
): Promise<void> {
  const release = tx
    .updateTable("releases")
    .set({
      state: end.state,
      finished_at: end.at,
      ...(end.reason === undefined ? {} : { reason: end.reason }),
      ...(end.liveCommit === undefined ? {} : { live_commit: end.liveCommit }),
    })
    .where("id", "=", id);
  const steps = tx
    .updateTable("release_steps")
    .set({ state: end.state === "completed" ? "done" : "aborted", finished_at: end.at })
    .where("release_id", "=", id)
    .where("state", "in", ["waiting", "running"]);
  await atOnce(tx, [release, steps]);
  for (const portion of portions(end.entries ?? [])) await putEntries(tx, id, portion).execute();
}

/** Waiting releases that touch any of these datasets, oldest first. */
export async function waitingReleases(db: Reader, environment: string, datasetIds: readonly string[]): Promise<Release[]> {
  if (datasetIds.length === 0) return [];
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("environment", "=", environment)
    .where("state", "=", "waiting")
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom("release_entries")
          .select("release_entries.release_id")
          .whereRef("release_entries.release_id", "=", "releases.id")
          .where("release_entries.dataset_id", "in", [...datasetIds]),
      ),
    )
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return rows.map(releaseFromRow);
}

/** The release of this id, which may be cut to what is unique. */
export async function findRelease(db: Reader, id: string): Promise<Release | undefined> {
  if (!/^rel_[0-9a-z]+$/.test(id)) return undefined;
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("id", "like", `${id.replaceAll("_", "\\_")}%`)
    .orderBy("id")
    .limit(2)
    .execute();
  const found = rows.find((row) => row.id === id) ?? (rows.length === 1 ? rows[0] : undefined);
  return found && releaseFromRow(found);
}

export async function findReleases(db: Reader, ids: readonly string[]): Promise<Map<string, Release>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, releaseFromRow(row)]));
}

export async function releaseEntries(db: Reader, releaseId: string): Promise<ReleaseEntry[]> {
  return (await releaseContents(db, [releaseId])).get(releaseId)?.entries ?? [];
}

interface ContentRow {
  release_id: string;
  change_id: string | null;
  dataset_id: string | null;
  before_version: string | null;
  after_version: string | null;
}

/** What each of some releases brings: its entries by dataset id, and its changes. */
export async function releaseContents(
  db: Reader,
  ids: readonly string[],
): Promise<Map<string, { entries: ReleaseEntry[]; changes: string[] }>> {
  const contents = new Map(ids.map((id) => [id, { entries: [] as ReleaseEntry[], changes: [] as string[] }]));
  if (ids.length === 0) return contents;
  const { rows } = await sql<ContentRow>`
    select release_id, null as change_id, dataset_id, before_version, after_version from release_entries where release_id = any(${ids})
    union all
    select release_id, change_id, null, null, null from release_changes where release_id = any(${ids})
    order by dataset_id, change_id`.execute(db);
  for (const row of rows) {
    const content = contents.get(row.release_id);
    if (row.change_id !== null) content?.changes.push(row.change_id);
    if (row.dataset_id !== null)
      content?.entries.push({ datasetId: row.dataset_id, beforeVersion: row.before_version, afterVersion: row.after_version });
  }
  return contents;
}
