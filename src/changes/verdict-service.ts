import { AppError } from "../lib/errors.ts";
import type { Assessment } from "../reviews/assessment.ts";
import type { Decision, DecisionItem } from "../reviews/decision.ts";
import { reviewsOf } from "../reviews/review-store.ts";
import type { Review } from "../reviews/review.ts";
import { authorsOf } from "../reviews/reviewer-reads.ts";
import { assessChange } from "./assess-service.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { getChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { decideNow } from "./gate.ts";
import { sidesToJudge, withSidesOfMerge } from "./merge-sides.ts";
import { review, type ReviewDeps } from "./review-service.ts";
import { mainCommit } from "../catalog/revision.ts";

/** What a person looks a change over by. */
export interface ChangeVerdict {
  change: Change;
  assessment: Assessment;
  decision: Decision;
  reviews: Review[];
}

/** Tests a change as a merge would find it now, and says whether it can merge, and what is missing. */
export async function verdictOf(
  deps: ChangeDeps,
  changeId: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ChangeVerdict> {
  const change = await getChange(deps.db, changeId);
  const assessment = await assessChange(deps, change, await sidesToJudge(deps, change, options), options);
  const main = await mainCommit(deps.db);
  const decision = await decideNow(deps.db, change, assessment, main.tree);
  return { change, assessment, decision, reviews: await reviewsOf(deps.db, change.id) };
}

/**
 * Acknowledges what waits for it: all of it, or the items that contain one of the given texts. What is named is bound to what it says now; a
 * result that says something else later waits again. Where the person's word would count for none of it, it is refused, and says why.
 */
export async function acknowledge(
  deps: ChangeDeps & ReviewDeps,
  request: {
    changeId: string;
    person: string;
    actor: string;
    text?: string | undefined;
    only?: readonly string[] | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<{ acknowledged: string[]; decision: Decision }> {
  const verdict = await verdictOfMerge(deps, request);
  const { change, assessment, decision } = verdict;
  const wanted = decision.items.filter(
    (item) =>
      item.acknowledge !== null && (request.only === undefined || request.only.some((part) => item.acknowledge?.item.includes(part))),
  );
  if (wanted.length === 0) return { acknowledged: [], decision };
  const counting = await thatCount(deps, verdict, request, wanted);
  if (counting.length === 0) throw await uncounted(deps, change, request.person, wanted[0] as DecisionItem);
  await review(deps, {
    changeId: change.id,
    person: request.person,
    actor: request.actor,
    kind: "acknowledge",
    text: request.text,
    contentHash: change.contentHash,
    acknowledged: counting.flatMap((item) => item.acknowledge ?? []),
  });
  const main = await mainCommit(deps.db);
  return { acknowledged: counting.map((item) => item.text), decision: await decideNow(deps.db, change, assessment, main.tree) };
}

/** The verdict that a merge would find, on what it would build: a person's word is bound to nothing less. */
async function verdictOfMerge(
  deps: ChangeDeps,
  { changeId, actor, signal }: { changeId: string; actor: string; signal?: AbortSignal | undefined },
): Promise<Omit<ChangeVerdict, "reviews">> {
  const change = await getChange(deps.db, changeId);
  const assessment = await withSidesOfMerge(deps, change, { actor, signal }, (sides) => assessChange(deps, change, sides, { signal }));
  const main = await mainCommit(deps.db);
  return { change, assessment, decision: await decideNow(deps.db, change, assessment, main.tree) };
}

/** The items that the person's word would settle: what the decision would be with it says so. */
async function thatCount(
  deps: ChangeDeps & ReviewDeps,
  { change, assessment }: Pick<ChangeVerdict, "change" | "assessment">,
  { person, actor }: { person: string; actor: string },
  wanted: readonly DecisionItem[],
): Promise<DecisionItem[]> {
  const acknowledged = wanted.flatMap((item) => item.acknowledge ?? []);
  const word: Review = {
    id: "",
    changeId: change.id,
    person,
    actor,
    kind: "acknowledge",
    contentHash: change.contentHash,
    acknowledged,
    text: "",
    at: deps.clock.now(),
    withdrawnAt: null,
  };
  const { tree } = await mainCommit(deps.db);
  const { items } = await decideNow(deps.db, change, assessment, tree, [word]);
  const waiting = new Set(items.flatMap((item) => item.acknowledge?.item ?? []));
  return wanted.filter((item) => item.acknowledge !== null && !waiting.has(item.acknowledge.item));
}

async function uncounted(deps: ChangeDeps, change: Change, person: string, first: DecisionItem): Promise<AppError> {
  const isAuthor = (await authorsOf(deps.db, change.id)).includes(person);
  const what = isAuthor ? `${person} wrote to ${change.id}` : `The word of ${person} is not the one that ${change.id} waits for`;
  return new AppError(isAuthor ? "review.own_work" : "auth.denied", `${what}, and somebody else acknowledges this: ${first.text}`, {
    expected: "a reviewer who is no author; of a consumer of high or critical criticality its owner",
    found: person,
    hint: `tidegate acknowledge ${change.id} --as <person>`,
  });
}
