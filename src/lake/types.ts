import type { FieldType } from "./schema.ts";

/* What is true of types whoever asks: the one home of these questions. What a plan makes of types is in engine/plan-types.ts. */

/** Digits in all and behind the point of a decimal type; undefined for other types. */
export function decimalShape(type: FieldType): { precision: number; scale: number } | undefined {
  const match = typeof type === "string" ? /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(type) : null;
  return match === null ? undefined : { precision: Number(match[1]), scale: Number(match[2]) };
}

export const isFloating = (type: FieldType): boolean => type === "float" || type === "double";
export const isWhole = (type: FieldType): boolean => type === "int" || type === "long";
export const isNumber = (type: FieldType): boolean => isFloating(type) || isWhole(type) || decimalShape(type) !== undefined;

/** Whether two types are the same, field ids aside. */
export function sameType(a: FieldType, b: FieldType): boolean {
  if (typeof a === "string" || typeof b === "string") {
    return a === b || (decimalShape(a) !== undefined && String(a).replaceAll(" ", "") === String(b).replaceAll(" ", ""));
  }
  if (a.type === "list") return b.type === "list" && sameType(a.element, b.element);
  if (a.type === "map") return b.type === "map" && sameType(a.key, b.key) && sameType(a.value, b.value);
  if (b.type !== "struct" || a.fields.length !== b.fields.length) return false;
  return a.fields.every((field, at) => {
    const other = b.fields[at];
    return other !== undefined && field.name === other.name && sameType(field.type, other.type);
  });
}

/** A type in one word: `decimal(10, 2)`, `list`, `struct`. */
export function typeName(type: FieldType): string {
  return typeof type === "string" ? type : type.type;
}

/** A type in full: `decimal(10, 2)`, `list<long>`, `struct<a: int, b: string>`. */
export function typeText(type: FieldType): string {
  if (typeof type === "string") return type;
  if (type.type === "list") return `list<${typeText(type.element)}>`;
  if (type.type === "map") return `map<${typeText(type.key)}, ${typeText(type.value)}>`;
  return `struct<${type.fields.map((field) => `${field.name}: ${typeText(field.type)}`).join(", ")}>`;
}

/** Whether Iceberg v2 reads old files as the new type: int → long, float → double, more decimal digits at the same scale. */
export function isWidening(from: FieldType, to: FieldType): boolean {
  if (from === "int") return to === "long";
  if (from === "float") return to === "double";
  const [old, now] = [decimalShape(from), decimalShape(to)];
  return old !== undefined && now !== undefined && old.scale === now.scale && now.precision > old.precision;
}
