import type { DuckDBConnection } from "@duckdb/node-api";
import { AppError } from "../../../lib/errors.ts";
import type { FieldType } from "../../../lake/schema.ts";
import { icebergType } from "../types.ts";

/** A column of the statement's result, and what it is called in our types; null when Iceberg has no such type. */
export interface Found {
  name: string;
  type: FieldType | null;
}

export async function columnsOf(connection: DuckDBConnection, relation: string): Promise<Found[]> {
  const rows = (await connection.runAndReadAll(`describe ${relation}`)).getRows();
  return rows.map(([name, type]) => {
    try {
      return { name: String(name), type: icebergType(String(type), String(name)).type };
    } catch {
      return { name: String(name), type: null };
    }
  });
}

/** Refuses a column that no table can hold. */
export function refuseType(name: string): never {
  throw new AppError("type.unsupported", `Column ${name} has a type that no table can hold.`, {
    expected: "a type of Iceberg v2",
    found: "an interval, a time with a zone or the like",
    hint: `cast it in the SQL: cast(${name} as varchar)`,
  });
}
