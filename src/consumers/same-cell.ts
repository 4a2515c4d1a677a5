import type { Cell } from "../engine/plan.ts";
import type { FieldType } from "../lake/schema.ts";
import { isFloating, isNumber, sameType } from "../lake/types.ts";
import type { Tolerance } from "./consumer-test.ts";

/** Floats that differ by less are the same: sums come out of another order of rows with other last digits. */
const floatTolerance = 1e-9;

/** Whether two values of a column are the same: floats to a tolerance, all else exactly. NULL is no number, NaN is NaN, -0.0 is 0.0. */
export function sameCell(a: Cell, b: Cell, type: FieldType, tolerance: Tolerance = {}): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  if (typeof type !== "string") return sameNested(a, b, type, tolerance);
  if (!isNumber(type)) return false;
  const [left, right] = [Number(a), Number(b)];
  const floating = isFloating(type);
  if (!floating && tolerance.relative === undefined && tolerance.absolute === undefined) return sameDecimal(a, b);
  if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) && Number.isNaN(right);
  if (left === right) return floating || sameDecimal(a, b);
  if (!Number.isFinite(left) || !Number.isFinite(right)) return false;
  const gap = Math.abs(left - right);
  const relative = tolerance.relative ?? (floating ? floatTolerance : 0);
  return gap <= (tolerance.absolute ?? 0) || gap <= relative * Math.max(Math.abs(left), Math.abs(right));
}

/** Exact numbers, as text of any scale: 1.0 is 1.00, and no digit is lost on the way. */
function sameDecimal(a: Cell, b: Cell): boolean {
  return canonical(String(a)) === canonical(String(b));
}

function canonical(text: string): string {
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return short === "-0" ? "0" : short;
}

function sameNested(a: Cell, b: Cell, type: Exclude<FieldType, string>, tolerance: Tolerance): boolean {
  if (type.type === "struct") {
    const [left, right] = [a as Record<string, Cell>, b as Record<string, Cell>];
    return type.fields.every((field) => sameCell(left[field.name] ?? null, right[field.name] ?? null, field.type, tolerance));
  }
  const [left, right] = [a as readonly Cell[], b as readonly Cell[]];
  if (left.length !== right.length) return false;
  if (type.type === "list") return left.every((item, at) => sameCell(item, right[at] ?? null, type.element, tolerance));
  return left.every((item, at) => {
    const [pair, other] = [item as readonly Cell[], right[at] as readonly Cell[]];
    return (
      sameCell(pair[0] ?? null, other[0] ?? null, type.key, tolerance) && sameCell(pair[1] ?? null, other[1] ?? null, type.value, tolerance)
    );
  });
}

/** Types between which a result may go without anybody noticing, as long as the values are the same: 1 is 1 as int and as long. */
export function isSameFamily(a: FieldType, b: FieldType): boolean {
  return sameType(a, b) || familyOf(a) === familyOf(b);
}

function familyOf(type: FieldType): unknown {
  if (type === "int" || type === "long") return "whole";
  if (isFloating(type)) return "floating";
  return typeof type === "string" && type.startsWith("decimal") ? "decimal" : Symbol("its own");
}
