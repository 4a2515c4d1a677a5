import { z } from "@hono/zod-openapi";
import { changeAnswer, notes } from "./answers.ts";

/* What the routes of contracts answer. */

const problem = z.object({
  level: z.enum(["error", "warning"]),
  reason: z.string(),
  message: z.string(),
  path: z.string(),
  line: z.number().int(),
  column: z.number().int(),
  expected: z.string().optional(),
  found: z.string().optional(),
  hint: z.string().optional(),
});
const ruleAnswer = z.object({ id: z.string(), title: z.string(), severity: z.string(), scope: z.string(), source: z.string() });

export const lintedAnswer = z.object({ valid: z.boolean(), rules: z.array(ruleAnswer), problems: z.array(problem) });
export const contractTextAnswer = z.object({
  dataset: z.string(),
  version: z.number().int(),
  text: z.string(),
  rules: z.array(ruleAnswer),
});
export const inferredAnswer = z.object({
  dataset: z.string(),
  text: z.string(),
  proposals: z.array(z.object({ column: z.string().nullable(), rule: z.string(), why: z.string() })),
});
export const contractProposed = z.object({
  change: changeAnswer.nullable(),
  dataset: z.string(),
  known: z.boolean().openapi({ description: "The change was open before, with this very text: no second one was opened." }),
  notes,
});
export const contractDiffs = z.array(
  z.object({
    dataset: z.string(),
    owners: z.array(z.string()),
    items: z.array(
      z.object({
        item: z.string(),
        what: z.enum(["added", "removed", "loosened", "tightened", "changed"]),
        before: z.string().nullable(),
        after: z.string().nullable(),
        needsOwner: z.boolean(),
      }),
    ),
  }),
);
export const acceptedAnswer = z.object({
  rules: z.array(
    z.object({
      dataset: z.string(),
      rule: z.string(),
      to: z.string(),
      blocks: z.boolean().openapi({
        description:
          "Of severity error: as main has it, it still judges what the change brings, until the edited rule is merged before it.",
      }),
    }),
  ),
  versions: z
    .array(z.object({ dataset: z.string(), version: z.number() }))
    .openapi({ description: "Versions of the change's branch that have the edited contract." }),
  left: z.array(z.object({ rule: z.string(), why: z.string() })),
  text: z.string().nullable().openapi({ description: "The edited file." }),
});

export type LintedAnswer = z.output<typeof lintedAnswer>;
export type ContractTextAnswer = z.output<typeof contractTextAnswer>;
export type InferredAnswer = z.output<typeof inferredAnswer>;
export type ContractProposed = z.output<typeof contractProposed>;
export type ContractDiffAnswer = z.output<typeof contractDiffs>[number];
export type AcceptedAnswer = z.output<typeof acceptedAnswer>;
