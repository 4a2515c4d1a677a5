import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError, asAppError } from "../lib/errors.ts";
import { envelope } from "../lib/envelope.ts";
import type { Entrance } from "./identify.ts";

/** JSON text as the body of an answer. */
export function answerJson(c: Context, status: number, text: string): Response {
  c.header("content-type", "application/json; charset=utf-8");
  return c.body(text, status as 200);
}

/** The answer to a failed request. */
export function answerError(c: Context, failure: AppError): Response {
  const { retryAfter } = (failure.details ?? {}) as { retryAfter?: unknown };
  if (failure.status === 429 && typeof retryAfter === "number") c.header("retry-after", String(retryAfter));
  return answerJson(c, failure.status, envelope({ ok: false, error: failure.toJSON() }));
}

/**
 * What others are told of a failure of ours: not the words of a driver or an engine, which may name files, tables and addresses of this machine,
 * but an id under which the server's log has them. Undefined where nothing is to be kept back.
 */
function withoutDriverText(failure: AppError, nextId: () => string): { id: string; failure: AppError } | undefined {
  const { code, message, expected, cause, status } = failure;
  const ours = status >= 500 || code.startsWith("store.");
  if (!ours || (code !== "internal" && (cause === undefined || cause instanceof AppError))) return undefined;
  const id = nextId();
  const facts = { details: { id }, hint: `who runs the server finds ${id} in its log` };
  return code === "internal"
    ? { id, failure: new AppError("internal", "The server failed in a way that nobody foresaw.", { ...facts, found: id }) }
    : { id, failure: new AppError(code, message, { ...facts, expected, found: id }) };
}

/** A failure as the one who asked is told it; what is kept back, and what nobody foresaw, is reported to who runs the server. */
export function toldOf(error: unknown, { local, report }: Pick<Entrance, "local" | "report">, nextId: () => string): AppError {
  const failure = failureOf(error);
  const kept = local ? undefined : withoutDriverText(failure, nextId);
  if (kept !== undefined || failure.code === "internal") report?.(error, kept?.id);
  return kept?.failure ?? failure;
}

/** The framework's own complaints, such as JSON that does not parse, become ours. */
function failureOf(error: unknown): AppError {
  if (!(error instanceof HTTPException)) return asAppError(error);
  const code = error.status === 413 ? "request.too_large" : error.status < 500 ? "request.invalid" : "internal";
  return new AppError(code, "The request is not understood.", {
    expected: "a body of JSON",
    found: error.message,
    hint: "GET /v1/openapi.json",
    cause: error,
  });
}
