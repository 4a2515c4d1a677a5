import { compareBounds } from "../lake/iceberg/bounds.ts";
import type { PrimitiveType } from "../lake/schema.ts";
import type { DiffFile } from "./diff.ts";

/** Files of both sides that can hold the same keys. */
export interface RangePart {
  before: readonly DiffFile[];
  after: readonly DiffFile[];
  /** Rows in the files, deleted ones included. */
  rows: number;
}

/**
 * Parts the files of two sides so that no key has rows in two parts: files whose ranges of the first key column touch stay together. Neighbours
 * are joined up to about `rowsPerPart`. Without a range on every file all of it is one part.
 */
export function partByKeyRange(
  before: readonly DiffFile[],
  after: readonly DiffFile[],
  type: PrimitiveType,
  rowsPerPart: number,
): RangePart[] {
  const files = [...before.map((file) => ({ file, side: "before" as const })), ...after.map((file) => ({ file, side: "after" as const }))];
  const bounded = files.flatMap(({ file, side }) => (file.keyRange === undefined ? [] : [{ file, side, ...file.keyRange }]));
  if (bounded.length < files.length) return [{ before, after, rows: files.reduce((sum, { file }) => sum + file.scan.rows, 0) }];
  const parts: { before: DiffFile[]; after: DiffFile[]; rows: number }[] = [];
  let upper: string | undefined;
  for (const item of bounded.sort((a, b) => compareBounds(type, a.lower, b.lower))) {
    const last = parts.at(-1);
    const touches = upper !== undefined && compareBounds(type, item.lower, upper) <= 0;
    const part =
      last !== undefined && (touches || last.rows + item.file.scan.rows <= rowsPerPart) ? last : { before: [], after: [], rows: 0 };
    if (part !== last) parts.push(part);
    part[item.side].push(item.file);
    part.rows += item.file.scan.rows;
    if (upper === undefined || compareBounds(type, item.upper, upper) > 0) upper = item.upper;
  }
  return parts;
}
