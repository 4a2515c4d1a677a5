import { proposeAndMerge } from "../changes/auto-merge-service.ts";
import type { Change } from "../changes/change.ts";
import type { Merged } from "../changes/merge-commit.ts";
import type { MergeDeps } from "../changes/merge-service.ts";
import { propose } from "../changes/propose-service.ts";
import { isEmpty, type FolderPlan } from "./plan.ts";
import { planFolder, type FolderRequest } from "./plan-service.ts";

export interface ApplyRequest extends FolderRequest {
  title?: string | undefined;
  actor: string;
  /** Merge at once what policy lets through. */
  auto?: boolean | undefined;
  byPerson: boolean;
  signal?: AbortSignal | undefined;
}

export interface Applied {
  plan: FolderPlan;
  /** Undefined when nothing would change: no change was opened. */
  change: Change | undefined;
  merged: Merged | undefined;
}

/** Turns a folder into one change: all that the plan says, or nothing. The same folder again opens none. */
export async function applyFolder(deps: MergeDeps, request: ApplyRequest): Promise<Applied> {
  const { plan, operations, documents } = await planFolder(deps, request);
  if (isEmpty(plan)) return { plan, change: undefined, merged: undefined };
  const { title, changeId, actor, byPerson, signal } = request;
  const proposal = { operations, documents, title, changeId, actor, origin: "person" as const, signal };
  if (request.auto !== true) return { plan, change: (await propose(deps, proposal)).change, merged: undefined };
  const { proposed, merged } = await proposeAndMerge(deps, { ...proposal, byPerson });
  return { plan, change: merged?.change ?? proposed.change, merged };
}
