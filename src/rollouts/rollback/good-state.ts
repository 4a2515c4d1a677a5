import { readSome, readTree } from "../../catalog/commit-store.ts";
import { builtFrom, datasetsOfVersions, everBuiltFrom } from "../../catalog/derivation-store.ts";
import { liveRef, refHistory } from "../../catalog/ref-store.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import type { Reader } from "../../db/db.ts";
import { barsByVersion } from "./bar-store.ts";
import { goodVersions } from "./rollback-reads.ts";

/**
 * To which versions readers of some datasets, and of what is built from them, go back: the newest without a barred change. Where something
 * is derived they go back together, to one state that readers had, so that they see nothing beside inputs from which it was not built.
 */
export async function goodState(
  db: Reader,
  live: { environment: string; tree: string },
  datasetIds: readonly string[],
): Promise<Map<string, Version | null>> {
  const wanted = new Set([...datasetIds, ...(await derivedIn(db, live.tree, datasetIds))]);
  const present = await versionsAt(db, live.tree, wanted);
  if (![...present.values()].some((version) => version.inputs !== null)) return goodVersions(db, live.environment, datasetIds);
  for (const line of await refHistory(db, liveRef(live.environment), { limit: 100_000 })) {
    if (line.commitId === null) continue;
    const tree = await readTree(db, line.commitId);
    for (;;) {
      const had = await versionsAt(db, tree, wanted);
      if ((await barsByVersion(db, [...had.values()])).size > 0) break;
      const moved = await movedInputs(db, { tree, now: live.tree }, had, wanted);
      if (moved.length === 0) return new Map([...wanted].map((id) => [id, had.get(id) ?? null]));
      for (const id of [...moved, ...(await derivedIn(db, live.tree, moved))]) wanted.add(id);
    }
  }
  return new Map([...wanted].map((id) => [id, null]));
}

async function versionsAt(db: Reader, tree: string, datasetIds: ReadonlySet<string>): Promise<Map<string, Version>> {
  const entries = await readSome(db, tree, [...datasetIds]);
  const versions = await getVersions(db, [...entries.values()]);
  return new Map([...versions.values()].map((version) => [version.datasetId, version]));
}

/** Datasets of a tree that are built from these, at any distance. */
async function derivedIn(db: Reader, tree: string, datasetIds: readonly string[]): Promise<string[]> {
  const ever = await everBuiltFrom(db, datasetIds);
  if (ever.size === 0) return [];
  const versions = await versionsAt(db, tree, ever);
  return (await builtFrom(db, [...versions.values()], datasetIds)).map((version) => version.datasetId);
}

/** Inputs of these versions that readers have otherwise now, and that would stay as they are. */
async function movedInputs(
  db: Reader,
  trees: { tree: string; now: string },
  had: ReadonlyMap<string, Version>,
  wanted: ReadonlySet<string>,
): Promise<string[]> {
  const inputs = [...had.values()].flatMap((version) => version.inputs ?? []);
  const staying = [...(await datasetsOfVersions(db, inputs))].filter(([, datasetId]) => !wanted.has(datasetId));
  const now = await readSome(
    db,
    trees.now,
    staying.map(([, datasetId]) => datasetId),
  );
  return [...new Set(staying.filter(([id, datasetId]) => now.get(datasetId) !== id).map(([, datasetId]) => datasetId))];
}
