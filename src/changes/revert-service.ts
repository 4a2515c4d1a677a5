import { mutate } from "../audit/mutation.ts";
import { readSome } from "../catalog/commit-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import { withWriteLease } from "../catalog/write-lease.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Draft } from "../effects/version-writer.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { hasEffect } from "../rollouts/rollback/bar-store.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import { inverseDocuments } from "./change-documents.ts";
import { changeDatasets, getChange, lockChange, setTitle } from "./change-store.ts";
import type { Change, ChangeDataset } from "./change.ts";
import type { BranchPiece } from "./branch-write.ts";
import { branchPieces, completeBranch, locationsOf, type BranchDerived, type BranchState } from "./derived-pieces.ts";
import { inverse, inverseDerivation, isDerived } from "./revert-piece.ts";
import { commitUndo, openRevertOf, RevertIsOpen } from "./undo-commit.ts";
import { mainCommit } from "../catalog/revision.ts";

export interface RevertRequest {
  changeId: string;
  actor: string;
  title?: string | undefined;
}

/**
 * Opens a change that undoes a merged one on today's main and keeps what came later. A revert that is open already is the same revert.
 * `revert.conflict` when later changes touched the same rows or documents, `change.empty` when main no longer has its effect.
 */
export async function openRevert(deps: LakeDeps, request: RevertRequest): Promise<Change> {
  const reverted = await getChange(deps.db, request.changeId);
  if (reverted.state !== "merged") {
    throw new AppError("change.closed", `${reverted.id} is ${reverted.state}: there is nothing to revert.`, {
      expected: "a merged change",
      found: reverted.state,
      hint: `tidegate change close ${reverted.id}`,
    });
  }
  const open = await openRevertOf(deps.db, reverted.id);
  if (open !== undefined) return retitle(deps, open, request);
  try {
    return await buildRevert(deps, reverted, request);
  } catch (error) {
    if (!(error instanceof RevertIsOpen)) throw error;
    return retitle(deps, await getChange(deps.db, error.changeId), request);
  }
}

async function buildRevert(deps: LakeDeps, reverted: Change, request: RevertRequest): Promise<Change> {
  const main = await mainCommit(deps.db);
  const touched = (await changeDatasets(deps.db, reverted.id)).filter((item) => item.beforeVersion !== item.mergedVersion);
  const ids = touched.map((item) => item.datasetId);
  const [entries, datasets] = [await readSome(deps.db, main.tree, ids), await getDatasets(deps.db, ids)];
  const wanted = touched.flatMap((item) => [item.beforeVersion ?? [], item.mergedVersion ?? []].flat());
  const versions = await getVersions(deps.db, [...new Set([...wanted, ...entries.values()])]);
  const documents = await inverseDocuments(deps.db, reverted, main);
  const items: ChangeDataset[] = [];
  for (const item of touched) {
    const onto = versions.get(entries.get(item.datasetId) ?? "");
    if (onto === undefined || (await hasEffect(deps.db, onto, reverted.id))) items.push(item);
  }
  if (items.length === 0 && documents.length === 0) throw withoutEffect(reverted);
  const changeId = deps.ids.next("chg");
  const locations = await locationsOf(deps, ids, changeId);
  return withWriteLease(deps, request.actor, locations, (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const pieces: BranchPiece[] = [];
      const declared: Declared[] = [];
      for (const item of items) {
        const dataset = datasets.get(item.datasetId) as Dataset;
        const sides = {
          before: versions.get(item.mergedVersion ?? ""),
          after: versions.get(item.beforeVersion ?? ""),
          onto: versions.get(entries.get(item.datasetId) ?? ""),
        };
        // What was only rebuilt follows what is reverted.
        if (item.derived) continue;
        const work = { ...sides, dataset, reverted, changeId, scratch };
        const undone = isDerived(work) ? await inverseDerivation(deps, work) : { draft: await inverse(deps, work) };
        const operations = [{ kind: "revert", payload: toJson({ change: reverted.id }) }];
        pieces.push({ dataset, base: sides.onto, draft: "draft" in undone ? undone.draft : undefined, operations });
        if ("sql" in undone) declared.push(undone);
      }
      const derived = await completeReverted(deps, reverted, {
        changeId,
        start: main,
        base: main,
        drafts: new Map(pieces.filter((piece) => !declared.some((item) => item.dataset.id === piece.dataset.id)).map(draftOf)),
        declared,
        actor: request.actor,
        scratch,
      });
      const built = new Map(derived.map((piece) => [piece.dataset.id, piece.draft]));
      return commitUndo(deps, {
        changeId,
        base: main,
        lease,
        actor: request.actor,
        origin: "revert",
        reverts: reverted.id,
        title: request.title ?? `Revert «${reverted.title}»`,
        pieces: [...pieces.map((piece) => ({ ...piece, draft: piece.draft ?? built.get(piece.dataset.id) })), ...branchPieces(derived)],
        documents,
      });
    }),
  );
}

/** A second revert would change nothing, yet count as one: the revert of the first would then bring barred rows back unseen. */
function withoutEffect(change: Change): AppError {
  return new AppError("change.empty", `${change.id} has no effect on main any more: there is nothing to revert.`, {
    expected: "a change that main still has",
    found: "one that was reverted, corrected or restored away",
    hint: `tidegate change show ${change.id}`,
  });
}

/** The revert that opened by itself takes the title that a person gives it. */
async function retitle(deps: LakeDeps, open: Change, request: RevertRequest): Promise<Change> {
  const title = request.title ?? open.title;
  if (title === open.title) return open;
  await mutate(deps, request.actor, async (m) => {
    await lockChange(m.tx, open.id);
    await setTitle(m.tx, open.id, { title, at: m.at });
    m.record({ action: "change.title", subject: open.id, payload: { title, before: open.title } });
  });
  return { ...open, title };
}

const draftOf = (piece: BranchPiece): [string, Draft | null] => [piece.dataset.id, piece.draft ?? null];

/** Builds what is derived from the reverted state; a derived dataset that cannot be built from it is a conflict of the revert. */
async function completeReverted(deps: LakeDeps, reverted: Change, branch: BranchState): Promise<BranchDerived[]> {
  try {
    return await completeBranch(deps, branch, {});
  } catch (error) {
    if (!(error instanceof AppError) || !(error.code === "derived.failed" || error.code === "dataset.in_use")) throw error;
    throw new AppError("revert.conflict", `${reverted.id} cannot be reverted: ${error.message}`, {
      expected: "derived datasets that can be built from what was there before",
      found: error.code,
      hint: error.hint,
      cause: error,
    });
  }
}
