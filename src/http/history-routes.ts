import { z } from "@hono/zod-openapi";
import { getConsumer } from "../access/consumer-service.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { AppError } from "../lib/errors.ts";
import { momentForms, momentOf } from "../lib/moment.ts";
import { whatDid } from "../reading/history-service.ts";
import { whoHas } from "../rollouts/views/who-has-reads.ts";
import { whyServed } from "../rollouts/views/why-reads.ts";
import { whatDidAnswer, whoHasAnswer, whyAnswer } from "./history-answers.ts";
import type { Router } from "./router.ts";

const named = z.object({ name: z.string() });

/** What a consumer has and why, and what it had. */
export function addHistoryRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/consumers/{name}/why",
      tag: "live",
      summary: "Why a consumer is served the version of a dataset that it is served, and what moves it next",
      needs: "viewer",
      params: named,
      query: z.object({ dataset: z.string() }),
      answer: "The version, its reason, all that has a say, and what comes next.",
      data: whyAnswer,
    },
    async ({ services, params, query }) => {
      const { name: consumer } = await getConsumer(services, params.name);
      const dataset = await resolveDataset(services.db, query.dataset);
      return whyServed(services.db, { environment: services.environment, consumer, dataset, at: services.clock.now() });
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/who-has/{dataset}",
      tag: "live",
      summary: "On which version of a dataset each of its consumers is now, why, and which it read last",
      needs: "viewer",
      params: z.object({ dataset: z.string() }),
      answer: "The version that live has, how many consumers are on which, and one line per consumer.",
      data: whoHasAnswer,
    },
    async ({ services, params }) => {
      const dataset = await resolveDataset(services.db, params.dataset);
      await services.ledger.flush();
      return whoHas(services.db, { environment: services.environment, dataset, at: services.clock.now() });
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/consumers/{name}/history",
      tag: "live",
      summary: "Which versions a consumer had at a moment of the past, why, and which it had read",
      needs: "viewer",
      params: named,
      query: z.object({ at: z.string() }),
      answer: "Its view then, runs under way, and per dataset what it had and had read.",
      data: whatDidAnswer,
    },
    async ({ services, params, query }) => {
      const { name: consumer } = await getConsumer(services, params.name);
      const now = services.clock.now();
      const at = momentOf(query.at, now);
      if (at === undefined || at > now) {
        throw new AppError("usage.invalid", `«${query.at}» is no time of the past.`, {
          expected: momentForms,
          found: query.at,
          hint: `tidegate what-did ${consumer} --at 2d`,
        });
      }
      await services.ledger.flush();
      return whatDid(services.db, { environment: services.environment, consumer, at });
    },
  );
}
