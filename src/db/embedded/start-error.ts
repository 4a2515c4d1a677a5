import { AppError } from "../../lib/errors.ts";

/** The error of a built-in Postgres that cannot be used; `found` is what was seen instead, often the end of its log. */
export function startError(found: string, facts: { expected?: string; hint?: string; cause?: unknown } = {}): AppError {
  return new AppError("db.start_failed", "The built-in Postgres did not start.", {
    expected: facts.expected ?? "a running Postgres in the data folder",
    found: found.trim().slice(-600),
    hint: facts.hint ?? "read postgres.log in the data folder, or set DATABASE_URL to a Postgres of your own",
    cause: facts.cause,
  });
}
