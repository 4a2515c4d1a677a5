import { commonType } from "../../src/engine/plan-types.ts";
import type { Cell } from "../../src/engine/plan.ts";
import type { FieldType, PrimitiveType } from "../../src/lake/schema.ts";
import { decimalShape, isFloating, isWhole, sameType } from "../../src/lake/types.ts";
import { AppError } from "../../src/lib/errors.ts";

/** A value inside the naive engine: integers and decimals (unscaled) are bigints, all else is as in a Cell. */
export type Datum = null | boolean | number | bigint | string | readonly Datum[] | { readonly [key: string]: Datum };

export function toDatum(cell: Cell, type: FieldType): Datum {
  if (cell === null || cell === undefined) return null;
  if (typeof type !== "string") return nested(cell, type, toDatum) as Datum;
  const decimal = decimalShape(type);
  if (decimal !== undefined) return unscaled(String(cell), decimal.scale) as bigint;
  return isWhole(type) ? BigInt(cell as number) : (cell as Datum);
}

export function toCell(datum: Datum, type: FieldType): Cell {
  if (datum === null) return null;
  if (typeof type !== "string") return nested(datum, type, toCell) as Cell;
  const decimal = decimalShape(type);
  if (decimal !== undefined) return scaledText(datum as bigint, decimal.scale);
  if (typeof datum === "bigint") return Number.isSafeInteger(Number(datum)) ? Number(datum) : datum;
  return datum as Cell;
}

function nested(value: Cell | Datum, type: Exclude<FieldType, string>, leaf: (value: never, type: FieldType) => unknown): unknown {
  const inner = (item: unknown, of: FieldType): unknown => leaf((item ?? null) as never, of);
  if (type.type === "list") return (value as Cell[]).map((item) => inner(item, type.element));
  if (type.type === "map") return (value as Cell[][]).map(([key, of]) => [inner(key, type.key), inner(of, type.value)]);
  const parts = value as Record<string, unknown>;
  return Object.fromEntries(type.fields.map((field) => [field.name, inner(parts[field.name], field.type)]));
}

/** `1.50` at scale 2 → 150n; undefined when digits would be lost. */
function unscaled(text: string, scale: number): bigint | undefined {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?\s*$/.exec(text);
  if (match === null || `${match[2]}${match[3] ?? ""}` === "") return undefined;
  const fraction = (match[3] ?? "").replace(/0+$/, "");
  if (fraction.length > scale) return undefined;
  const digits = BigInt(`${match[2]}${fraction.padEnd(scale, "0")}` || "0");
  return match[1] === "-" ? -digits : digits;
}

function scaledText(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const point = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return value < 0n ? `-${point}` : point;
}

/** Order within a type: NaN above all numbers, text by bytes. Nulls are the caller's. */
export function compare(a: Datum, b: Datum, type: FieldType): number {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (typeof a === "string" && typeof b === "string") {
    const bytes = (text: string) =>
      type === "binary" ? Buffer.from(text, "base64") : Buffer.from(text.replace(type === "timestamptz" ? "Z" : "", ""));
    return Buffer.compare(bytes(a), bytes(b));
  }
  return (a as bigint) < (b as bigint) ? -1 : (a as bigint) > (b as bigint) ? 1 : 0;
}

/** A text that is equal for values that are the same. */
export function identity(datum: Datum): string {
  if (datum === null) return "null";
  if (typeof datum === "number") return datum === 0 ? "0" : String(datum);
  if (typeof datum === "bigint") return `${datum}n`;
  if (typeof datum !== "object") return JSON.stringify(datum);
  const items = Array.isArray(datum)
    ? (datum as Datum[]).map(identity)
    : Object.entries(datum).map(([key, value]) => `${JSON.stringify(key)}:${identity(value)}`);
  return `[${items.join(",")}]`;
}

/** Canonical text of a leaf value. */
export function textOf(datum: Datum, type: FieldType): string {
  const decimal = decimalShape(type);
  if (decimal !== undefined) return scaledText(datum as bigint, decimal.scale);
  return typeof datum === "number" ? doubleText(datum) : String(datum);
}

/** Shortest digits, plain between 1e-4 and 1e16, with a point always. */
function doubleText(value: number): string {
  if (value === 0) return "0.0";
  if (!Number.isFinite(value)) return String(value);
  const [mantissa = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  const plain = exponent < 0 ? value.toFixed(Math.max(0, mantissa.replace(/[-.]/g, "").length - 1 - exponent)) : String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

const misfit = Symbol("misfit");

/** Casts without loss; null when lenient and it does not fit. */
export function castDatum(datum: Datum, from: FieldType, to: FieldType, lenient = false): Datum {
  if (datum === null || sameType(from, to)) return datum;
  const found = tryCast(datum, from, to as PrimitiveType);
  if (found !== misfit) return found as Datum;
  if (lenient) return null;
  throw new AppError("type.loses_digits", `${String(to)} cannot hold ${textOf(datum, from)} exactly.`);
}

function tryCast(datum: Datum, from: FieldType, to: PrimitiveType): Datum | typeof misfit {
  if (to === "string") return textOf(datum, from);
  if (from === "date") return `${String(datum)}T00:00:00${to === "timestamptz" ? "Z" : ""}`;
  if (typeof datum === "boolean") return tryCast(datum ? 1n : 0n, "long", to);
  if (to === "boolean") {
    if (from === "string") return ({ true: true, false: false } as const)[String(datum).trim().toLowerCase()] ?? misfit;
    const number = Number(textOf(datum, from));
    return number === 0 ? false : number === 1 ? true : misfit;
  }
  const text = textOf(datum, from).trim();
  if (isFloating(to)) {
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^-?(NaN|Infinity)$/i.test(text)) return misfit;
    const number = Number(text);
    return isWhole(from) && BigInt(number) !== datum ? misfit : number;
  }
  const shape = decimalShape(to) ?? { precision: to === "int" ? 10 : 19, scale: 0 };
  // A double counts with the digits that it shows.
  const value = unscaled(
    /e/i.test(text) && isFloating(from) && Number.isInteger(datum) ? BigInt(datum as number).toString() : text,
    shape.scale,
  );
  if (value === undefined) return misfit;
  const limit = to === "int" ? 2n ** 31n : to === "long" ? 2n ** 63n : 10n ** BigInt(shape.precision);
  const low = decimalShape(to) === undefined ? -limit : 1n - limit;
  return value >= low && value < limit ? value : misfit;
}

/** Brings two values to the type they have in common. */
export function united(fn: string, values: readonly { value: Datum; type: FieldType }[]): { values: Datum[]; type: FieldType } {
  const type = values.map((item) => item.type).reduce((a, b) => commonType(fn, a, b));
  return { values: values.map((item) => castDatum(item.value, item.type, type)), type };
}
