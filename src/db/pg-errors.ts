import { AppError } from "../lib/errors.ts";

const hint = "run the same command again; tidegate doctor tells what is wrong";

/** SQLSTATE or system code of an error, whoever made it. */
export function errorCode(error: unknown): string | undefined {
  const { code, errors } = error as { code?: unknown; errors?: unknown[] };
  if (typeof code === "string") return code;
  return errors?.[0] === undefined ? undefined : errorCode(errors[0]);
}

/** What went wrong in words. Node's error for several tried addresses has no message of its own. */
function messageOf(error: unknown): string {
  const { message, errors } = error as { message?: string; errors?: unknown[] };
  if (message !== undefined && message !== "") return message;
  return errors?.[0] === undefined ? (errorCode(error) ?? String(error)) : messageOf(errors[0]);
}

/** Whether the connection is gone: class 08, an operator's shutdown, a crash, or the socket's own errors. */
export function isConnectionLoss(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== undefined) return /^(08...|57P0[1-5]|ECONN\w+|EPIPE|ENOENT|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/.test(code);
  return (
    error instanceof Error && /^(Connection terminated|Client has encountered a connection error|Client was closed)/.test(error.message)
  );
}

/** Whether a prepared statement no longer gives what it gave when it was prepared: its table has changed since. */
export function isStalePlan(error: unknown): boolean {
  return errorCode(error) === "0A000" && messageOf(error).startsWith("cached plan must not change result type");
}

/** Why no connection could be had, as one of our errors. */
export function connectError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = errorCode(error);
  const found = messageOf(error);
  if (code === "28P01" || code === "28000") {
    return new AppError("db.unreachable", "Postgres refuses the login.", {
      expected: "a user and password it knows",
      found,
      hint: "check DATABASE_URL",
      cause: error,
    });
  }
  if (code === "3D000") {
    return new AppError("db.unreachable", "The database does not exist.", {
      expected: "an existing database",
      found,
      hint: "createdb, or check DATABASE_URL",
      cause: error,
    });
  }
  if (code === "53300") {
    return new AppError("db.unreachable", "Postgres has no connection left.", {
      expected: "a free connection",
      found,
      hint: "raise max_connections, or run fewer processes",
      cause: error,
    });
  }
  if (found === "timeout exceeded when trying to connect") {
    return new AppError("db.unreachable", "All connections to Postgres are in use.", {
      expected: "one that becomes free",
      found,
      hint: "run the same command again",
      cause: error,
    });
  }
  return new AppError("db.unreachable", "Postgres cannot be reached.", { expected: "a running Postgres", found, hint, cause: error });
}

/** Why a statement failed, where it is not the statement's fault; other errors stay as they are. */
export function statementError(error: unknown, statement: string): unknown {
  if (errorCode(error) === "53100") {
    return new AppError("store.full", "The disk of Postgres is full.", {
      expected: "free space",
      found: messageOf(error),
      hint: "free some space, then run the same command again",
      cause: error,
    });
  }
  if (!isConnectionLoss(error)) return error;
  if (statement === "commit") {
    return new AppError("db.unreachable", "Postgres went away during COMMIT: whether it took place is not known.", {
      expected: "an acknowledged commit",
      found: messageOf(error),
      hint: "tidegate audit list --limit 5 tells whether it did; then run the same command again",
      cause: error,
    });
  }
  return new AppError("db.unreachable", "Postgres went away. What was under way is undone.", {
    expected: "a running Postgres",
    found: messageOf(error),
    hint,
    cause: error,
  });
}
