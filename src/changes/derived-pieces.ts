import { withOpen } from "../catalog/change-set.ts";
import { readSome, type Commit } from "../catalog/commit-store.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Draft } from "../effects/version-writer.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import { completeDerived, startingSet, type Completed, type CompleteRequest, type DerivedPiece } from "../lineage/complete.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import type { BranchPiece } from "./branch-write.ts";
import { locationOf, ownSnapshots } from "./workpiece.ts";

/** What a change's branch is to become, before what is derived from it is built. */
export interface BranchState {
  changeId: string;
  /** The commit on which this write builds, and the one from which the change began. */
  start: Commit;
  base: Commit;
  /** Drafts of the datasets that the write touches, by dataset id; null for one that it drops. */
  drafts: ReadonlyMap<string, Draft | null>;
  declared: readonly Declared[];
  created?: CompleteRequest["created"];
  actor: string;
  scratch: Scratch;
}

/** A derived dataset as the branch gets it. */
export interface BranchDerived extends DerivedPiece {
  draft: Draft;
  /** What main had when the change began. */
  base: Version | undefined;
}

/** Places of all files that a write to these datasets may write: theirs, and those of what is built from them. */
export async function locationsOf(deps: Pick<LakeDeps, "db">, datasetIds: readonly string[], line: string): Promise<string[]> {
  const ids = new Set([...datasetIds, ...(await everBuiltFrom(deps.db, datasetIds))]);
  return [...ids].map((id) => locationOf(id, line));
}

/** Builds what a change's branch derives from the datasets that a write touches. The caller has leased their places. */
export async function completeBranch(deps: LakeDeps, branch: BranchState, options: RunOptions): Promise<BranchDerived[]> {
  const { changeId, start, base, drafts } = branch;
  const edits = new Map([...drafts].map(([id, draft]) => [id, draft === null ? null : draft.version] as const));
  const baseOf = async (id: string): Promise<Version | undefined> => {
    const entry = (await readSome(deps.db, base.tree, [id])).get(id);
    return entry === undefined ? undefined : (await getVersions(deps.db, [entry])).get(entry);
  };
  const completed = await completeDerived(
    deps,
    {
      ...branch,
      tree: start.tree,
      edits,
      line: changeId,
      changeSet: (_id: string, onto: Version | undefined) => withOpen(startingSet(onto), changeId),
      forget: async (onto, opened) =>
        ownSnapshots(deps, { base: onto === undefined ? undefined : await baseOf(onto.datasetId), table: opened?.table }),
    },
    options,
  );
  const found: BranchDerived[] = [];
  for (const piece of allBuilt(completed)) {
    if (piece.result.kind !== "draft") throw new Error("a branch prefers no version that stands elsewhere");
    found.push({ ...piece, draft: piece.result.draft, base: await baseOf(piece.dataset.id) });
  }
  return found;
}

/** The pieces of a completion that was free to write. */
export function allBuilt(completed: Completed): DerivedPiece[] {
  if (completed.kind === "needs_lease") throw new Error("who may write everything is asked for no lease");
  return completed.pieces;
}

/** What is only rebuilt, as pieces of a write to the branch. */
export function branchPieces(derived: readonly BranchDerived[]): BranchPiece[] {
  return derived
    .filter((piece) => !piece.declared)
    .map(({ dataset, base, draft }) => ({ dataset, base, draft, derived: true, operations: [] }));
}
