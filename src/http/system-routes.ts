import { z } from "@hono/zod-openapi";
import { actorOf } from "../access/principal.ts";
import { collectGarbage } from "../catalog/gc-service.ts";
import { examine } from "../reading/doctor-service.ts";
import { doctorAnswer, healthAnswer, sweptAnswer, whoamiAnswer } from "./answers.ts";
import { forgetKeys } from "./idempotency.ts";
import type { Router } from "./router.ts";
import { forgetUploads } from "./upload-routes.ts";

/** Health, identity and the description of the API. */
export function addSystemRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/health",
      tag: "system",
      summary: "Whether the server works",
      needs: "anyone",
      answer: "The instance that answers.",
      data: healthAnswer,
    },
    async (call) => {
      const row = await call.services.db.selectFrom("installation").select("id").executeTakeFirstOrThrow();
      return { instance: row.id, engine: call.services.engine.version };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/whoami",
      tag: "system",
      summary: "Who the token stands for",
      needs: "reader",
      answer: "The person or consumer.",
      data: whoamiAnswer,
    },
    async (call) => {
      const { principal } = call;
      return {
        kind: principal.kind,
        name: principal.name,
        role: principal.kind === "person" ? principal.role : null,
        actor: actorOf(principal),
      };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/gc",
      tag: "system",
      summary: "Clean up files that nothing names",
      needs: "admin",
      body: z.object({ dryRun: z.boolean().default(false) }),
      answer: "What was condemned and deleted.",
      data: sweptAnswer,
    },
    async (call) => {
      if (!call.body.dryRun) {
        await forgetKeys(call.services);
        await forgetUploads(call.services);
      }
      return collectGarbage(call.services, { dryRun: call.body.dryRun, actor: call.actor });
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/doctor",
      tag: "system",
      reads: true,
      summary: "Compare manifests with files",
      needs: "viewer",
      body: z.object({ dataset: z.string().optional() }),
      answer: "What is wrong.",
      data: doctorAnswer,
    },
    (call) => examine(call.services, { dataset: call.body.dataset, signal: call.signal }),
  );
}
