import { AppError } from "../lib/errors.ts";
import { checkReachable, parsePolicy } from "../reviews/policy-document.ts";
import { policyPath } from "../catalog/document-store.ts";
import { reviewersIn } from "../reviews/reviewer-reads.ts";
import type { ChangeDeps } from "./change-deps.ts";
import type { Change } from "./change.ts";
import { propose } from "./propose-service.ts";

/** Proposes a policy, as a change like any other: it is judged under the policy that holds. One that could never be met is refused. */
export async function proposePolicy(
  deps: ChangeDeps,
  request: { text: string; title?: string | undefined; changeId?: string | undefined; actor: string; signal?: AbortSignal | undefined },
): Promise<Change> {
  checkReachable(parsePolicy(request.text), await reviewersIn(deps.db));
  const { actor, changeId, signal } = request;
  const title = request.title ?? "Set the policy";
  const documents = [{ path: policyPath, text: request.text }];
  const { change } = await propose(deps, { operations: [], documents, title, changeId, actor, origin: "person", signal });
  if (change !== undefined) return change;
  throw new AppError("change.empty", "This is the policy that holds already.", {
    expected: "a policy that says something else",
    found: "the same text",
    hint: "tidegate policy show",
  });
}
