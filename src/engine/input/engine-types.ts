import type { FieldType } from "../../lake/schema.ts";
import { sqlName } from "./sql-words.ts";

const names: Readonly<Record<string, string>> = {
  boolean: "BOOLEAN",
  int: "INTEGER",
  long: "BIGINT",
  float: "FLOAT",
  double: "DOUBLE",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
  timestamptz: "TIMESTAMPTZ",
  string: "VARCHAR",
  uuid: "UUID",
  binary: "BLOB",
};

/** DuckDB's name of a type. */
export function engineType(type: FieldType): string {
  if (typeof type === "string") return names[type] ?? (type.startsWith("fixed") ? "BLOB" : type.toUpperCase());
  if (type.type === "list") return `${engineType(type.element)}[]`;
  if (type.type === "map") return `MAP(${engineType(type.key)}, ${engineType(type.value)})`;
  return `STRUCT(${type.fields.map((field) => `${sqlName(field.name)} ${engineType(field.type)}`).join(", ")})`;
}
