import { z } from "@hono/zod-openapi";

/* What the routes of feeds answer. */

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

export const feedAnswer = z
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

export type FeedAnswer = z.output<typeof feedAnswer>;
