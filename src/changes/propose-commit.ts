import { mutate, type Mutation } from "../audit/mutation.ts";
import { writeCommit, writeTree, type Commit } from "../catalog/commit-store.ts";
import { insertDatasets, lockDatasets } from "../catalog/dataset-store.ts";
import { putDocuments } from "../catalog/document-store.ts";
import { changeRef, createRef, lockRefs, moveRef } from "../catalog/ref-store.ts";
import { insertVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, type WriteLease } from "../catalog/write-lease.ts";
import { putContracts } from "../contracts/contract-store.ts";
import type { Draft } from "../effects/version-writer.ts";
import { AppError } from "../lib/errors.ts";
import { hashOf } from "../lib/json.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { putChangeDocuments, type DocumentPiece } from "./change-documents.ts";
import { addAuthor, addOperations, insertChange, lockChange, moveChange, putChangeDatasets } from "./change-store.ts";
import type { Change, ChangeDataset, ChangeOrigin } from "./change.ts";
import { findBatch, recordBatch, type BatchPlan } from "./source-batch.ts";
import type { Workpiece } from "./workpiece.ts";

export interface Proposal {
  actor: string;
  origin: ChangeOrigin;
  title: string | undefined;
  sourceId: string | undefined;
  change: Change | undefined;
  changeId: string;
  start: Commit;
  base: Commit;
  pieces: Workpiece[];
  documents: DocumentPiece[];
  drafts: Map<string, Draft>;
  lease: WriteLease;
  batch: BatchPlan;
}

/** The commit point of a proposal: versions, the branch's commit, the change and its audit event, in one transaction. */
export async function commitProposal(deps: ChangeDeps, proposal: Proposal): Promise<{ change: Change; versions: Map<string, Version> }> {
  const { actor, changeId, pieces, drafts } = proposal;
  return mutate(deps, actor, async (m) => {
    const branch = changeRef(changeId);
    const refs = await lockRefs(m.tx, [branch]);
    const change = proposal.change === undefined ? undefined : await lockChange(m.tx, changeId);
    if (change !== undefined && change.generation !== proposal.change?.generation) {
      throw new AppError("merge.lost_race", `${changeId} was written to by someone else meanwhile.`, {
        hint: "run the same command again",
      });
    }
    if (proposal.batch.supersedes !== undefined) await supersede(m, proposal.batch.supersedes, changeId);
    const created = pieces.filter((piece) => piece.created);
    await insertDatasets(
      m.tx,
      created.map((piece) => ({ ...piece.dataset, nextFieldId: piece.lastColumnId + 1 })),
    );
    await lockDatasets(
      m.tx,
      pieces.map((piece) => piece.dataset.id),
    );
    await endLease(m.tx, proposal.lease, m.at);
    const versions = await insertDrafts(m, drafts);
    const edits = new Map(pieces.map((piece) => [piece.dataset.id, versions.get(piece.dataset.id)?.id ?? null]));
    await putDocuments(
      m.tx,
      proposal.documents.flatMap((item) => item.text ?? []),
    );
    const documents = new Map(proposal.documents.map((item) => [item.path, item.candidateHash]));
    const tree = await writeTree(m.tx, proposal.start.tree, edits, documents);
    const title = change?.title ?? proposal.title ?? defaultTitle(proposal);
    const commit = await writeCommit(m.tx, { tree, parents: [proposal.start.id], author: actor, message: title, at: m.at, changeId });
    const ref = refs.get(branch);
    const move = { name: branch, commitId: commit, at: m.at, actor, reason: title };
    if (ref === undefined) await createRef(m.tx, move);
    else await moveRef(m.tx, ref, move);
    const contentHash = hashOf({ tree, base: proposal.base.tree });
    const stored = change === undefined ? await openChange(m, proposal, title, contentHash) : await writtenChange(m, change, contentHash);
    await guardBatch(m, proposal);
    await addAuthor(m.tx, changeId, actor);
    await putChangeDatasets(
      m.tx,
      pieces.map((piece) => changeDatasetOf(changeId, piece, versions.get(piece.dataset.id))),
    );
    await putChangeDocuments(m.tx, changeId, proposal.documents);
    await addOperations(
      m.tx,
      changeId,
      pieces.flatMap((piece) => operationsOf(piece, versions.get(piece.dataset.id), m)),
    );
    m.record({
      action: change === undefined ? "change.open" : "change.write",
      subject: changeId,
      payload: {
        title,
        datasets: pieces.map((piece) => ({
          name: piece.dataset.name,
          version: versions.get(piece.dataset.id)?.number ?? null,
          outcome: piece.outcome,
        })),
        documents: proposal.documents.map((item) => ({ path: item.path, hash: item.candidateHash })),
      },
    });
    m.enqueue("change.written", { change: changeId });
    return { change: stored, versions };
  });
}

export async function insertDrafts(m: Mutation, drafts: ReadonlyMap<string, Draft>): Promise<Map<string, Version>> {
  const all = [...drafts.values()];
  await putContracts(
    m.tx,
    all.map((draft) => draft.contract),
  );
  const versions = await insertVersions(
    m.tx,
    all.map((draft) => draft.version),
    m.at,
  );
  return new Map(versions.map((version) => [version.datasetId, version]));
}

async function supersede(m: Mutation, changeId: string, by: string): Promise<void> {
  const older = await lockChange(m.tx, changeId);
  await moveChange(m.tx, older, "supersede", { at: m.at, closedReason: `superseded by ${by}` });
  m.record({ action: "change.supersede", subject: changeId, payload: { by } });
}

/** Another process may have brought the same batch meanwhile; then the whole mutation is tried again and finds it. */
async function guardBatch(m: Mutation, proposal: Proposal): Promise<void> {
  const { record } = proposal.batch;
  const { sourceId } = proposal;
  const piece = proposal.pieces[0];
  if (record === undefined || sourceId === undefined || piece === undefined) return;
  const known = await findBatch(m.tx, piece.dataset.id, sourceId);
  const expected = proposal.batch.undo ?? undefined;
  if (known !== undefined && known.changeId !== expected) {
    throw new AppError("merge.lost_race", `${sourceId} came in as ${known.changeId} at the same moment.`, {
      hint: "run the same command again",
    });
  }
  await recordBatch(m.tx, {
    datasetId: piece.dataset.id,
    sourceId,
    changeId: proposal.changeId,
    contentHash: record.contentHash,
    at: m.at,
  });
}

function defaultTitle({ pieces, documents }: Proposal): string {
  const items = [
    ...pieces.map((piece) => `${piece.operations.map((item) => item.kind).join(", ")} ${piece.dataset.name}`),
    ...documents.map((item) => `${item.text === null ? "remove" : "set"} ${item.path}`),
  ];
  const shown = items.slice(0, 3).join("; ");
  return items.length > 3 ? `${shown} and ${items.length - 3} more` : shown;
}

async function openChange(m: Mutation, proposal: Proposal, title: string, contentHash: string): Promise<Change> {
  const change: Change = {
    id: proposal.changeId,
    title,
    state: "open",
    origin: proposal.origin,
    author: proposal.actor,
    baseCommit: proposal.base.id,
    contentHash,
    generation: 1,
    reverts: null,
    supersedes: proposal.batch.supersedes ?? null,
    createdAt: m.at,
    updatedAt: m.at,
    mergedAt: null,
    mergedBy: null,
    mergeCommit: null,
    closedReason: null,
  };
  await insertChange(m.tx, change);
  return change;
}

async function writtenChange(m: Mutation, change: Change, contentHash: string): Promise<Change> {
  const state = await moveChange(m.tx, change, "write", { at: m.at, contentHash, written: true });
  return { ...change, state, contentHash, generation: change.generation + 1, updatedAt: m.at };
}

function changeDatasetOf(changeId: string, piece: Workpiece, version: Version | undefined): ChangeDataset {
  return {
    changeId,
    datasetId: piece.dataset.id,
    baseVersion: piece.base?.id ?? null,
    candidateVersion: version?.id ?? null,
    beforeVersion: null,
    mergedVersion: null,
    mergeSeq: null,
    createdDataset: piece.base === undefined,
    droppedDataset: piece.dropped,
  };
}

function operationsOf(piece: Workpiece, version: Version | undefined, m: Mutation) {
  return piece.operations.map((operation) => ({
    datasetId: piece.dataset.id,
    kind: operation.kind,
    payload: operation.payload,
    versionId: version?.id ?? null,
    author: m.actor,
    at: m.at,
  }));
}
