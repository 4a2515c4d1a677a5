import { AppError, type ErrorFacts } from "../../lib/errors.ts";
import type { ErrorCode } from "../../lib/error-codes.ts";

/** Marks the errors that our own SQL raises: `raise("type.loses_digits", …)`. */
const mark = "tidegate!";

/** SQL that fails with a code of ours; `subject` is literal, `value` an SQL expression of type text. */
export function raiseSql(code: ErrorCode, subject: string, value: string): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  return `error(${quoted(`${mark}${code}\n${subject.replaceAll(/[\n\0]/g, " ")}\n`)} || coalesce(left(${value}, 200), 'NULL'))`;
}

const patterns: readonly [RegExp, ErrorCode, string, ErrorFacts][] = [
  [/^INTERRUPT|Interrupted/i, "interrupted", "The query was stopped.", {}],
  [
    /No space left on device|max_temp_directory_size|Disk quota exceeded/i,
    "store.full",
    "The disk is full.",
    { expected: "free space in the data folder", hint: "tidegate gc" },
  ],
  [
    /^Out of Memory Error|failed to allocate/i,
    "engine.memory",
    "The query needs more memory than the engine may take.",
    { hint: "raise TIDEGATE_MEMORY_MB, then run the same command again" },
  ],
  [
    /No files found that match|Cannot open file .*No such file|does not exist$/i,
    "store.missing",
    "A file of the table is not there.",
    { expected: "the file that the catalogue names", hint: "tidegate doctor" },
  ],
  [
    /^Invalid Error|^Serialization Error|magic bytes|too small to be a Parquet|Footer length|TProtocolException|corrupt|decompress|not read enough bytes|Failed to read file/i,
    "store.corrupt",
    "A file of the table cannot be read.",
    { expected: "a Parquet file as it was written", hint: "tidegate doctor" },
  ],
  [
    /^Invalid Input Error: (missing|invalid|bad|no argument|unexpected|trailing|repetition|pattern too large|Failed to parse format)/i,
    "pattern.invalid",
    "A pattern or format cannot be used.",
    { expected: "a regular expression in RE2's syntax (no look-around), or a strptime format", hint: "tidegate contract lint" },
  ],
  [
    /^(Conversion|Out of Range) Error/i,
    "type.loses_digits",
    "A value does not fit its type.",
    { hint: "widen the column's type, then run the same command again" },
  ],
  [/^IO Error/i, "store.unreachable", "The store cannot be read or written.", { hint: "tidegate doctor" }],
];

/** The error of ours that an engine's error stands for. */
export function engineError(error: unknown, signal?: AbortSignal): AppError {
  if (error instanceof AppError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (signal?.aborted === true) return new AppError("interrupted", "The query was stopped.", { cause: error });
  const raised = text.indexOf(mark);
  if (raised >= 0) {
    const [code = "internal", subject = "", ...value] = text.slice(raised + mark.length).split("\n");
    return raisedError(code as ErrorCode, subject, value.join("\n").split("\n\nLINE ")[0] ?? "", error);
  }
  const found = patterns.find(([pattern]) => pattern.test(text));
  const short = text.split("\n\n")[0] ?? text;
  if (found === undefined) return new AppError("internal", `The engine failed: ${short}`, { cause: error, hint: "tidegate doctor" });
  const [, code, message, facts] = found;
  return new AppError(code, message, { found: short, ...facts, cause: error });
}

function raisedError(code: ErrorCode, subject: string, value: string, cause: unknown): AppError {
  return new AppError(code, `${subject} cannot hold ${value} exactly.`, {
    expected: `values that fit ${subject}`,
    found: value,
    hint: "widen the column's type or mend the value, then run the same command again",
    cause,
  });
}
