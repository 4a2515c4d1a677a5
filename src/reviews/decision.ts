import type { Flap } from "../feeds/feed.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import type { Assessment } from "./assessment.ts";
import type { Origin, Policy } from "./policy.ts";
import type { Acknowledged, Override, Review, Reviewer } from "./review.ts";

export type ItemState =
  | "met"
  /** Somebody must still do something. */
  | "missing"
  /** Something failed: the change, the contract or the data must be mended. */
  | "failed"
  /** It could not be told. */
  | "unknown";

/** One thing that a change needs, with what to do next. */
export interface DecisionItem {
  kind: "check" | "test" | "untested" | "approval" | "loosened" | "block" | "cap" | "refusal" | "feed";
  state: ItemState;
  /** As a sentence, for people. */
  text: string;
  /** Name of the policy's rule that asks for it; null for what always holds. */
  rule: string | null;
  /** The next command to type; null when nothing is to be done. */
  next: string | null;
  /** What an acknowledgement would name. */
  acknowledge: Acknowledged | null;
  /** Break-glass got it through. */
  overridden: boolean;
}

/**
 * Whether a change can merge: `ready`; `waits` for a person (exit 3); `blocked` by something that failed (exit 1); `inconclusive`: it could
 * not be told (exit 4).
 */
export type DecisionOutcome = "ready" | "waits" | "blocked" | "inconclusive";

export interface Decision {
  outcome: DecisionOutcome;
  /** What the change counts as: earned, not claimed. */
  origin: Origin;
  /** Break-glass lets this content through. */
  isOverridden: boolean;
  /** It may merge without a person. */
  automatic: boolean;
  /** One sentence: why it can or cannot merge. */
  summary: string;
  items: readonly DecisionItem[];
  /** Names of the rules that matched, with what they matched. */
  matched: readonly { rule: string; subjects: readonly string[] }[];
  /** How its release shall reach readers, and the rule that says so; null: no rule does. */
  rollout: { rule: string; plan: Plan } | null;
}

/** All that a decision is made of. The same facts always give the same decision. */
export interface DecisionFacts {
  policy: Policy;
  assessment: Assessment;
  origin: Origin;
  /** Names of all who wrote to the change. */
  authors: readonly string[];
  /** Persons who can act now. */
  reviewers: readonly Reviewer[];
  /** All words on the change, withdrawn ones too. */
  reviews: readonly Review[];
  override: Override | undefined;
  /** The feed by which the change came, and how its earlier batches fared; absent for what is no batch of a feed. */
  feed?: { name: string; flap: Flap; isTrusted: boolean } | undefined;
  /** The change takes back what was rolled back: main still has it, so that comparing with main says nothing of the change. */
  undoesBarred?: boolean | undefined;
}

/** An item that nobody acknowledges. */
export function plain(
  kind: DecisionItem["kind"],
  state: ItemState,
  text: string,
  rest: { rule?: string | null; next?: string | null } = {},
): DecisionItem {
  return {
    kind,
    state,
    text,
    rule: rest.rule ?? null,
    next: state === "met" ? null : (rest.next ?? null),
    acknowledge: null,
    overridden: false,
  };
}
