import { mainCommit } from "../catalog/revision.ts";
import { AppError } from "../lib/errors.ts";
import type { PolicyRule } from "../reviews/policy.ts";
import type { Change } from "./change.ts";
import { changeDocuments } from "./change-documents.ts";
import { operationKinds } from "./change-store.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { policyOf } from "./gate.ts";
import { merge, type MergeDeps } from "./merge-service.ts";
import type { Merged } from "./merge-commit.ts";
import { isOrdinary } from "./operation.ts";
import { propose, type Proposed, type ProposeRequest } from "./propose-service.ts";
import { verdictOf } from "./verdict-service.ts";

/** Proposes, and merges at once what nothing speaks against. A batch that had come before and is merged stays as it is. */
export async function proposeAndMerge(
  deps: ChangeDeps & MergeDeps,
  request: ProposeRequest & { byPerson: boolean },
): Promise<{ proposed: Proposed; merged: Merged | undefined }> {
  const proposed = await propose(deps, request);
  const { change } = proposed;
  if (change === undefined || change.state === "merged") return { proposed, merged: undefined };
  const { actor, byPerson, signal } = request;
  const ordinary = await isOrdinaryChange(deps, change, byPerson);
  const merged = await merge(deps, { changeId: change.id, actor, ordinary, byPerson, signal });
  return { proposed, merged };
}

/**
 * Only rows come or go, and a rule lets it through. What the whole change does counts: a batch that joins a person's change does not make that
 * an ordinary one. What has a plan of its own shall not flow on to all readers beside releases under way, and what a person lets through
 * follows the plan that policy has for it, however they asked for it.
 */
async function isOrdinaryChange(deps: MergeDeps, change: Change, byPerson: boolean): Promise<boolean> {
  if (change.plan !== null || !isOrdinary(await operationKinds(deps.db, change.id))) return false;
  if ((await changeDocuments(deps.db, change.id)).length > 0) return false;
  return !byPerson || (await verdictOf(deps, change.id)).decision.automatic;
}

const letsReverts = ({ automatic, when }: PolicyRule): boolean => automatic === true && when.origin?.includes("revert") !== false;

/** Merges a revert that opened by itself where a rule lets it and nothing stands against it; else it stays open for a person. */
export async function mergeRevertAlone(deps: MergeDeps, revert: Change, actor: string): Promise<void> {
  const { tree } = await mainCommit(deps.db);
  // Without such a rule nothing is tested here: that is done when a person looks.
  if (revert.state !== "open" || !(await policyOf(deps.db, tree)).rules.some(letsReverts)) return;
  const { decision } = await verdictOf(deps, revert.id);
  if (!decision.automatic) return;
  try {
    await merge(deps, { changeId: revert.id, actor, byPerson: false });
  } catch (error) {
    // What came meanwhile and speaks against it stands in the change's record; a person goes on from there.
    if (!(error instanceof AppError) || !/^(?:merge|change)\./.test(error.code)) throw error;
  }
}
