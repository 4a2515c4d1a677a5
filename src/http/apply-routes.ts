import { z } from "@hono/zod-openapi";
import { applyFolder } from "../apply/apply-service.ts";
import { planFolder } from "../apply/plan-service.ts";
import { planLines, planSentence } from "../apply/plan.ts";
import { changeAnswer, mergedAnswer } from "./answers.ts";
import { mayMerge } from "./may-merge.ts";
import type { Router } from "./router.ts";
import { changeShape, mergedShape } from "./shapes.ts";

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

const appliedAnswer = z
  .object({
    plan,
    sentence: z.string().openapi({ description: "The plan in one sentence." }),
    lines: names.openapi({ description: "The plan file by file, for people." }),
    change: changeAnswer.nullable().openapi({ description: "Null when nothing would change, and for a dry run." }),
    merged: mergedAnswer.nullable(),
  })
  .openapi("Applied");

/** Folders of files from Git as one change. */
export function addApplyRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/apply",
      tag: "changes",
      summary: "Turn a folder of contracts, consumers, policy and derived datasets into one change",
      needs: "editor",
      body: z.object({
        files: z
          .array(z.strictObject({ path: z.string().min(1).max(1000), text: z.string().max(4 * 2 ** 20) }))
          .max(20_000)
          .openapi({ description: "Texts, with their paths below the folder." }),
        models: z
          .array(z.strictObject({ path: z.string().min(1).max(1000), sha256: z.string().regex(/^[0-9a-f]{64}$/) }))
          .max(1000)
          .optional()
          .openapi({ description: "Models of the folder, with the hashes that POST /v1/models gave." }),
        change: z.string().optional().openapi({ description: "Adds to this open change." }),
        title: z.string().max(300).optional(),
        prune: z.boolean().optional().openapi({ description: "Take out documents of consumers that the folder does not have." }),
        auto: z.boolean().optional().openapi({ description: "Merge at once what policy lets through." }),
        dryRun: z.boolean().optional().openapi({ description: "Only the plan." }),
      }),
      answer: "The plan, and the change that carries it out.",
      data: appliedAnswer,
    },
    async (call) => {
      const { files, models, change: changeId, title, prune, auto, dryRun } = call.body;
      if (dryRun === true) {
        const planned = (await planFolder(call.services, { files, models, changeId, prune })).plan;
        return { plan: planned, sentence: planSentence(planned, "would"), lines: planLines(planned), change: null, merged: null };
      }
      const { actor, signal, principal, services } = call;
      const applied = await applyFolder(services, {
        files,
        models,
        changeId,
        title,
        prune,
        auto,
        actor,
        signal,
        byPerson: mayMerge(principal),
      });
      return {
        plan: applied.plan,
        sentence: planSentence(applied.plan, "does"),
        lines: planLines(applied.plan),
        change: applied.change === undefined ? null : changeShape(applied.change),
        merged: applied.merged === undefined ? null : mergedShape(applied.merged),
      };
    },
  );
}
