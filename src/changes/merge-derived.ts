import { withOpen } from "../catalog/change-set.ts";
import type { Version } from "../catalog/version.ts";
import type { Contract } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { mergedContract } from "../effects/line-writer.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import { keyNames } from "../lake/schema.ts";
import { completeDerived, startingSet } from "../lineage/complete.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import type { Change, ChangeDataset } from "./change.ts";
import { contentOf, conflictOn, type MergeConflict, type MergePiece, type MergeSides } from "./merge-piece.ts";

/*
 * Derived datasets in a merge: they are never merged, carried or reverted. What a change says of their SQL is merged with what main says,
 * and their rows are built from the merge's result.
 */

interface DerivedMerge {
  change: Change;
  /** The tree of main. */
  tree: string;
  /** The datasets that are written to, as the merge leaves them. */
  pieces: readonly MergePiece[];
  /** The derived ones of the change. */
  derived: readonly MergeSides[];
  scratch: Scratch;
}

export async function buildDerived(
  deps: LakeDeps,
  merge: DerivedMerge,
  options: RunOptions & { leased: ReadonlySet<string> | "all" },
): Promise<{ kind: "pieces"; pieces: MergePiece[] } | { kind: "needs_lease" } | { kind: "conflicts"; conflicts: MergeConflict[] }> {
  const { change, derived } = merge;
  const declared: Declared[] = [];
  const conflicts: MergeConflict[] = [];
  for (const sides of derived.filter(({ item }) => !item.derived)) {
    const found = await declaredBy(deps, sides);
    if ("datasetId" in found) conflicts.push(found);
    else declared.push(found);
  }
  if (conflicts.length > 0) return { kind: "conflicts", conflicts };
  const prefer = new Map(
    derived.flatMap(({ dataset, item, candidate }) =>
      candidate === undefined ? [] : [[dataset.id, { version: candidate, base: item.baseVersion }] as const],
    ),
  );
  const completed = await completeDerived(
    deps,
    {
      tree: merge.tree,
      edits: new Map(merge.pieces.map(({ dataset, result }) => [dataset.id, contentOf(result)])),
      declared,
      line: "main",
      changeId: change.id,
      actor: change.author,
      changeSet: (_id: string, onto: Version | undefined) => withOpen(startingSet(onto), change.id),
      prefer,
      leased: options.leased === "all" ? undefined : options.leased,
      scratch: merge.scratch,
    },
    options,
  );
  if (completed.kind === "needs_lease") return { kind: "needs_lease" };
  const items = new Map(derived.map(({ dataset, item }) => [dataset.id, item]));
  const pieces = completed.pieces.map(({ dataset, onto, result }) => ({
    dataset,
    item: items.get(dataset.id) ?? followingItem(change, dataset.id, onto),
    onto,
    result,
  }));
  return { kind: "pieces", pieces };
}

/** A derived dataset that main has got since the change began: the merge rebuilds it, too. */
function followingItem(change: Change, datasetId: string, onto: Version | undefined): ChangeDataset {
  return {
    changeId: change.id,
    datasetId,
    baseVersion: onto?.id ?? null,
    candidateVersion: null,
    beforeVersion: null,
    mergedVersion: null,
    mergeSeq: null,
    createdDataset: false,
    droppedDataset: false,
    derived: true,
  };
}

/** What main is to say of a derived dataset that the change edits itself. */
async function declaredBy(deps: LakeDeps, sides: MergeSides): Promise<Declared | MergeConflict> {
  const { dataset, base, onto } = sides;
  const candidate = sides.candidate as Version;
  const contract = await getContract(deps.db, candidate.contractHash);
  const key = await keyOfVersion(deps, candidate);
  const declared = (merged: Contract, mergedKey: readonly string[] | undefined): Declared => ({
    dataset,
    created: false,
    sql: derivedSqlOf(merged) as string,
    key: mergedKey,
    contract: merged,
  });
  if (base === undefined) {
    if (onto !== undefined) return conflictOn(sides, { reason: "the dataset was created on main meanwhile" });
    return declared(contract, key);
  }
  if (onto === undefined) return conflictOn(sides, { reason: "the dataset was dropped on main meanwhile" });
  const before = await keyOfVersion(deps, base);
  const mergedKey = key.join("\n") === before.join("\n") ? undefined : key;
  const merged = await mergedContract(deps.db, { before: base, after: candidate, onto });
  if (merged.kind === "conflicts") return conflictOn(sides, { contract: merged.conflicts });
  const sql = derivedSqlOf(merged.contract);
  if (sql === undefined) return conflictOn(sides, { reason: "it is no derived dataset on main any more" });
  return declared(merged.contract, mergedKey);
}

async function keyOfVersion(deps: LakeDeps, version: Version): Promise<string[]> {
  return keyNames((await deps.tables.open(version)).state.schema);
}
