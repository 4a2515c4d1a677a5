import type { Mutation } from "../audit/mutation.ts";
import { writeCommit, writeTree, type Commit } from "../catalog/commit-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { lockDatasets } from "../catalog/dataset-store.ts";
import { putDocuments } from "../catalog/document-store.ts";
import { changeRef, createRef, moveRef, type Ref } from "../catalog/ref-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, type WriteLease } from "../catalog/write-lease.ts";
import { choicesHash } from "./resolution-store.ts";
import { nameDrafts, type Draft } from "../effects/version-writer.ts";
import { hashOf } from "../lib/json.ts";
import { putChangeDocuments, type DocumentPiece } from "./change-documents.ts";
import { addAuthor, addOperations, insertChange, moveChange, putChangeDatasets } from "./change-store.ts";
import { openedChange, type Change, type ChangeOrigin } from "./change.ts";

/** What one dataset of a change becomes by a write to its branch, and by which operations. */
export interface BranchPiece {
  dataset: Dataset;
  /** What main had when the change began; undefined when the change creates the dataset. */
  base: Version | undefined;
  /** Undefined: the change drops the dataset. */
  draft: Draft | undefined;
  /** It was rebuilt, because what it is built from has moved. */
  derived?: boolean;
  /** As the change's record keeps them; payloads are JSON. */
  operations: readonly { kind: string; payload: string }[];
}

export interface BranchWrite {
  changeId: string;
  /** The change and its branch, both locked; undefined when this write opens it. A change that was closed meanwhile has no branch. */
  onto: { change: Change; branch: Ref | undefined } | undefined;
  title: string;
  origin: ChangeOrigin;
  reverts?: string | null;
  supersedes?: string | null;
  /** The commit of main from which the change began, and the one on which this write builds. */
  base: Commit;
  start: Commit;
  lease: WriteLease;
  pieces: readonly BranchPiece[];
  documents: readonly DocumentPiece[];
}

export interface BranchWritten {
  change: Change;
  /** By dataset id. */
  versions: Map<string, Version>;
}

/**
 * The one way in which a change's branch is written, inside the caller's transaction: versions, the branch's commit, the change, its
 * datasets, its documents, its operations. Whoever proposes, reverts, restores or rebuilds makes pieces and says in the record what it was.
 */
export async function writeBranch(m: Mutation, write: BranchWrite): Promise<BranchWritten> {
  const { changeId, pieces, documents, title, start } = write;
  await lockDatasets(
    m.tx,
    pieces.map((piece) => piece.dataset.id),
  );
  await endLease(m.tx, write.lease, m.at);
  const drafts = pieces.flatMap((piece) => piece.draft ?? []);
  const versions = await nameDrafts(m, drafts);
  const edits = new Map(pieces.map((piece) => [piece.dataset.id, versions.get(piece.dataset.id)?.id ?? null]));
  await putDocuments(
    m.tx,
    documents.flatMap((item) => item.text ?? []),
  );
  const tree = await writeTree(m.tx, start.tree, edits, new Map(documents.map((item) => [item.path, item.candidateHash])));
  const commit = await writeCommit(m.tx, { tree, parents: [start.id], author: m.actor, message: title, at: m.at, changeId });
  const move = { name: changeRef(changeId), commitId: commit, at: m.at, actor: m.actor, reason: title };
  // What was chosen in conflicts is part of what the change does, also after it is written to.
  const choices = await choicesHash(m.tx, changeId);
  const change = await storeChange(m, write, hashOf({ tree, base: write.base.tree, ...(choices === undefined ? {} : { choices }) }));
  const branch = write.onto?.branch;
  if (branch === undefined) await createRef(m.tx, move);
  else await moveRef(m.tx, branch, move);
  await addAuthor(m.tx, changeId, m.actor);
  await putChangeDatasets(
    m.tx,
    pieces.map(({ dataset, base, draft, derived = false }) => ({
      changeId,
      datasetId: dataset.id,
      baseVersion: base?.id ?? null,
      candidateVersion: versions.get(dataset.id)?.id ?? null,
      beforeVersion: null,
      mergedVersion: null,
      mergeSeq: null,
      createdDataset: base === undefined,
      droppedDataset: draft === undefined,
      derived,
    })),
  );
  await putChangeDocuments(m.tx, changeId, documents);
  await addOperations(
    m.tx,
    changeId,
    pieces.flatMap(({ dataset, operations }) =>
      operations.map((operation) => ({
        datasetId: dataset.id,
        ...operation,
        versionId: versions.get(dataset.id)?.id ?? null,
        author: m.actor,
        at: m.at,
      })),
    ),
  );
  m.enqueue("change.written", { change: changeId });
  return { change, versions };
}

async function storeChange(m: Mutation, write: BranchWrite, contentHash: string): Promise<Change> {
  if (write.onto !== undefined) {
    const { change } = write.onto;
    const state = await moveChange(m.tx, change, "write", { at: m.at, contentHash, written: true });
    return { ...change, state, contentHash, generation: change.generation + 1, updatedAt: m.at };
  }
  const { changeId: id, title, origin, base, reverts = null, supersedes = null } = write;
  const change = openedChange({ id, title, origin, author: m.actor, baseCommit: base.id, contentHash, reverts, supersedes }, m.at);
  await insertChange(m.tx, change);
  return change;
}
