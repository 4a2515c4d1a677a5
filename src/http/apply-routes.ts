import { z } from "@hono/zod-openapi";
import { applyFolder } from "../apply/apply-service.ts";
import { planFolder } from "../apply/plan-service.ts";
import { planLines, planSentence } from "../apply/plan.ts";
import { appliedAnswer } from "./apply-answers.ts";
import { mayMerge } from "./may-merge.ts";
import type { Router } from "./router.ts";
import { changeShape, mergedShape } from "./shapes.ts";

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
