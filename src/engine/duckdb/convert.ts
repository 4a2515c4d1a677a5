import type { FieldType, PrimitiveType } from "../../lake/schema.ts";
import { decimalShape, isFloating, sameType } from "../../lake/types.ts";
import { isCastable, uncastable, widens } from "../plan-types.ts";
import { quoteText, quoteName } from "./sql.ts";
import { sqlType } from "./types.ts";

/* Values as text, as JSON and as other types; what a Cell of each type looks like stands in plan.ts. */

const isText = new Set<FieldType>(["date", "time", "timestamp", "timestamptz", "uuid", "binary"]);

/** SQL for the canonical text of a value. */
export function textSql(sql: string, type: FieldType): string {
  if (typeof type !== "string") return `to_json(${jsonSql(sql, type)})::VARCHAR`;
  if (type === "string") return sql;
  if (isFloating(type)) {
    return `CASE WHEN ${sql} = 0 THEN '0.0' WHEN isfinite(${sql}) THEN ${sql}::VARCHAR WHEN isnan(${sql}) THEN 'NaN' WHEN ${sql} > 0 THEN 'Infinity' WHEN ${sql} < 0 THEN '-Infinity' END`;
  }
  if (type === "timestamp") return `replace(${sql}::VARCHAR, ' ', 'T')`;
  if (type === "timestamptz") return `replace((${sql} AT TIME ZONE 'UTC')::VARCHAR, ' ', 'T') || 'Z'`;
  if (type === "binary" || type.startsWith("fixed[")) return `base64(${sql})`;
  return `${sql}::VARCHAR`;
}

/** SQL for a value as it leaves the engine in rows: text where JavaScript has no type of its own, pairs for maps. */
export function cellSql(sql: string, type: FieldType): string {
  return mapped(sql, type, { leaf: (value, of) => (leavesAsText(of) ? textSql(value, of) : value), pair: undefined });
}

/** SQL for a value that `to_json` writes as a Cell. NaN and the infinities are text, since JSON has no number for them. */
export function jsonSql(sql: string, type: FieldType): string {
  return mapped(sql, type, {
    leaf: (value, of) => {
      if (isFloating(of)) return `CASE WHEN isfinite(${value}) THEN to_json(${value}) ELSE to_json(${textSql(value, of)}) END`;
      return leavesAsText(of) ? textSql(value, of) : value;
    },
    pair: (key, value) => `json_array(${key}, ${value})`,
  });
}

function leavesAsText(type: FieldType): boolean {
  return isText.has(type) || (typeof type === "string" && (type.startsWith("fixed[") || decimalShape(type) !== undefined));
}

interface Mapping {
  leaf: (sql: string, type: PrimitiveType) => string;
  /** How an entry of a map is put together; a struct of key and value when undefined. */
  pair: ((key: string, value: string) => string) | undefined;
  /** A map none of whose leaves change stays as it is. */
  keepMaps?: boolean;
}

/** SQL of a value with all its leaves changed; the value itself when no leaf is. */
export function mapLeaves(sql: string, type: FieldType, leaf: (sql: string, type: PrimitiveType) => string): string {
  return mapped(sql, type, { leaf, pair: (key, value) => `struct_pack("key" := ${key}, "value" := ${value})`, keepMaps: true });
}

function mapped(sql: string, type: FieldType, mapping: Mapping, depth = 0): string {
  if (typeof type === "string") return mapping.leaf(sql, type);
  const item = `e${depth}`;
  if (type.type === "list") {
    const inner = mapped(item, type.element, mapping, depth + 1);
    return inner === item ? sql : `list_transform(${sql}, lambda ${item}: ${inner})`;
  }
  if (type.type === "map") {
    const key = mapped(`${item}.key`, type.key, mapping, depth + 1);
    const value = mapped(`${item}.value`, type.value, mapping, depth + 1);
    if (mapping.keepMaps === true && key === `${item}.key` && value === `${item}.value`) return sql;
    const pair = mapping.pair?.(key, value) ?? `struct_pack("key" := ${key}, "value" := ${value})`;
    return `list_transform(map_entries(${sql}), lambda ${item}: ${pair})`;
  }
  const parts = type.fields.map((field) => {
    const part = `struct_extract(${sql}, ${quoteText(field.name)})`;
    return { name: field.name, part, inner: mapped(part, field.type, mapping, depth) };
  });
  if (parts.every(({ part, inner }) => part === inner)) return sql;
  const packed = parts.map(({ name, inner }) => `${quoteName(name)} := ${inner}`).join(", ");
  return `CASE WHEN ${sql} IS NOT NULL THEN struct_pack(${packed}) END`;
}

/** What a cast does with a value that does not fit: SQL of the error to raise, or null for a lenient cast. */
export type Misfit = ((text: string) => string) | null;

/** SQL of a cast that never loses anything silently: what does not fit exactly is an error, or null when lenient. */
export function castSql(sql: string, from: FieldType, to: FieldType, misfit: Misfit): string {
  if (sameType(from, to)) return `CAST(${sql} AS ${sqlType(to)})`;
  if (!isCastable(from, to)) throw uncastable(from, to);
  if (typeof from !== "string" || typeof to !== "string") return textSql(sql, from);
  if (to === "string") return textSql(sql, from);
  if (widens(from, to)) return `CAST(${sql} AS ${sqlType(to)})`;
  if (from === "string") return orMisfit(sql, from, parseSql(sql, to), misfit);
  const tried = `TRY_CAST(${sql} AS ${sqlType(to)})`;
  const back = `TRY_CAST(${tried} AS ${sqlType(from)})`;
  return orMisfit(sql, from, `CASE WHEN ${back} IS NOT DISTINCT FROM ${sql} THEN ${tried} END`, misfit);
}

function orMisfit(sql: string, from: FieldType, tried: string, misfit: Misfit): string {
  if (misfit === null) return tried;
  return `CASE WHEN ${sql} IS NULL THEN NULL ELSE coalesce(${tried}, ${misfit(textSql(sql, from))}) END`;
}

/** SQL that reads text as a type; null when the text is not a value of it. */
function parseSql(sql: string, to: PrimitiveType): string {
  const tried = `TRY_CAST(trim(${sql}) AS ${sqlType(to)})`;
  const when = (pattern: string): string => `CASE WHEN regexp_full_match(trim(${sql}), '${pattern}') THEN ${tried} END`;
  const decimal = decimalShape(to);
  if (decimal !== undefined)
    return when(String.raw`[+-]?([0-9]+(\.[0-9]{0,${decimal.scale}}0*)?|\.[0-9]{1,${Math.max(1, decimal.scale)}}0*)`);
  switch (to) {
    case "boolean":
      return `CASE lower(trim(${sql})) WHEN 'true' THEN true WHEN 'false' THEN false END`;
    case "int":
    case "long":
      return when(String.raw`[+-]?[0-9]+(\.0*)?`);
    case "float":
    case "double":
      return `CASE WHEN regexp_full_match(trim(${sql}), '[+-]?(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:nan|inf|infinity))') THEN ${tried} END`;
    case "binary":
      return `CASE WHEN length(${sql}) % 4 = 0 AND regexp_full_match(${sql}, '[A-Za-z0-9+/]*={0,2}') THEN from_base64(${sql}) END`;
    default:
      return to.startsWith("fixed[") ? parseSql(sql, "binary") : tried;
  }
}
