import type { FieldType, PrimitiveType } from "../lake/schema.ts";

/** How the cells of two columns are compared: as values of one type, or as text when they have none in common. */
export type Comparison = { by: "value"; type: FieldType } | { by: "text" };

const text: Comparison = { by: "text" };
const value = (type: FieldType): Comparison => ({ by: "value", type });

interface DecimalShape {
  precision: number;
  scale: number;
}

function decimalShape(type: FieldType): DecimalShape | undefined {
  const match = typeof type === "string" ? /^decimal\((\d+), ?(\d+)\)$/.exec(type) : null;
  return match === null ? undefined : { precision: Number(match[1]), scale: Number(match[2]) };
}

/** Whether two types are the same, ids of nested fields aside. */
export function isSameType(a: FieldType, b: FieldType): boolean {
  return typeText(a) === typeText(b);
}

/** A type in words: `decimal(10, 2)`, `list<long>`, `struct<a: int, b: string>`. */
export function typeText(type: FieldType): string {
  if (typeof type === "string") return type;
  if (type.type === "list") return `list<${typeText(type.element)}>`;
  if (type.type === "map") return `map<${typeText(type.key)}, ${typeText(type.value)}>`;
  return `struct<${type.fields.map((field) => `${field.name}: ${typeText(field.type)}`).join(", ")}>`;
}

/** Whether a reader of the first type reads the second without noticing: what Iceberg lets a column become. */
export function isWidening(from: FieldType, to: FieldType): boolean {
  if (from === "int") return to === "long";
  if (from === "float") return to === "double";
  const [small, large] = [decimalShape(from), decimalShape(to)];
  return small !== undefined && large !== undefined && small.scale === large.scale && small.precision < large.precision;
}

/** The type to which both sides are cast before their cells are compared. */
export function comparisonOf(a: FieldType, b: FieldType): Comparison {
  if (isSameType(a, b)) return value(a);
  if (typeof a !== "string" || typeof b !== "string") return text;
  if (isNumber(a) && isNumber(b)) return value(commonNumber(a, b));
  const [low, high] = [timeRank(a), timeRank(b)];
  if (low > 0 && high > 0) return value(low > high ? a : b);
  return text;
}

/** Whether every value of `from` is exactly a value of `to`; where not, the cells that do not fit are compared by their text. */
export function fitsExactly(from: FieldType, to: FieldType): boolean {
  if (isSameType(from, to) || isWidening(from, to)) return true;
  if (from === "int" && to === "double") return true;
  const [small, large] = [integerShape(from) ?? decimalShape(from), decimalShape(to)];
  if (small !== undefined && large !== undefined) {
    return large.scale >= small.scale && large.precision - large.scale >= small.precision - small.scale;
  }
  return timeRank(from) > 0 && timeRank(from) < timeRank(to);
}

function integerShape(type: FieldType): DecimalShape | undefined {
  if (type === "int") return { precision: 10, scale: 0 };
  return type === "long" ? { precision: 19, scale: 0 } : undefined;
}

export function isNumber(type: FieldType): boolean {
  return isFloating(type) || integerShape(type) !== undefined || decimalShape(type) !== undefined;
}

export function isFloating(type: FieldType): boolean {
  return type === "float" || type === "double";
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
