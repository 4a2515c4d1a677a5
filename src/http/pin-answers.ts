import { z } from "@hono/zod-openapi";

/* What the routes of pins answer. */

const time = z.iso.datetime();

export const pinAnswer = z
  .object({
    id: z.string(),
    consumer: z.string(),
    dataset: z.string().nullable().openapi({ description: "What was asked for; null: the consumer's whole view." }),
    owner: z.string(),
    reason: z.string(),
    createdAt: time,
    expiresAt: time,
    endedAt: time.nullable(),
    keeps: z.array(z.object({ dataset: z.string(), version: z.number().int().nullable() })).openapi({
      description: "The versions that the consumer stays on, with what is bound to the dataset; of a whole view none is named.",
    }),
  })
  .openapi("Pin");

export const pinAnswers = z.array(pinAnswer);

export type PinAnswer = z.output<typeof pinAnswer>;
