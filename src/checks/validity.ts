import type { Range, RuleValue, Validity } from "../contracts/rule.ts";
import { call, literal, type Expr } from "../engine/plan.ts";
import type { FieldType } from "../lake/schema.ts";
import { decimalShape, isFloating, isNumber, isWhole, typeName } from "../lake/types.ts";
import { isProblem, literalOf, type Problem } from "./literals.ts";

/** Named formats as regular expressions in RE2's syntax, over the whole text. */
const formats: Readonly<Record<string, string>> = {
  email:
    "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
  uuid: "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
  uri: "^[A-Za-z][A-Za-z0-9+.-]*:[^\\s]+$",
  ipv4: "^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
  ipv6:
    "^(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,7}:|(?:[0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}" +
    "|(?:[0-9A-Fa-f]{1,4}:){1,5}(?::[0-9A-Fa-f]{1,4}){1,2}|(?:[0-9A-Fa-f]{1,4}:){1,4}(?::[0-9A-Fa-f]{1,4}){1,3}" +
    "|(?:[0-9A-Fa-f]{1,4}:){1,3}(?::[0-9A-Fa-f]{1,4}){1,4}|(?:[0-9A-Fa-f]{1,4}:){1,2}(?::[0-9A-Fa-f]{1,4}){1,5}" +
    "|[0-9A-Fa-f]{1,4}:(?::[0-9A-Fa-f]{1,4}){1,6}|:(?:(?::[0-9A-Fa-f]{1,4}){1,7}|:))$",
  hostname: "^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
};

/** A condition that holds for valid values; the value is not null. */
export function validExpr(value: Expr, type: FieldType, valid: Validity): Expr | Problem {
  switch (valid.is) {
    case "range":
      return rangeExpr(value, type, valid.range);
    case "in":
      return inExpr(value, type, valid.values);
    case "not_in": {
      const within = inExpr(value, type, valid.values);
      return isProblem(within) ? within : call("not", within);
    }
    case "matches":
    case "not_matches":
    case "like":
    case "not_like":
      return patternExpr(value, type, valid);
    case "length":
      return type === "string" ? between(call("length", value), valid.min, valid.max) : wrong("a text", type);
    case "multiple_of":
      return multipleExpr(value, type, valid.of);
    case "json":
      return type === "string" ? call("is_json", value) : wrong("a text", type);
    case "time_format":
      if (type !== "string") return wrong("a text", type);
      return call("not", call("is_null", call("parse_time", value, literal(valid.format, "string"))));
    case "format": {
      const pattern = formats[valid.name];
      if (pattern === undefined) return { reason: "rule_error", detail: `there is no format ${valid.name}` };
      return textExpr(value, type, (text) => call("matches", text, literal(pattern, "string")));
    }
    case "items": {
      if (typeof type === "string" || type.type !== "list") return wrong("a list", type);
      const count = between(call("items", value), valid.min, valid.max);
      // Nulls are not different items: two of them are not unique.
      return valid.unique === true ? call("and", count, call("=", call("items", value), call("distinct_items", value))) : count;
    }
  }
}

function wrong(wanted: string, type: FieldType): Problem {
  return { reason: "wrong_type", detail: `expected ${wanted}, found ${typeName(type)}` };
}

function between(value: Expr, min: number | undefined, max: number | undefined): Expr {
  return call(
    "and",
    ...(min === undefined ? [] : [call(">=", value, literal(min, "long"))]),
    ...(max === undefined ? [] : [call("<=", value, literal(max, "long"))]),
  );
}

function rangeExpr(value: Expr, type: FieldType, range: Range): Expr | Problem {
  const parts: Expr[] = [];
  // NaN stands above every number for the engine, and in no range.
  if (isFloating(type)) parts.push(call("not", call("is_nan", value)));
  for (const [bound, fn] of [
    [range.min, range.exclusiveMin === true ? ">" : ">="],
    [range.max, range.exclusiveMax === true ? "<" : "<="],
  ] as const) {
    if (bound === undefined) continue;
    if (type === "string" && bound.type !== "text") return { reason: "wrong_type", detail: `a text is not compared with ${bound.value}` };
    const found = literalOf(bound, type);
    if (isProblem(found)) return found;
    parts.push(call(fn, value, found));
  }
  return call("and", ...parts);
}

function inExpr(value: Expr, type: FieldType, values: readonly RuleValue[]): Expr | Problem {
  const items: Expr[] = [];
  for (const item of values) {
    const found = literalOf(item, type);
    if (isProblem(found)) return found;
    items.push(found);
  }
  return call("in", value, ...items);
}

/** A condition on text; identifiers of type uuid count as text. */
function textExpr(value: Expr, type: FieldType, of: (text: Expr) => Expr): Expr | Problem {
  if (type === "string") return of(value);
  return type === "uuid" ? of(call("text", value)) : wrong("a text", type);
}

function patternExpr(
  value: Expr,
  type: FieldType,
  valid: Extract<Validity, { is: "matches" | "not_matches" | "like" | "not_like" }>,
): Expr | Problem {
  return textExpr(value, type, (text) => {
    const fn = valid.is === "like" || valid.is === "not_like" ? "like" : "matches";
    const found = valid.patterns.map((pattern) => call(fn, text, literal(pattern, "string")));
    const joined = found.length === 1 ? (found[0] as Expr) : call(valid.how === "all" ? "and" : "or", ...found);
    return valid.is === "not_like" || valid.is === "not_matches" ? call("not", joined) : joined;
  });
}

function multipleExpr(value: Expr, type: FieldType, of: string): Expr | Problem {
  if (!isNumber(type)) return wrong("a number", type);
  const step = literalOf({ type: "number", value: of }, type);
  if (isProblem(step)) return step;
  if (Number(of) === 0) return { reason: "rule_error", detail: "nothing is a multiple of 0" };
  const rest = call("coalesce", call("mod", value, step), literal(1, isFloating(type) ? "double" : "long"));
  if (isWhole(type) || decimalShape(type) !== undefined) return call("=", rest, literal(0, "long"));
  // Doubles: 0.3 is a multiple of 0.1, though the rest of the division is no exact 0.
  const size = call("abs", call("mod", value, step));
  const near = literal(Math.abs(Number(of)) * 1e-9, "double");
  const distance = call("least", size, call("-", literal(Math.abs(Number(of)), "double"), size));
  return call("and", call("not", call("is_nan", value)), call("<=", call("coalesce", distance, literal(1, "double")), near));
}
