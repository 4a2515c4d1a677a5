import { z } from "@hono/zod-openapi";
import { addWebhook, listWebhooks, removeWebhook, showWebhook, testWebhook } from "../webhooks/webhook-service.ts";
import { noticeTypes, type Delivery } from "../webhooks/webhook.ts";
import { nothing } from "./answers.ts";
import type { Router } from "./router.ts";
import { deliveryAnswer, shownWebhookAnswer, webhookLines, webhookMade } from "./webhook-answers.ts";

const named = z.object({ name: z.string() });

const deliveryShape = ({ webhookId: _webhookId, ...delivery }: Delivery) => delivery;

/** Webhooks: who is told what happens. For admins, since what they are told leaves the house. */
export function addWebhookRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/webhooks",
      tag: "webhooks",
      summary: "List webhooks, with how their messages fare",
      needs: "admin",
      answer: "Webhooks by name.",
      data: webhookLines,
    },
    (call) => listWebhooks(call.services),
  );
  router.add(
    {
      method: "post",
      path: "/v1/webhooks",
      tag: "webhooks",
      summary: "Add a webhook",
      needs: "admin",
      body: z.object({
        name: z.string(),
        url: z.string().max(2000).openapi({ description: "https, at a public address." }),
        events: z.array(z.enum(noticeTypes)).default([]).openapi({ description: "What it is told; everything when left out." }),
      }),
      answer: "The webhook, and what its messages are signed with.",
      data: webhookMade,
      keep: (made) => ({ ...(made as object), secret: undefined }),
    },
    (call) => addWebhook(call.services, call.actor, call.body),
  );
  router.add(
    {
      method: "get",
      path: "/v1/webhooks/{name}",
      tag: "webhooks",
      summary: "Show a webhook with its newest messages",
      needs: "admin",
      params: named,
      query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(20) }),
      answer: "The webhook.",
      data: shownWebhookAnswer,
    },
    async (call) => {
      const { webhook, deliveries } = await showWebhook(call.services, call.params.name, call.query.limit);
      return { webhook, deliveries: deliveries.map(deliveryShape) };
    },
  );
  router.add(
    {
      method: "delete",
      path: "/v1/webhooks/{name}",
      tag: "webhooks",
      summary: "Remove a webhook; what was to be sent to it is dropped",
      needs: "admin",
      params: named,
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      await removeWebhook(call.services, call.actor, call.params.name);
      return {};
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/webhooks/{name}/test",
      tag: "webhooks",
      summary: "Send a test message to a webhook, once and now",
      needs: "admin",
      params: named,
      answer: "How it went.",
      data: deliveryAnswer,
    },
    async (call) => deliveryShape(await testWebhook(call.services, call.actor, call.params.name)),
  );
}
