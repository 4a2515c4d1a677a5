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

const columns = ["id", "environment", "change_id", "state", "reason", "created_at", "finished_at", "live_commit", "ordinary"] as const;

function fromRow(row: {
  id: string;
  environment: string;
  change_id: string | null;
  state: string;
  reason: string;
  created_at: Date;
  finished_at: Date | null;
  live_commit: string | null;
  ordinary: boolean;
}): Release {
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
  await tx
    .insertInto("releases")
    .values({
      id: release.id,
      environment: release.environment,
      change_id: release.changeId,
      state: release.state,
      reason: release.reason,
      created_at: release.createdAt,
      finished_at: release.finishedAt,
      live_commit: release.liveCommit,
      ordinary: release.ordinary,
    })
    .execute();
  await putEntries(tx, release.id, release.entries);
  if (release.changes.length > 0) {
    await tx
      .insertInto("release_changes")
      .values(release.changes.map((id) => ({ release_id: release.id, change_id: id })))
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
  const done = release.state === "completed";
  await tx
    .insertInto("release_steps")
    .values({
      release_id: release.id,
      ordinal: 1,
      kind: "everyone",
      plan: "{}",
      state: done ? "done" : "waiting",
      started_at: done ? release.createdAt : null,
      finished_at: release.finishedAt,
    })
    .execute();
}

async function putEntries(tx: Tx, releaseId: string, entries: readonly ReleaseEntry[]): Promise<void> {
  for (let from = 0; from < entries.length; from += 1000) {
    await tx
      .insertInto("release_entries")
      .values(
        entries.slice(from, from + 1000).map((entry) => ({
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
      )
      .execute();
  }
}

/** Ends a release; a completed one gets the entries that it really brought. */
export async function finishRelease(
  tx: Tx,
  id: string,
  end: { state: ReleaseState; at: Date; reason?: string; liveCommit?: string; entries?: readonly ReleaseEntry[] },
): Promise<void> {
  await tx
    .updateTable("releases")
    .set({
      state: end.state,
      finished_at: end.at,
      ...(end.reason === undefined ? {} : { reason: end.reason }),
      ...(end.liveCommit === undefined ? {} : { live_commit: end.liveCommit }),
    })
    .where("id", "=", id)
    .execute();
  await tx
    .updateTable("release_steps")
    .set({ state: end.state === "completed" ? "done" : "aborted", finished_at: end.at })
    .where("release_id", "=", id)
    .where("state", "in", ["waiting", "running"])
    .execute();
  if (end.entries !== undefined) await putEntries(tx, id, end.entries);
}

/** Waiting releases that touch any of these datasets, oldest first. */
export async function waitingReleases(db: Reader, environment: string, datasetIds: readonly string[]): Promise<Release[]> {
  if (datasetIds.length === 0) return [];
  const rows = await db
    .selectFrom("releases")
    .select(columns)
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
  return rows.map(fromRow);
}

/** Releases that touch a dataset, newest first. */
export async function releasesOf(db: Reader, environment: string, datasetId: string, limit: number): Promise<Release[]> {
  const rows = await db
    .selectFrom("releases")
    .innerJoin("release_entries", "release_entries.release_id", "releases.id")
    .select(columns.map((name) => `releases.${name}` as const))
    .where("releases.environment", "=", environment)
    .where("release_entries.dataset_id", "=", datasetId)
    .orderBy("releases.created_at", "desc")
    .orderBy("releases.id", "desc")
    .limit(limit)
    .execute();
  return rows.map(fromRow);
}

export async function findRelease(db: Reader, id: string): Promise<Release | undefined> {
  const row = await db.selectFrom("releases").select(columns).where("id", "=", id).executeTakeFirst();
  return row && fromRow(row);
}

export async function releaseEntries(db: Reader, releaseId: string): Promise<ReleaseEntry[]> {
  const rows = await db.selectFrom("release_entries").selectAll().where("release_id", "=", releaseId).orderBy("dataset_id").execute();
  return rows.map((row) => ({ datasetId: row.dataset_id, beforeVersion: row.before_version, afterVersion: row.after_version }));
}

export async function releaseChanges(db: Reader, releaseId: string): Promise<string[]> {
  const rows = await db.selectFrom("release_changes").select("change_id").where("release_id", "=", releaseId).execute();
  return rows.map((row) => row.change_id);
}
