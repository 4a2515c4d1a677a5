import { actorOf } from "../access/principal.ts";
import { openApiInfo } from "./openapi.ts";
import type { Router } from "./router.ts";

/** Health, identity and the description of the API. */
export function addSystemRoutes(router: Router): void {
  router.add({ method: "get", path: "/v1/health", tag: "system", summary: "Whether the server works", needs: "anyone", answer: "The instance that answers." }, async (call) => {
    const row = await call.services.db.selectFrom("installation").select("id").executeTakeFirstOrThrow();
    return { instance: row.id, engine: call.services.engine.version };
  });
  router.add({ method: "get", path: "/v1/whoami", tag: "system", summary: "Who the token stands for", needs: "reader", answer: "The person or consumer." }, async (call) => {
    const { principal } = call;
    return { kind: principal.kind, name: principal.name, role: principal.kind === "person" ? principal.role : null, actor: actorOf(principal) };
  });
  router.app.get("/v1/openapi.json", (c) => c.json(router.app.getOpenAPI31Document(openApiInfo)));
}
