import { sql } from "kysely";
import type { Reader, Tx } from "../../db/db.ts";

/** How long a consumer is held back at most: then it gets what all have. */
export const holdLifetime = 30 * 86_400_000;

/** A consumer that stays on what it had of a release's datasets, because the release would break it. */
export interface Hold {
  consumer: string;
  /** Who mends it: the consumer's owner, or whoever moved the release. */
  owner: string;
  reason: string;
  createdAt: Date;
  expiresAt: Date;
  endedAt: Date | null;
  /** It goes on with what all others get of these datasets, with the columns of an older version. Empty: it stays on what it had. */
  as: { dataset: string; version: number }[];
  /** Since when it gets no new rows, and why it is not what others get with its columns; null while it does, or before it begins to tell. */
  noRowsSince: Date | null;
  stopped: string | null;
}

/** Who is to be held back, and until when; 30 days where nothing else is said. */
export type NewHold = Pick<Hold, "consumer" | "owner" | "reason"> & Partial<Pick<Hold, "createdAt" | "expiresAt">>;

/**
 * Holds consumers back on the versions that all readers have before a release's last step. What was said of them before is replaced: a hold
 * that was put ahead gets the versions of the moment in which it begins to tell.
 */
export async function putHolds(
  tx: Tx,
  releaseId: string,
  holds: readonly NewHold[],
  on: { versions: ReadonlyMap<string, string | null>; at: Date },
): Promise<void> {
  if (holds.length === 0) return;
  const latest = new Date(on.at.getTime() + holdLifetime);
  const rows = holds.flatMap(({ consumer, owner, reason, createdAt = on.at, expiresAt = latest }) =>
    [...on.versions].map(([datasetId, versionId]) => ({
      release_id: releaseId,
      consumer,
      dataset_id: datasetId,
      version_id: versionId,
      owner,
      reason,
      created_at: createdAt,
      expires_at: expiresAt,
      ended_at: null,
    })),
  );
  for (let from = 0; from < rows.length; from += 1000) {
    await tx
      .insertInto("holds")
      .values(rows.slice(from, from + 1000))
      .onConflict((oc) =>
        oc.columns(["release_id", "consumer", "dataset_id"]).doUpdateSet((eb) => ({
          version_id: eb.ref("excluded.version_id"),
          owner: eb.ref("excluded.owner"),
          reason: eb.ref("excluded.reason"),
          created_at: eb.ref("excluded.created_at"),
          expires_at: eb.ref("excluded.expires_at"),
          ended_at: null,
          as_version: null,
          stopped_at: null,
          stopped_on: null,
          stopped_reason: null,
        })),
      )
      .execute();
  }
}

/** Consumers that a release holds back at this moment, or will when all others have it. */
export async function standingHolds(db: Reader, releaseId: string, at: Date): Promise<Hold[]> {
  return (await holdsOf(db, releaseId)).filter((hold) => hold.endedAt === null && hold.expiresAt > at);
}

/** Consumers that a release has held back, by name. */
export async function holdsOf(db: Reader, releaseId: string): Promise<Hold[]> {
  const rows = await db
    .selectFrom("holds")
    .innerJoin("releases", "releases.id", "holds.release_id")
    .innerJoin("datasets", "datasets.id", "holds.dataset_id")
    .leftJoin("versions", "versions.id", "holds.as_version")
    .select(["consumer", "owner", "holds.reason", "holds.created_at", "expires_at", "ended_at"])
    .select((eb) => [
      sql<Hold["as"] | null>`jsonb_agg(jsonb_build_object('dataset', datasets.name, 'version', versions.number) order by datasets.name)
        filter (where as_version is not null)`.as("served"),
      sql<Date | null>`min(case when as_version is null then releases.live_at else stopped_at end)`.as("no_rows"),
      eb.fn.min("stopped_reason").as("stopped"),
    ])
    .where("release_id", "=", releaseId)
    .groupBy(["consumer", "owner", "holds.reason", "holds.created_at", "expires_at", "ended_at", "releases.live_at"])
    .orderBy("consumer")
    .execute();
  return rows.map((row) => ({
    consumer: row.consumer,
    owner: row.owner,
    reason: row.reason,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
    as: row.served ?? [],
    noRowsSince: row.no_rows,
    stopped: row.stopped,
  }));
}

/** Those that stay on what they had; all others go on, with their columns. */
export const stayingBack = (holds: readonly Hold[]): Hold[] => holds.filter((hold) => hold.as.length === 0);

/** Lets consumers of a release go, one or all; gives those that were held. */
export async function endHolds(tx: Tx, releaseId: string, end: { consumer?: string | undefined; at: Date }): Promise<string[]> {
  const rows = await tx
    .updateTable("holds")
    .set({ ended_at: end.at })
    .where("release_id", "=", releaseId)
    .where("ended_at", "is", null)
    .$if(end.consumer !== undefined, (query) => query.where("consumer", "=", end.consumer as string))
    .returning("consumer")
    .execute();
  return [...new Set(rows.map((row) => row.consumer))].sort();
}

/**
 * The versions that consumers stay on now, with the release and the consumer of each; a hold that is put ahead keeps none yet, and one that is
 * served projections goes on.
 */
export async function heldVersions(db: Reader, now: Date): Promise<{ releaseId: string; consumer: string; versionId: string }[]> {
  const rows = await db
    .selectFrom("holds")
    .innerJoin("releases", "releases.id", "holds.release_id")
    .select(["release_id", "consumer", "version_id"])
    .where("releases.live_at", "is not", null)
    .where("ended_at", "is", null)
    .where("expires_at", ">", now)
    .where("version_id", "is not", null)
    .where("as_version", "is", null)
    .execute();
  return rows.map((row) => ({ releaseId: row.release_id, consumer: row.consumer, versionId: row.version_id as string }));
}

/** Consumers that releases which all others have keep on older versions of these datasets: what comes later moves them no sooner. */
export async function heldOnOlder(db: Reader, of: { environment: string; datasetIds: readonly string[]; at: Date }): Promise<string[]> {
  const rows = await db
    .selectFrom("holds")
    .innerJoin("releases", "releases.id", "holds.release_id")
    .select("holds.consumer")
    .distinct()
    .where("releases.environment", "=", of.environment)
    .where("releases.live_at", "is not", null)
    .where("holds.dataset_id", "in", [...of.datasetIds])
    .where("holds.ended_at", "is", null)
    .where("holds.expires_at", ">", of.at)
    .execute();
  return rows.map((row) => row.consumer);
}
