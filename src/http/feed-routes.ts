import { z } from "@hono/zod-openapi";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { rhythmOf, flapOf } from "../feeds/feed.ts";
import { listFeeds, type Feed } from "../feeds/feed-reads.ts";
import { feedAnswer } from "./feed-answers.ts";
import type { Router } from "./router.ts";

function feedShape({ name, dataset, batches }: Feed, now: Date, limit: number) {
  const { lastAt, usualMs, isSilent } = rhythmOf(batches, now);
  return {
    feed: name,
    dataset,
    flap: flapOf(batches),
    lastAt,
    usualMs,
    silentMs: isSilent && lastAt !== null ? now.getTime() - lastAt.getTime() : null,
    batches: batches
      .toReversed()
      .slice(0, limit)
      .map(({ changeId, ...item }) => ({ ...item, change: changeId })),
  };
}

/** Feeds: the batches that come in under source ids. */
export function addFeedRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/feeds",
      tag: "changes",
      summary: "List feeds, with what their batches were last",
      needs: "viewer",
      query: z.object({
        dataset: z.string().optional(),
        limit: z.coerce.number().int().min(1).max(200).default(8).openapi({ description: "Batches per feed." }),
      }),
      answer: "Feeds by name.",
      data: z.array(feedAnswer),
    },
    async ({ services, query }) => {
      const dataset = query.dataset === undefined ? undefined : await resolveDataset(services.db, query.dataset);
      const now = services.clock.now();
      return (await listFeeds(services.db, dataset?.id)).map((feed) => feedShape(feed, now, query.limit));
    },
  );
}
