import type { Context } from "hono";
import { asAppError, AppError } from "../lib/errors.ts";
import { envelope } from "../lib/envelope.ts";

/** JSON text as the body of an answer. */
export function answerJson(c: Context, status: number, text: string): Response {
  c.header("content-type", "application/json; charset=utf-8");
  return c.body(text, status as 200);
}

/** The answer to a failed request. What we did not foresee tells its message, never its stack. */
export function answerError(c: Context, error: unknown): Response {
  const failure = withoutInternals(asAppError(error));
  return answerJson(c, failure.status, envelope({ ok: false, error: failure.toJSON() }));
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
