import { mutate, type Mutation } from "../audit/mutation.ts";
import type { Commit } from "../catalog/commit-store.ts";
import { insertDatasets } from "../catalog/dataset-store.ts";
import { changeRef, dropRef, lockRefs, type Ref } from "../catalog/ref-store.ts";
import type { WriteLease } from "../catalog/write-lease.ts";
import type { Draft } from "../effects/version-writer.ts";
import type { SchemaEdit } from "../changes/operation.ts";
import { AppError } from "../lib/errors.ts";
import { parseJson } from "../lib/json.ts";
import { planDocument } from "../rollouts/plans/plan-document.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import { writeBranch, type BranchWritten } from "./branch-write.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { branchPieces, type BranchDerived } from "./derived-pieces.ts";
import type { DocumentPiece } from "./change-documents.ts";
import { lockChange, moveChange, putPlan } from "./change-store.ts";
import type { Change, ChangeOrigin } from "./change.ts";
import { findBatch, recordBatch, type BatchPlan } from "./source-batch.ts";
import type { Workpiece } from "./workpiece.ts";

export interface Proposal {
  actor: string;
  origin: ChangeOrigin;
  title: string | undefined;
  sourceId: string | undefined;
  /** How its release shall reach readers. */
  plan: Plan | undefined;
  change: Change | undefined;
  changeId: string;
  start: Commit;
  base: Commit;
  pieces: Workpiece[];
  /** What was built from the pieces; those that the request edits itself are pieces, too. */
  derived: BranchDerived[];
  documents: DocumentPiece[];
  drafts: Map<string, Draft>;
  lease: WriteLease;
  batch: BatchPlan;
}

/** The commit point of a proposal: versions, the branch's commit, the change and its audit event, in one transaction. */
export async function commitProposal(deps: ChangeDeps, proposal: Proposal): Promise<BranchWritten> {
  const { actor, changeId, pieces, drafts } = proposal;
  return mutate(deps, actor, async (m) => {
    const { supersedes } = proposal.batch;
    const refs = await lockRefs(m.tx, [changeRef(changeId), ...(supersedes === undefined ? [] : [changeRef(supersedes)])]);
    const change = proposal.change === undefined ? undefined : await lockChange(m.tx, changeId);
    if (change !== undefined && change.generation !== proposal.change?.generation) {
      throw new AppError("merge.lost_race", `${changeId} was written to by someone else meanwhile.`, {
        hint: "run the same command again",
      });
    }
    if (supersedes !== undefined) await supersede(m, supersedes, { by: changeId, branch: refs.get(changeRef(supersedes)) });
    const title = change?.title ?? proposal.title ?? defaultTitle(proposal);
    const created = pieces.filter((piece) => piece.created);
    await insertDatasets(
      m.tx,
      created.map((piece) => ({ ...piece.dataset, nextFieldId: piece.lastColumnId + 1 })),
    );
    const written = await writeBranch(m, {
      ...proposal,
      onto: change && { change, branch: refs.get(changeRef(changeId)) },
      title,
      supersedes: proposal.batch.supersedes ?? null,
      pieces: [...pieces.map((piece) => ({ ...piece, draft: drafts.get(piece.dataset.id) })), ...branchPieces(proposal.derived)],
    });
    await guardBatch(m, proposal);
    if (proposal.plan !== undefined) await putPlan(m.tx, changeId, proposal.plan);
    m.record({
      action: change === undefined ? "change.open" : "change.write",
      subject: changeId,
      payload: {
        title,
        datasets: pieces.map((piece) => ({
          name: piece.dataset.name,
          version: written.versions.get(piece.dataset.id)?.number ?? null,
          outcome: piece.outcome,
        })),
        rebuilt: branchPieces(proposal.derived).map(({ dataset }) => ({
          name: dataset.name,
          version: written.versions.get(dataset.id)?.number ?? null,
        })),
        documents: proposal.documents.map((item) => ({ path: item.path, hash: item.candidateHash })),
        ...(proposal.plan === undefined ? {} : { plan: planDocument(proposal.plan) }),
      },
    });
    return { ...written, change: { ...written.change, plan: proposal.plan ?? written.change.plan } };
  });
}

async function supersede(m: Mutation, changeId: string, { by, branch }: { by: string; branch: Ref | undefined }): Promise<void> {
  const older = await lockChange(m.tx, changeId);
  if (branch !== undefined) await dropRef(m.tx, branch, { name: branch.name, at: m.at, actor: m.actor, reason: `superseded by ${by}` });
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

const mostEdits = 3;

/** An operation in the words of a title: edits of columns by name, since one says nothing without it. */
function doneBy({ kind, payload }: { kind: string; payload: string }): string {
  if (kind !== "schema") return kind;
  const { edits } = parseJson(payload) as unknown as { edits: SchemaEdit[] };
  const words = edits.map((edit) => {
    if (edit.edit === "reorder") return "reorder columns";
    if (edit.edit === "make_nullable") return `allow nulls in ${edit.name}`;
    return edit.edit === "rename" ? `rename ${edit.name} to ${edit.to}` : `${edit.edit} ${edit.name}`;
  });
  return words.length > mostEdits ? `${words.slice(0, mostEdits).join(", ")} and ${words.length - mostEdits} more edits` : words.join(", ");
}

function defaultTitle({ pieces, documents }: Proposal): string {
  const items = [
    ...pieces.map(({ operations, dataset }) => {
      const schema = operations.some((item) => item.kind === "schema");
      return `${operations.map(doneBy).join(", ")} ${schema ? "on " : ""}${dataset.name}`;
    }),
    ...documents.map((item) => `${item.text === null ? "remove" : "set"} ${item.path}`),
  ];
  const shown = items.slice(0, 3).join("; ");
  return items.length > 3 ? `${shown} and ${items.length - 3} more` : shown;
}
