import type { Mutation } from "../audit/mutation.ts";
import { readCommit, writeCommit, writeTree } from "../catalog/commit-store.ts";
import { moveRef, type Ref } from "../catalog/ref-store.ts";

/** Where a line of readers has come to. */
export interface LiveMove {
  commit: string;
  /** Since when: always after the line's last move, also of the same moment or when the clock went back: times tell what came after what. */
  at: Date;
}

/** Commits entries to an environment's line and moves its ref. */
export async function moveLive(
  m: Mutation,
  live: Ref,
  to: { edits: ReadonlyMap<string, string | null>; message: string; releaseId: string; parentTree: string },
): Promise<LiveMove> {
  const last = (await readCommit(m.tx, live.commitId)).at;
  const at = m.at > last ? m.at : new Date(last.getTime() + 1);
  const tree = await writeTree(m.tx, to.parentTree, to.edits);
  const commit = await writeCommit(m.tx, {
    tree,
    parents: [live.commitId],
    author: m.actor,
    message: to.message,
    at,
    releaseId: to.releaseId,
  });
  await moveRef(m.tx, live, { name: live.name, commitId: commit, at, actor: m.actor, reason: to.message });
  return { commit, at };
}
