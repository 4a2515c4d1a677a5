import type { Mutation } from "../audit/mutation.ts";
import { writeCommit, writeTree } from "../catalog/commit-store.ts";
import { moveRef, type Ref } from "../catalog/ref-store.ts";

/** Commits entries to an environment's line and moves its ref. */
export async function moveLive(
  m: Mutation,
  live: Ref,
  to: { edits: ReadonlyMap<string, string | null>; message: string; releaseId: string; parentTree: string },
): Promise<string> {
  const tree = await writeTree(m.tx, to.parentTree, to.edits);
  const commit = await writeCommit(m.tx, {
    tree,
    parents: [live.commitId],
    author: m.actor,
    message: to.message,
    at: m.at,
    releaseId: to.releaseId,
  });
  await moveRef(m.tx, live, { name: live.name, commitId: commit, at: m.at, actor: m.actor, reason: to.message });
  return commit;
}
