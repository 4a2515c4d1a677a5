import type { Reader, Tx } from "../db/db.ts";

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
}

/** Holds consumers back on the versions that all readers have before a release's last step. */
export async function putHolds(
  tx: Tx,
  releaseId: string,
  holds: readonly Pick<Hold, "consumer" | "owner" | "reason">[],
  on: { versions: ReadonlyMap<string, string | null>; at: Date },
): Promise<void> {
  const expiresAt = new Date(on.at.getTime() + holdLifetime);
  const rows = holds.flatMap(({ consumer, owner, reason }) =>
    [...on.versions].map(([datasetId, versionId]) => ({
      release_id: releaseId,
      consumer,
      dataset_id: datasetId,
      version_id: versionId,
      owner,
      reason,
      created_at: on.at,
      expires_at: expiresAt,
      ended_at: null,
    })),
  );
  for (let from = 0; from < rows.length; from += 1000) {
    await tx
      .insertInto("holds")
      .values(rows.slice(from, from + 1000))
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}

/** Consumers that a release has held back, by name. */
export async function holdsOf(db: Reader, releaseId: string): Promise<Hold[]> {
  const rows = await db
    .selectFrom("holds")
    .select(["consumer", "owner", "reason", "created_at", "expires_at", "ended_at"])
    .distinct()
    .where("release_id", "=", releaseId)
    .orderBy("consumer")
    .execute();
  return rows.map((row) => ({
    consumer: row.consumer,
    owner: row.owner,
    reason: row.reason,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
  }));
}

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

/** The versions that standing holds keep, with the release and the consumer of each. */
export async function heldVersions(db: Reader, now: Date): Promise<{ releaseId: string; consumer: string; versionId: string }[]> {
  const rows = await db
    .selectFrom("holds")
    .select(["release_id", "consumer", "version_id"])
    .where("ended_at", "is", null)
    .where("expires_at", ">", now)
    .where("version_id", "is not", null)
    .execute();
  return rows.map((row) => ({ releaseId: row.release_id, consumer: row.consumer, versionId: row.version_id as string }));
}
