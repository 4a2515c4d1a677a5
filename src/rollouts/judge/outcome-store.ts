import { hourOf } from "../../usage/exposure.ts";
import { sql } from "kysely";
import type { Reader, Tx } from "../../db/db.ts";
import { sha256 } from "../../lib/json.ts";
import type { Arm } from "./judge.ts";
import type { Measured } from "./outcome.ts";

/** Where a report counts: in which step of which release, and on which side. */
export interface Place {
  releaseId: string;
  step: number;
  arm: Arm;
}

export interface Reporter {
  environment: string;
  consumer: string;
  run: string | undefined;
  at: Date;
}

interface PlaceRow {
  id: string;
  step: number;
  moved_at: Date | null;
  live_at: Date | null;
  held_at: Date | null;
}

/**
 * Where a consumer's outcome of a dataset counts, from what it was served at that time: never from what it says. Undefined when no release of
 * the dataset was under way, or when it had not read the dataset.
 */
export async function placeOf(db: Reader, reporter: Reporter, datasetIds: readonly string[]): Promise<Place | undefined> {
  const { environment, consumer, at } = reporter;
  const { rows } = await sql<PlaceRow>`
    select releases.id, releases.live_at, members.moved_at, holds.created_at as held_at,
      (select max(ordinal) from release_steps steps where steps.release_id = releases.id and steps.started_at <= ${at}) as step
    from releases
      left join release_members members on members.release_id = releases.id and members.consumer = ${consumer} and members.moved_at <= ${at}
      left join lateral (select min(case when as_version is null then created_at else stopped_at end) as created_at from holds where holds.release_id = releases.id and holds.consumer = ${consumer}
        and holds.created_at <= ${at} and holds.expires_at > ${at} and (holds.ended_at is null or holds.ended_at > ${at})
        and (holds.as_version is null or holds.stopped_at <= ${at})) holds on true
    where releases.environment = ${environment} and releases.planned and (releases.finished_at is null or releases.finished_at > ${at})
      and exists (select from release_entries where release_id = releases.id and dataset_id = any(${[...datasetIds]}::text[]))
      and exists (select from release_steps steps where steps.release_id = releases.id and steps.started_at <= ${at})
    order by releases.created_at desc limit 1`.execute(db);
  const [release] = rows;
  if (release === undefined || (await isPinned(db, reporter, datasetIds))) return undefined;
  const served = await lastServed(db, reporter, datasetIds);
  if (served === undefined) return undefined;
  const { at: servedAt, movedBy } = served;
  const { moved_at: movedAt, live_at: liveAt, held_at: heldAt } = release;
  const isMoved = movedBy.includes(release.id) || (movedAt !== null && movedAt <= servedAt) || (liveAt !== null && liveAt <= servedAt);
  const isHeld = heldAt !== null && heldAt <= servedAt;
  return { releaseId: release.id, step: release.step, arm: isMoved && !isHeld ? "candidate" : "current" };
}

/** Who is pinned has neither side: it stays on what somebody chose for it. */
async function isPinned(db: Reader, { environment, consumer, at }: Reporter, datasetIds: readonly string[]): Promise<boolean> {
  const { rows } = await sql`
    select 1 from pins left join pin_versions versions on versions.pin_id = pins.id
    where pins.environment = ${environment} and pins.consumer = ${consumer} and pins.created_at <= ${at} and pins.expires_at > ${at}
      and (pins.ended_at is null or pins.ended_at > ${at})
      and (pins.view_id is not null or versions.dataset_id = any(${[...datasetIds]}::text[])) limit 1`.execute(db);
  return rows.length > 0;
}

/** How far back the ledger is asked for what a reporter read. */
const reach = 31 * 86_400_000;

interface Served {
  at: Date;
  /** Releases in whose share of runs the run was. */
  movedBy: readonly string[];
}

/**
 * When the view was chosen from which a reporter read last before a moment: of a run when it began, also where the ledger has no read of it
 * (it took its view and read the files). Of a run that no door knows nothing is known.
 */
async function lastServed(db: Reader, reporter: Reporter, datasetIds: readonly string[]): Promise<Served | undefined> {
  const { consumer, run, at } = reporter;
  if (run === undefined) return lastRead(db, reporter, datasetIds);
  const lease = await db
    .selectFrom("view_leases")
    .select(["started_at", "moved_by"])
    .where("consumer", "=", consumer)
    .where("run", "=", run)
    .where("started_at", "<=", at)
    .executeTakeFirst();
  return lease === undefined ? lastRead(db, reporter, datasetIds) : { at: lease.started_at, movedBy: lease.moved_by };
}

async function lastRead(db: Reader, { consumer, run, at }: Reporter, datasetIds: readonly string[]): Promise<Served | undefined> {
  const row = await db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .leftJoin("view_leases", (join) =>
      join.onRef("view_leases.consumer", "=", "exposures.consumer").onRef("view_leases.run", "=", "exposures.run"),
    )
    .select(["exposures.first_at", "view_leases.started_at", "view_leases.moved_by"])
    .where("exposures.consumer", "=", consumer)
    .where("exposures.hour", ">=", new Date(at.getTime() - reach))
    .where("exposures.first_at", "<=", at)
    .where("versions.dataset_id", "in", [...datasetIds])
    .$if(run !== undefined, (query) => query.where("exposures.run", "=", run ?? ""))
    .orderBy("exposures.first_at", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && { at: row.started_at ?? row.first_at, movedBy: row.moved_by ?? [] };
}

export interface NewReport extends Reporter {
  id: string;
  hash: string;
  datasetId: string;
  place: Place | undefined;
  receivedAt: Date;
  ok: boolean | undefined;
  reason: string | undefined;
  pair: string | undefined;
  measured: readonly Measured[];
}

/** Adds a report to the sums, once; false when the reporter's id was there already. */
export async function addReport(tx: Tx, report: NewReport): Promise<boolean> {
  const { place, consumer, datasetId, at } = report;
  const added = await tx
    .insertInto("outcome_reports")
    .values({
      consumer,
      id: report.id,
      content_hash: report.hash,
      dataset_id: datasetId,
      release_id: place?.releaseId ?? null,
      step: place?.step ?? null,
      arm: place?.arm ?? null,
      at,
      received_at: report.receivedAt,
      ok: report.ok ?? null,
      reason: report.reason ?? null,
    })
    .onConflict((oc) => oc.doNothing())
    .returning("id")
    .executeTakeFirst();
  if (added === undefined) return false;
  const hour = hourOf(at);
  const of = {
    dataset_id: datasetId,
    release_id: place?.releaseId ?? "",
    step: place?.step ?? 0,
    arm: place?.arm ?? "none",
    hour,
    consumer,
  };
  for (const { metric, moments } of report.measured) {
    // Two sets of values together: their means are apart by the step between them.
    await tx
      .insertInto("outcomes")
      .values({ ...of, metric, ...moments })
      .onConflict((oc) =>
        oc.columns(["release_id", "metric", "step", "arm", "hour", "consumer", "dataset_id"]).doUpdateSet({
          n: sql`outcomes.n + excluded.n`,
          mean: sql`outcomes.mean + (excluded.mean - outcomes.mean) * excluded.n / (outcomes.n + excluded.n)`,
          squares: sql`outcomes.squares + excluded.squares
            + (excluded.mean - outcomes.mean) ^ 2 * outcomes.n * excluded.n / (outcomes.n + excluded.n)`,
        }),
      )
      .execute();
  }
  if (place !== undefined && report.pair !== undefined) await addPair(tx, place, report.pair, report.measured);
  return true;
}

async function addPair(tx: Tx, { releaseId, arm }: Place, pair: string, measured: readonly Measured[]): Promise<void> {
  const rows = measured.flatMap(({ metric, single }) =>
    single === undefined ? [] : [{ release_id: releaseId, metric, pair: sha256(pair), arm, value: single }],
  );
  if (rows.length === 0) return;
  await tx
    .insertInto("outcome_pairs")
    .values(rows)
    .onConflict((oc) => oc.doNothing())
    .execute();
}

/** Forgets what was reported on a release that begins again: its arms are filled anew. */
export async function forgetOutcomes(tx: Tx, releaseId: string): Promise<void> {
  await tx.deleteFrom("outcomes").where("release_id", "=", releaseId).execute();
  await tx.deleteFrom("outcome_pairs").where("release_id", "=", releaseId).execute();
}
