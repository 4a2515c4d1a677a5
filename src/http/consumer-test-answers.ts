import { z } from "@hono/zod-openapi";
import { changeAnswer } from "./answers.ts";
import { criticalities } from "../access/consumer.ts";

/* What the routes of consumers' tests answer. */

const outcome = z.enum(["same", "moved", "broken", "already_broken", "fixed", "new", "slower", "nondeterministic", "not_run"]);
const kind = z.enum(["query", "command", "model"]);
const pair = z.object({ before: z.number(), after: z.number() });

const testResult = z
  .object({
    consumer: z.string(),
    owner: z.string().nullable(),
    criticality: z.enum(criticalities),
    test: z.string(),
    kind,
    outcome,
    verdict: z.enum(["pass", "fail", "inconclusive"]),
    summary: z.string().openapi({ description: "The headline.", example: "renewal_rate 0.61 → 0.82" }),
    moves: z.array(
      z.object({
        what: z.string(),
        before: z.string().nullable(),
        after: z.string().nullable(),
        numbers: z
          .object({ before: z.number(), after: z.number() })
          .optional()
          .openapi({ description: "Both, unrounded, where they are numbers." }),
      }),
    ),
    error: z.object({ before: z.string().nullable(), after: z.string().nullable() }),
    milliseconds: pair.nullable(),
    rowsScanned: pair.nullable(),
    reads: z.array(z.object({ dataset: z.string(), columns: z.union([z.array(z.string()), z.literal("all")]) })),
    evidence: z.string(),
    reused: z.boolean(),
  })
  .openapi("TestResult");

const testImpact = z.object({
  consumer: z.string(),
  owner: z.string().nullable(),
  criticality: z.enum(criticalities),
  test: z.string(),
  kind,
  impact: z.enum(["breaks", "uses", "safe", "broken_before"]),
  columns: z.array(z.object({ dataset: z.string(), column: z.string(), what: z.string() })),
  error: z.string().nullable(),
});

const testLine = z.object({
  consumer: z.string(),
  test: z.string(),
  kind,
  text: z.string().openapi({ description: "The SQL, the command, or the model and its SQL." }),
  last: z.object({ outcome, at: z.iso.datetime() }).nullable().openapi({ description: "What it said last, of whatever change." }),
});

export const testImpacts = z.array(testImpact);
export const testLines = z.array(testLine);
export const testsRun = z.object({ change: z.string().nullable(), tests: z.array(testResult) });
export const testsAdded = z.object({
  change: changeAnswer.nullable(),
  added: z.array(z.string()),
  unchanged: z.array(z.string()),
  waits: z.string().nullable().openapi({ description: "Why the change waits." }),
});

export type TestAnswer = z.output<typeof testResult>;
export type TestImpactAnswer = z.output<typeof testImpact>;
export type TestLine = z.output<typeof testLine>;
export type TestsRun = z.output<typeof testsRun>;
export type TestsAdded = z.output<typeof testsAdded>;
