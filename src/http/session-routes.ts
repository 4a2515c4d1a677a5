import { z } from "@hono/zod-openapi";
import { actorOf, requireRole, selfOf, type Principal } from "../access/principal.ts";
import { tokenIdOf } from "../access/token.ts";
import { authenticate, createToken, revokeToken } from "../access/token-service.ts";
import { AppError } from "../lib/errors.ts";
import { nothing } from "./answers.ts";
import type { Entrance } from "./identify.ts";
import type { Router } from "./router.ts";
import { linkAnswer, sessionAnswer } from "./session-answers.ts";
import type { Services } from "./services.ts";
import { beginSession, endSession, linkPath, sessionDays, sessionToken } from "./session.ts";

const label = "console";

/** How a browser signs in and out. A session is a token like any other: `token list` shows it, `token revoke` ends it. */
export function addSessionRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/session-links",
      tag: "system",
      summary: "Make a link that opens the console once, as oneself",
      needs: "viewer",
      body: z.object({}),
      answer: "The link's path on this server; it is given this once.",
      data: linkAnswer,
      keep: (made) => ({ ...(made as object), path: undefined }),
    },
    async ({ entrance, principal, actor }) => {
      if (entrance.links === undefined)
        throw new AppError("server.unreachable", "No server runs whose page could be opened.", {
          expected: "a running tidegate serve",
          found: "none",
          hint: "tidegate serve",
        });
      const { code, expiresAt } = entrance.links.make({ person: selfOf(principal), actor });
      return { path: linkPath(code), expiresAt };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/session",
      tag: "system",
      summary: "Begin a browser's session, by a one-time link or a person's token",
      needs: "anyone",
      body: z.union([z.strictObject({ link: z.string().max(200) }), z.strictObject({ token: z.string().max(200) })]),
      answer: "Who is signed in. The session's cookie comes with it.",
      data: sessionAnswer,
    },
    async ({ services, entrance, body, context }) => {
      const { person, actor } = "link" in body ? opened(entrance, body.link) : await bearer(services, body.token);
      const known = await inSession(services, sessionToken(services, context));
      if (known?.name !== person) {
        const made = await createToken(services, actor, { person, label, days: sessionDays });
        beginSession(services, context, made.token);
      }
      return { person };
    },
  );
  router.add(
    {
      method: "delete",
      path: "/v1/session",
      tag: "system",
      summary: "End the browser's session",
      needs: "viewer",
      answer: "Nothing.",
      data: nothing,
    },
    async ({ services, principal, context }) => {
      const token = sessionToken(services, context);
      const id = token === undefined ? undefined : tokenIdOf(token);
      if (id !== undefined) await revokeToken(services, actorOf(principal), { id, owner: selfOf(principal) });
      endSession(services, context);
      return {};
    },
  );
}

function opened({ links }: Entrance, code: string): { person: string; actor: string } {
  if (links !== undefined) return links.take(code);
  throw new AppError("auth.link", "No server runs whose links could be opened.", {
    expected: "a running tidegate serve",
    found: "none",
    hint: "tidegate serve",
  });
}

/** The person whose token it is; a consumer reads, and has no page to look at. */
async function bearer(services: Services, token: string): Promise<{ person: string; actor: string }> {
  const { name } = requireRole(await authenticate(services, token), "viewer");
  return { person: name, actor: name };
}

/** Who is signed in already, if that still holds. */
async function inSession(services: Services, token: string | undefined): Promise<Principal | undefined> {
  return token === undefined ? undefined : authenticate(services, token).catch(() => undefined);
}
