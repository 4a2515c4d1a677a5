import { walkFields } from "./iceberg/data-files.ts";
import type { ParquetLeaf } from "./parquet-footer.ts";
import type { PrimitiveType, Schema } from "./schema.ts";

/*
 * Which Parquet types a column of an Iceberg type may have (https://iceberg.apache.org/spec/#parquet), older and narrower ones included
 * that a widened column still has in its old files. Readers agree on these only: of the others some give wrong values, without an error.
 */

const allowed: { readonly [type: string]: readonly string[] } = {
  boolean: ["BOOLEAN"],
  int: ["INT32", "INT32 INT(32, signed)", "INT32 INT(16, signed)", "INT32 INT(8, signed)"],
  long: ["INT64", "INT64 INT(64, signed)", "INT32", "INT32 INT(32, signed)"],
  float: ["FLOAT"],
  double: ["DOUBLE", "FLOAT"],
  date: ["INT32 DATE"],
  time: ["INT64 TIME(MICROS)"],
  timestamp: ["INT64 TIMESTAMP(MICROS)"],
  timestamptz: ["INT64 TIMESTAMP(MICROS, UTC)"],
  string: ["BYTE_ARRAY STRING", "BYTE_ARRAY ENUM", "BYTE_ARRAY JSON"],
  uuid: ["FIXED_LEN_BYTE_ARRAY(16) UUID"],
  binary: ["BYTE_ARRAY", "BYTE_ARRAY BSON"],
};

const decimalText = /^decimal\((\d+), ?(\d+)\)$/;

function isAllowed(type: PrimitiveType, found: string): boolean {
  const decimal = decimalText.exec(type);
  if (decimal !== null) {
    const annotation = /^(?:INT32|INT64|BYTE_ARRAY|FIXED_LEN_BYTE_ARRAY\(\d+\)) DECIMAL\((\d+), (\d+)\)$/.exec(found);
    return annotation !== null && Number(annotation[1]) <= Number(decimal[1]) && annotation[2] === decimal[2];
  }
  const fixed = /^fixed\[(\d+)\]$/.exec(type);
  if (fixed !== null) return found === `FIXED_LEN_BYTE_ARRAY(${fixed[1]})`;
  return allowed[type]?.includes(found) ?? false;
}

function expectedOf(type: PrimitiveType): string {
  const decimal = decimalText.exec(type);
  if (decimal !== null) return `DECIMAL(${decimal[1]}, ${decimal[2]}) or fewer digits`;
  const fixed = /^fixed\[(\d+)\]$/.exec(type);
  return fixed === null ? (allowed[type]?.[0] ?? type) : `FIXED_LEN_BYTE_ARRAY(${fixed[1]})`;
}

export interface TypeFault {
  problem: string;
  expected: string;
  found: string;
}

/** What is wrong with the columns of a data file, seen from the table's schema. Columns that the table no longer has are nobody's. */
export function typeFaults(schema: Schema, leaves: readonly ParquetLeaf[]): TypeFault[] {
  const nameless = leaves.find((leaf) => leaf.fieldId === undefined);
  if (nameless !== undefined) {
    const problem = "its columns have no field ids";
    return [{ problem, expected: "a field id on every column", found: `none on ${nameless.path.join(".")}` }];
  }
  const found = new Map(leaves.map((leaf) => [leaf.fieldId, leaf]));
  const faults: TypeFault[] = [];
  walkFields(schema.fields, (id, type) => {
    const leaf = found.get(id);
    if (leaf === undefined || typeof type !== "string" || isAllowed(type, leaf.type)) return;
    faults.push({ problem: `type of ${leaf.path.join(".")} in the file`, expected: `${expectedOf(type)}, for ${type}`, found: leaf.type });
  });
  return faults;
}
