import { z } from "@hono/zod-openapi";
import { followUpsOf, openFollowUps, takenBackRelease } from "../rollouts/rollback/follow-up-reads.ts";
import { markFollowUp } from "../rollouts/rollback/follow-up-service.ts";
import { followUpMarks } from "../rollouts/rollback/follow-up.ts";
import { followUpAnswer, followUpLines } from "./follow-up-answers.ts";
import type { Router } from "./router.ts";

const releaseParam = z.object({
  id: z.string().openapi({ description: "Id of a release, or a dataset: then its release that was taken back last." }),
});

/** The list to work through after a rollback: who had read what is barred now, and what was done about each. */
export function addFollowUpRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/follow-ups",
      tag: "releases",
      summary: "Consumers that had read what was rolled back, and to which nobody has seen yet",
      needs: "viewer",
      query: z.object({
        releases: z.coerce.number().int().min(1).max(1000).default(50).openapi({ description: "How many releases are looked at." }),
      }),
      answer: "One line per release and consumer, the newest release first.",
      data: followUpLines,
    },
    async ({ services, query }) => {
      await services.ledger.flush();
      return openFollowUps(services.db, services.environment, query.releases);
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/releases/{id}/follow-ups",
      tag: "releases",
      summary: "Consumers that had read what a release has barred, and what was done about each",
      needs: "viewer",
      params: releaseParam,
      answer: "One line per consumer, in the order of their first reads.",
      data: followUpLines,
    },
    async ({ services, params }) => {
      await services.ledger.flush();
      const { id } = await takenBackRelease(services.db, services.environment, params.id);
      return followUpsOf(services.db, id);
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/follow-ups",
      tag: "releases",
      summary: "Say what was done about a consumer that had read what a release has barred",
      needs: "editor",
      params: releaseParam,
      body: z.object({
        consumer: z.string(),
        mark: z.enum(followUpMarks),
        note: z.string().max(2000).default("").openapi({ description: "Needed to waive." }),
      }),
      answer: "The consumer's line.",
      data: followUpAnswer,
    },
    async ({ services, params, body, actor }) => {
      await services.ledger.flush();
      const { id } = await takenBackRelease(services.db, services.environment, params.id);
      return markFollowUp(services, { release: id, ...body, actor });
    },
  );
}
