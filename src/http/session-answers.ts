import { z } from "@hono/zod-openapi";

/* What the routes of a browser's session answer. */

export const linkAnswer = z.object({
  path: z.string().openapi({ description: "To be put behind the server's address.", example: "/#link=…" }),
  expiresAt: z.iso.datetime(),
});
export const sessionAnswer = z.object({ person: z.string() });

export type LinkAnswer = z.output<typeof linkAnswer>;
