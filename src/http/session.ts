import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";
import type { Services } from "./services.ts";

/** Whose session a link opens, and who asked for it. */
interface Opens {
  person: string;
  actor: string;
}

/** One-time links by which a browser gets a session, without a token in an address bar, a history or a log. */
export interface SessionLinks {
  /** A code for a link, good once and for half an hour. */
  make(opens: Opens): { code: string; expiresAt: Date };
  /** Whom a code opens the page for; `auth.link` when it was used, is too old or was never given. */
  take(code: string): Opens;
}

/** How long a link may lie in a terminal before somebody opens it. */
const linkMs = 30 * 60_000;
/** How long a browser stays signed in. */
export const sessionDays = 30;

/** Links live in the server's memory: with the server ends what it has printed. */
export function sessionLinks({ clock, ids }: { clock: Clock; ids: Ids }): SessionLinks {
  const standing = new Map<string, Opens & { expiresAt: Date }>();
  return {
    make: (opens) => {
      const now = clock.now().getTime();
      for (const [key, link] of standing) if (link.expiresAt.getTime() <= now) standing.delete(key);
      const code = Buffer.from(ids.bytes(24)).toString("base64url");
      const expiresAt = new Date(now + linkMs);
      standing.set(sha256(code), { ...opens, expiresAt });
      return { code, expiresAt };
    },
    take: (code) => {
      const key = sha256(code);
      const link = standing.get(key);
      standing.delete(key);
      if (link !== undefined && link.expiresAt > clock.now()) return { person: link.person, actor: link.actor };
      throw new AppError("auth.link", "That link opens nothing any more.", {
        expected: "a link that nobody has used, not older than half an hour",
        found: link === undefined ? "one that was used, or is of an earlier server" : `it ended at ${link.expiresAt.toISOString()}`,
        hint: "tidegate console",
      });
    },
  };
}

/** Where a link leads: the code stands behind the #, which no browser sends to anybody. */
export function linkPath(code: string, page = "/"): string {
  return `${page}#link=${code}`;
}

/** Two servers on one machine share a host, and so its cookies: each has a name of its own. */
function cookieName({ config }: Pick<Services, "config">): string {
  return `tidegate_${sha256(`${config.dataDir} ${config.databaseUrl ?? ""}`).slice(0, 8)}`;
}

/**
 * The token of a browser's session. A cookie goes with whatever request a page of this machine makes the browser send, from any port: it counts
 * only where the browser itself says that the page is ours.
 */
export function sessionToken(services: Pick<Services, "config">, c: Context): string | undefined {
  const token = getCookie(c, cookieName(services));
  if (token === undefined) return undefined;
  return comesFromOurPage(c) ? token : undefined;
}

function comesFromOurPage(c: Context): boolean {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  if (c.req.method === "GET" || c.req.method === "HEAD") return true;
  const origin = c.req.header("origin");
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === c.req.header("host");
}

export function beginSession(services: Pick<Services, "config">, c: Context, token: string): void {
  const secure = c.req.header("x-forwarded-proto") === "https";
  setCookie(c, cookieName(services), token, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: sessionDays * 86_400, secure });
}

export function endSession(services: Pick<Services, "config">, c: Context): void {
  deleteCookie(c, cookieName(services), { path: "/" });
}
