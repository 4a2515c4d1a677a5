import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError, asAppError } from "../lib/errors.ts";
import { envelope } from "../lib/envelope.ts";

/** JSON text as the body of an answer. */
export function answerJson(c: Context, status: number, text: string): Response {
  c.header("content-type", "application/json; charset=utf-8");
  return c.body(text, status as 200);
}

/** The answer to a failed request. What we did not foresee tells its message, never its stack. */
export function answerError(c: Context, error: unknown): Response {
  const failure = failureOf(error);
  return answerJson(c, failure.status, envelope({ ok: false, error: failure.toJSON() }));
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
