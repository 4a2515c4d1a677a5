import type { ErrorCode } from "../lib/error-codes.ts";
import { AppError } from "../lib/errors.ts";

/** What failed by itself, with why; what was asked beside it did not. */
export interface Failed {
  failed: string;
  /** It says nothing of the rule and its data: a limit or a failure of the machine. */
  untold?: boolean | undefined;
}

/** Failures of the engine or the machine under a rule: another time they may not come. */
const transient: ReadonlySet<ErrorCode> = new Set(["internal", "engine.memory", "sql.limit", "sql.crashed"]);

/** A failure that is the rule's own, by its code; any other is thrown on, and ends the check. */
export function ownFailure(error: unknown, own: ReadonlySet<string>): Failed {
  if (!(error instanceof AppError) || !own.has(error.code)) throw error;
  return { failed: error.found ?? error.message, ...(transient.has(error.code) && !isOfResult(error) ? { untold: true } : {}) };
}

/** A result that is larger than it may be is so each time. */
const isOfResult = ({ details }: AppError): boolean => (details as { of?: unknown } | undefined)?.of === "result";
