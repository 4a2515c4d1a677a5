import { diffTrees, readCommit, readDocumentHashes, readTree } from "../catalog/commit-store.ts";
import { treeSide } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import { consumerOfPath } from "../consumers/consumer-document.ts";
import { planAhead, type ImpactDeps } from "../consumers/impact-service.ts";
import type { Reader } from "../db/db.ts";

/**
 * Plans the stored queries of consumers again after a commit of main that moved a query or the columns that queries may read. Gives whether
 * something of consumers' documents moved.
 */
export async function planMoved(deps: ImpactDeps, commitId: string): Promise<boolean> {
  const commit = await readCommit(deps.db, commitId);
  const parent = commit.parents[0];
  if (parent === undefined) return false;
  const before = await readTree(deps.db, parent);
  const hasMoved = await movesQueries(deps.db, before, commit.tree);
  if (hasMoved || (await movesColumns(deps.db, before, commit.tree))) await planAhead(deps, treeSide(deps.db, "main", commit.tree));
  return hasMoved;
}

async function movesQueries(db: Reader, before: string, after: string): Promise<boolean> {
  const [was, is] = [await readDocumentHashes(db, before), await readDocumentHashes(db, after)];
  return [...is].some(([path, hash]) => consumerOfPath(path) !== undefined && was.get(path) !== hash);
}

async function movesColumns(db: Reader, before: string, after: string): Promise<boolean> {
  const moved = [...(await diffTrees(db, before, after)).values()];
  const versions = await getVersions(
    db,
    moved.flatMap((item) => [item.before ?? [], item.after ?? []].flat()),
  );
  return moved.some((item) => {
    const [was, is] = [versions.get(item.before ?? ""), versions.get(item.after ?? "")];
    return is !== undefined && was?.schemaId !== is.schemaId;
  });
}
