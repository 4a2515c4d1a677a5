import type { Selectable } from "kysely";
import type { PinsTable } from "../../db/line-tables.ts";
import type { Reader, Tx } from "../../db/db.ts";
import type { Pin } from "./pin.ts";

/** A pin with what it keeps: dataset id → version id, null where the consumer has none. Of a whole view, what the view has beside its commit. */
export interface KeptPin extends Pin {
  versions: ReadonlyMap<string, string | null>;
  /** Commit of the whole view. */
  commitId: string | null;
}

const fromRow = (row: Selectable<PinsTable>): Pin => ({
  id: row.id,
  environment: row.environment,
  consumer: row.consumer,
  datasetId: row.dataset_id,
  viewId: row.view_id,
  owner: row.owner,
  reason: row.reason,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  endedAt: row.ended_at,
});

/** Adds a pin with what it keeps. */
export async function insertPin(tx: Tx, pin: KeptPin): Promise<void> {
  await tx
    .insertInto("pins")
    .values({
      id: pin.id,
      environment: pin.environment,
      consumer: pin.consumer,
      dataset_id: pin.datasetId,
      view_id: pin.viewId,
      owner: pin.owner,
      reason: pin.reason,
      created_at: pin.createdAt,
      expires_at: pin.expiresAt,
      ended_at: pin.endedAt,
      barred: null,
    })
    .execute();
  if (pin.commitId === null) await addPinVersions(tx, pin.id, pin.versions, pin.createdAt);
}

/** Makes a pin keep more than before. */
export async function addPinVersions(tx: Tx, pinId: string, versions: ReadonlyMap<string, string | null>, at: Date): Promise<void> {
  const rows = [...versions].map(([datasetId, versionId]) => ({ pin_id: pinId, dataset_id: datasetId, version_id: versionId, since: at }));
  for (let from = 0; from < rows.length; from += 1000) {
    await tx
      .insertInto("pin_versions")
      .values(rows.slice(from, from + 1000))
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}

/** Pins that stand in an environment, oldest first; of one consumer when it is named. */
export async function standingPins(db: Reader, of: { environment: string; consumer?: string | undefined; at: Date }): Promise<KeptPin[]> {
  const rows = await db
    .selectFrom("pins")
    .leftJoin("views", "views.id", "pins.view_id")
    .selectAll("pins")
    .select(["views.commit_id", "views.overlay"])
    .where("pins.environment", "=", of.environment)
    .where("pins.ended_at", "is", null)
    .where("pins.expires_at", ">", of.at)
    .$if(of.consumer !== undefined, (query) => query.where("pins.consumer", "=", of.consumer as string))
    .orderBy("pins.created_at")
    .orderBy("pins.id")
    .execute();
  if (rows.length === 0) return [];
  const kept = await db
    .selectFrom("pin_versions")
    .selectAll()
    .where(
      "pin_id",
      "in",
      rows.map((row) => row.id),
    )
    .execute();
  const versions = new Map(rows.map((row) => [row.id, new Map(Object.entries((row.overlay ?? {}) as Record<string, string | null>))]));
  for (const row of kept) versions.get(row.pin_id)?.set(row.dataset_id, row.version_id);
  return rows.map((row) => ({ ...fromRow(row), versions: versions.get(row.id) ?? new Map(), commitId: row.commit_id }));
}

/** Ends a pin; `barred` names the changes whose rollback ended it. */
export async function endPin(tx: Tx, id: string, end: { at: Date; barred?: readonly string[] }): Promise<void> {
  const barred = end.barred === undefined ? null : [...end.barred];
  await tx.updateTable("pins").set({ ended_at: end.at, barred }).where("id", "=", id).where("ended_at", "is", null).execute();
}
