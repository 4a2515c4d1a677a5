import { z } from "@hono/zod-openapi";

/* What the routes answer that explain what a consumer has and had. */

const count = z.number().int();
const time = z.iso.datetime();
const as = count.optional().openapi({ description: "Of a projection: number of the version whose columns it has." });

export const whyAnswer = z
  .object({
    consumer: z.string(),
    dataset: z.string(),
    version: count.nullable(),
    as,
    view: z.string(),
    reason: z.string().openapi({ description: "Why this version: live, a step of a release, a hold, or a pin." }),
    says: z
      .array(
        z.object({
          by: z.enum(["live", "step", "hold", "pin", "release", "bar"]),
          id: z.string().nullable().openapi({ description: "Of the release, pin or change." }),
          text: z.string(),
        }),
      )
      .openapi({ description: "All that has a say in it." }),
    next: z
      .object({ at: time.nullable().openapi({ description: "Null: somebody must say so." }), text: z.string() })
      .nullable()
      .openapi({ description: "What moves it next, as things stand." }),
  })
  .openapi("Why");

export const whatDidAnswer = z
  .object({
    consumer: z.string(),
    at: time,
    view: z.string(),
    reason: z.string(),
    liveSince: time,
    runs: z.array(z.object({ run: z.string(), view: z.string(), startedAt: time })),
    datasets: z
      .array(
        z.object({
          dataset: z.string(),
          had: count.nullable(),
          as,
          live: count.nullable(),
          read: z.array(
            z.object({
              version: count,
              as,
              columns: z.array(z.string()),
              runs: z.array(z.string()),
              doors: z.array(z.string()),
              firstAt: time,
              lastAt: time,
            }),
          ),
        }),
      )
      .openapi({
        description: "What it had otherwise than live, and what it had read by then: the versions of the last hour in which it read.",
      }),
  })
  .openapi("WhatDid");

export const whoHasAnswer = z
  .object({
    dataset: z.string(),
    live: count.nullable().openapi({ description: "What readers have of whom nothing says otherwise." }),
    versions: z
      .array(z.object({ version: count.nullable(), consumers: count }))
      .openapi({ description: "How many of these consumers are on each version." }),
    consumers: z.array(
      z.object({
        consumer: z.string(),
        owner: z.string().nullable(),
        version: count.nullable().openapi({ description: "What it is served now; null: it has none." }),
        as,
        reason: z.string().openapi({ description: "Why this version: live, a step of a release, a hold, or a pin." }),
        lastRead: z
          .object({ version: count, as, at: time })
          .nullable()
          .openapi({ description: "What it read last, of the last 30 days. A client that keeps what it has read may lag behind." }),
      }),
    ),
  })
  .openapi("WhoHas");

export type WhoHasAnswer = z.output<typeof whoHasAnswer>;
export type WhyAnswer = z.output<typeof whyAnswer>;
export type WhatDidAnswer = z.output<typeof whatDidAnswer>;
