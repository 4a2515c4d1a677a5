import { z } from "@hono/zod-openapi";

const edge = z
  .object({
    from: z.string(),
    to: z.string(),
    distance: z.number().int().min(1),
    columns: z
      .union([
        z.literal("all"),
        z.array(
          z.object({
            from: z.string(),
            to: z.string(),
            rows: z.boolean().openapi({ description: "It decides which rows there are: in WHERE, JOIN, GROUP BY." }),
          }),
        ),
      ])
      .openapi({ description: "`all`: it cannot be told which." }),
  })
  .openapi("LineageEdge");

export const lineageAnswer = z
  .object({
    dataset: z.string(),
    version: z.number().int(),
    column: z.string().nullable(),
    sql: z.string().nullable().openapi({ description: "The SELECT that it is built by." }),
    up: z.array(edge),
    down: z.array(edge),
    readers: z.array(z.object({ consumer: z.string(), dataset: z.string(), columns: z.array(z.string()), lastAt: z.iso.datetime() })),
    tests: z.array(z.object({ consumer: z.string(), test: z.string() })),
  })
  .openapi("Lineage");

export type LineageEdgeAnswer = z.output<typeof edge>;
export type LineageAnswer = z.output<typeof lineageAnswer>;
