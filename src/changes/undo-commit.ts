import { mutate } from "../audit/mutation.ts";
import type { Commit } from "../catalog/commit-store.ts";
import type { WriteLease } from "../catalog/write-lease.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { writeBranch, type BranchPiece } from "./branch-write.ts";
import type { DocumentPiece } from "./change-documents.ts";
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
  documents: readonly DocumentPiece[];
}

/** Opens a revert or a restore as a change like any other, in one transaction. */
export async function commitUndo(deps: LakeDeps, undo: Undo): Promise<Change> {
  const { base, pieces, documents, title, origin, reverts } = undo;
  return mutate(deps, undo.actor, async (m) => {
    const { change } = await writeBranch(m, { ...undo, onto: undefined, start: base });
    m.record({
      action: `change.${origin}`,
      subject: change.id,
      payload: {
        title,
        reverts,
        datasets: pieces.map((piece) => piece.dataset.name),
        documents: documents.map((item) => ({ path: item.path, hash: item.candidateHash })),
      },
    });
    return change;
  });
}
