import { mutate } from "../audit/mutation.ts";
import { writeCommit, writeTree, type Commit } from "../catalog/commit-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { lockDatasets } from "../catalog/dataset-store.ts";
import { changeRef, createRef } from "../catalog/ref-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, type WriteLease } from "../catalog/write-lease.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Draft } from "../effects/version-writer.ts";
import { hashOf, toJson } from "../lib/json.ts";
import { addAuthor, addOperations, insertChange, putChangeDatasets } from "./change-store.ts";
import type { Change, ChangeOrigin } from "./change.ts";
import { insertDrafts } from "./propose-commit.ts";

/** One dataset of a change that is made from versions, not from a user's operations. */
export interface DerivedPiece {
  dataset: Dataset;
  /** What main has. */
  base: Version | undefined;
  /** Undefined: the change drops the dataset. */
  draft: Draft | undefined;
  kind: "revert" | "restore";
  payload: unknown;
}

export interface DerivedChange {
  changeId: string;
  base: Commit;
  lease: WriteLease;
  actor: string;
  origin: ChangeOrigin;
  reverts: string | null;
  title: string;
  pieces: readonly DerivedPiece[];
}

/** Opens a revert or a restore as a change like any other, in one transaction. */
export async function commitDerived(deps: LakeDeps, work: DerivedChange): Promise<Change> {
  const { changeId, pieces, actor, title } = work;
  return mutate(deps, actor, async (m) => {
    await lockDatasets(
      m.tx,
      pieces.map((piece) => piece.dataset.id),
    );
    await endLease(m.tx, work.lease, m.at);
    const drafts = new Map(pieces.flatMap((piece) => (piece.draft === undefined ? [] : [[piece.dataset.id, piece.draft] as const])));
    const versions = await insertDrafts(m, drafts);
    const tree = await writeTree(
      m.tx,
      work.base.tree,
      new Map(pieces.map((piece) => [piece.dataset.id, versions.get(piece.dataset.id)?.id ?? null])),
    );
    const commit = await writeCommit(m.tx, { tree, parents: [work.base.id], author: actor, message: title, at: m.at, changeId });
    await createRef(m.tx, { name: changeRef(changeId), commitId: commit, at: m.at, actor, reason: title });
    const change: Change = {
      id: changeId,
      title,
      state: "open",
      origin: work.origin,
      author: actor,
      baseCommit: work.base.id,
      contentHash: hashOf({ tree, base: work.base.tree }),
      generation: 1,
      reverts: work.reverts,
      supersedes: null,
      createdAt: m.at,
      updatedAt: m.at,
      mergedAt: null,
      mergedBy: null,
      mergeCommit: null,
      closedReason: null,
    };
    await insertChange(m.tx, change);
    await addAuthor(m.tx, changeId, actor);
    await putChangeDatasets(
      m.tx,
      pieces.map(({ dataset, base }) => ({
        changeId,
        datasetId: dataset.id,
        baseVersion: base?.id ?? null,
        candidateVersion: versions.get(dataset.id)?.id ?? null,
        beforeVersion: null,
        mergedVersion: null,
        mergeSeq: null,
        createdDataset: base === undefined,
        droppedDataset: !versions.has(dataset.id),
      })),
    );
    await addOperations(
      m.tx,
      changeId,
      pieces.map(({ dataset, kind, payload }) => ({
        datasetId: dataset.id,
        kind,
        payload: toJson(payload),
        versionId: versions.get(dataset.id)?.id ?? null,
        author: actor,
        at: m.at,
      })),
    );
    m.record({
      action: `change.${work.origin}`,
      subject: changeId,
      payload: { title, reverts: work.reverts, datasets: pieces.map((piece) => piece.dataset.name) },
    });
    m.enqueue("change.written", { change: changeId });
    return change;
  });
}
