import { errorCodes, errorKinds, type ErrorCode } from "./error-codes.ts";

/** What an error tells beside its message. `hint` is the next command to type. */
export interface ErrorFacts {
  expected?: string | undefined;
  found?: string | undefined;
  hint?: string | undefined;
  /** Machine-readable particulars, such as the list of conflicts. JSON only. */
  details?: unknown;
  cause?: unknown;
}

/** The one error class of Tidegate. The message says what failed; code, expected, found and hint say the rest. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly hint: string | undefined;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "AppError";
    this.code = code;
    this.expected = facts.expected;
    this.found = facts.found;
    this.hint = facts.hint;
    this.details = facts.details;
  }

  /** HTTP status of this error. */
  get status(): number {
    return errorKinds[errorCodes[this.code]].status;
  }

  /** Exit code of a command that ends with this error. */
  get exit(): number {
    return errorKinds[errorCodes[this.code]].exit;
  }

  /** The public form of the error, as it stands in the envelope. */
  toJSON(): Record<string, unknown> {
    const { code, message, expected, found, hint, details } = this;
    return { code, message, expected, found, hint, details };
  }
}

/** Returns the error itself when it is one of ours, else an `internal` one that keeps it as its cause. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new AppError("internal", message, { cause: error, hint: "tidegate doctor" });
}
