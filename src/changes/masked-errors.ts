import { maskedFieldIds, maskText } from "../contracts/contract.ts";
import { keyFields } from "../effects/keys.ts";
import { AppError } from "../lib/errors.ts";
import type { Workpiece } from "./workpiece.ts";

interface ListedCell {
  column: string;
  value: string;
}

/** The error of an operation without the values of columns that the dataset's contract masks: errors are kept and passed on, too. */
export function withoutMaskedValues(error: unknown, { contract, state }: Pick<Workpiece, "contract" | "state">): unknown {
  if (!(error instanceof AppError) || contract === undefined || state === undefined) return error;
  const ids = maskedFieldIds(contract);
  const masked = new Set(state.schema.fields.filter((field) => ids.has(field.id)).map((field) => field.name.toLowerCase()));
  if (masked.size === 0) return error;
  const { code } = error;
  if (code === "input.cell") return withoutCells(error, masked);
  if (code === "key.duplicate" && keyFields(state.schema).some((field) => ids.has(field.id))) {
    const { keys = [] } = error.details as { keys?: string[] };
    return replaced(error, keys, { keys: keys.map(() => maskText) });
  }
  // What an engine says of a value does not tell the column.
  if (code === "type.loses_digits" || code === "sql.failed")
    return replaced(error, error.found === undefined ? [] : [error.found], undefined);
  return error;
}

function withoutCells(error: AppError, masked: ReadonlySet<string>): AppError {
  const { cells, ...rest } = error.details as { cells: ListedCell[] };
  const isMasked = (cell: ListedCell): boolean => masked.has(cell.column.toLowerCase());
  const values = cells.filter(isMasked).map((cell) => JSON.stringify(cell.value.slice(0, 60)));
  return replaced(error, values, { ...rest, cells: cells.map((cell) => (isMasked(cell) ? { ...cell, value: maskText } : cell)) });
}

/** Longer values first: one may contain another. */
function replaced(error: AppError, values: readonly string[], details: unknown): AppError {
  const inOrder = values.filter((value) => value !== "").toSorted((a, b) => b.length - a.length);
  const clean = (text: string): string => inOrder.reduce((left, value) => left.replaceAll(value, maskText), text);
  const { expected, found, hint } = error;
  return new AppError(error.code, clean(error.message), {
    expected,
    found: found === undefined ? undefined : clean(found),
    hint,
    details,
  });
}
