import { readCommit } from "../catalog/commit-store.ts";
import { changeRef, getRef } from "../catalog/ref-store.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import type { Reader } from "../db/db.ts";
import { changeDatasets } from "./change-store.ts";
import type { Change } from "./change.ts";

/** The two sides of a change: the commit from which it started, and its branch; of a merged one, main before it and with it. */
export async function sidesOfChange(db: Reader, change: Change): Promise<{ base: Side; candidate: Side; datasetIds: string[] }> {
  const candidate = await readCommit(db, change.mergeCommit ?? (await getRef(db, changeRef(change.id))).commitId);
  const start = change.mergeCommit === null ? change.baseCommit : (candidate.parents[0] ?? change.baseCommit);
  const base = await readCommit(db, start);
  const items = await changeDatasets(db, change.id);
  return {
    base: treeSide(db, "base", base.tree),
    candidate: treeSide(db, "candidate", candidate.tree),
    datasetIds: items.map(({ datasetId }) => datasetId),
  };
}
