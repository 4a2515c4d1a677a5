import { z } from "@hono/zod-openapi";
import { getConsumer, ownsConsumer } from "../access/consumer-service.ts";
import { isAtLeast, requireRole, selfOf, type Principal } from "../access/principal.ts";
import { AppError } from "../lib/errors.ts";
import { laterMomentOf, momentForms } from "../lib/moment.ts";
import { listPins, pinLines } from "../rollouts/pin-reads.ts";
import { pin, unpin } from "../rollouts/pin-service.ts";
import { pinAnswer, pinAnswers } from "./pin-answers.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";

const longest = 366 * 86_400_000;

/** A moment to come, at most a year ahead. */
export function untilOf(services: Pick<Services, "clock">, text: string): Date {
  const now = services.clock.now();
  const until = laterMomentOf(text, now);
  if (until !== undefined && until.getTime() - now.getTime() <= longest) return until;
  throw new AppError("usage.invalid", `«${text}» is no time to come.`, {
    expected: `${momentForms}, within a year`,
    found: text,
    hint: "--until 2d",
  });
}

/** A person who answers for the consumer, or a maintainer: `auth.denied` otherwise. A consumer's own token does not do. */
async function requireOwner(services: Services, principal: Principal, consumer: string): Promise<void> {
  const self = selfOf(principal);
  const { name } = await getConsumer(services, consumer);
  if (principal.kind === "person" && isAtLeast(principal.role, "maintainer")) return;
  if (principal.kind === "person" && (await ownsConsumer(services, self, name))) return;
  requireRole(principal, "maintainer");
}

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
