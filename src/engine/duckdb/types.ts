import type { Field, FieldType, PrimitiveType } from "../../lake/schema.ts";
import { decimalShape } from "../../lake/types.ts";
import { AppError } from "../../lib/errors.ts";
import { decimalType } from "../plan-types.ts";
import { quoteName } from "./sql.ts";

/** DuckDB's name of each primitive Iceberg type that has no parameters. */
const sqlNames = {
  boolean: "BOOLEAN",
  int: "INTEGER",
  long: "BIGINT",
  float: "FLOAT",
  double: "DOUBLE",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
  timestamptz: "TIMESTAMP WITH TIME ZONE",
  string: "VARCHAR",
  uuid: "UUID",
  binary: "BLOB",
} as const satisfies Partial<Record<PrimitiveType, string>>;

/** What becomes of a DuckDB type that Iceberg does not have. `note` says it to people; `checked` casts fail on a lost digit. */
export type ForeignType = { type: PrimitiveType; note: string; checked?: boolean } | { refused: string };

/** DuckDB types without an Iceberg twin. Every other one is in `sqlNames`, a decimal, or nested. */
export const foreignTypes: Readonly<Record<string, ForeignType>> = {
  TINYINT: { type: "int", note: "tinyint became int" },
  SMALLINT: { type: "int", note: "smallint became int" },
  UTINYINT: { type: "int", note: "utinyint became int" },
  USMALLINT: { type: "int", note: "usmallint became int" },
  UINTEGER: { type: "long", note: "uinteger became long" },
  UBIGINT: { type: "decimal(20, 0)", note: "ubigint became decimal(20, 0)" },
  HUGEINT: { type: "decimal(38, 0)", note: "hugeint became decimal(38, 0)", checked: true },
  UHUGEINT: { type: "decimal(38, 0)", note: "uhugeint became decimal(38, 0)", checked: true },
  BIGNUM: { type: "decimal(38, 0)", note: "bignum became decimal(38, 0)", checked: true },
  TIMESTAMP_S: { type: "timestamp", note: "timestamp in seconds became timestamp" },
  TIMESTAMP_MS: { type: "timestamp", note: "timestamp in milliseconds became timestamp" },
  TIMESTAMP_NS: { type: "timestamp", note: "timestamp in nanoseconds became timestamp in microseconds", checked: true },
  TIME_NS: { type: "time", note: "time in nanoseconds became time in microseconds", checked: true },
  ENUM: { type: "string", note: "enum became string" },
  JSON: { type: "string", note: "json became string" },
  NULL: { type: "string", note: "a column of nulls became string" },
  BIT: { refused: "a bit string has no place in a table; cast it to text" },
  INTERVAL: { refused: "an interval has no place in a table; cast it to seconds or text" },
  "TIME WITH TIME ZONE": { refused: "a time with a zone has no place in a table; cast it to time or text" },
  UNION: { refused: "a union has no place in a table; cast it to one type" },
  GEOMETRY: { refused: "a geometry has no place in a table; store it as WKB (binary) or text" },
  VARIANT: { refused: "a variant has no place in a table; cast it to one type" },
};

const sqlAliases: Readonly<Record<string, PrimitiveType>> = Object.fromEntries(
  Object.entries(sqlNames).map(([type, sql]) => [sql, type as PrimitiveType]),
);

/** DuckDB's name of an Iceberg type. */
export function sqlType(type: FieldType): string {
  if (typeof type !== "string") {
    if (type.type === "list") return `${sqlType(type.element)}[]`;
    if (type.type === "map") return `MAP(${sqlType(type.key)}, ${sqlType(type.value)})`;
    return `STRUCT(${type.fields.map((field) => `${quoteName(field.name)} ${sqlType(field.type)}`).join(", ")})`;
  }
  if (type in sqlNames) return sqlNames[type as keyof typeof sqlNames];
  if (type.startsWith("fixed[")) return "BLOB";
  const decimal = decimalShape(type);
  if (decimal !== undefined && decimal.precision >= 1 && decimal.precision <= 38 && decimal.scale <= decimal.precision) {
    return `DECIMAL(${decimal.precision}, ${decimal.scale})`;
  }
  throw new AppError("type.unsupported", `The engine has no type ${type}.`, { expected: "a type of Iceberg v2", found: type });
}

/** The Iceberg type of a DuckDB type given by its name, with what must be said about it. Nested ids are 0: the caller allots them. */
export function icebergType(sql: string, column = "column"): { type: FieldType; notes: string[] } {
  const notes: string[] = [];
  const type = new TypeParser(sql, (found) => {
    const foreign = foreignTypes[found];
    if (foreign === undefined || "refused" in foreign) {
      throw new AppError("type.unsupported", `Column ${column} has the type ${found.toLowerCase()}.`, {
        expected: "a type of Iceberg v2",
        found: foreign?.refused ?? `${found}, which has no counterpart`,
        hint: "cast the column in the source, then run the same command again",
      });
    }
    notes.push(foreign.note);
    return foreign.type;
  }).parse();
  return { type, notes };
}

/** Reads DuckDB's own spelling of types: `STRUCT("a b" INTEGER, l DECIMAL(4,2)[])`. */
class TypeParser {
  private at = 0;
  private readonly text: string;
  private readonly foreign: (name: string) => PrimitiveType;

  constructor(text: string, foreign: (name: string) => PrimitiveType) {
    this.text = text;
    this.foreign = foreign;
  }

  parse(): FieldType {
    let type = this.base();
    for (let suffix = this.match(/\s*\[\d*\]/y); suffix !== undefined; suffix = this.match(/\s*\[\d*\]/y)) {
      type = { type: "list", "element-id": 0, element: type, "element-required": false };
    }
    return type;
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return undefined;
    this.at += found[0].length;
    return found[1] ?? found[0];
  }

  private base(): FieldType {
    if (this.match(/\s*STRUCT\s*\(/iy) !== undefined) return { type: "struct", fields: this.fields() };
    if (this.match(/\s*MAP\s*\(/iy) !== undefined) {
      const key = this.parse();
      this.match(/\s*,/y);
      const value = this.parse();
      this.match(/\s*\)/y);
      return { type: "map", "key-id": 0, key, "value-id": 0, value, "value-required": false };
    }
    const decimal = this.match(/\s*DECIMAL\s*\(([^)]*)\)/iy);
    if (decimal !== undefined) {
      const [precision, scale] = decimal.split(",").map(Number);
      return decimalType(precision ?? 18, scale ?? 0);
    }
    const name = (this.match(/\s*("[^"]*"|[A-Za-z_][A-Za-z_0-9]*( WITH TIME ZONE)?)/iy) ?? this.text.slice(this.at)).trim();
    this.match(/\s*\((?:[^()']|'(?:[^']|'')*')*\)/y);
    const upper = name.replaceAll('"', "").toUpperCase();
    return sqlAliases[upper] ?? this.foreign(upper);
  }

  private fields(): Field[] {
    const fields: Field[] = [];
    do {
      const quoted = this.match(/\s*("(?:[^"]|"")*"|[^\s"]+)\s+/y) ?? "";
      const name = quoted.startsWith('"') ? quoted.slice(1, -1).replaceAll('""', '"') : quoted;
      fields.push({ id: 0, name, required: false, type: this.parse() });
    } while (this.match(/\s*,/y) !== undefined);
    this.match(/\s*\)/y);
    return fields;
  }
}
