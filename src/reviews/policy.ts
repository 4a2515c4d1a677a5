import type { Verdict } from "../evidence/evidence.ts";
import type { Freeze } from "../rollouts/plans/freeze.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import type { Criticality } from "../access/consumer.ts";

/*
 * Policy as data: which reviews, checks and tests a change needs. All rules that match a dataset or a document of a change hold together;
 * what no rule matches falls under `otherwise`. It is read by policy-document.ts and decided by decide.ts.
 */

export const origins = ["person", "pipeline", "feed", "agent", "import", "revert", "restore"] as const;
/** From whom a change comes. */
export type Origin = (typeof origins)[number];

/** A number to compare with. Shares are percent of the rows that base has. */
export interface Limit {
  op: ">" | ">=";
  value: number;
}

/** What a rule matches: all that is given must hold; lists mean «any of». Patterns have `*` for any run of characters. */
export interface PolicyCondition {
  origin?: readonly Origin[];
  dataset?: readonly string[];
  /** Path of a document that the change edits: `policy`, `consumers/*`. */
  document?: readonly string[];
  tag?: readonly string[];
  /** Rows added, removed and modified together. */
  changed?: Limit;
  removed?: Limit;
  modified?: Limit;
  share?: Limit;
  /** Kinds of schema change: `added`, `dropped`, `renamed` …, or `breaking`. */
  schema?: readonly string[];
  created?: boolean;
  dropped?: boolean;
  /** The least criticality of a consumer that the change hits. */
  consumer?: Criticality;
  checks?: readonly (Verdict | "warning" | "untested")[];
  /** The change is a batch of a feed that alternates between good and bad. A rule that says so makes its batches wait to be acknowledged. */
  feed?: "flapping";
}

/** What somebody must do about something that is not plainly good. */
export type Treatment = "refuse" | "acknowledge" | "allow";

export interface PolicyRequirement {
  /** Approvals by persons who are not authors. */
  approvals?: number;
  /** Persons or groups whose approvals count; `owners`: the owners of the dataset, as base has them. Anybody when absent. */
  from?: readonly string[];
  /** A check of severity warning that does not pass. */
  warnings?: Treatment;
  /** A dataset whose contract has no rules. */
  untested?: Treatment;
  /** A consumer whose results move. */
  moved?: Treatment;
}

export interface PolicyRule extends PolicyRequirement {
  name: string;
  when: PolicyCondition;
  /** May merge without a person, unless another rule that matches asks for approvals. */
  automatic?: boolean;
  /** Refused, for this reason. */
  refuse?: string;
  /** At most so many rows removed, per dataset. */
  maxRemoved?: number;
  /** How the release reaches its readers; at once when no rule says. */
  rollout?: Plan;
}

export interface Policy {
  rules: readonly PolicyRule[];
  otherwise: PolicyRequirement;
  /** When no step of a rollout starts. */
  freeze?: readonly Freeze[] | undefined;
}

const lookedOver: PolicyRequirement = { approvals: 1, warnings: "acknowledge", untested: "acknowledge", moved: "acknowledge" };

/** Nobody can have relied on what was not there. */
export const newDatasetRule: PolicyRule = {
  name: "a new dataset has no readers yet",
  when: { origin: ["import"] },
  automatic: true,
  warnings: "allow",
  untested: "allow",
};

/** What holds without a policy document. `policy show` prints it. */
export const defaultPolicy: Policy = {
  rules: [
    {
      name: "batches of a feed merge alone when all passes",
      when: { origin: ["feed"] },
      automatic: true,
      warnings: "acknowledge",
      untested: "allow",
      moved: "acknowledge",
    },
    newDatasetRule,
    { name: "the way back is short", when: { origin: ["revert"] }, approvals: 0, warnings: "allow", untested: "allow", moved: "allow" },
    { name: "tests that are only added are welcome", when: { document: ["consumers/*"] }, automatic: true },
  ],
  otherwise: lookedOver,
};
