import type { Decision } from "../reviews/decision.ts";
import { atOnce, type Plan } from "../rollouts/plans/plan.ts";
import type { Change } from "./change.ts";

export interface PlanOfChange {
  plan: Plan;
  /** Who says so: the policy's rule, the change itself, or nobody: then it reaches all readers at once. */
  from: "policy" | "change" | "default";
  rule: string | null;
}

/**
 * How a change shall reach readers: as policy says, else as the change itself says. Nobody has what is new, and the way back is short: an
 * import and a revert follow a plan only when it is their own; to which somebody wrote more is neither.
 */
export function planFor(change: Pick<Change, "plan">, { rollout, origin }: Pick<Decision, "rollout" | "origin">): PlanOfChange {
  const follows = origin !== "import" && origin !== "revert";
  if (follows && rollout !== null) return { plan: rollout.plan, from: "policy", rule: rollout.rule };
  return change.plan === null ? { plan: atOnce, from: "default", rule: null } : { plan: change.plan, from: "change", rule: null };
}
