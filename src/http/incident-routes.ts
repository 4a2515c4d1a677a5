import { z } from "@hono/zod-openapi";
import { getIncident, listIncidents } from "../monitors/incident-store.ts";
import { ackIncident } from "../monitors/monitor-service.ts";
import { incidentAnswer, incidentLines } from "./incident-answers.ts";
import type { Router } from "./router.ts";

const param = z.object({ id: z.string() });

/** Incidents: what monitors found. */
export function addIncidentRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/incidents",
      tag: "monitors",
      summary: "List incidents, the newest first",
      needs: "viewer",
      query: z.object({
        state: z.enum(["open", "all"]).default("open"),
        limit: z.coerce.number().int().min(1).max(1000).default(100),
      }),
      answer: "Incidents.",
      data: incidentLines,
    },
    ({ services, query }) => listIncidents(services.db, { open: query.state === "open", limit: query.limit }),
  );
  router.add(
    {
      method: "get",
      path: "/v1/incidents/{id}",
      tag: "monitors",
      summary: "Show an incident",
      needs: "viewer",
      params: param,
      answer: "The incident.",
      data: incidentAnswer,
    },
    ({ services, params }) => getIncident(services.db, params.id),
  );
  router.add(
    {
      method: "post",
      path: "/v1/incidents/{id}/ack",
      tag: "monitors",
      summary: "Say that somebody looks after an incident",
      needs: "editor",
      params: param,
      body: z.object({ note: z.string().max(2000).default("") }),
      answer: "The incident.",
      data: incidentAnswer,
    },
    ({ services, params, body, actor }) => ackIncident(services, { id: params.id, note: body.note, actor }),
  );
}
