import { policyPath } from "../catalog/document-store.ts";
import { AppError } from "../lib/errors.ts";
import { checkReachable, parsePolicy } from "../reviews/policy-document.ts";
import { reviewersIn } from "../reviews/reviewer-reads.ts";
import { unknownInPolicy } from "../reviews/unknown-names.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { getChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { knownNames } from "./known-names.ts";
import { openNotes, openWithDocument } from "./open-reads.ts";
import { propose } from "./propose-service.ts";

export interface ProposedPolicy {
  change: Change;
  /** It was open before and proposes this very text: no second one was opened. */
  known: boolean;
  notes: string[];
}

/** Proposes a policy, as a change like any other: it is judged under the policy that holds. One that could never be met is refused. */
export async function proposePolicy(
  deps: ChangeDeps,
  request: { text: string; title?: string | undefined; changeId?: string | undefined; actor: string; signal?: AbortSignal | undefined },
): Promise<ProposedPolicy> {
  const { text, actor, changeId, signal } = request;
  const policy = parsePolicy(text);
  checkReachable(policy, await reviewersIn(deps.db));
  const notes = unknownInPolicy(policy, await knownNames(deps)).map(({ path, message }) => `${placeText(path, policy.rules)}: ${message}`);
  const open = await openWithDocument(deps.db, policyPath, text);
  const same = changeId === undefined ? open.find(({ isSame }) => isSame) : undefined;
  if (same !== undefined) return { change: await getChange(deps.db, same.id), known: true, notes };
  const title = request.title ?? "Set the policy";
  const documents = [{ path: policyPath, text }];
  const { change } = await propose(deps, { operations: [], documents, title, changeId, actor, origin: "person", signal });
  if (change !== undefined) {
    const others = open.filter(({ id }) => id !== change.id);
    return { change, known: false, notes: [...notes, ...openNotes("another policy", others)] };
  }
  throw new AppError("change.empty", "This is the policy that holds already.", {
    expected: "a policy that says something else",
    found: "the same text",
    hint: "tidegate policy show",
  });
}

/** A place in a policy as people find it: by the name of its rule. */
function placeText([part, index, ...rest]: readonly (string | number)[], rules: readonly { name: string }[]): string {
  return part === "rules" ? `«${rules[Number(index)]?.name ?? ""}»: ${rest.join(".")}` : [part, index, ...rest].join(".");
}
