import { sql } from "kysely";
import type { Reader, Tx } from "../db/db.ts";
import { mergeNumbers, settledChangeSet } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { barredIn, inEffect, type Reverts, type StandingBar } from "./bar.ts";

/** Bars that stand on changes of a dataset. */
async function standingBars(db: Reader, datasetId: string): Promise<StandingBar[]> {
  const rows = await db
    .selectFrom("bars")
    .innerJoin("change_datasets", (join) =>
      join.onRef("change_datasets.change_id", "=", "bars.change_id").onRef("change_datasets.dataset_id", "=", "bars.dataset_id"),
    )
    .select(["bars.change_id", "change_datasets.merge_seq"])
    .where("bars.dataset_id", "=", datasetId)
    .where("bars.lifted_at", "is", null)
    .where("change_datasets.merge_seq", "is not", null)
    .execute();
  return rows.map((row) => ({ changeId: row.change_id, seq: Number(row.merge_seq) }));
}

/** Merged changes that revert one of these on a dataset, or undo it by the way, as a corrected batch does. */
async function revertRows(db: Reader, datasetId: string, changeIds: readonly string[]) {
  const merged = db
    .selectFrom("change_datasets")
    .where("change_datasets.dataset_id", "=", datasetId)
    .where("change_datasets.merge_seq", "is not", null);
  const reverts = await merged
    .innerJoin("changes", "changes.id", "change_datasets.change_id")
    .select(["changes.id", "changes.reverts as reverted", "change_datasets.merge_seq"])
    .where("changes.reverts", "in", changeIds)
    .execute();
  const undone = sql<string>`operations.payload->>'change'`;
  const corrections = await merged
    .innerJoin("operations", "operations.change_id", "change_datasets.change_id")
    .select(["operations.change_id as id", undone.as("reverted"), "change_datasets.merge_seq"])
    .where("operations.dataset_id", "=", datasetId)
    .where("operations.kind", "=", "undo")
    .where(undone, "in", changeIds)
    .execute();
  return [...reverts, ...corrections];
}

/** Merged reverts of these changes, reverts of those, and so on. */
async function revertsOf(db: Reader, datasetId: string, changeIds: readonly string[]): Promise<Reverts> {
  const reverts = new Map<string, StandingBar[]>();
  let pending = [...changeIds];
  while (pending.length > 0) {
    const rows = await revertRows(db, datasetId, pending);
    for (const row of rows) {
      const reverted = row.reverted as string;
      reverts.set(reverted, [...(reverts.get(reverted) ?? []), { changeId: row.id, seq: Number(row.merge_seq) }]);
    }
    pending = rows.map((row) => row.id).filter((id) => !reverts.has(id));
  }
  return reverts;
}

/** Whether a merged change has its effect in a version: it is contained, and nothing has undone it there. */
export async function hasEffect(db: Reader, version: Version, changeId: string): Promise<boolean> {
  const seq = (await mergeNumbers(db, version.datasetId, [changeId])).get(changeId);
  if (seq === undefined) return false;
  const reverts = await revertsOf(db, version.datasetId, [changeId]);
  return inEffect(await settledChangeSet(db, version), { changeId, seq }, reverts);
}

/** Barred changes that these versions would bring to readers. Empty: they may be released. */
export async function barsOn(db: Reader, versions: readonly Version[]): Promise<Set<string>> {
  const found = new Set<string>();
  if (versions.length === 0) return found;
  const suspects = await db.selectFrom("bars").select("dataset_id").distinct().where("lifted_at", "is", null).execute();
  const suspected = new Set(suspects.map((row) => row.dataset_id));
  for (const version of versions.filter((item) => suspected.has(item.datasetId))) {
    const bars = await standingBars(db, version.datasetId);
    const reverts = await revertsOf(
      db,
      version.datasetId,
      bars.map((bar) => bar.changeId),
    );
    for (const id of barredIn(await settledChangeSet(db, version), bars, reverts)) found.add(id);
  }
  return found;
}

export async function insertBar(
  tx: Tx,
  bar: { changeId: string; datasetId: string; at: Date; by: string; reason: string; releaseId: string | null },
): Promise<void> {
  await tx
    .insertInto("bars")
    .values({
      change_id: bar.changeId,
      dataset_id: bar.datasetId,
      barred_at: bar.at,
      barred_by: bar.by,
      reason: bar.reason,
      release_id: bar.releaseId,
      lifted_at: null,
      lifted_by: null,
      lift_reason: null,
    })
    .onConflict((oc) => oc.doNothing())
    .execute();
}

/** Lifts the bars that stand on a change; gives the datasets that it stood on. */
export async function liftBars(tx: Tx, changeId: string, lift: { at: Date; by: string; reason: string }): Promise<string[]> {
  const rows = await tx
    .updateTable("bars")
    .set({ lifted_at: lift.at, lifted_by: lift.by, lift_reason: lift.reason })
    .where("change_id", "=", changeId)
    .where("lifted_at", "is", null)
    .returning("dataset_id")
    .execute();
  return rows.map((row) => row.dataset_id);
}

/** Changes of a list on which a bar stands. */
export async function barredChanges(db: Reader, changeIds: readonly string[]): Promise<Set<string>> {
  if (changeIds.length === 0) return new Set();
  const rows = await db
    .selectFrom("bars")
    .select("change_id")
    .distinct()
    .where("change_id", "in", [...changeIds])
    .where("lifted_at", "is", null)
    .execute();
  return new Set(rows.map((row) => row.change_id));
}
