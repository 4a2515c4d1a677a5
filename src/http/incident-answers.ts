import { z } from "@hono/zod-openapi";
import { incidentKinds, severities } from "../monitors/incident.ts";

/* What the routes of incidents answer. */

const time = z.iso.datetime();

export const incidentAnswer = z
  .object({
    id: z.string(),
    kind: z.enum(incidentKinds),
    subject: z.string().openapi({ description: "A dataset, or a consumer." }),
    severity: z.enum(severities).openapi({ description: "info: nobody reads it; critical: a consumer of high criticality does." }),
    text: z.string(),
    data: z.unknown().openapi({ description: "What the monitor saw when it opened." }),
    openedAt: time,
    closedAt: time.nullable(),
    reopened: z.number().int().min(0).openapi({ description: "How often it came back within a day." }),
    ackedBy: z.string().nullable(),
    ackedAt: time.nullable(),
    ackNote: z.string().nullable(),
  })
  .openapi("Incident");

export const incidentLines = z.array(incidentAnswer);

export type IncidentAnswer = z.output<typeof incidentAnswer>;
