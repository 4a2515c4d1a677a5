import type { Assessment } from "../reviews/assessment.ts";
import type { Decision } from "../reviews/decision.ts";
import { reviewsOf } from "../reviews/review-store.ts";
import type { Review } from "../reviews/review.ts";
import { assessChange } from "./assess-service.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { sidesOfChange } from "./change-sides.ts";
import { getChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { decideNow } from "./gate.ts";
import { review, type ReviewDeps } from "./review-service.ts";
import { mainCommit } from "../catalog/revision.ts";

/** What a person looks a change over by. */
export interface ChangeVerdict {
  change: Change;
  assessment: Assessment;
  decision: Decision;
  reviews: Review[];
}

/** Tests a change as it stands on its branch, and says whether it can merge, and what is missing. */
export async function verdictOf(
  deps: ChangeDeps,
  changeId: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ChangeVerdict> {
  const change = await getChange(deps.db, changeId);
  const assessment = await assessChange(deps, change, await sidesOfChange(deps.db, change), options);
  const main = await mainCommit(deps.db);
  const decision = await decideNow(deps.db, change, assessment, main.tree);
  return { change, assessment, decision, reviews: await reviewsOf(deps.db, change.id) };
}

/**
 * Acknowledges what waits for it: all of it, or the items that contain one of the given texts. What is named is bound to what it says now; a
 * result that says something else later waits again.
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
  const { change, decision } = await verdictOf(deps, request.changeId, { signal: request.signal });
  const wanted = decision.items.filter(
    (item) =>
      item.acknowledge !== null && (request.only === undefined || request.only.some((part) => item.acknowledge?.item.includes(part))),
  );
  if (wanted.length === 0) return { acknowledged: [], decision };
  await review(deps, {
    changeId: change.id,
    person: request.person,
    actor: request.actor,
    kind: "acknowledge",
    text: request.text,
    contentHash: change.contentHash,
    acknowledged: wanted.flatMap((item) => item.acknowledge ?? []),
  });
  const after = await verdictOf(deps, change.id, { signal: request.signal });
  return { acknowledged: wanted.map((item) => item.text), decision: after.decision };
}
