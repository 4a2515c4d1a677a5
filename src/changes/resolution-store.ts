import type { Reader, Tx } from "../db/db.ts";
import { hashOf, toJson } from "../lib/json.ts";
import type { Cell } from "../engine/plan.ts";

export interface Resolution {
  key: readonly Cell[];
  side: "ours" | "theirs";
}

/** What was chosen for keys in conflict, as far as main still has the version for which it was chosen. */
export async function resolutionsOf(db: Reader, changeId: string, datasetId: string, theirsVersion: string): Promise<Resolution[]> {
  const rows = await db
    .selectFrom("resolutions")
    .select(["key", "side"])
    .where("change_id", "=", changeId)
    .where("dataset_id", "=", datasetId)
    .where("theirs_version", "=", theirsVersion)
    .execute();
  return rows.map((row) => ({ key: row.key as Cell[], side: row.side as "ours" | "theirs" }));
}

export async function putResolutions(
  tx: Tx,
  choice: { changeId: string; datasetId: string; theirsVersion: string; author: string; at: Date; resolutions: readonly Resolution[] },
): Promise<void> {
  for (const { key, side } of choice.resolutions) {
    const row = { side, theirs_version: choice.theirsVersion, author: choice.author, at: choice.at };
    await tx
      .insertInto("resolutions")
      .values({ change_id: choice.changeId, dataset_id: choice.datasetId, key_hash: hashOf(key), key: toJson(key), ...row })
      .onConflict((oc) => oc.columns(["change_id", "dataset_id", "key_hash"]).doUpdateSet(row))
      .execute();
  }
}
