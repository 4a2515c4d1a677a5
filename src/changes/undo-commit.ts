import { mutate } from "../audit/mutation.ts";
import type { Commit } from "../catalog/commit-store.ts";
import type { WriteLease } from "../catalog/write-lease.ts";
import type { Reader } from "../db/db.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { writeBranch, type BranchPiece } from "./branch-write.ts";
import type { DocumentPiece } from "./change-documents.ts";
import { getChange, lockChange } from "./change-store.ts";
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

/** Somebody else has opened the same revert meanwhile: that is the revert. */
export class RevertIsOpen extends Error {
  readonly changeId: string;
  constructor(changeId: string) {
    super(`${changeId} reverts it already`);
    this.changeId = changeId;
  }
}

/**
 * Opens a revert or a restore as a change like any other, in one transaction. Reverts of one change come one after the other; the second
 * finds the first: `RevertIsOpen`.
 */
export async function commitUndo(deps: LakeDeps, undo: Undo): Promise<Change> {
  const { base, pieces, documents, title, origin, reverts } = undo;
  return mutate(deps, undo.actor, async (m) => {
    if (reverts !== null) {
      await lockChange(m.tx, reverts);
      const open = await openRevertOf(m.tx, reverts);
      if (open !== undefined) throw new RevertIsOpen(open.id);
    }
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

/** The revert of a change that is open. */
export async function openRevertOf(db: Reader, changeId: string): Promise<Change | undefined> {
  const row = await db
    .selectFrom("changes")
    .select("id")
    .where("reverts", "=", changeId)
    .where("state", "in", ["open", "queued", "conflicted"])
    .limit(1)
    .executeTakeFirst();
  return row && getChange(db, row.id);
}
