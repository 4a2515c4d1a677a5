import { mutate, type Mutation } from "../audit/mutation.ts";
import { writeCommit, writeTree } from "../catalog/commit-store.ts";
import { dropDatasets, lockDatasets, takeOneEach, undropDatasets } from "../catalog/dataset-store.ts";
import { changeRef, dropRef, liveRef, lockRefs, mainRef, moveRef, standingRef, type Ref } from "../catalog/ref-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, type WriteLease } from "../catalog/write-lease.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { nameDrafts, type Draft } from "../effects/version-writer.ts";
import { AppError } from "../lib/errors.ts";
import { ship } from "../rollouts/ship.ts";
import type { Release } from "../rollouts/release-store.ts";
import { markDocumentsMerged } from "./change-documents.ts";
import type { Gate } from "./gate.ts";
import { lockChange, moveChange, putChangeDatasets } from "./change-store.ts";
import { putDeclaredConsumers } from "./declared-consumers.ts";
import type { Change } from "./change.ts";
import { planFor } from "./plan-for.ts";
import type { MergePlan } from "./merge-build.ts";
import type { MergePiece } from "./merge-piece.ts";
import { finishEntry } from "./merge-queue-store.ts";

export interface Merged {
  change: Change;
  commit: string;
  previousCommit: string;
  datasets: { datasetId: string; dataset: string; before: Version | undefined; after: Version | undefined }[];
  release: Release;
}

export interface MergeCommitRequest {
  change: Change;
  plan: MergePlan;
  /** Reads again, under lock, what allowed the merge. */
  gate: Gate;
  lease: WriteLease;
  actor: string;
  queueId: string;
  environment: string;
  /** No person took part: rolled back only when named. */
  ordinary: boolean;
  /** Datasets whose foreign keys point at what it changes. */
  neighbours: readonly string[];
  /** A consumer's test breaks, and somebody let it merge. */
  broken: boolean;
}

/**
 * The commit point of a merge. One transaction moves main by compare-and-set, names the new versions, gives the change its place in each
 * dataset's merge order, and releases to readers. A racing writer sees all of it or nothing. Whoever lost the race builds again.
 */
export async function commitMerge(deps: LakeDeps, request: MergeCommitRequest): Promise<Merged> {
  const { change, plan, environment } = request;
  return mutate(deps, request.actor, async (m) => {
    const branch = changeRef(change.id);
    const refs = await lockRefs(m.tx, [branch, liveRef(environment), mainRef]);
    const [main, live] = [standingRef(refs, mainRef), standingRef(refs, liveRef(environment))];
    if (main.generation !== plan.main.generation) throw new MainMoved();
    const now = await lockChange(m.tx, change.id);
    if (now.generation !== change.generation) {
      throw new AppError("change.closed", `${change.id} was written to while it was being merged.`, {
        hint: `tidegate merge ${change.id}`,
      });
    }
    const decision = await request.gate(m.tx, now);
    const ids = plan.pieces.map((piece) => piece.dataset.id);
    await lockDatasets(m.tx, ids);
    await endLease(m.tx, request.lease, m.at);
    const results = await nameResults(m, plan.pieces);
    const tree = await writeTree(m.tx, plan.mainTree, new Map(ids.map((id) => [id, results.get(id)?.id ?? null])), plan.documents);
    const commit = await writeCommit(m.tx, {
      tree,
      parents: [main.commitId, change.baseCommit],
      author: request.actor,
      message: change.title,
      at: m.at,
      changeId: change.id,
    });
    await moveRef(m.tx, main, { name: mainRef, commitId: commit, at: m.at, actor: request.actor, reason: `merge ${change.id}` });
    await endBranch(m, refs.get(branch), change);
    await markDocumentsMerged(m.tx, change.id);
    await putDeclaredConsumers(m, deps.ids, plan.documents);
    const state = await moveChange(m.tx, now, "merge", { at: m.at, mergedBy: request.actor, mergeCommit: commit });
    await recordMerged(m, change, plan.pieces, results);
    const planned = planFor(now, decision);
    const release = await ship(m, deps.ids, {
      environment,
      live,
      mainTree: tree,
      datasetIds: ids,
      changeId: change.id,
      ordinary: request.ordinary,
      reason: change.title,
      plan: request.ordinary || planned.from === "default" ? undefined : planned.plan,
      undoes: decision.origin === "revert",
      breakGlass: decision.isOverridden,
      neighbours: request.neighbours,
      tested: { from: new Map(plan.pieces.map(({ dataset, onto }) => [dataset.id, onto?.id ?? null])), broken: request.broken },
    });
    await undropDatasets(
      m.tx,
      plan.pieces.filter((piece) => piece.result !== undefined && piece.dataset.droppedAt !== null).map((piece) => piece.dataset.id),
    );
    await dropDatasets(
      m.tx,
      plan.pieces.filter((piece) => piece.result === undefined).map((piece) => piece.dataset.id),
      m.at,
    );
    await finishEntry(m.tx, request.queueId, { state: "merged", at: m.at });
    const decided = { rules: decision.matched, items: decision.items.map(({ state, text, overridden }) => ({ state, text, overridden })) };
    m.record({ action: "change.merge", subject: change.id, payload: { commit, release: release.id, datasets: ids.length, decided } });
    m.enqueue("change.merged", { change: change.id, commit });
    const datasets = plan.pieces.map((piece) => ({
      datasetId: piece.dataset.id,
      dataset: piece.dataset.name,
      before: piece.onto,
      after: results.get(piece.dataset.id),
    }));
    return {
      change: { ...now, state, mergedAt: m.at, mergedBy: request.actor, mergeCommit: commit },
      commit,
      previousCommit: main.commitId,
      datasets,
      release,
    };
  });
}

/** Main moved between building and committing: the merge is built again. */
export class MainMoved extends Error {}

async function nameResults(m: Mutation, pieces: readonly MergePiece[]): Promise<Map<string, Version>> {
  const drafts: Draft[] = [];
  const results = new Map<string, Version>();
  for (const { dataset, result } of pieces) {
    if (result?.kind === "draft") drafts.push(result.draft);
    if (result?.kind === "version") results.set(dataset.id, result.version);
  }
  for (const [id, version] of await nameDrafts(m, drafts)) results.set(id, version);
  return results;
}

async function endBranch(m: Mutation, branch: Ref | undefined, change: Change): Promise<void> {
  if (branch !== undefined) await dropRef(m.tx, branch, { name: branch.name, at: m.at, actor: m.actor, reason: `merge ${change.id}` });
}

async function recordMerged(
  m: Mutation,
  change: Change,
  pieces: readonly MergePiece[],
  results: ReadonlyMap<string, Version>,
): Promise<void> {
  const seqs = await takeOneEach(
    m.tx,
    pieces.map((piece) => piece.dataset.id),
    "next_merge_seq",
  );
  await putChangeDatasets(
    m.tx,
    pieces.map(({ dataset, item, onto }) => ({
      ...item,
      changeId: change.id,
      beforeVersion: onto?.id ?? null,
      candidateVersion: item.candidateVersion ?? (item.derived ? (results.get(dataset.id)?.id ?? null) : null),
      mergedVersion: results.get(dataset.id)?.id ?? null,
      mergeSeq: seqs.get(dataset.id) ?? null,
    })),
  );
}
