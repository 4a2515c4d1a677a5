import { sql } from "kysely";
import type { Reader, Tx } from "../db/db.ts";
import type { RunUnit } from "./plans/plan.ts";

/* Percentages of the runs of consumers that are sticky by run or session: written down when a step starts, as members are. */

/** So many percent of a consumer's runs have a release's candidates. */
export interface Share {
  consumer: string;
  ordinal: number;
  percent: number;
  unit: RunUnit;
  /** The release whose hash chooses the runs. */
  seed: string;
  since: Date;
}

export async function sharesOfRelease(db: Reader, releaseId: string): Promise<Share[]> {
  const rows = await db
    .selectFrom("release_shares")
    .selectAll()
    .where("release_id", "=", releaseId)
    .orderBy("ordinal")
    .orderBy("consumer")
    .orderBy("seed")
    .execute();
  return rows.map((row) => ({
    consumer: row.consumer,
    ordinal: row.ordinal,
    percent: row.percent,
    unit: row.unit as RunUnit,
    seed: row.seed,
    since: row.since,
  }));
}

/** Releases in whose share of runs a run began, with the moment since when its consumer has that share. */
export async function sharesOfRun(
  db: Reader,
  { consumer, run }: { consumer: string; run: string | undefined },
): Promise<Map<string, Date>> {
  if (run === undefined) return new Map();
  const rows = await db
    .selectFrom("view_leases")
    .innerJoin("release_shares", "release_shares.consumer", "view_leases.consumer")
    .select(["release_shares.release_id", "release_shares.since"])
    .where("view_leases.consumer", "=", consumer)
    .where("view_leases.run", "=", run)
    .where(sql<boolean>`release_shares.release_id = any(view_leases.moved_by)`)
    .orderBy("release_shares.since", "desc")
    .execute();
  return new Map(rows.map((row) => [row.release_id, row.since]));
}

export async function addShares(tx: Tx, releaseId: string, shares: readonly Share[]): Promise<void> {
  if (shares.length === 0) return;
  const rows = shares.map((share) => ({ release_id: releaseId, ...share }));
  await tx
    .insertInto("release_shares")
    .values(rows)
    .onConflict((oc) => oc.doNothing())
    .execute();
}

/** No run of these consumers is moved by a release any more; of all, where none are named. */
export async function forgetShares(tx: Tx, releaseId: string, consumers?: readonly string[]): Promise<void> {
  if (consumers?.length === 0) return;
  await tx
    .deleteFrom("release_shares")
    .where("release_id", "=", releaseId)
    .$if(consumers !== undefined, (query) => query.where("consumer", "in", [...(consumers ?? [])]))
    .execute();
}
