import { policyPath, readDocument } from "../catalog/document-store.ts";
import type { Reader } from "../db/db.ts";
import { feedOfChange } from "../feeds/feed-reads.ts";
import { AppError } from "../lib/errors.ts";
import type { Assessment } from "../reviews/assessment.ts";
import { decide } from "../reviews/decide.ts";
import type { Decision } from "../reviews/decision.ts";
import { parsePolicy } from "../reviews/policy-document.ts";
import { defaultPolicy, type Policy } from "../reviews/policy.ts";
import { overrideOf, reviewsOf } from "../reviews/review-store.ts";
import type { Review } from "../reviews/review.ts";
import { authorsOf, reviewersIn } from "../reviews/reviewer-reads.ts";
import { barredChanges } from "../rollouts/rollback/bar-store.ts";
import { originFor } from "./change-origin.ts";
import type { Change } from "./change.ts";

/** The policy under which a change is judged: main's, never the one that the change itself proposes. */
export async function policyOf(db: Reader, mainTree: string): Promise<Policy> {
  const text = await readDocument(db, mainTree, policyPath);
  return text === undefined ? defaultPolicy : parsePolicy(text);
}

/**
 * Decides on a change as people, reviews and policy are now. Inside a transaction that holds the change's row, it is what holds at the commit.
 * With `further` words it says what they would make of it.
 */
export async function decideNow(
  db: Reader,
  change: Change,
  assessment: Assessment,
  mainTree: string,
  further: readonly Review[] = [],
): Promise<Decision> {
  const feed = await feedOfChange(db, change);
  const authors = await authorsOf(db, change.id);
  const origin = await originFor(db, change, { feed, authors });
  return decide({
    policy: await policyOf(db, mainTree),
    assessment,
    origin,
    authors,
    reviewers: await reviewersIn(db),
    reviews: [...(await reviewsOf(db, change.id)), ...further],
    override: await overrideOf(db, change.id),
    feed,
    undoesBarred: origin === "revert" && change.reverts !== null && (await barredChanges(db, [change.reverts])).size > 0,
  });
}

/** Decides on a change inside a transaction, and throws when it may not merge; gives the decision for the record. */
export type Gate = (db: Reader, change: Change) => Promise<Decision>;

/** Who merges: a person who may, or a rule on behalf of somebody who may not. */
export interface Merging {
  /** Whether whoever asks has the role to merge. */
  byPerson: boolean;
}

/** Lets a decision through, or says what stands against the merge: `merge.blocked`, `merge.waits` or `merge.inconclusive`. */
export function requireReady(change: Pick<Change, "id">, decision: Decision, merging: Merging): void {
  if (decision.outcome === "ready" && (merging.byPerson || decision.automatic)) return;
  const open = decision.items.filter((item) => item.state !== "met" && !item.overridden);
  const [first] = open;
  const summary = decision.outcome === "ready" ? "Waits: a person merges it, no rule lets it merge by itself." : decision.summary;
  const code = codes[decision.outcome];
  throw new AppError(code, `${change.id} cannot merge. ${summary}`, {
    expected: "all that checks, consumers and policy ask for",
    found: open.length <= 1 ? (first?.text ?? "nobody who may merge") : `${open.length} items that are not met`,
    hint: hintOf(change.id, decision),
    details: { change: change.id, decision },
  });
}

const codes = { ready: "merge.waits", waits: "merge.waits", blocked: "merge.blocked", inconclusive: "merge.inconclusive" } as const;

/** The one next command: acknowledging where that is all that is missing, else what the first open item asks for. */
function hintOf(id: string, decision: Decision): string {
  const open = decision.items.filter((item) => item.state !== "met" && !item.overridden);
  if (open.length === 0) return `tidegate merge ${id}`;
  if (open.every((item) => item.acknowledge !== null)) return `tidegate merge ${id} --acknowledge`;
  return open.length > 1 ? `tidegate policy explain ${id}` : (open[0]?.next ?? `tidegate policy explain ${id}`);
}
