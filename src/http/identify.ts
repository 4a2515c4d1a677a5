import { timingSafeEqual } from "node:crypto";
import type { Context } from "hono";
import { readingConsumer } from "../access/consumer-service.ts";
import { authenticate } from "../access/token-service.ts";
import { isAtLeast, type Principal, type Role } from "../access/principal.ts";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";
import type { EventTail } from "../operations/event-tail.ts";
import type { ReaderIdentity } from "../reading/reader.ts";
import type { Services } from "./services.ts";
import type { ConsolePages } from "./console-pages.ts";
import { sessionToken, type SessionLinks } from "./session.ts";
import type { Watch } from "../operations/watch.ts";

/** How a request came in. */
export interface Entrance {
  /** The caller is this process's own user: no token needed, local paths allowed, `--as` allowed. */
  local: boolean;
  /** Token of the machine's own user, when a local server runs. */
  localToken?: string | undefined;
  /** Called after each request that may have changed something. */
  afterMutation?: (() => void) | undefined;
  /** Told of failures that nobody foresaw; `id` when the answer names one instead of what failed. */
  report?: ((error: unknown, id?: string) => void) | undefined;
  /** What the server knows of its own work; none in process. */
  watch?: Watch | undefined;
  /** One-time links into the console; none in process. */
  links?: SessionLinks | undefined;
  /** The event log as it grows, which others listen to as well. */
  events?: EventTail | undefined;
  /** The console's built pages; without them the address of the server says what to type. */
  pages?: ConsolePages | undefined;
}

/** The machine's own user. */
export function localUser(services: Pick<Services, "localAdmin">): Principal {
  return { kind: "person", id: "local", name: services.localAdmin, role: "admin" };
}

/** Who sends a request: the bearer of a token, or of a browser's session; without either the machine's own user, in process only. */
export async function identify(services: Services, entrance: Entrance, c: Context): Promise<Principal> {
  const header = c.req.header("authorization");
  const token = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
  const as = c.req.header("tidegate-as");
  if (entrance.local && header === undefined) return actingFor(services, as);
  const session = header === undefined ? sessionToken(services, c) : undefined;
  if (session !== undefined && as === undefined) return authenticate(services, session);
  if (token === undefined) {
    throw new AppError("auth.missing", "This server wants to know who asks.", {
      expected: "Authorization: Bearer <token>",
      found: header === undefined ? "no token" : "another kind of authorization",
      hint: "tidegate token create, then TIDEGATE_TOKEN=…",
    });
  }
  if (isSame(token, entrance.localToken)) return actingFor(services, as);
  if (as !== undefined) {
    throw new AppError("auth.denied", "Only the machine's own user may act for another person.", {
      expected: "a request without --as",
      found: as,
      hint: `use a token of ${as}`,
    });
  }
  return authenticate(services, token);
}

function isSame(token: string, own: string | undefined): boolean {
  return own !== undefined && timingSafeEqual(Buffer.from(sha256(token)), Buffer.from(sha256(own)));
}

async function actingFor(services: Services, as: string | undefined): Promise<Principal> {
  const self = localUser(services);
  if (as === undefined) return self;
  const person = await services.db
    .selectFrom("persons")
    .select(["id", "name", "role", "disabled_at"])
    .where("name", "=", as)
    .executeTakeFirst();
  if (person === undefined || person.disabled_at !== null) {
    throw new AppError("person.not_found", `There is no person ${as} who can act.`, { found: as, hint: "tidegate person list" });
  }
  return { kind: "person", id: person.id, name: self.name, role: person.role as Role, as: person.name };
}

/** Who reads, and what: a consumer only its own view; a person also a branch or version, or a consumer's view for it. */
export async function readerOf(
  { principal, services }: { principal: Principal; services: Services },
  asked: { run?: string | undefined; at?: string | undefined; consumer?: string | undefined; versioned?: boolean },
): Promise<ReaderIdentity> {
  if (principal.kind === "consumer") {
    if (asked.at === undefined && asked.consumer === undefined && asked.versioned !== true)
      return { consumer: principal.name, run: asked.run, at: undefined };
    throw new AppError("auth.denied", `${principal.name} reads its own view only.`, {
      expected: "a read without --at, without a version and for no other consumer",
      found: asked.at ?? asked.consumer ?? "a version by number",
      hint: "ask for the dataset by its name alone",
    });
  }
  const consumer = asked.consumer === undefined ? undefined : (await readingConsumer(services, asked.consumer)).name;
  // What a consumer has read decides when a rollout goes on: only who may advance it reads in a consumer's name.
  const looks = consumer !== undefined && !isAtLeast(principal.role, "maintainer");
  return { consumer, looks, run: asked.run, at: asked.at };
}
