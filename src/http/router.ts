import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { authenticate, getConsumer } from "../access/access-service.ts";
import { actorOf, requireRole, type Principal, type Role } from "../access/principal.ts";
import { AppError } from "../lib/errors.ts";
import type { ReaderIdentity } from "../reading/reader.ts";
import { envelope } from "../lib/envelope.ts";
import { answerError, answerJson } from "./errors.ts";
import { onceOnly } from "./idempotency.ts";
import type { Services } from "./services.ts";

/** How a request came in. */
export interface Entrance {
  /** The caller is this process's own user: no token needed, local paths allowed, `--as` allowed. */
  local: boolean;
  /** Token of the machine's own user, when a local server runs. */
  localToken?: string | undefined;
  /** Called after each request that may have changed something. */
  afterMutation?: (() => void) | undefined;
}

export interface Call<Params, Query, Body> {
  services: Services;
  entrance: Entrance;
  principal: Principal;
  /** How the record names who acts. */
  actor: string;
  params: Params;
  query: Query;
  body: Body;
  signal: AbortSignal;
  context: Context;
}

export interface RouteShape<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> {
  method: "get" | "post" | "put" | "delete";
  path: string;
  summary: string;
  tag: string;
  /** The least role; `reader` also lets consumers in, `anyone` needs no token. */
  needs: Role | "reader" | "anyone";
  params?: P;
  query?: Q;
  body?: B;
  /** A POST that changes nothing: it is never answered from memory. */
  reads?: boolean;
  /** What `data` holds, for the description. */
  answer: string;
}

const errorBody = z
  .object({
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string(), expected: z.string().optional(), found: z.string().optional(), hint: z.string().optional() }),
  })
  .openapi("Failure");

const none = z.object({});

/** Routes of the app: each declares its shape, who may use it and what it answers; the rest is the same for all. */
export class Router {
  readonly app = new OpenAPIHono({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
  });
  readonly #services: Services;
  readonly #entrance: Entrance;

  constructor(services: Services, entrance: Entrance) {
    this.#services = services;
    this.#entrance = entrance;
    this.app.onError((error, c) => answerError(c, error));
    this.app.notFound((c) => answerError(c, new AppError("request.not_found", `There is no ${c.req.method} ${c.req.path}.`, { hint: "GET /v1/openapi.json" })));
  }

  /** Adds a route whose handler gives the envelope's data, or a Response of its own for a stream. */
  add<P extends z.ZodObject = typeof none, Q extends z.ZodObject = typeof none, B extends z.ZodType = typeof none>(
    shape: RouteShape<P, Q, B>,
    handler: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<unknown>,
  ): void {
    const { method, needs } = shape;
    const headers = z.object({ "idempotency-key": z.string().max(200).optional().openapi({ description: "The same key gives the first answer again." }) });
    const route = createRoute({
      method,
      path: shape.path,
      summary: shape.summary,
      tags: [shape.tag],
      request: {
        ...(shape.params === undefined ? {} : { params: shape.params }),
        ...(shape.query === undefined ? {} : { query: shape.query }),
        ...(shape.body === undefined ? {} : { body: { content: { "application/json": { schema: shape.body } }, required: true } }),
        ...(method === "post" ? { headers } : {}),
      },
      responses: {
        200: { description: shape.answer, content: { "application/json": { schema: z.object({ ok: z.literal(true), data: z.unknown() }) } } },
        default: { description: "A failure, with its code", content: { "application/json": { schema: errorBody } } },
      },
    });
    const handle = async (c: Context): Promise<Response> => {
      const principal = needs === "anyone" ? this.#self() : await this.#principal(c, needs);
      const valid = c.req as unknown as { valid(part: string): unknown };
      const call = {
        services: this.#services,
        entrance: this.#entrance,
        principal,
        actor: actorOf(principal),
        params: (shape.params === undefined ? {} : valid.valid("param")) as z.output<P>,
        query: (shape.query === undefined ? {} : valid.valid("query")) as z.output<Q>,
        body: (shape.body === undefined ? {} : valid.valid("json")) as z.output<B>,
        signal: c.req.raw.signal,
        context: c,
      };
      if (method === "get" || shape.reads === true) return this.#answer(c, await handler(call));
      const key = c.req.header("idempotency-key");
      const content = `${method} ${c.req.path} ${JSON.stringify(call.query)} ${JSON.stringify(call.body)}`;
      let response: Response | undefined;
      const stored = await onceOnly(this.#services, { actor: call.actor, key, content }, async () => {
        try {
          const data = await handler(call);
          if (data instanceof Response) response = data;
          return { status: 200, body: data instanceof Response ? "" : envelope({ ok: true, data }) };
        } finally {
          this.#entrance.afterMutation?.();
        }
      });
      return response ?? answerJson(c, stored.status, stored.body);
    };
    this.app.openapi(route, handle as never);
  }

  #answer(c: Context, data: unknown): Response {
    return data instanceof Response ? data : answerJson(c, 200, envelope({ ok: true, data }));
  }

  #self(): Principal {
    return { kind: "person", id: "local", name: this.#services.localAdmin, role: "admin" };
  }

  async #principal(c: Context, needs: Role | "reader"): Promise<Principal> {
    const principal = await this.#identify(c);
    if (needs === "reader") return principal;
    return requireRole(principal, needs);
  }

  async #identify(c: Context): Promise<Principal> {
    const header = c.req.header("authorization");
    const token = header?.startsWith("Bearer ") === true ? header.slice(7) : undefined;
    const local = this.#entrance.local || (token !== undefined && token === this.#entrance.localToken);
    const as = c.req.header("tidegate-as");
    if (local && (token === undefined || token === this.#entrance.localToken)) return this.#localUser(as);
    if (token === undefined) {
      throw new AppError("auth.missing", "This server wants to know who asks.", { expected: "Authorization: Bearer <token>", found: "no token", hint: "tidegate token create" });
    }
    if (as !== undefined) throw new AppError("auth.denied", "Only the local user may act for another person.", { expected: "a request without --as", found: as });
    return authenticate(this.#services, token);
  }

  async #localUser(as: string | undefined): Promise<Principal> {
    const self = this.#self();
    if (as === undefined) return self;
    const person = await this.#services.db.selectFrom("persons").select(["id", "name", "role", "disabled_at"]).where("name", "=", as).executeTakeFirst();
    if (person === undefined || person.disabled_at !== null) {
      throw new AppError("person.not_found", `There is no person ${as} who can act.`, { found: as, hint: "tidegate person list" });
    }
    return { kind: "person", id: person.id, name: self.name, role: person.role as Role, as: person.name };
  }
}

/** Who reads, and what: a consumer only its own view; a person also a branch or version, or a consumer's view for it. */
export async function readerOf(
  call: Pick<Call<unknown, unknown, unknown>, "services" | "principal">,
  asked: { run?: string | undefined; at?: string | undefined; consumer?: string | undefined; versioned?: boolean },
): Promise<ReaderIdentity> {
  const { principal, services } = call;
  if (principal.kind === "consumer") {
    if (asked.at === undefined && asked.consumer === undefined && asked.versioned !== true) return { consumer: principal.name, run: asked.run, at: undefined };
    throw new AppError("auth.denied", `${principal.name} reads its own view only.`, {
      expected: "a read without --at, without a version and for no other consumer",
      found: asked.at ?? asked.consumer ?? "a version by number",
    });
  }
  const consumer = asked.consumer === undefined ? undefined : (await getConsumer(services, asked.consumer)).name;
  return { consumer, run: asked.run, at: asked.at };
}

function invalidRequest(error: z.ZodError): AppError {
  const issue = error.issues[0];
  return new AppError("request.invalid", `The request is not understood: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}.`, {
    expected: issue?.message,
    found: issue?.path.join("."),
    hint: "GET /v1/openapi.json",
  });
}
