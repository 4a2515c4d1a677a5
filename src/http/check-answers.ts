import { z } from "@hono/zod-openapi";

/* What the routes about checks answer. */

const count = z.number().int().min(0);
const cell = z.unknown();

const check = z
  .object({
    rule: z.object({
      id: z.string(),
      title: z.string(),
      severity: z.enum(["error", "warning", "info"]),
      scope: z.enum(["added", "snapshot"]),
      dimension: z.string().nullable(),
      description: z.string().nullable(),
      source: z.string().openapi({ description: "Where it stands in the contract, or `built-in`." }),
    }),
    verdict: z.enum(["pass", "fail", "inconclusive"]),
    effect: z
      .enum(["block", "warn", "info", "none"])
      .openapi({ description: "What it does to a change: blocks it, waits for a word, or is only said." }),
    reason: z.string().nullable(),
    found: z.string().nullable(),
    expected: z.string(),
    measured: z.string().nullable().openapi({ description: "The number, with all its digits." }),
    evaluated: count.nullable(),
    bad: count.nullable(),
    badAdded: count.nullable().openapi({ description: "Bad rows that the change added." }),
    samples: z.array(z.object({ key: z.array(cell).nullable(), row: z.record(z.string(), cell) })),
    sql: z.string(),
    failingSince: z.object({ version: z.string(), at: z.iso.datetime() }).nullable(),
    evidence: z.string(),
    reused: z.boolean(),
  })
  .openapi("Check");

export const checkAnswers = z.array(
  z
    .object({ dataset: z.string(), version: count.nullable(), owners: z.array(z.string()), untested: z.boolean(), checks: z.array(check) })
    .openapi("DatasetChecks"),
);

export type CheckAnswer = z.output<typeof check>;
export type DatasetChecksAnswer = z.output<typeof checkAnswers>[number];
