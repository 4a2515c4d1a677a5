import { z } from "@hono/zod-openapi";
import { changeAnswer, mergedAnswer } from "./answers.ts";

/* What applying a folder answers. */

const problem = z.object({
  file: z.string(),
  line: z.number().int().min(1),
  column: z.number().int().min(1),
  message: z.string(),
  expected: z.string().optional(),
  found: z.string().optional(),
});

const weakened = z.object({
  item: z.string(),
  what: z.enum(["removed", "loosened", "changed"]),
  before: z.string(),
  after: z.string().nullable(),
});

const names = z.array(z.string());

const plan = z
  .object({
    contracts: z.array(
      z.object({
        file: z.string(),
        dataset: z.string(),
        rules: z.object({ added: names, tightened: names }),
        loosened: z.array(weakened).openapi({ description: "What an owner of the dataset must approve." }),
      }),
    ),
    consumers: z.array(
      z.object({
        files: names,
        consumer: z.string(),
        isNew: z.boolean(),
        declared: z.array(z.object({ field: z.string(), before: z.string().nullable(), after: z.string() })),
        tests: z.object({ added: names, changed: names, removed: names }),
      }),
    ),
    derived: z.array(z.object({ file: z.string(), dataset: z.string(), isNew: z.boolean() })),
    policy: z.object({ file: z.string(), before: z.number().int().nullable(), after: z.number().int() }).nullable(),
    removed: names,
    others: names,
    same: names.openapi({ description: "Files that say what the catalogue says already." }),
    warnings: z.array(problem),
  })
  .openapi("FolderPlan");

export const appliedAnswer = z
  .object({
    plan,
    sentence: z.string().openapi({ description: "The plan in one sentence." }),
    lines: names.openapi({ description: "The plan file by file, for people." }),
    change: changeAnswer.nullable().openapi({ description: "Null when nothing would change, and for a dry run." }),
    merged: mergedAnswer.nullable(),
  })
  .openapi("Applied");

export type AppliedAnswer = z.output<typeof appliedAnswer>;
