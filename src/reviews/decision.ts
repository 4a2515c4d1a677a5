import type { Plan } from "../rollouts/plan.ts";
import type { Acknowledged } from "./review.ts";

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
