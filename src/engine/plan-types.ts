import type { FieldType, PrimitiveType } from "../lake/schema.ts";
import { decimalShape, isFloating, isNumber, isWhole, sameType, typeName } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import type { Column, Expr, Fn, Measure, Plan } from "./plan.ts";

/* The types of plans and expressions: the same on every engine, known without asking one. */

export function decimalType(precision: number, scale: number): PrimitiveType {
  if (scale > 38)
    throw new AppError("type.unsupported", "The result has too many digits for a decimal.", {
      expected: "at most 38 digits",
      found: `${scale} behind the point`,
    });
  return `decimal(${Math.min(38, precision)}, ${scale})`;
}

/** Whether every value of one type is a value of the other, so that a cast needs no check. */
export function widens(from: PrimitiveType, to: PrimitiveType): boolean {
  if (sameType(from, to)) return true;
  const large = decimalShape(to);
  if (large !== undefined) {
    const small = numberShape(from);
    return small !== undefined && large.scale >= small.scale && large.precision - large.scale >= small.precision - small.scale;
  }
  const wider: Partial<Record<PrimitiveType, readonly PrimitiveType[]>> = {
    int: ["long", "double"],
    float: ["double"],
    date: ["timestamp", "timestamptz"],
  };
  return wider[from]?.includes(to) === true;
}

/** Whether values of one type can be cast to the other at all. */
export function isCastable(from: FieldType, to: FieldType): boolean {
  if (typeof from !== "string" || typeof to !== "string") return to === "string" || sameType(from, to);
  if (from === "string" || to === "string" || widens(from, to)) return true;
  const times: readonly PrimitiveType[] = ["date", "timestamp", "timestamptz"];
  if (times.includes(from)) return times.includes(to) || (from === "timestamp" && to === "time");
  if (from === "binary" || from.startsWith("fixed[")) return to === "binary" || to.startsWith("fixed[");
  return (isNumber(from) || from === "boolean") && (isNumber(to) || to === "boolean");
}

function numberShape(type: FieldType): { precision: number; scale: number } | undefined {
  if (type === "int") return { precision: 10, scale: 0 };
  return type === "long" ? { precision: 19, scale: 0 } : decimalShape(type);
}

/** The type to which two values are brought to be compared; `type.unsupported` when there is none. */
export function commonType(fn: string, a: FieldType, b: FieldType): FieldType {
  if (sameType(a, b)) return a;
  if (typeof a !== "string" || typeof b !== "string") throw mismatch(fn, a, b);
  if (widens(a, b)) return b;
  if (widens(b, a)) return a;
  const [left, right] = [numberShape(a), numberShape(b)];
  if (left !== undefined && right !== undefined) {
    const scale = Math.max(left.scale, right.scale);
    return decimalType(Math.max(left.precision - left.scale, right.precision - right.scale) + scale, scale);
  }
  if (isNumber(a) && isNumber(b)) return "double";
  const moment = (type: PrimitiveType): boolean => type === "timestamp" || type === "timestamptz";
  if (moment(a) && moment(b)) return "timestamptz";
  throw mismatch(fn, a, b);
}

function arithmeticType(fn: Fn, a: FieldType, b: FieldType): PrimitiveType {
  if (!isNumber(a) || !isNumber(b)) throw mismatch(fn, a, b);
  if (fn === "/" || isFloating(a) || isFloating(b)) return "double";
  if (isWhole(a) && isWhole(b)) return "long";
  const [left, right] = [numberShape(a), numberShape(b)] as [{ precision: number; scale: number }, { precision: number; scale: number }];
  if (fn === "*") return decimalType(left.precision + right.precision, left.scale + right.scale);
  const scale = Math.max(left.scale, right.scale);
  return decimalType(Math.max(left.precision - left.scale, right.precision - right.scale) + scale + 1, scale);
}

function mismatch(fn: string, a: FieldType, b: FieldType): AppError {
  return new AppError("type.unsupported", `«${fn}» cannot take a ${typeName(a)} and a ${typeName(b)}.`, {
    expected: "values of one type",
    found: `${typeName(a)} and ${typeName(b)}`,
  });
}

function wants(fn: string, wanted: string, found: FieldType, fits: boolean): void {
  if (!fits)
    throw new AppError("type.unsupported", `«${fn}» cannot take a ${typeName(found)}.`, { expected: wanted, found: typeName(found) });
}

const arity: Partial<Record<Fn, number>> = {
  same: 2,
  "=": 2,
  "<": 2,
  "<=": 2,
  ">": 2,
  ">=": 2,
  "+": 2,
  "-": 2,
  "*": 2,
  "/": 2,
  contains: 2,
  mod: 2,
  matches: 2,
  like: 2,
  parse_time: 2,
  is_json: 1,
  items: 1,
  distinct_items: 1,
  not: 1,
  is_null: 1,
  is_nan: 1,
  abs: 1,
  length: 1,
  text: 1,
  if: 3,
};

/** Type of a call; checks its arguments. */
export function callType(fn: Fn, args: readonly FieldType[]): FieldType {
  const [first, second, third] = args as [FieldType, FieldType, FieldType];
  const count = arity[fn];
  const open: readonly Fn[] = ["and", "or", "row_hash"];
  if ((count !== undefined && count !== args.length) || (args.length === 0 && !open.includes(fn))) {
    throw new AppError("internal", `«${fn}» was called with ${args.length} arguments.`);
  }
  const common = (types: readonly FieldType[]): FieldType => types.reduce((a, b) => commonType(fn, a, b));
  switch (fn) {
    case "and":
    case "or":
    case "not":
      for (const type of args) wants(fn, "conditions", type, type === "boolean");
      return "boolean";
    case "same":
    case "=":
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "in":
      common(args);
      return "boolean";
    case "is_null":
    case "is_nan":
      return "boolean";
    case "contains":
    case "matches":
    case "like":
      wants(fn, "texts", first, first === "string");
      wants(fn, "texts", second, second === "string");
      return "boolean";
    case "parse_time":
      wants(fn, "texts", first, first === "string");
      wants(fn, "a format", second, second === "string");
      return "timestamp";
    case "is_json":
      wants(fn, "a text", first, first === "string");
      return "boolean";
    case "items":
    case "distinct_items":
      wants(fn, "a list", first, typeof first !== "string" && first.type === "list");
      return "long";
    case "mod":
      wants(fn, "a number", first, isNumber(first));
      wants(fn, "a number", second, isNumber(second));
      return common(args);
    case "row_hash":
      return "long";
    case "length":
      wants(fn, "a text", first, first === "string");
      return "long";
    case "text":
      return "string";
    case "coalesce":
    case "greatest":
    case "least":
      return common(args);
    case "if":
      wants(fn, "a condition first", first, first === "boolean");
      return common([second, third]);
    case "abs":
      wants(fn, "a number", first, isNumber(first));
      return first;
    case "+":
    case "-":
    case "*":
    case "/":
      return arithmeticType(fn, first, second);
  }
}

const topType: FieldType = {
  type: "list",
  "element-id": 0,
  "element-required": true,
  element: {
    type: "struct",
    fields: [
      { id: 0, name: "value", required: true, type: "string" },
      { id: 0, name: "count", required: true, type: "long" },
    ],
  },
};

/** Type of a measure over values of a type (`count_all` has none). */
export function measureType(fn: Measure["fn"], of: FieldType | undefined): FieldType {
  if (of === undefined) return "long";
  switch (fn) {
    case "count_all":
    case "count":
    case "count_if":
    case "count_distinct":
    case "approx_count_distinct":
      return "long";
    case "min":
    case "max":
    case "any":
      return of;
    case "sum":
      wants(fn, "numbers", of, isNumber(of));
      return isFloating(of) ? "double" : decimalType(38, decimalShape(of)?.scale ?? 0);
    case "mean":
    case "stddev":
      wants(fn, "numbers", of, isNumber(of));
      return "double";
    case "histogram":
      wants(fn, "numbers", of, isNumber(of));
      return { type: "list", "element-id": 0, element: "long", "element-required": true };
    case "moments":
      wants(fn, "numbers", of, isNumber(of));
      return { type: "list", "element-id": 0, element: "double", "element-required": true };
    case "quantiles":
    case "approx_quantiles": {
      const times: readonly FieldType[] = ["date", "time", "timestamp", "timestamptz"];
      wants(fn, "numbers, dates or times", of, isNumber(of) || times.includes(of));
      return { type: "list", "element-id": 0, element: times.includes(of) ? of : "double", "element-required": false };
    }
    case "top":
      return topType;
  }
}

/** Type of an expression over the given columns. */
export function exprType(expr: Expr, columns: readonly Column[]): FieldType {
  switch (expr.is) {
    case "column":
      return columnNamed(columns, expr.name).type;
    case "literal":
      return expr.type;
    case "cast": {
      const from = exprType(expr.value, columns);
      if (!isCastable(from, expr.type)) throw uncastable(from, expr.type);
      return expr.type;
    }
    case "call":
      return callType(
        expr.fn,
        expr.args.map((arg) => exprType(arg, columns)),
      );
  }
}

export function uncastable(from: FieldType, to: FieldType): AppError {
  return new AppError("type.unsupported", `A ${typeName(from)} cannot be cast to ${typeName(to)}.`, {
    expected: `a type that can hold a ${typeName(from)}`,
    found: typeName(to),
  });
}

/** A column by its exact name; `column.not_found` says which ones there are. */
export function columnNamed<C extends { name: string }>(columns: readonly C[], name: string): C {
  const found = columns.find((column) => column.name === name);
  if (found !== undefined) return found;
  // Names that begin with a control character are ours; people need not see them.
  const names = columns.map((column) => column.name).filter((known) => known >= " ");
  throw new AppError("column.not_found", `There is no column ${name}.`, { expected: `one of ${names.join(", ")}`, found: name });
}

/** Columns of a plan's result. */
export function planColumns(plan: Plan): Column[] {
  const plain = (columns: readonly Column[]): Column[] => columns.map(({ name, type }) => ({ name, type }));
  switch (plan.op) {
    case "table": {
      const place: Column[] =
        plan.position === true
          ? [
              { name: "_file", type: "string" },
              { name: "_pos", type: "long" },
            ]
          : [];
      return [...plain(plan.fields), ...place];
    }
    case "staged":
    case "values":
      return plain(plan.columns);
    case "project": {
      const columns = planColumns(plan.input);
      return plan.columns.map(({ name, expr }) => ({ name, type: exprType(expr, columns) }));
    }
    case "join":
      return plan.how === "semi" || plan.how === "anti" ? planColumns(plan.left) : [...planColumns(plan.left), ...planColumns(plan.right)];
    case "union":
      return plan.inputs[0] === undefined ? [] : planColumns(plan.inputs[0]);
    case "aggregate": {
      const columns = planColumns(plan.input);
      const measures = plan.measures.map(({ name, of }) => ({
        name,
        type: measureType(of.fn, of.fn === "count_all" ? undefined : exprType(of.of, columns)),
      }));
      return [...plan.by.map((name) => plain([columnNamed(columns, name)])[0] as Column), ...measures];
    }
    case "number":
      return [...planColumns(plan.input), { name: plan.as, type: "long" }];
    case "previous": {
      const columns = planColumns(plan.input);
      return [...columns, { name: plan.as, type: columnNamed(columns, plan.of).type }];
    }
    case "filter":
    case "sort":
    case "limit":
      return planColumns(plan.input);
  }
}
