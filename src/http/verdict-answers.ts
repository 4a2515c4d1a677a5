import { z } from "@hono/zod-openapi";
import { origins } from "../reviews/policy.ts";
import { changeAnswer, notes } from "./answers.ts";

/* What the routes of verdicts and reviews answer. Tests compare every answer with these shapes, both ways. */

const count = z.number().int().min(0);
const time = z.iso.datetime();

/** A plan, step by step. */
export const planAnswer = z
  .object({
    steps: z.array(
      z.object({
        audience: z.union([
          z.object({ to: z.literal("ring"), consumers: z.array(z.string()), labels: z.record(z.string(), z.string()) }),
          z.object({ to: z.literal("percent"), percent: z.number() }),
          z.object({ to: z.literal("everyone") }),
        ]),
        waitMs: count.nullable().openapi({ description: "How long the step lasts; null: until somebody advances." }),
        approval: z.boolean(),
      }),
    ),
  })
  .openapi("RolloutPlan");

const decisionItem = z
  .object({
    kind: z.enum(["check", "test", "untested", "approval", "loosened", "block", "cap", "refusal", "feed"]),
    state: z.enum(["met", "missing", "failed", "unknown"]),
    text: z.string(),
    rule: z.string().nullable().openapi({ description: "The policy's rule that asks for it; null for what always holds." }),
    next: z.string().nullable().openapi({ description: "The next command to type." }),
    acknowledge: z.object({ item: z.string(), digest: z.string() }).nullable(),
    overridden: z.boolean(),
  })
  .openapi("DecisionItem");

export const decisionAnswer = z
  .object({
    outcome: z.enum(["ready", "waits", "blocked", "inconclusive"]),
    origin: z.enum(origins).openapi({ description: "What the change counts as: earned, not claimed." }),
    isOverridden: z.boolean().openapi({ description: "Break-glass lets this content through." }),
    automatic: z.boolean().openapi({ description: "It may merge without a person." }),
    summary: z.string(),
    items: z.array(decisionItem),
    matched: z.array(z.object({ rule: z.string(), subjects: z.array(z.string()) })),
    rollout: z
      .object({ rule: z.string(), plan: planAnswer })
      .nullable()
      .openapi({ description: "How its release will reach readers, and the rule that says so; null: no rule does." }),
  })
  .openapi("Decision");

export const reviewAnswer = z
  .object({
    id: z.string(),
    person: z.string(),
    kind: z.enum(["approve", "block", "acknowledge", "comment"]),
    text: z.string(),
    at: time,
    withdrawnAt: time.nullable(),
    stale: z.boolean().openapi({ description: "The change was written to since." }),
    acknowledged: z.array(z.string()),
  })
  .openapi("Review");

const schemaItem = z.object({
  kind: z.string(),
  effect: z.enum(["additive", "breaking"]),
  column: z.string().optional(),
  text: z.string(),
});

export const verdictAnswer = z
  .object({
    change: z.string(),
    headline: z.string(),
    decision: decisionAnswer,
    datasets: z.array(
      z.object({
        dataset: z.string(),
        owners: z.array(z.string()),
        headline: z.string(),
        rows: z.object({ base: count, candidate: count, added: count, removed: count, modified: count }),
        schema: z.array(schemaItem),
        untested: z.boolean(),
        checks: z.object({ pass: count, fail: count, inconclusive: count }),
      }),
    ),
    loosened: z.array(
      z.object({
        item: z.string(),
        what: z.enum(["removed", "loosened", "changed"]),
        before: z.string(),
        after: z.string().nullable(),
        owners: z.array(z.string()),
      }),
    ),
    documents: z.array(z.object({ path: z.string(), what: z.enum(["added", "changed", "removed"]), text: z.string() })),
    reviews: z.array(reviewAnswer),
  })
  .openapi("Verdict");

export const acknowledgedAnswer = z.object({ acknowledged: z.array(z.string()), decision: decisionAnswer }).openapi("Acknowledged");

export const policyAnswer = z
  .object({ source: z.enum(["default", "document"]), text: z.string().openapi({ description: "YAML." }) })
  .openapi("Policy");

export const policyProposed = changeAnswer
  .extend({
    known: z.boolean().openapi({ description: "It was open before, with this very text: no second change was opened." }),
    notes,
  })
  .openapi("ProposedPolicy");

export const overrideLines = z.array(
  z.object({ change: z.string(), person: z.string(), reason: z.string(), at: time }).openapi("WaitingOverride"),
);

export type DecisionAnswer = z.output<typeof decisionAnswer>;
export type VerdictAnswer = z.output<typeof verdictAnswer>;
export type AcknowledgedAnswer = z.output<typeof acknowledgedAnswer>;
export type ReviewAnswer = z.output<typeof reviewAnswer>;
export type PolicyProposed = z.output<typeof policyProposed>;
export type PolicyAnswer = z.output<typeof policyAnswer>;
export type OverrideLine = z.output<typeof overrideLines>[number];
