import { sql, type UpdateObject } from "kysely";
import type { Reader, Tx } from "../../db/db.ts";
import type { Database } from "../../db/tables.ts";
import { holdLifetime } from "../pins/hold-store.ts";
import { activeStates } from "../release-machine.ts";

/** A hold that goes on with what all others get, with the columns that its consumer knows: one dataset of it. */
export interface ProjectedHold {
  releaseId: string;
  environment: string;
  consumer: string;
  datasetId: string;
  /** What the consumer is served: a projection, or a version that has these columns by itself. */
  versionId: string;
  /** The version whose columns it has. */
  asVersion: string;
  /** It has no new rows; `stoppedOn` is what it could not be given last, null where others have none either. */
  isStopped: boolean;
  stoppedOn: string | null;
  /** What it follows: the release's candidate, until all readers have the release; undefined from then on, when it is what live has. */
  candidate: string | null | undefined;
}

/** What a consumer is served from now on instead of a release's candidates. */
export interface NewProjectedHold {
  consumer: string;
  /** Who mends the consumer. */
  owner: string;
  reason: string;
  datasets: readonly { datasetId: string; versionId: string; asVersion: string }[];
}

/** Serves consumers projections of a release's candidates, in place of holding them back. */
export async function putProjectedHolds(tx: Tx, releaseId: string, holds: readonly NewProjectedHold[], at: Date): Promise<void> {
  const rows = holds.flatMap(({ consumer, owner, reason, datasets }) =>
    datasets.map(({ datasetId, versionId, asVersion }) => ({
      release_id: releaseId,
      consumer,
      dataset_id: datasetId,
      version_id: versionId,
      owner,
      reason,
      created_at: at,
      expires_at: new Date(at.getTime() + holdLifetime),
      ended_at: null,
      as_version: asVersion,
    })),
  );
  for (const row of rows) {
    await tx
      .insertInto("holds")
      .values(row)
      .onConflict((oc) =>
        oc
          .columns(["release_id", "consumer", "dataset_id"])
          .doUpdateSet({ ...row, stopped_at: null, stopped_on: null, stopped_reason: null }),
      )
      .execute();
  }
}

/** Whether anybody is served a projection. */
export function ofProjected(db: Reader, at: Date) {
  return db
    .selectFrom("holds")
    .select("consumer")
    .where("as_version", "is not", null)
    .where("ended_at", "is", null)
    .where("expires_at", ">", at);
}

/** Holds that are served projections at a moment, of releases that all readers have and of those under way; by release and consumer. */
export async function standingProjections(db: Reader, at: Date, releaseId?: string): Promise<ProjectedHold[]> {
  const rows = await db
    .selectFrom("holds")
    .innerJoin("releases", "releases.id", "holds.release_id")
    .leftJoin("release_entries as entries", (join) =>
      join.onRef("entries.release_id", "=", "holds.release_id").onRef("entries.dataset_id", "=", "holds.dataset_id"),
    )
    .select(["holds.release_id", "releases.environment", "holds.consumer", "holds.dataset_id", "holds.version_id"])
    .select(["holds.as_version", "holds.stopped_on", "holds.stopped_at", "releases.live_at", "entries.after_version"])
    .where("holds.as_version", "is not", null)
    .where("holds.ended_at", "is", null)
    .where("holds.expires_at", ">", at)
    .where((eb) => eb.or([eb("releases.live_at", "is not", null), eb("releases.state", "in", activeStates)]))
    .$if(releaseId !== undefined, (query) => query.where("holds.release_id", "=", releaseId as string))
    .orderBy("holds.release_id")
    .orderBy("holds.consumer")
    .orderBy("holds.dataset_id")
    .execute();
  return rows.map((row) => ({
    releaseId: row.release_id,
    environment: row.environment,
    consumer: row.consumer,
    datasetId: row.dataset_id,
    versionId: row.version_id ?? "",
    asVersion: row.as_version ?? "",
    isStopped: row.stopped_at !== null,
    stoppedOn: row.stopped_on,
    candidate: row.live_at === null ? row.after_version : undefined,
  }));
}

type HoldKey = Pick<ProjectedHold, "releaseId" | "consumer" | "datasetId">;

/** Gives a consumer a later version, and remembers which it had until now. */
export async function moveProjected(tx: Tx, hold: HoldKey & Pick<ProjectedHold, "versionId">, to: string, at: Date): Promise<void> {
  const { releaseId, consumer, datasetId, versionId } = hold;
  await tx
    .insertInto("former_holds")
    .values({ release_id: releaseId, consumer, dataset_id: datasetId, version_id: versionId, until_at: at })
    .onConflict((oc) => oc.doNothing())
    .execute();
  await updateHold(tx, hold, { version_id: to, stopped_at: null, stopped_on: null, stopped_reason: null });
}

/** What others get now cannot be given to a consumer with its columns: it stays on what it has, without new rows. */
export async function stopProjected(tx: Tx, hold: HoldKey, why: { on: string | null; reason: string; at: Date }): Promise<void> {
  await updateHold(tx, hold, {
    stopped_at: sql<Date>`coalesce(stopped_at, ${why.at})`,
    stopped_on: why.on,
    stopped_reason: why.reason,
  });
}

/** Ends what a release serves its consumers in place of its candidates. */
export async function endProjected(tx: Tx, releaseId: string, at: Date): Promise<void> {
  await tx
    .updateTable("holds")
    .set({ ended_at: at })
    .where("release_id", "=", releaseId)
    .where("as_version", "is not", null)
    .where("ended_at", "is", null)
    .execute();
}

/** Ends one of them: its consumer has what all have. */
export async function endOneProjected(tx: Tx, hold: HoldKey, at: Date): Promise<void> {
  await updateHold(tx, hold, { ended_at: at });
}

async function updateHold(tx: Tx, hold: HoldKey, set: UpdateObject<Database, "holds">): Promise<void> {
  await tx
    .updateTable("holds")
    .set(set)
    .where("release_id", "=", hold.releaseId)
    .where("consumer", "=", hold.consumer)
    .where("dataset_id", "=", hold.datasetId)
    .where("ended_at", "is", null)
    .execute();
}
