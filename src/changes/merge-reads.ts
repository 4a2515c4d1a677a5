import { readCommit } from "../catalog/commit-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Reader } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { findRelease } from "../rollouts/release-store.ts";
import { changeDatasets, getChange } from "./change-store.ts";
import type { Merged } from "./merge-commit.ts";

/** What a merge that is done brought, as the merge itself told it. */
export async function mergeReads(deps: { db: Reader }, changeId: string): Promise<Merged> {
  const change = await getChange(deps.db, changeId);
  if (change.mergeCommit === null)
    throw new AppError("change.not_found", `${changeId} is not merged.`, { hint: `tidegate merge ${changeId}` });
  const items = await changeDatasets(deps.db, changeId);
  const datasets = await getDatasets(
    deps.db,
    items.map((item) => item.datasetId),
  );
  const versions = await getVersions(
    deps.db,
    items.flatMap((item) => [item.beforeVersion ?? [], item.mergedVersion ?? []].flat()),
  );
  const row = await deps.db
    .selectFrom("releases")
    .select("id")
    .where("change_id", "=", changeId)
    .orderBy("created_at")
    .limit(1)
    .executeTakeFirst();
  const release = row && (await findRelease(deps.db, row.id));
  if (release === undefined) throw new AppError("release.not_found", `${changeId} has no release.`, { hint: "tidegate doctor" });
  const commit = await readCommit(deps.db, change.mergeCommit);
  return {
    change,
    commit: commit.id,
    previousCommit: commit.parents[0] ?? commit.id,
    datasets: items.map((item) => ({
      datasetId: item.datasetId,
      dataset: datasets.get(item.datasetId)?.name ?? item.datasetId,
      before: versions.get(item.beforeVersion ?? ""),
      after: versions.get(item.mergedVersion ?? ""),
    })),
    release,
  };
}
