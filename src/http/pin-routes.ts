import { z } from "@hono/zod-openapi";
import { selfOf } from "../access/principal.ts";
import { listPins, pinLines } from "../rollouts/pins/pin-reads.ts";
import { pin, unpin } from "../rollouts/pins/pin-service.ts";
import { requireOwner, untilOf } from "./consumer-owner.ts";
import { pinAnswer, pinAnswers } from "./pin-answers.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";

/** Pins: consumers that stay where they are, for a time. */
export function addPinRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/pins",
      tag: "releases",
      summary: "List pins that stand",
      needs: "viewer",
      query: z.object({ consumer: z.string().optional() }),
      answer: "Pins, oldest first.",
      data: pinAnswers,
    },
    ({ services, query }) =>
      listPins(services.db, { environment: services.environment, consumer: query.consumer, at: services.clock.now() }),
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumers/{name}/pin",
      tag: "releases",
      summary: "Keep a consumer on a version, or on its whole view, until a moment; for its owner and for maintainers",
      needs: "viewer",
      params: z.object({ name: z.string() }),
      body: z.object({
        dataset: z
          .string()
          .optional()
          .openapi({ description: "sales.orders: what the consumer has now; sales.orders@42; left out: its whole view." }),
        until: z.string().openapi({ description: "6h, 2d, or a time; at most a year." }),
        reason: z.string().min(1).max(500),
      }),
      answer: "The pin.",
      data: pinAnswer,
    },
    async ({ services, principal, actor, params, body }) => {
      await requireOwner(services, principal, params.name);
      const { dataset, reason } = body;
      const until = untilOf(services, body.until);
      const { environment } = services;
      const made = await pin(services, { environment, consumer: params.name, dataset, until, reason, owner: selfOf(principal), actor });
      return onlyLine(services, made);
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumers/{name}/unpin",
      tag: "releases",
      summary: "Let a pinned consumer have what all have; for its owner and for maintainers",
      needs: "viewer",
      params: z.object({ name: z.string() }),
      body: z.object({
        dataset: z.string().optional().openapi({ description: "Left out: the pin of its whole view, else its only one." }),
        reason: z.string().min(1).max(500).optional(),
      }),
      answer: "The pin that ended.",
      data: pinAnswer,
    },
    async ({ services, principal, actor, params, body }) => {
      await requireOwner(services, principal, params.name);
      return onlyLine(services, await unpin(services, { environment: services.environment, consumer: params.name, ...body, actor }));
    },
  );
}

async function onlyLine(services: Services, made: Parameters<typeof pinLines>[1][number]) {
  const [line] = await pinLines(services.db, [made]);
  if (line === undefined) throw new Error("a pin has a line");
  return line;
}
