import type { FieldType, PrimitiveType } from "../../lake/schema.ts";
import { AppError } from "../../lib/errors.ts";
import type { Expr, Fn } from "../plan.ts";
import { castSql, textSql, widens } from "./convert.ts";
import { raiseSql } from "./errors.ts";
import { hashSql } from "./hash.ts";
import { literalSql } from "./literal.ts";
import { decimalShape, decimalType, sameType, sqlType } from "./types.ts";

/** A rendered value: its SQL, its type, and whether it can be NULL. */
export interface Value {
  sql: string;
  type: FieldType;
  nullable: boolean;
}

/** Finds a column of the input by name. */
export type Scope = (name: string) => Value;

/** Renders an expression over the columns of `scope`. */
export function renderExpr(expr: Expr, scope: Scope): Value {
  switch (expr.is) {
    case "column":
      return scope(expr.name);
    case "literal":
      return { sql: literalSql(expr.value, expr.type), type: expr.type, nullable: expr.value === null };
    case "cast": {
      const value = renderExpr(expr.value, scope);
      const misfit = expr.lenient === true ? null : (text: string) => raiseSql("type.loses_digits", typeName(expr.type), text);
      return { sql: castSql(value.sql, value.type, expr.type, misfit), type: expr.type, nullable: value.nullable || expr.lenient === true };
    }
    case "call":
      return renderCall(
        expr.fn,
        expr.args.map((arg) => renderExpr(arg, scope)),
      );
  }
}

export function typeName(type: FieldType): string {
  return typeof type === "string" ? type : type.type;
}

function renderCall(fn: Fn, args: Value[]): Value {
  const nullable = args.some((arg) => arg.nullable);
  const first = args[0];
  if (first === undefined && fn !== "and" && fn !== "or" && fn !== "row_hash") throw arity(fn);
  const one = first as Value;
  const value = (sql: string, type: FieldType, canBeNull = nullable): Value => ({ sql: `(${sql})`, type, nullable: canBeNull });
  switch (fn) {
    case "same":
      return value(sameSql(fn, args), "boolean", false);
    case "row_hash":
      return value(args.length === 0 ? "0::BIGINT" : `(${hashSql(args)} >> 1)::BIGINT`, "long", false);
    case "=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return value(two(fn, args).map((arg) => arg.sql).join(` ${fn} `), "boolean");
    case "and":
    case "or":
      if (args.length === 0) return value(fn === "and" ? "true" : "false", "boolean", false);
      return value(args.map((arg) => arg.sql).join(fn === "and" ? " AND " : " OR "), "boolean");
    case "not":
      return value(`NOT ${one.sql}`, "boolean");
    case "is_null":
      return value(`${one.sql} IS NULL`, "boolean", false);
    case "is_nan":
      return one.type === "float" || one.type === "double"
        ? value(`isnan(${one.sql})`, "boolean")
        : value(`CASE WHEN ${one.sql} IS NOT NULL THEN false END`, "boolean");
    case "coalesce": {
      const united = unite(fn, args);
      return value(`coalesce(${united.map((arg) => arg.sql).join(", ")})`, (united[0] as Value).type, args.every((arg) => arg.nullable));
    }
    case "if": {
      if (args.length !== 3) throw arity(fn);
      const [yes, no] = unite(fn, args.slice(1)) as [Value, Value];
      return value(`CASE WHEN ${one.sql} THEN ${yes.sql} ELSE ${no.sql} END`, yes.type, yes.nullable || no.nullable);
    }
    case "+":
    case "-":
    case "*":
    case "/":
      return arithmetic(fn, args);
    case "abs":
      return value(`abs(${one.sql})`, one.type);
    case "length":
      return value(`length(${one.sql})`, "long");
    case "text":
      return value(textSql(one.sql, one.type), "string");
    case "contains":
      return value(`contains(${args.map((arg) => arg.sql).join(", ")})`, "boolean");
    case "in": {
      const [needle, ...items] = unite(fn, args);
      if (needle === undefined || items.length === 0) return value("false", "boolean", false);
      return value(`${needle.sql} IN (${items.map((item) => item.sql).join(", ")})`, "boolean");
    }
    case "greatest":
    case "least": {
      const united = unite(fn, args);
      return value(`${fn}(${united.map((arg) => arg.sql).join(", ")})`, (united[0] as Value).type, args.every((arg) => arg.nullable));
    }
  }
}

/** Null-safe equality; plain where one side cannot be null, since only that is pushed into scans. */
function sameSql(fn: Fn, args: Value[]): string {
  const [left, right] = two(fn, args);
  if (!left.nullable && !right.nullable) return `${left.sql} = ${right.sql}`;
  if (!left.nullable) return `${left.sql} = ${right.sql} AND ${right.sql} IS NOT NULL`;
  if (!right.nullable) return `${left.sql} = ${right.sql} AND ${left.sql} IS NOT NULL`;
  return `${left.sql} IS NOT DISTINCT FROM ${right.sql}`;
}

function arithmetic(fn: "+" | "-" | "*" | "/", args: Value[]): Value {
  const [left, right] = two(fn, args);
  const nullable = left.nullable || right.nullable;
  if (fn === "/") {
    const [over, under] = [left, right].map((arg) => `CAST(${arg.sql} AS DOUBLE)`);
    return { sql: `(${over} / nullif(${under}, 0))`, type: "double", nullable: true };
  }
  const type = arithmeticType(fn, left.type, right.type);
  const [a, b] = decimalShape(type) === undefined ? [left, right].map((arg) => `CAST(${arg.sql} AS ${sqlType(type)})`) : [left.sql, right.sql];
  return { sql: `CAST(${a} ${fn} ${b} AS ${sqlType(type)})`, type, nullable };
}

/** Integers give a long, anything with a float or double a double, decimals the decimal that holds the result. */
function arithmeticType(fn: "+" | "-" | "*", a: FieldType, b: FieldType): PrimitiveType {
  const whole = (type: FieldType): boolean => type === "int" || type === "long";
  if (whole(a) && whole(b)) return "long";
  if ([a, b].some((type) => type === "float" || type === "double")) return "double";
  const shape = (type: FieldType) => decimalShape(type) ?? (type === "int" ? { precision: 10, scale: 0 } : type === "long" ? { precision: 19, scale: 0 } : undefined);
  const [left, right] = [shape(a), shape(b)];
  if (left === undefined || right === undefined) throw mismatch(fn, a, b);
  if (fn === "*") return decimalType(Math.min(38, left.precision + right.precision), left.scale + right.scale);
  const scale = Math.max(left.scale, right.scale);
  const before = Math.max(left.precision - left.scale, right.precision - right.scale);
  return decimalType(Math.min(38, before + scale + 1), scale);
}

/** Brings values to one type; `type.unsupported` when they have none in common. */
function unite(fn: Fn, args: Value[]): Value[] {
  const type = args.map((arg) => arg.type).reduce((a, b) => commonType(fn, a, b));
  return args.map((arg) => (sameType(arg.type, type) ? arg : { ...arg, sql: `CAST(${arg.sql} AS ${sqlType(type)})`, type }));
}

function two(fn: Fn, args: Value[]): [Value, Value] {
  if (args.length !== 2) throw arity(fn);
  return unite(fn, args) as [Value, Value];
}

function commonType(fn: Fn, a: FieldType, b: FieldType): FieldType {
  if (sameType(a, b)) return a;
  if (typeof a !== "string" || typeof b !== "string") throw mismatch(fn, a, b);
  if (widens(a, b)) return b;
  if (widens(b, a)) return a;
  const [left, right] = [decimalShape(a), decimalShape(b)];
  if (left !== undefined && right !== undefined) {
    const scale = Math.max(left.scale, right.scale);
    return decimalType(Math.min(38, Math.max(left.precision - left.scale, right.precision - right.scale) + scale), scale);
  }
  const number = (type: PrimitiveType): boolean => ["int", "long", "float", "double"].includes(type) || decimalShape(type) !== undefined;
  if (number(a) && number(b)) {
    const whole = [a, b].find((type) => type === "int" || type === "long");
    const decimal = left ?? right;
    if (whole === undefined || decimal === undefined) return "double";
    return decimalType(Math.min(38, 19 + decimal.scale), decimal.scale);
  }
  const time = (type: PrimitiveType): boolean => type === "timestamp" || type === "timestamptz";
  if (time(a) && time(b)) return "timestamptz";
  throw mismatch(fn, a, b);
}

function mismatch(fn: Fn, a: FieldType, b: FieldType): AppError {
  return new AppError("type.unsupported", `«${fn}» cannot take a ${typeName(a)} and a ${typeName(b)}.`, {
    expected: "values of one type",
    found: `${typeName(a)} and ${typeName(b)}`,
  });
}

function arity(fn: Fn): AppError {
  return new AppError("internal", `«${fn}» was called with a wrong number of arguments.`);
}
