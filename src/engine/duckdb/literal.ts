import type { FieldType } from "../../lake/schema.ts";
import { typeName } from "../../lake/types.ts";
import { AppError } from "../../lib/errors.ts";
import type { Cell } from "../plan.ts";
import { quoteName, quoteText } from "./sql.ts";
import { sqlType } from "./types.ts";

/** SQL of a constant of exactly this type. */
export function literalSql(value: Cell, type: FieldType): string {
  if (value === null) return `CAST(NULL AS ${sqlType(type)})`;
  if (typeof type === "string") {
    if (type === "string") return quoteText(leafText(value, type));
    if (type === "boolean" && typeof value === "boolean") return String(value);
    if (type === "binary" || type.startsWith("fixed[")) return `from_base64(${quoteText(leafText(value, type))})`;
    return `CAST(${quoteText(leafText(value, type))} AS ${sqlType(type)})`;
  }
  return `CAST(${nestedSql(value, type)} AS ${sqlType(type)})`;
}

/** The text of a leaf value; `type.unsupported` for a value of another shape. */
export function leafText(value: Cell, type: FieldType): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Object.is(value, -0) ? "-0.0" : String(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  throw new AppError("type.unsupported", `A constant does not fit the type ${typeName(type)}.`, {
    expected: `a single value of type ${typeName(type)}`,
    found: JSON.stringify(value),
  });
}

function nestedSql(value: Cell, type: Exclude<FieldType, string>): string {
  if (type.type === "struct") {
    const parts = isRecord(value) ? value : wrongShape(value, "struct");
    const packed = type.fields.map((field) => `${quoteName(field.name)} := ${literalSql(parts[field.name] ?? null, field.type)}`);
    return `struct_pack(${packed.join(", ")})`;
  }
  const items: readonly Cell[] = Array.isArray(value) ? (value as readonly Cell[]) : wrongShape(value, type.type);
  if (type.type === "list") return `[${items.map((item) => literalSql(item, type.element)).join(", ")}]`;
  const pairs = items.map((item) => (Array.isArray(item) ? (item as readonly Cell[]) : wrongShape(item, "map")));
  const keys = pairs.map(([key]) => literalSql(key ?? null, type.key));
  const values = pairs.map(([, of]) => literalSql(of ?? null, type.value));
  return `map([${keys.join(", ")}], [${values.join(", ")}])`;
}

function isRecord(value: Cell): value is { readonly [key: string]: Cell } {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function wrongShape(value: Cell, wanted: string): never {
  throw new AppError("type.unsupported", `A constant does not fit the type ${wanted}.`, {
    expected: `a ${wanted}`,
    found: String(value),
  });
}
