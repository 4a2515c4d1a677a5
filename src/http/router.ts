import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { routePath } from "hono/route";
import { actorOf, requireRole, type Principal, type Role } from "../access/principal.ts";
import { stopwatch } from "../edges/stopwatch.ts";
import { AppError } from "../lib/errors.ts";
import { envelope } from "../lib/envelope.ts";
import { answerError, answerJson, toldOf } from "./errors.ts";
import { frontPage, frontPageHeaders } from "./front-page.ts";
import { onceOnly, type FreshAnswer } from "./idempotency.ts";
import { identify, localUser, type Entrance } from "./identify.ts";
import { invalidRequest, refuseNul } from "./invalid-request.ts";
import { describeApi } from "./openapi.ts";
import type { Services } from "./services.ts";

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

export interface RouteShape<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType, D extends Data> {
  method: "get" | "post" | "put" | "delete";
  path: string;
  summary: string;
  tag: string;
  /** The least role; `reader` also lets consumers in, `anyone` needs no token. */
  needs: Role | "reader" | "anyone";
  params?: P;
  query?: Q;
  body?: B;
  /** Media type of a body that is a file, read by the handler itself. */
  upload?: string;
  /** A POST that changes nothing: it is never answered from memory. */
  reads?: boolean;
  /** What the answer is, for the description. */
  answer: string;
  /** What `data` of the envelope holds; for media types of its own, those. */
  data: D;
  /** What is kept of the data to answer a repeated request: not its secrets. */
  keep?: (data: unknown) => unknown;
}

/** The form of an envelope's data, or media types of answers that are no envelope. */
type Data = z.ZodType | readonly string[];

type AnyShape = RouteShape<z.ZodObject, z.ZodObject, z.ZodType, Data>;

/** What a handler gives for data of this form: what JSON makes of dates and large numbers is done on the way out. */
type Given<T> = string extends T
  ? T | Date
  : number extends T
    ? T | bigint
    : T extends readonly (infer Item)[]
      ? readonly Given<Item>[]
      : T extends object
        ? { [Key in keyof T]: Given<T[Key]> }
        : T;

const failure = z
  .object({
    ok: z.literal(false),
    error: z.object({
      code: z.string().openapi({ description: "One of docs/errors.md.", example: "merge.conflict" }),
      message: z.string(),
      expected: z.string().optional(),
      found: z.string().optional(),
      hint: z.string().optional().openapi({ description: "The next command to type." }),
      details: z.unknown().optional(),
    }),
  })
  .openapi("Failure");

const answerHeaders = z.object({
  "tidegate-view": z.string().openapi({ description: "The view that answered." }),
  "tidegate-version": z.string().openapi({ description: "What was read, such as `sales.orders@42`." }),
  "tidegate-reason": z.string().openapi({ description: "Why this version: live, run or named." }),
});

const keyHeader = z.object({
  "idempotency-key": z
    .string()
    .min(1)
    .max(200)
    .optional()
    .openapi({ description: "The same key gives the first answer again, for a week." }),
});

const none = z.object({});

/** Bytes of a request's JSON; files go through uploads. */
const bodyLimitBytes = 32 * 2 ** 20;

/** Routes of the app: each declares its shape, who may use it and what it answers; the rest is the same for all. */
export class Router {
  readonly app = new OpenAPIHono();
  /** All that was added, for tests that compare answers with what is promised. */
  readonly shapes: AnyShape[] = [];
  readonly #services: Services;
  readonly #entrance: Entrance;
  readonly #limit = bodyLimit({
    maxSize: bodyLimitBytes,
    onError: () => {
      throw new AppError("request.too_large", "The request is too large.", {
        expected: `at most ${bodyLimitBytes} bytes`,
        found: "more",
        hint: "PUT /v1/uploads/{name} for files",
      });
    },
  });

  constructor(services: Services, entrance: Entrance) {
    this.#services = services;
    this.#entrance = entrance;
    const { watch } = entrance;
    if (watch !== undefined) {
      this.app.use(async (c, next) => {
        const elapsed = stopwatch();
        await next();
        const route = routePath(c, -1);
        // What no route took has only this handler, and paths without end.
        const seconds = elapsed() / 1000;
        watch.meter.observe({ method: c.req.method, route: route.includes("*") ? "other" : route, status: c.res.status, seconds });
      });
    }
    this.app.onError((error, c) =>
      answerError(
        c,
        toldOf(error, entrance, () => services.ids.next("err")),
      ),
    );
    this.app.notFound(
      (c) =>
        entrance.pages?.answer(c) ??
        answerError(
          c,
          new AppError("request.not_found", `There is no ${c.req.method} ${c.req.path}.`, {
            found: c.req.path,
            hint: "GET /v1/openapi.json",
          }),
        ),
    );
    this.app.openAPIRegistry.registerComponent("securitySchemes", "token", {
      type: "http",
      scheme: "bearer",
      description: "tg_…, of a person or a consumer.",
    });
    this.app.get("/", (c) => entrance.pages?.answer(c) ?? c.html(frontPage, 200, frontPageHeaders));
    this.app.get("/v1/openapi.json", (c) => c.json(describeApi(this.app)));
  }

  /** Adds a route whose handler gives the envelope's data, or a Response of its own for a stream. */
  add<D extends Data, P extends z.ZodObject = typeof none, Q extends z.ZodObject = typeof none, B extends z.ZodType = typeof none>(
    shape: RouteShape<P, Q, B, D>,
    handler: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<D extends z.ZodType ? Given<z.output<D>> : Response>,
  ): void {
    const declared = shape as unknown as AnyShape;
    this.shapes.push(declared);
    const handle = async (c: Context): Promise<Response> => {
      const principal = await this.#admit(c, shape.needs);
      const valid = c.req as unknown as { valid(part: string): unknown };
      const call = {
        services: this.#services,
        entrance: this.#entrance,
        principal,
        actor: actorOf(principal),
        params: (shape.params === undefined ? {} : valid.valid("param")) as z.output<P>,
        query: valid.valid("query") as z.output<Q>,
        body: (shape.body === undefined ? {} : valid.valid("json")) as z.output<B>,
        signal: c.req.raw.signal,
        context: c,
      };
      refuseNul({ path: call.params, query: call.query, body: call.body });
      return shape.method === "get" || shape.reads === true
        ? toResponse(c, await handler(call))
        : this.#mutate(c, declared, call, () => handler(call));
    };
    // Who may not enter learns nothing of the request's form: identity comes before validation.
    const admit = async (c: Context, next: () => Promise<void>): Promise<void> => {
      await this.#admit(c, shape.needs);
      await next();
    };
    const middleware = shape.upload === undefined ? [admit, this.#limit] : [admit];
    const route = createRoute({ ...describe(declared), middleware } as Parameters<typeof createRoute>[0]);
    this.app.openapi(
      route,
      handle as never,
      (result: { success: boolean; target: string; error?: z.ZodError }, c) => this.#refuse(result, c) as never,
    );
  }

  async #refuse(result: { success: boolean; target: string; error?: z.ZodError }, c: Context): Promise<void> {
    if (result.success || result.error === undefined) return;
    const inputs: Record<string, () => unknown> = {
      json: () => c.req.json(),
      query: () => c.req.query(),
      param: () => c.req.param(),
      header: () => c.req.header(),
    };
    throw invalidRequest(result.error, result.target, await inputs[result.target]?.());
  }

  /** Who asks, if they may; found once per request. */
  async #admit(c: Context, needs: AnyShape["needs"]): Promise<Principal> {
    if (needs === "anyone") return localUser(this.#services);
    const known = c.get("principal" as never) as Principal | undefined;
    const principal = known ?? (await identify(this.#services, this.#entrance, c));
    c.set("principal" as never, principal as never);
    return needs === "reader" ? principal : requireRole(principal, needs);
  }

  /** Runs a request that may change something: once per Idempotency-Key, and with word to who works the outbox off. */
  async #mutate(
    c: Context,
    shape: AnyShape,
    call: Pick<Call<unknown, unknown, unknown>, "actor" | "query" | "body">,
    work: () => Promise<unknown>,
  ): Promise<Response> {
    const key = shape.method === "post" ? c.req.header("idempotency-key") : undefined;
    const content = [shape.method, c.req.path, JSON.stringify(call.query), JSON.stringify(call.body)].join("\n");
    const stored = await onceOnly(this.#services, { actor: call.actor, key, content }, async (): Promise<FreshAnswer> => {
      try {
        const data = await work();
        const body = envelope({ ok: true, data });
        return { status: 200, body, kept: shape.keep === undefined ? body : envelope({ ok: true, data: shape.keep(data) }) };
      } finally {
        this.#entrance.afterMutation?.();
      }
    });
    return answerJson(c, stored.status, stored.body);
  }
}

function toResponse(c: Context, data: unknown): Response {
  if (!(data instanceof Response)) return answerJson(c, 200, envelope({ ok: true, data }));
  // Nobody reads the body of an answer to HEAD: what stands behind it is given up at once.
  if (c.req.method === "HEAD") void data.body?.cancel();
  return data;
}

/** The OpenAPI operation of a shape. Nothing beyond what it names is accepted. */
function describe(shape: AnyShape): object {
  const { method, path, params, query, body, upload, data, answer } = shape;
  const strict = body instanceof z.ZodObject ? body.strict() : body;
  const content =
    strict === undefined
      ? upload === undefined
        ? undefined
        : { [upload]: { schema: z.string().openapi({ format: "binary" }) } }
      : { "application/json": { schema: strict } };
  const isEnvelope = data instanceof z.ZodType;
  const answers = isEnvelope
    ? { "application/json": { schema: z.object({ ok: z.literal(true), data }) } }
    : Object.fromEntries((data as readonly string[]).map((type) => [type, { schema: z.string() }]));
  return {
    method,
    path,
    operationId: operationId(method, path),
    summary: shape.summary,
    description:
      shape.needs === "anyone"
        ? "Needs no token."
        : shape.needs === "reader"
          ? "For persons and consumers."
          : `For persons with the role ${shape.needs} or more.`,
    tags: [shape.tag],
    ...(shape.needs === "anyone" ? {} : { security: [{ token: [] }] }),
    request: {
      query: (query ?? none).strict(),
      ...(params === undefined ? {} : { params }),
      ...(content === undefined ? {} : { body: { content, required: true } }),
      ...(method === "post" ? { headers: keyHeader } : {}),
    },
    responses: {
      200: { description: answer, content: answers, ...(shape.tag === "reading" && !isEnvelope ? { headers: answerHeaders } : {}) },
      "4XX": { description: "Refused, with a code", content: { "application/json": { schema: failure } } },
      "5XX": { description: "Failed, with a code", content: { "application/json": { schema: failure } } },
    },
  };
}

/** `postChangesIdMerge` for POST /v1/changes/{id}/merge: a name for generated clients. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^a-z0-9]+/i).filter((word) => word !== "" && word !== "v1");
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
