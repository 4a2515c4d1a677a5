import type { FieldType } from "../../lake/schema.ts";
import { decimalShape, isFloating, sameType, typeName } from "../../lake/types.ts";
import type { Expr, Fn } from "../plan.ts";
import { callType, commonType } from "../plan-types.ts";
import { castSql, textSql } from "./convert.ts";
import { raiseSql } from "./errors.ts";
import { hashSql } from "./hash.ts";
import { keptRe2, likeAsRe2 } from "./linear-patterns.ts";
import { literalSql } from "./literal.ts";
import { sqlType } from "./types.ts";
import type { Value } from "./value.ts";

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
    case "call": {
      const { fn, args } = inLinearTime(expr);
      return renderCall(
        fn,
        args.map((arg) => renderExpr(arg, scope)),
      );
    }
  }
}

/** Patterns in a form that is matched in linear time. */
function inLinearTime(expr: Extract<Expr, { is: "call" }>): Pick<typeof expr, "fn" | "args"> {
  const [text, pattern] = expr.args;
  if (text === undefined || pattern?.is !== "literal" || typeof pattern.value !== "string") return expr;
  const re2 = expr.fn === "matches" ? keptRe2(pattern.value) : expr.fn === "like" ? likeAsRe2(pattern.value) : undefined;
  return re2 === undefined ? expr : { fn: "matches", args: [text, { ...pattern, value: re2 }] };
}

function renderCall(fn: Fn, args: readonly Value[]): Value {
  const type = callType(
    fn,
    args.map((arg) => arg.type),
  );
  const anyNullable = args.some((arg) => arg.nullable);
  const value = (sql: string, nullable = anyNullable): Value => ({ sql: `(${sql})`, type, nullable });
  const list = (values: readonly Value[]): string => values.map((arg) => arg.sql).join(", ");
  const [first, ...others] = args as [Value, ...Value[]];
  switch (fn) {
    case "same":
      return value(sameSql(...(unite(fn, args) as [Value, Value])), false);
    case "row_hash":
      return value(args.length === 0 ? "0::BIGINT" : `(${hashSql(args)} >> 1)::BIGINT`, false);
    case "=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return value(
        unite(fn, args)
          .map((arg) => arg.sql)
          .join(` ${fn} `),
      );
    case "and":
    case "or":
      if (args.length === 0) return value(fn === "and" ? "true" : "false", false);
      return value(args.map((arg) => arg.sql).join(fn === "and" ? " AND " : " OR "));
    case "not":
      return value(`NOT ${first.sql}`);
    case "is_null":
      return value(`${first.sql} IS NULL`, false);
    case "is_nan":
      return value(isFloating(first.type) ? `isnan(${first.sql})` : `CASE WHEN ${first.sql} IS NOT NULL THEN false END`);
    case "coalesce":
    case "greatest":
    case "least":
      return value(
        `${fn}(${list(unite(fn, args))})`,
        args.every((arg) => arg.nullable),
      );
    case "if": {
      const [yes, no] = unite(fn, others) as [Value, Value];
      return value(`CASE WHEN ${first.sql} THEN ${yes.sql} ELSE ${no.sql} END`, yes.nullable || no.nullable);
    }
    case "in": {
      if (others.length === 0) return value("false", false);
      const [needle, ...items] = unite(fn, args) as [Value, ...Value[]];
      return value(`${needle.sql} IN (${list(items)})`);
    }
    case "+":
    case "-":
    case "*":
    case "/":
      return arithmetic(fn, args, type);
    case "mod": {
      const [a, b] = unite(fn, args) as [Value, Value];
      return value(`${a.sql} % nullif(${b.sql}, 0)`, true);
    }
    case "matches":
      return value(`regexp_matches(${list(args)})`);
    case "like":
      return value(args.map((arg) => arg.sql).join(" LIKE "));
    case "parse_time":
      return value(`CAST(try_strptime(${list(args)}) AS TIMESTAMP)`, true);
    case "is_json":
      return value(`json_valid(${first.sql})`);
    case "items":
      return value(`len(${first.sql})`);
    case "distinct_items":
      return value(`CAST(list_unique(${first.sql}) AS BIGINT)`);
    case "text":
      return value(textSql(first.sql, first.type));
    case "abs":
    case "length":
    case "contains":
      return value(`${fn}(${list(args)})`);
  }
}

/** Null-safe equality; plain where one side cannot be null, since only that is pushed into scans. */
function sameSql(left: Value, right: Value): string {
  if (!left.nullable && !right.nullable) return `${left.sql} = ${right.sql}`;
  if (!left.nullable) return `${left.sql} = ${right.sql} AND ${right.sql} IS NOT NULL`;
  if (!right.nullable) return `${left.sql} = ${right.sql} AND ${left.sql} IS NOT NULL`;
  return `${left.sql} IS NOT DISTINCT FROM ${right.sql}`;
}

function arithmetic(fn: "+" | "-" | "*" | "/", args: readonly Value[], type: FieldType): Value {
  const [left, right] = args as [Value, Value];
  const nullable = left.nullable || right.nullable;
  const as = ({ sql }: Value): string => `CAST(${sql} AS ${sqlType(type)})`;
  if (fn === "/") return { sql: `(${as(left)} / nullif(${as(right)}, 0))`, type, nullable: true };
  // Decimals keep their own scales: the engine's result has exactly the digits that the type says.
  const [a, b] = decimalShape(type) === undefined ? [as(left), as(right)] : [left.sql, right.sql];
  return { sql: `CAST(${a} ${fn} ${b} AS ${sqlType(type)})`, type, nullable };
}

/** Brings values to the type that they have in common. */
function unite(fn: Fn, args: readonly Value[]): Value[] {
  const type = args.map((arg) => arg.type).reduce((a, b) => commonType(fn, a, b));
  return args.map((arg) => (sameType(arg.type, type) ? arg : { ...arg, sql: `CAST(${arg.sql} AS ${sqlType(type)})`, type }));
}
