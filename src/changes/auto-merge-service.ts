import { changeDocuments } from "./change-documents.ts";
import { operationKinds } from "./change-store.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { merge, type MergeDeps } from "./merge-service.ts";
import type { Merged } from "./merge-commit.ts";
import { isOrdinary } from "./operation.ts";
import { propose, type Proposed, type ProposeRequest } from "./propose-service.ts";

/** Proposes, and merges at once what nothing speaks against. A batch that had come before and is merged stays as it is. */
export async function proposeAndMerge(
  deps: ChangeDeps & MergeDeps,
  request: ProposeRequest & { byPerson: boolean },
): Promise<{ proposed: Proposed; merged: Merged | undefined }> {
  const proposed = await propose(deps, request);
  const { change } = proposed;
  if (change === undefined || change.state === "merged") return { proposed, merged: undefined };
  const ordinary = await isOrdinaryChange(deps, change.id);
  const { actor, byPerson, signal } = request;
  const merged = await merge(deps, { changeId: change.id, actor, ordinary, byPerson, signal });
  return { proposed, merged };
}

/** What the whole change does counts: a batch that joins a person's change does not make that change an ordinary one. */
async function isOrdinaryChange({ db }: Pick<MergeDeps, "db">, changeId: string): Promise<boolean> {
  return isOrdinary(await operationKinds(db, changeId)) && (await changeDocuments(db, changeId)).length === 0;
}
