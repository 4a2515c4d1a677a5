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
  // What has a plan of its own shall not flow on to all readers beside releases under way.
  const ordinary = change.plan === null && (await isOrdinaryChange(deps, change.id));
  const { actor, byPerson, signal } = request;
  const merged = await merge(deps, { changeId: change.id, actor, ordinary, byPerson, signal });
  return { proposed, merged };
}

/** What the whole change does counts: a batch that joins a person's change does not make that change an ordinary one. */
async function isOrdinaryChange({ db }: Pick<MergeDeps, "db">, changeId: string): Promise<boolean> {
  return isOrdinary(await operationKinds(db, changeId)) && (await changeDocuments(db, changeId)).length === 0;
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
