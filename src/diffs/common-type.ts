import type { FieldType, PrimitiveType } from "../lake/schema.ts";
import { decimalShape, isFloating, isNumber, isWidening, sameType } from "../lake/types.ts";

/** How the cells of two columns are compared: as values of one type, or as text when they have none in common. */
export type Comparison = { by: "value"; type: FieldType } | { by: "text" };

const text: Comparison = { by: "text" };
const value = (type: FieldType): Comparison => ({ by: "value", type });

/** The type to which both sides are cast before their cells are compared. */
export function comparisonOf(a: FieldType, b: FieldType): Comparison {
  if (sameType(a, b)) return value(a);
  if (typeof a !== "string" || typeof b !== "string") return text;
  if (isNumber(a) && isNumber(b)) return value(commonNumber(a, b));
  const [low, high] = [timeRank(a), timeRank(b)];
  if (low > 0 && high > 0) return value(low > high ? a : b);
  return text;
}

/** Whether every value of `from` is exactly a value of `to`; where not, the cells that do not fit are compared by their text. */
export function fitsExactly(from: FieldType, to: FieldType): boolean {
  if (sameType(from, to) || isWidening(from, to)) return true;
  if (from === "int" && to === "double") return true;
  const [small, large] = [integerShape(from) ?? decimalShape(from), decimalShape(to)];
  if (small !== undefined && large !== undefined) {
    return large.scale >= small.scale && large.precision - large.scale >= small.precision - small.scale;
  }
  return timeRank(from) > 0 && timeRank(from) < timeRank(to);
}

function integerShape(type: FieldType): ReturnType<typeof decimalShape> {
  if (type === "int") return { precision: 10, scale: 0 };
  return type === "long" ? { precision: 19, scale: 0 } : undefined;
}

function timeRank(type: FieldType): number {
  return type === "date" ? 1 : type === "timestamp" ? 2 : type === "timestamptz" ? 3 : 0;
}

export function isTime(type: FieldType): boolean {
  return timeRank(type) > 0;
}

function commonNumber(a: PrimitiveType, b: PrimitiveType): PrimitiveType {
  if (isFloating(a) || isFloating(b)) return "double";
  const [left, right] = [integerShape(a), integerShape(b)];
  if (left !== undefined && right !== undefined) return "long";
  const shapes = [left ?? decimalShape(a), right ?? decimalShape(b)].filter((shape) => shape !== undefined);
  const scale = Math.max(...shapes.map((shape) => shape.scale));
  const whole = Math.max(...shapes.map((shape) => shape.precision - shape.scale));
  return `decimal(${Math.min(38, whole + scale)}, ${scale})`;
}
