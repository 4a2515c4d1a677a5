import type { Context } from "hono";
import { asAppError, AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";

/** JSON text of an answer: `{ok, data}` or `{ok, error}`. Dates are RFC 3339 with Z, big integers keep their digits, maps become objects. */
export function envelopeText(body: { ok: true; data: unknown } | { ok: false; error: unknown }): string {
  return toJson(plain(body));
}

/** Dates, maps and sets as JSON has them. */
export function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
  if (value instanceof Set) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object" || value.constructor !== Object) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, plain(item)]])));
}

export function answerJson(c: Context, status: number, text: string): Response {
  c.header("content-type", "application/json; charset=utf-8");
  return c.body(text, status as 200);
}

/** The answer to a failed request. What we did not foresee tells its message, never its stack. */
export function answerError(c: Context, error: unknown): Response {
  const failure = withoutInternals(asAppError(error));
  return answerJson(c, failure.status, envelopeText({ ok: false, error: failure.toJSON() }));
}

function withoutInternals(error: AppError): AppError {
  const { cause } = error;
  const code = (cause as { code?: string } | undefined)?.code;
  if (error.code !== "internal" || code === undefined) return error;
  const lost = ["ECONNREFUSED", "ECONNRESET", "ENOENT", "57P01", "57P02", "57P03", "EPIPE"].includes(code);
  if (!lost) return error;
  return new AppError("db.unreachable", "Postgres cannot be reached.", {
    expected: "a running Postgres",
    found: error.message,
    hint: "run the same command again; tidegate doctor tells what is wrong",
    cause,
  });
}
