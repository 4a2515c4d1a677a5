import type { Reader, Tx } from "../db/db.ts";
import { hashOf, toJson } from "../lib/json.ts";
import type { Cell } from "../engine/plan.ts";

export type Side = "ours" | "theirs";

export interface Resolutions {
  keys: { key: readonly Cell[]; side: Side }[];
  /** Chosen for every key in conflict that was not settled by itself. */
  rest: Side | undefined;
}

/** What a choice was made for: it holds while main has this version; one for all keys, while the change proposes this candidate, too. */
export interface ResolvedPair {
  changeId: string;
  datasetId: string;
  theirsVersion: string;
  candidateVersion: string;
}

const restHash = "rest";

export async function resolutionsOf(db: Reader, pair: ResolvedPair): Promise<Resolutions> {
  const rows = await db
    .selectFrom("resolutions")
    .select(["key_hash", "key", "side"])
    .where("change_id", "=", pair.changeId)
    .where("dataset_id", "=", pair.datasetId)
    .where("theirs_version", "=", pair.theirsVersion)
    .execute();
  const rest = rows.find((row) => row.key_hash === restHash && row.key === pair.candidateVersion);
  const keys = rows.filter((row) => row.key_hash !== restHash);
  return { keys: keys.map((row) => ({ key: row.key as Cell[], side: row.side as Side })), rest: rest?.side as Side | undefined };
}

/** What somebody chose for a change, whether it still holds or not, under one name; undefined: nothing. */
export async function choicesHash(db: Reader, changeId: string): Promise<string | undefined> {
  const rows = await db
    .selectFrom("resolutions")
    .select(["dataset_id", "key_hash", "key", "side", "theirs_version"])
    .where("change_id", "=", changeId)
    .orderBy("dataset_id")
    .orderBy("key_hash")
    .execute();
  return rows.length === 0 ? undefined : hashOf(rows);
}

/** Chooses a side for some keys, or for every key that is in conflict and not settled yet: one row, however many these are. */
export async function putResolutions(
  tx: Tx,
  choice: ResolvedPair & { keys: readonly (readonly Cell[])[] | "rest"; side: Side; author: string; at: Date },
): Promise<void> {
  const { changeId, datasetId, candidateVersion, side, author, at } = choice;
  const rows =
    choice.keys === "rest"
      ? [{ key_hash: restHash, key: toJson(candidateVersion) }]
      : choice.keys.map((key) => ({ key_hash: hashOf(key), key: toJson(key) }));
  const set = { side, theirs_version: choice.theirsVersion, author, at };
  for (const row of rows) {
    await tx
      .insertInto("resolutions")
      .values({ change_id: changeId, dataset_id: datasetId, ...row, ...set })
      .onConflict((oc) => oc.columns(["change_id", "dataset_id", "key_hash"]).doUpdateSet({ ...set, key: row.key }))
      .execute();
  }
}
