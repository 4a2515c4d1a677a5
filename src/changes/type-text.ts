import { AppError } from "../lib/errors.ts";
import type { PrimitiveType } from "../lake/schema.ts";

const aliases: Readonly<Record<string, PrimitiveType>> = {
  bool: "boolean",
  boolean: "boolean",
  int: "int",
  int4: "int",
  integer: "int",
  smallint: "int",
  tinyint: "int",
  bigint: "long",
  int8: "long",
  long: "long",
  float: "float",
  float4: "float",
  real: "float",
  double: "double",
  float8: "double",
  "double precision": "double",
  date: "date",
  time: "time",
  timestamp: "timestamp",
  datetime: "timestamp",
  timestamptz: "timestamptz",
  "timestamp with time zone": "timestamptz",
  string: "string",
  text: "string",
  varchar: "string",
  uuid: "uuid",
  binary: "binary",
  bytes: "binary",
  blob: "binary",
};

/** The Iceberg type that a person names: its own name, or the one that SQL has for it. `type.unsupported` otherwise. */
export function parseType(text: string): PrimitiveType {
  const name = text.trim().toLowerCase().replaceAll(/\s+/g, " ");
  const known = aliases[name];
  if (known !== undefined) return known;
  const decimal = /^(?:decimal|numeric)\((\d{1,2})(?:, ?(\d{1,2}))?\)$/.exec(name);
  const [precision, scale] = [Number(decimal?.[1] ?? 0), Number(decimal?.[2] ?? 0)];
  if (decimal !== null && precision >= 1 && precision <= 38 && scale <= precision) return `decimal(${precision}, ${scale})`;
  throw new AppError("type.unsupported", `There is no type ${text}.`, {
    expected: "boolean, int, long, float, double, decimal(p,s), date, time, timestamp, timestamptz, string, uuid or binary",
    found: text,
    hint: "tidegate propose <dataset> --add <column>:string",
  });
}
