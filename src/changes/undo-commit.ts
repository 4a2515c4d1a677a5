import { mutate } from "../audit/mutation.ts";
import type { Commit } from "../catalog/commit-store.ts";
import type { WriteLease } from "../catalog/write-lease.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { writeBranch, type BranchPiece } from "./branch-write.ts";
import type { Change } from "./change.ts";

export interface Undo {
  changeId: string;
  base: Commit;
  lease: WriteLease;
  actor: string;
  origin: "revert" | "restore";
  reverts: string | null;
  title: string;
  pieces: readonly BranchPiece[];
}

/** Opens a revert or a restore as a change like any other, in one transaction. */
export async function commitUndo(deps: LakeDeps, undo: Undo): Promise<Change> {
  const { base, pieces, title, origin, reverts } = undo;
  return mutate(deps, undo.actor, async (m) => {
    const { change } = await writeBranch(m, { ...undo, onto: undefined, start: base, documents: [] });
    const datasets = pieces.map((piece) => piece.dataset.name);
    m.record({ action: `change.${origin}`, subject: change.id, payload: { title, reverts, datasets } });
    return change;
  });
}
