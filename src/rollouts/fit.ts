import { diffTrees } from "../catalog/commit-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import { checkRelations, type Relation } from "../checks/relations.ts";
import { readTogether } from "../consumers/stored-tests.ts";
import type { Reader } from "../db/db.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { bondsOf } from "./bonds.ts";

/*
 * Whether datasets fit together in a view. The merge has tested them as main has them; readers may have other versions of one end.
 */

/** A view before and after a move, and main, where the same rules were decided on. */
export interface FitSides {
  now: Side;
  next: Side;
  main: Side;
  /** Datasets of which the view gets another version. */
  datasetIds: readonly string[];
}

/**
 * Foreign keys, and rules in SQL over several datasets, that a move would break, each with what it finds. What the view breaks as much already
 * was not done by the move, and what main breaks as much was decided by whoever merged it.
 */
export async function misfitsOf(deps: LakeDeps, { now, next, main, datasetIds }: FitSides): Promise<string[]> {
  const broken = (await checkRelations(deps, next, datasetIds)).filter(({ verdict }) => verdict !== "pass");
  if (broken.length === 0) return [];
  const known: ReadonlyMap<string, Relation>[] = [];
  for (const side of [now, main])
    known.push(new Map((await checkRelations(deps, side, datasetIds)).map((relation) => [relation.key, relation])));
  return broken.filter((relation) => !known.some((before) => isAsBad(before.get(relation.key), relation))).map(({ text }) => text);
}

/** Why a view is not given to anybody, in words. */
export function misfitText([first = "", ...others]: readonly string[]): string {
  const more = others.length === 0 ? "" : `; and ${others.length} more`;
  return `what its readers would have does not fit together: ${first}${more}`;
}

function isAsBad(before: Relation | undefined, after: Relation): boolean {
  if (before === undefined || before.verdict === "pass") return false;
  if (after.verdict === "inconclusive") return before.verdict === "inconclusive";
  return before.verdict === "fail" && (after.bad === null || (before.bad ?? 0) >= after.bad);
}

export interface ApartSides {
  liveTree: string;
  mainTree: string;
  moving: ReadonlyMap<string, string | null>;
  /** What a consumer's test reads together is bound as well. */
  byTests: boolean;
}

/**
 * Datasets bound to some that readers are about to get as main has them, and of which readers have something else than main: the merge has not
 * tested the two together. By name.
 */
export async function boundApart(db: Reader, of: ApartSides): Promise<{ id: string; name: string }[]> {
  const apart = [...(await diffTrees(db, of.liveTree, of.mainTree))].filter(([id]) => !of.moving.has(id));
  if (apart.length === 0) return [];
  const versions = new Map([...of.moving].map(([id, version]) => [id, new Set(version === null ? [] : [version])]));
  for (const [id, { before, after }] of apart) versions.set(id, new Set([before, after].flatMap((version) => version ?? [])));
  const bonds = await bondsOf(db, versions, of.byTests ? await readTogether(treeSide(db, mainRef, of.mainTree)) : []);
  const ids = apart.map(([id]) => id).filter((id) => [...(bonds.get(id) ?? [])].some((other) => of.moving.has(other)));
  const names = await getDatasets(db, ids);
  return ids.map((id) => ({ id, name: names.get(id)?.name ?? id })).sort((a, b) => (a.name < b.name ? -1 : 1));
}
