import { contains } from "../catalog/change-set.ts";
import { getRef, liveRef } from "../catalog/ref-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import type { Reader } from "../db/db.ts";
import { lacksText } from "./carry-commit.ts";
import { carryBeside } from "./live-carry.ts";
import { releaseEntries, type Release } from "./release-store.ts";
import { behindNames } from "./release-turn.ts";
import type { RolloutDeps } from "./step-tests.ts";

/**
 * Carries onto a release's candidates the batches that they do without while all others have them, the oldest first. Gives why its next step
 * would still take something from readers, in words; undefined when it would not.
 */
export async function catchUp(deps: RolloutDeps, release: Release): Promise<string | undefined> {
  if (release.liveAt !== null || !release.planned) return undefined;
  for (const { id, changeId } of await missingBatches(deps.db, release)) {
    const why = await carryBeside(deps, id, release.id);
    // What came after it waits for it: the order of batches is the order of their rows.
    if (why !== undefined) return lacksText(changeId, why);
  }
  const names = await behindNames(deps.db, await getRef(deps.db, liveRef(release.environment)), release);
  return names.length === 0 ? undefined : `readers have what its candidates lack of ${names.join(", ")}`;
}

/** Batches that all others have got since a release began, and its candidates have not. */
async function missingBatches(db: Reader, release: Release): Promise<{ id: string; changeId: string }[]> {
  const entries = await releaseEntries(db, release.id);
  // A change of documents alone brings no dataset.
  if (entries.length === 0) return [];
  const rows = await db
    .selectFrom("releases")
    .innerJoin("change_datasets", "change_datasets.change_id", "releases.change_id")
    .select(["releases.id", "change_datasets.change_id", "change_datasets.dataset_id", "change_datasets.merge_seq"])
    .where("releases.environment", "=", release.environment)
    .where("releases.state", "=", "completed")
    .where("releases.ordinary", "=", true)
    .where("releases.live_at", ">=", release.createdAt)
    .where(
      "change_datasets.dataset_id",
      "in",
      entries.map((entry) => entry.datasetId),
    )
    .where("change_datasets.merge_seq", "is not", null)
    .orderBy("releases.live_at")
    .orderBy("change_datasets.merge_seq")
    .orderBy("releases.id")
    .execute();
  if (rows.length === 0) return [];
  const candidates = [
    ...(
      await getVersions(
        db,
        entries.flatMap((entry) => entry.afterVersion ?? []),
      )
    ).values(),
  ];
  const missing = new Map<string, { id: string; changeId: string }>();
  for (const candidate of candidates) {
    // What is built from others has what they have.
    if (candidate.inputs !== null) continue;
    const set = await settledChangeSet(db, candidate);
    for (const row of rows)
      if (row.dataset_id === candidate.datasetId && !contains(set, row.merge_seq ?? 0))
        missing.set(row.id, { id: row.id, changeId: row.change_id });
  }
  const order = rows.map((row) => row.id);
  return [...missing.values()].sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}
