import { z } from "@hono/zod-openapi";
import { verdicts } from "../rollouts/judge/judge.ts";

/* What the routes of outcomes and of the judge answer. */

const judgement = z
  .object({
    guardrail: z
      .string()
      .openapi({ description: "The metric; `consumers` is the exact guardrail, `checks`, `drift` and `paired` those on the data." }),
    verdict: z.enum(verdicts),
    reason: z.string().openapi({ description: "A sentence with the numbers." }),
    candidate: z.number().openapi({
      description: "Values, or consumers that have read, on the candidate; of the data, rules or columns that were looked at.",
    }),
    current: z.number(),
    difference: z.number().nullable().openapi({ description: "How much worse the candidate is; below 0: better." }),
    halfWidth: z.number().nullable().openapi({ description: "How far the truth may be from it." }),
    margin: z.number().nullable().openapi({ description: "How much worse is tolerated." }),
    needed: z
      .number()
      .nullable()
      .openapi({ description: "So many more values like these make it SAFE; null: none do, or it is not known." }),
  })
  .openapi("Judgement");

export const judgedAnswer = z
  .object({ verdict: z.enum(verdicts), reason: z.string(), guardrails: z.array(judgement) })
  .nullable()
  .openapi("Judged");

export const reportedAnswer = z
  .object({
    id: z.string(),
    release: z.string().nullable().openapi({ description: "Where it counts; null: no release that it could judge was under way." }),
    step: z.number().int().nullable(),
    arm: z
      .enum(["candidate", "current"])
      .nullable()
      .openapi({ description: "From what the consumer was served, never from what it says." }),
    repeated: z.boolean().openapi({ description: "A report with this id and content had come before." }),
    takenBack: z.boolean().openapi({
      description: "The judge took the release back when this report came. What it knows of others is told to persons alone.",
    }),
  })
  .openapi("Reported");

export type ReportedAnswer = z.output<typeof reportedAnswer>;
export type JudgedAnswer = z.output<typeof judgedAnswer>;
