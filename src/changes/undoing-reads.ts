import type { Reader } from "../db/db.ts";
import { hasEffect } from "../rollouts/rollback/bar-store.ts";
import { corrections } from "./source-batch.ts";
import type { Change } from "./change.ts";
import type { MergeSides } from "./merge-piece.ts";

/**
 * A change that this one was opened to undo, and that main no longer has, because another revert, correction or restore came first. What it
 * says of the rows would then take out rows that only look the same, and count as a second undoing.
 */
export async function undoneMeanwhile(
  db: Reader,
  change: Pick<Change, "id" | "reverts">,
  { dataset, item, base, onto }: MergeSides,
): Promise<string | undefined> {
  if (base === undefined || onto === undefined || base.id === onto.id || item.derived) return undefined;
  const undoes = [...(change.reverts === null ? [] : [change.reverts]), ...(await correctedBy(db, change.id, dataset.id))];
  for (const id of undoes) if (!(await hasEffect(db, onto, id))) return id;
  return undefined;
}

/** Batches that a change corrects. Of a chain of corrections only the last: it has undone the ones before it. */
async function correctedBy(db: Reader, changeId: string, datasetId: string): Promise<string[]> {
  const rows = await db
    .selectFrom("operations")
    .select("payload")
    .where("change_id", "=", changeId)
    .where("dataset_id", "=", datasetId)
    .where("kind", "=", "undo")
    .orderBy("ordinal")
    .execute();
  const undone = rows.map((row) => (row.payload as { change: string }).change);
  const before = new Set<string>();
  for (const id of undone) for (const earlier of (await corrections(db, datasetId, id)).slice(1)) before.add(earlier);
  return undone.filter((id) => !before.has(id));
}
