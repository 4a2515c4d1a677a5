import { diffTrees, readCommit } from "../catalog/commit-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { refHistory } from "../catalog/ref-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import { emptyTree } from "../catalog/tree.ts";
import type { Reader } from "../db/db.ts";

export interface LogLine {
  commit: string;
  at: Date;
  actor: string;
  reason: string;
  message: string;
  changeId: string | null;
  releaseId: string | null;
  datasets: { dataset: string; before: number | undefined; after: number | undefined }[];
}

/** History of a branch, newest first, with what each commit moved; reduced to one dataset when it is named. */
export async function branchLog(
  db: Reader,
  branch: string,
  options: { since?: Date | undefined; limit: number; datasetId?: string | undefined },
): Promise<LogLine[]> {
  const scanned = options.datasetId === undefined ? options.limit : Math.max(options.limit * 20, 1000);
  const lines = await refHistory(db, branch, { since: options.since, limit: scanned });
  const found: LogLine[] = [];
  for (const line of lines) {
    if (line.commitId === null || found.length >= options.limit) continue;
    const commit = await readCommit(db, line.commitId);
    const parent = commit.parents[0] === undefined ? emptyTree.hash : (await readCommit(db, commit.parents[0])).tree;
    const moved = await diffTrees(db, parent, commit.tree);
    if (options.datasetId !== undefined && !moved.has(options.datasetId)) continue;
    const [datasets, versions] = [
      await getDatasets(db, [...moved.keys()]),
      await getVersions(
        db,
        [...moved.values()].flatMap((move) => [move.before ?? [], move.after ?? []].flat()),
      ),
    ];
    found.push({
      commit: commit.id,
      at: line.at,
      actor: line.actor,
      reason: line.reason,
      message: commit.message,
      changeId: commit.changeId,
      releaseId: commit.releaseId,
      datasets: [...moved].map(([id, move]) => ({
        dataset: datasets.get(id)?.name ?? id,
        before: versions.get(move.before ?? "")?.number,
        after: versions.get(move.after ?? "")?.number,
      })),
    });
  }
  return found;
}
