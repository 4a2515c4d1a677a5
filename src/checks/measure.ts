import { measureType, exprType } from "../engine/plan-types.ts";
import type { Cell, Column, Expr, Measure } from "../engine/plan.ts";
import type { FieldType } from "../lake/schema.ts";
import { isFloating } from "../lake/types.ts";
import { hashOf } from "../lib/json.ts";
import { addDecimals, compareDecimals } from "../lib/decimal.ts";
import type { Failed } from "./failure.ts";

/*
 * What rules ask of rows in one scan. Every measure here can be put together from its values per file, so that a file that was read once need
 * not be read again.
 */

/** How values of two files become the value of both. */
type Merge = "add" | "min" | "max" | "bins" | "top" | "moments" | "whole";

/** What the file's metadata may already say of a measure. */
export type MetadataHint =
  | { is: "rows" }
  | { is: "nulls" | "values" | "nans" | "min" | "max"; fieldId: number }
  /** Rows whose value lies outside of the range, nulls aside: none, when the bounds of the file lie within. */
  | { is: "outside"; fieldId: number; range: { min?: BoundLiteral | undefined; max?: BoundLiteral | undefined } };

export interface BoundLiteral {
  text: string;
  exclusive: boolean;
}

export interface ScanMeasure {
  /** Hash of what is measured, over field ids. */
  id: string;
  of: Measure;
  type: FieldType;
  fieldIds: readonly number[];
  merge: Merge;
  hint?: MetadataHint | undefined;
}

/** A value, or why its measure failed. */
export type Measured = Cell | Failed;

export const isFailed = (value: Measured | undefined): value is Failed =>
  typeof value === "object" && value !== null && !Array.isArray(value) && "failed" in value;

/** Entries of `top` that are kept per file: as many categories as a drift rule tells apart. */
export const topLimit = 1000;

const merges: Readonly<Record<string, Merge>> = {
  count_all: "add",
  count: "add",
  count_if: "add",
  count_distinct: "add",
  sum: "add",
  min: "min",
  max: "max",
  histogram: "bins",
  top: "top",
  moments: "moments",
  // Only all rows together have one: measured in one scan of its own.
  quantiles: "whole",
};

export function scanMeasure(of: Measure, columns: readonly Column[], fieldIds: readonly number[], hint?: MetadataHint): ScanMeasure {
  const merge = merges[of.fn];
  if (merge === undefined) throw new Error(`${of.fn} cannot be put together from files`);
  const type = measureType(of.fn, of.fn === "count_all" ? undefined : exprType(of.of, columns));
  return { id: hashOf({ of, type }).slice(0, 24), of, type, fieldIds: [...fieldIds].sort((a, b) => a - b), merge, hint };
}

/** A value as JSON can keep it: numbers as text, since NaN and the digits of doubles would not survive. */
export function encodeCell(cell: Cell): unknown {
  if (cell === null || typeof cell === "string" || typeof cell === "boolean") return cell;
  if (typeof cell === "number" || typeof cell === "bigint") return { n: String(cell) };
  if (Array.isArray(cell)) return (cell as readonly Cell[]).map(encodeCell);
  return { s: Object.fromEntries(Object.entries(cell as Record<string, Cell>).map(([name, item]) => [name, encodeCell(item)])) };
}

export function decodeCell(stored: unknown): Cell {
  if (stored === null || stored === undefined || typeof stored === "string" || typeof stored === "boolean") return stored ?? null;
  if (Array.isArray(stored)) return stored.map(decodeCell);
  const { n, s } = stored as { n?: string; s?: Record<string, unknown> };
  if (n === undefined) return Object.fromEntries(Object.entries(s ?? {}).map(([name, item]) => [name, decodeCell(item)]));
  const number = Number(n);
  return /^-?\d+$/.test(n) && !Number.isSafeInteger(number) ? BigInt(n) : number;
}

/** Whether a measure's value shows values of rows, which must be erasable. */
export const showsValues = ({ of }: ScanMeasure): boolean => ["min", "max", "sum", "top", "histogram", "moments"].includes(of.fn);

function addCells(a: Cell, b: Cell, type: FieldType): Cell {
  if (isFloating(type)) return Number(a) + Number(b);
  if (type === "long") {
    const sum = BigInt(a as number) + BigInt(b as number);
    return Number.isSafeInteger(Number(sum)) ? Number(sum) : sum;
  }
  return addDecimals(String(a), String(b));
}

/** Order of two values of a measure's type: NaN above all numbers, text by its bytes. */
export function compareCells(a: Cell, b: Cell): number {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a - b;
  }
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a === b ? 0 : (a as bigint) < (b as bigint) ? -1 : 1;
}

const compareAs = (type: FieldType, a: Cell, b: Cell): number => {
  if (typeof type === "string" && type.startsWith("decimal")) return compareDecimals(String(a), String(b));
  // A zone sign at the end would stand in the way of a fraction.
  const plain = (cell: Cell): Cell => (typeof cell === "string" && type === "timestamptz" ? cell.replace("Z", "") : cell);
  return compareCells(plain(a), plain(b));
};

export interface TopEntry {
  value: string;
  count: number;
}

/** The value of both files together. */
export function mergeCells({ merge, type }: Pick<ScanMeasure, "merge" | "type">, a: Cell, b: Cell): Cell {
  if (a === null) return b;
  if (b === null) return a;
  switch (merge) {
    case "add":
      return addCells(a, b, type);
    case "min":
      return compareAs(type, a, b) <= 0 ? a : b;
    case "max":
      return compareAs(type, a, b) >= 0 ? a : b;
    case "bins":
      return (a as number[]).map((count, at) => Number(count) + Number((b as number[])[at] ?? 0));
    case "moments": {
      // Chan, Golub, LeVeque: updating formulae for sample variances, 1979.
      const [[n, mean, squares], [m, other, others]] = [a, b] as unknown as [[number, number, number], [number, number, number]];
      if (n + m === 0) return a;
      const apart = other - mean;
      return [n + m, mean + (apart * m) / (n + m), squares + others + (apart * apart * n * m) / (n + m)];
    }
    case "whole":
      throw new Error("this measure cannot be put together from files");
    case "top": {
      const counts = new Map<string, number>();
      for (const { value, count } of [...(a as unknown as TopEntry[]), ...(b as unknown as TopEntry[])]) {
        counts.set(value, (counts.get(value) ?? 0) + Number(count));
      }
      return [...counts].map(([value, count]) => ({ value, count })) as unknown as Cell;
    }
  }
}

/** What no rows at all would give. */
export function emptyCell({ of, merge }: ScanMeasure): Cell {
  if (of.fn === "sum") return null;
  if (merge === "add") return 0;
  if (of.fn === "histogram") return Array.from({ length: of.edges.length + 1 }, () => 0);
  if (merge === "moments") return [0, 0, 0];
  return merge === "top" ? [] : null;
}

/** `of`, for the rows that meet the condition: elsewhere it is null, which measures leave out. */
export function where(condition: Expr | undefined, of: Expr, type: FieldType): Expr {
  if (condition === undefined) return of;
  return { is: "call", fn: "if", args: [condition, of, { is: "literal", value: null, type }] };
}
