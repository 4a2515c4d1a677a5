import { z } from "@hono/zod-openapi";
import { deliveryStates, noticeTypes } from "../webhooks/webhook.ts";

/* What the routes of webhooks answer. */

const count = z.number().int().min(0);
const time = z.iso.datetime();

const webhook = z
  .object({
    id: z.string(),
    name: z.string(),
    url: z.string(),
    events: z.array(z.enum(noticeTypes)).openapi({ description: "What it is told; empty: everything." }),
    createdBy: z.string(),
    createdAt: time,
  })
  .openapi("Webhook");

const delivery = z
  .object({
    id: z.string().openapi({ description: "The header `webhook-id` of every attempt." }),
    type: z.enum([...noticeTypes, "webhook.test"]),
    subject: z.string(),
    state: z.enum(deliveryStates),
    attempts: count,
    createdAt: time,
    dueAt: time.nullable().openapi({ description: "When it is tried next; null when it is not." }),
    lastAt: time.nullable(),
    lastStatus: z.number().int().nullable().openapi({ description: "HTTP status of the last answer; null when there was none." }),
    lastError: z.string().nullable(),
  })
  .openapi("Delivery");

export const webhookLines = z.array(
  webhook.and(
    z.object({
      waiting: count,
      dead: count.openapi({ description: "Messages that were tried to the end." }),
      deliveredAt: time.nullable(),
    }),
  ),
);

export const webhookMade = z.object({
  webhook,
  secret: z.string().optional().openapi({ description: "`whsec_…`, given this once; left out when a repeated request is answered." }),
});

export const shownWebhookAnswer = z.object({ webhook, deliveries: z.array(delivery).openapi({ description: "The newest first." }) });

export const deliveryAnswer = delivery;

export type WebhookLine = z.output<typeof webhookLines>[number];
export type WebhookMade = z.output<typeof webhookMade>;
export type ShownWebhookAnswer = z.output<typeof shownWebhookAnswer>;
export type DeliveryAnswer = z.output<typeof deliveryAnswer>;
