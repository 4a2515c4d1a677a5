import { readCommit } from "../catalog/commit-store.ts";
import { getDataset } from "../catalog/dataset-store.ts";
import { changeRef, getRef, mainRef } from "../catalog/ref-store.ts";
import { getVersion } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { withWriteLease } from "../catalog/write-lease.ts";
import type { Contract } from "../contracts/contract.ts";
import type { TableState } from "../effects/table-state.ts";
import type { Draft } from "../effects/version-writer.ts";
import type { Scratch } from "../engine/engine.ts";
import { toJson } from "../lib/json.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import { hasEffect } from "../rollouts/rollback/bar-store.ts";
import { applyOperation } from "./apply-operation.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { changeDatasets, getChange } from "./change-store.ts";
import { nextState, type Change, type ChangeOrigin } from "./change.ts";
import { carryInverse } from "./inverse.ts";
import { completeBranch, locationsOf, type BranchDerived, type BranchState } from "./derived-pieces.ts";
import { loadDocuments } from "./change-documents.ts";
import { noOutcome, type DocumentEdit, type OperationOutcome, type OperationRequest } from "./operation.ts";
import { requireOwnPlan } from "./own-plan.ts";
import { requireNoPlanOfPolicy } from "./plan-service.ts";
import { commitProposal } from "./propose-commit.ts";
import { corrections, planBatch } from "./source-batch.ts";
import { declaredSql, loadPieces, locationOf, pieceFor, writeDrafts, type Workpiece } from "./workpiece.ts";

export interface ProposeRequest {
  operations: readonly OperationRequest[];
  /** What it does to documents of the catalogue; the last edit of a path counts. */
  documents?: readonly DocumentEdit[] | undefined;
  title?: string | undefined;
  /** Adds to this open change instead of opening one. */
  changeId?: string | undefined;
  /** The person or consumer who asks. */
  actor: string;
  /** May put a batch in the place of one that somebody else sent. */
  isMaintainer?: boolean | undefined;
  origin: ChangeOrigin;
  sourceId?: string | undefined;
  /** Replaces the merged batch of the same `sourceId` by this one. */
  correct?: boolean | undefined;
  /** How its release shall reach readers, where policy has no plan. */
  plan?: Plan | undefined;
  signal?: AbortSignal | undefined;
}

export interface ProposedDataset {
  dataset: string;
  datasetId: string;
  base: Version | undefined;
  candidate: Version | undefined;
  outcome: OperationOutcome;
  /** Rebuilt, because what it is built from changes. */
  derived: boolean;
}

export interface Proposed {
  /** Undefined when the operations change nothing, and so no change was opened. */
  change: Change | undefined;
  /** The batch had come before: nothing was written. */
  known: boolean;
  datasets: ProposedDataset[];
  /** Rules of the policy whose plan holds in place of the one that came with the proposal, if they match. */
  plansOfPolicy?: readonly string[] | undefined;
}

/**
 * Opens a change, or adds to one: applies the operations on the change's branch and commits them there, all or none.
 * `main` and readers see nothing of it.
 */
export async function propose(deps: ChangeDeps, request: ProposeRequest): Promise<Proposed> {
  const batch = await planBatch(deps.db, request);
  if (batch.known !== undefined) return describeKnown(deps, batch.known);
  const change = request.changeId === undefined ? undefined : await getChange(deps.db, request.changeId);
  if (change !== undefined) nextState(change, "write");
  const branch = change === undefined ? await getRef(deps.db, mainRef) : await getRef(deps.db, changeRef(change.id));
  const start = await readCommit(deps.db, branch.commitId);
  const base = change === undefined ? start : await readCommit(deps.db, change.baseCommit);
  const changeId = change?.id ?? deps.ids.next("chg");
  const pieces = await loadPieces(deps, request.operations, start, base);
  const documents = await loadDocuments(deps.db, request.documents ?? [], start, base);
  const { operations, origin, sourceId, plan } = request;
  if (plan !== undefined && change !== undefined) await requireNoPlanOfPolicy(deps, change.id);
  const plansOfPolicy = plan === undefined ? undefined : await requireOwnPlan(deps.db, { origin, sourceId, pieces, operations, documents });
  const locations = await locationsOf(
    deps,
    pieces.map((piece) => piece.dataset.id),
    changeId,
  );
  return withWriteLease(deps, request.actor, locations, async (lease) => {
    const applied = await deps.engine.withScratch(async (scratch) => {
      if (batch.undo !== undefined) await undoBatch(deps, pieces, batch.undo, scratch, changeId);
      for (const operation of request.operations) {
        const piece = pieceFor(pieces, operation.dataset);
        const location = locationOf(piece.dataset.id, changeId);
        await applyOperation({ ...deps, scratch, location, signal: request.signal, actor: request.actor }, piece, operation);
      }
      request.signal?.throwIfAborted();
      const touched = pieces.filter((piece) => piece.touched);
      const drafts = await writeDrafts(deps, touched, changeId);
      const branch = { changeId, start, base, actor: request.actor, scratch };
      return { touched, drafts, derived: await deriveFrom(deps, branch, touched, drafts, request.signal) };
    });
    request.signal?.throwIfAborted();
    const { touched, derived } = applied;
    if (touched.length === 0 && documents.length === 0)
      return { change, known: false, datasets: pieces.map((piece) => proposedOf(piece, piece.start)) };
    const { actor, title } = request;
    const own = { actor, origin, title, sourceId, plan, change, changeId, start, base, documents, lease, batch };
    const committed = await commitProposal(deps, { ...own, pieces: touched, derived, drafts: applied.drafts });
    const datasets = touched.map((piece) => proposedOf(piece, committed.versions.get(piece.dataset.id)));
    for (const piece of derived) if (!piece.declared) datasets.push(rebuiltOf(piece, committed.versions.get(piece.dataset.id)));
    return { change: committed.change, known: false, datasets, plansOfPolicy };
  });
}

/** Builds what is derived from the touched pieces, and those among them that are derived themselves; their drafts join `drafts`. */
async function deriveFrom(
  deps: ChangeDeps,
  branch: Pick<BranchState, "changeId" | "start" | "base" | "actor" | "scratch">,
  touched: readonly Workpiece[],
  drafts: Map<string, Draft>,
  signal: AbortSignal | undefined,
): Promise<BranchDerived[]> {
  if (touched.length === 0) return [];
  const standing = touched.filter((piece) => !piece.dropped);
  const declared = standing.flatMap((piece) => {
    const sql = declaredSql(piece);
    const { dataset, created, contract } = piece;
    return sql === undefined ? [] : [{ dataset, created, sql, key: piece.derive?.key, contract }];
  });
  const edits = new Map<string, Draft | null>(drafts);
  for (const piece of touched) if (piece.dropped) edits.set(piece.dataset.id, null);
  const created = standing.filter((piece) => piece.created).map((piece) => piece.dataset);
  const derived = await completeBranch(deps, { ...branch, drafts: edits, declared, created }, { signal });
  for (const built of derived) {
    const piece = touched.find((item) => item.dataset.id === built.dataset.id);
    if (piece === undefined) continue;
    drafts.set(piece.dataset.id, built.draft);
    piece.lastColumnId = Math.max(piece.lastColumnId, built.lastColumnId);
    piece.outcome = { ...built.counts, notes: [...piece.outcome.notes, ...built.notes] };
  }
  return derived;
}

function rebuiltOf({ dataset, base, counts, notes }: BranchDerived, candidate: Version | undefined): ProposedDataset {
  return { dataset: dataset.name, datasetId: dataset.id, base, candidate, outcome: { ...counts, notes }, derived: true };
}

async function describeKnown(deps: ChangeDeps, changeId: string): Promise<Proposed> {
  const change = await getChange(deps.db, changeId);
  const datasets: ProposedDataset[] = [];
  for (const item of await changeDatasets(deps.db, changeId)) {
    const dataset = await getDataset(deps.db, item.datasetId);
    datasets.push({
      dataset: dataset.name,
      datasetId: dataset.id,
      base: item.baseVersion === null ? undefined : await getVersion(deps.db, item.baseVersion),
      candidate: item.candidateVersion === null ? undefined : await getVersion(deps.db, item.candidateVersion),
      outcome: noOutcome,
      derived: item.derived,
    });
  }
  return { change, known: true, datasets };
}

/**
 * Takes the effect of an earlier, merged batch out of the piece again, so that the corrected batch can take its place. Where that batch was a
 * correction itself, its undoing brings back what it had corrected: so that goes too, and so on. What was reverted since is gone already.
 */
async function undoBatch(deps: ChangeDeps, pieces: Workpiece[], changeId: string, scratch: Scratch, ownId: string): Promise<void> {
  for (const piece of pieces) {
    const context = { ...deps, scratch, location: locationOf(piece.dataset.id, ownId) };
    let broughtBack = false;
    for (const id of await corrections(deps.db, piece.dataset.id, changeId)) {
      if (piece.start === undefined || (!broughtBack && !(await hasEffect(deps.db, piece.start, id)))) continue;
      broughtBack = true;
      const undone = await carryInverse(deps, context, {
        changeId: id,
        datasetId: piece.dataset.id,
        dataset: piece.dataset.name,
        onto: piece.state as TableState,
        contract: piece.contract as Contract,
      });
      piece.state = undone.state;
      piece.contract = undone.contract;
      piece.builtFrom.push(...undone.from);
      piece.operations.push({ kind: "undo", payload: toJson({ change: id }) });
      piece.touched = true;
    }
  }
}

function proposedOf(piece: Workpiece, candidate: Version | undefined): ProposedDataset {
  return { dataset: piece.dataset.name, datasetId: piece.dataset.id, base: piece.base, candidate, outcome: piece.outcome, derived: false };
}
