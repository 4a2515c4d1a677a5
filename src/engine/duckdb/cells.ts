import type { DuckDBListValue, DuckDBStructValue, DuckDBValue } from "@duckdb/node-api";
import type { FieldType } from "../../lake/schema.ts";
import type { Row } from "../engine.ts";
import type { Cell } from "../plan.ts";
import type { Relation } from "./relation.ts";
import { slot } from "./sql.ts";
import { cellSql } from "./convert.ts";

/** SELECT whose values `rowsOf` turns into cells. */
export function cellsQuery(relation: Relation): string {
  const values = relation.columns.map(({ type }, index) => `${cellSql(`t.${slot(index)}`, type)} AS ${slot(index)}`);
  return `SELECT ${values.join(", ")} FROM (${relation.sql}) AS t`;
}

export function rowsOf(relation: Relation, values: readonly (readonly DuckDBValue[])[]): Row[] {
  const { columns } = relation;
  return values.map((row) => Object.fromEntries(columns.map(({ name, type }, at) => [name, cell(row[at] ?? null, type)])));
}

function cell(value: DuckDBValue, type: FieldType): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return fits(value) ? Number(value) : value;
  if (typeof type !== "string") return nested(value, type);
  return value as Cell;
}

function fits(value: bigint): boolean {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

function nested(value: DuckDBValue, type: Exclude<FieldType, string>): Cell {
  if (type.type === "struct") {
    const { entries } = value as DuckDBStructValue;
    return Object.fromEntries(type.fields.map((field) => [field.name, cell(entries[field.name] ?? null, field.type)]));
  }
  const { items } = value as DuckDBListValue;
  if (type.type === "list") return items.map((item) => cell(item, type.element));
  return items.map((item) => {
    const { entries } = item as DuckDBStructValue;
    return [cell(entries["key"] ?? null, type.key), cell(entries["value"] ?? null, type.value)];
  });
}
