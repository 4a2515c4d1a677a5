import { z } from "@hono/zod-openapi";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { rhythmOf, flapOf } from "../feeds/feed.ts";
import { listFeeds, type Feed } from "../feeds/feed-reads.ts";
import type { Router } from "./router.ts";

const count = z.number().int().min(0);
const time = z.iso.datetime();

const batch = z
  .object({
    sourceId: z.string(),
    change: z.string(),
    at: time,
    state: z.enum(["open", "queued", "conflicted", "merged", "closed", "superseded"]),
    verdict: z.enum(["good", "bad", "open"]).openapi({ description: "What the gate made of it; open: it was not judged." }),
    reason: z.string().nullable(),
    rows: z.number().int().openapi({ description: "Rows that it adds, less those that it removes." }),
  })
  .openapi("FeedBatch");

const feedAnswer = z
  .object({
    feed: z.string(),
    dataset: z.string(),
    flap: z.object({ isFlapping: z.boolean(), alternations: count, batches: count, bad: count }),
    lastAt: time.nullable(),
    usualMs: z.number().nullable().openapi({ description: "The median time between two batches." }),
    silentMs: z.number().nullable().openapi({ description: "For how long nothing came, when that is more than twice the usual time." }),
    batches: z.array(batch).openapi({ description: "The newest first." }),
  })
  .openapi("Feed");

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
