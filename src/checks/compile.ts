import type { Metric, Rule } from "../contracts/rule.ts";
import type { Range } from "../contracts/rule.ts";
import { call, column, literal, type Expr } from "../engine/plan.ts";
import type { FieldType, Schema } from "../lake/schema.ts";
import { isFloating, isNumber, typeName } from "../lake/types.ts";
import { divideDecimal, plainDecimal } from "../lib/decimal.ts";
import type { Failed } from "./failure.ts";
import { isProblem, literalOf, type Problem } from "./literals.ts";
import {
  isFailed,
  scanMeasure,
  where as onlyWhere,
  type BoundLiteral,
  type Measured,
  type MetadataHint,
  type ScanMeasure,
} from "./measure.ts";
import { failedReading, noReading, rowReading, type Reading } from "./reading.ts";
import { columnsById, findColumn, rowTest, whereExpr, type FoundColumn, type RowTest } from "./row-test.ts";

/** A rule in the form in which it is asked: what one scan measures for it, and what the values mean. */
export interface ScanRule {
  kind: "scan";
  measures: readonly ScanMeasure[];
  read(valueOf: (measure: ScanMeasure) => Measured): Reading;
  /** The condition of a row rule. */
  rows?: RowTest | undefined;
}

export type Compiled = ScanRule | { kind: "problem"; problem: Problem } | { kind: "schema"; reading: Reading } | undefined;

/** Compiles a rule for a schema; undefined for rules that need a plan of their own (checks/own-plans.ts) or another side. */
export function compileRule(rule: Rule, schema: Schema): Compiled {
  const { test } = rule;
  if (test.kind === "columns" || test.kind === "column_count" || test.kind === "column_type") return schemaRule(rule, schema);
  const made =
    test.kind === "metric"
      ? metricRule(rule, schema, test)
      : test.kind === "freshness" || test.kind === "retention"
        ? timeRule(rule, schema, test)
        : rowRule(rule, schema);
  if (made === undefined) return undefined;
  return isProblem(made) ? { kind: "problem", problem: made } : made;
}

function rowRule(rule: Rule, schema: Schema): ScanRule | Problem | undefined {
  const rows = rowTest(rule, schema);
  if (rows === undefined || isProblem(rows)) return rows;
  const columns = columnsById(schema);
  const measure = (of: Expr, hint?: MetadataHint): ScanMeasure => scanMeasure({ fn: "count_if", of }, columns, rows.fieldIds, hint);
  const all = scanMeasure({ fn: "count_all" }, columns, [], { is: "rows" });
  const plain = rule.where.length === 0;
  const [fieldId = -1] = rows.fieldIds;
  const { test } = rule;
  const evaluated =
    rows.evaluated === undefined ? all : plain && test.kind === "invalid_values" ? valuesOf(columns, fieldId) : measure(rows.evaluated);
  const nulls = plain && test.kind === "null_values" ? nullsOf(columns, fieldId) : undefined;
  const bad = nulls ?? measure(rows.bad, outsideHint(rule, schema));
  return {
    kind: "scan",
    rows,
    measures: [evaluated, bad],
    read: (valueOf) => {
      const [looked, wrong] = [valueOf(evaluated), valueOf(bad)];
      if (isFailed(looked) || isFailed(wrong)) return failedReading(isFailed(wrong) ? wrong : (looked as Failed));
      return rowReading(countOf(looked), countOf(wrong));
    },
  };
}

export const countOf = (value: Measured): bigint => BigInt(String(value ?? 0).split(".")[0] ?? "0");

type Columns = ReturnType<typeof columnsById>;

function nullsOf(columns: Columns, fieldId: number): ScanMeasure {
  return scanMeasure({ fn: "count_if", of: call("is_null", column(`f${fieldId}`)) }, columns, [fieldId], { is: "nulls", fieldId });
}

function valuesOf(columns: Columns, fieldId: number): ScanMeasure {
  return scanMeasure({ fn: "count", of: column(`f${fieldId}`) }, columns, [fieldId], { is: "values", fieldId });
}

/** A range rule finds nothing in files whose bounds lie within the range. */
function outsideHint(rule: Rule, schema: Schema): MetadataHint | undefined {
  if (rule.test.kind !== "invalid_values" || rule.test.valid.is !== "range") return undefined;
  const found = findColumn(schema, rule.test.column);
  if (isProblem(found)) return undefined;
  const { range } = rule.test.valid;
  return { is: "outside", fieldId: found.fieldId, range: { min: end(range, "min", found.type), max: end(range, "max", found.type) } };
}

function end(range: Range, side: "min" | "max", type: FieldType): BoundLiteral | undefined {
  const value = range[side];
  if (value === undefined) return undefined;
  const found = literalOf(value, type);
  // Only a constant of the column's own type stands in the form of a bound.
  const text = isProblem(found) || found.is !== "literal" ? undefined : String(found.value);
  const isSame = !isProblem(found) && found.is === "literal" && (found.type === type || isFloating(type));
  const exclusive = (side === "min" ? range.exclusiveMin : range.exclusiveMax) === true;
  return text !== undefined && isSame ? { text: text.replace(/Z$/, ""), exclusive } : { text: unreachable(side, type), exclusive: true };
}

/** A bound that no file is within, so that it is scanned. */
const unreachable = (side: "min" | "max", type: FieldType): string => {
  if (typeof type === "string" && /^(date|time)/.test(type)) return side === "min" ? "9999-12-31 00:00:00" : "0001-01-01 00:00:00";
  return side === "min" ? "9".repeat(30) : `-${"9".repeat(30)}`;
};

/** A column with the rule's condition: values of other rows are null. */
interface Filtered {
  found: FoundColumn;
  value: Expr;
  fieldIds: number[];
  isPlain: boolean;
}

export function filtered(rule: Rule, schema: Schema, wanted: { name: string; fieldId: number | undefined }): Filtered | Problem {
  const found = findColumn(schema, wanted);
  if (isProblem(found)) return found;
  const where = whereExpr(schema, rule.where);
  if (isProblem(where)) return where;
  return {
    found,
    value: onlyWhere(where.expr, found.value, found.type),
    fieldIds: [found.fieldId, ...where.fieldIds],
    isPlain: where.expr === undefined,
  };
}

type MetricTest = { metric: Metric; column?: { name: string; fieldId: number | undefined } | undefined; at?: number | undefined };

/** One number over a column. Undefined for counts of different values, which need a plan of their own. */
export function metricRule(rule: Rule, schema: Schema, test: MetricTest): ScanRule | Problem | undefined {
  const columns = columnsById(schema);
  if (test.metric === "row_count") {
    const where = whereExpr(schema, rule.where);
    if (isProblem(where)) return where;
    const rows =
      where.expr === undefined
        ? scanMeasure({ fn: "count_all" }, columns, [], { is: "rows" })
        : scanMeasure({ fn: "count_if", of: where.expr }, columns, where.fieldIds);
    return single([rows], ([count]) => number(String(count)));
  }
  if (test.column === undefined) return { reason: "rule_error", detail: `${test.metric} needs a column` };
  const made = filtered(rule, schema, test.column);
  if (isProblem(made)) return made;
  const { found, value, fieldIds, isPlain } = made;
  const { type, fieldId } = found;
  const count = scanMeasure({ fn: "count", of: value }, columns, fieldIds, isPlain ? { is: "values", fieldId } : undefined);
  const nans = isFloating(type)
    ? [
        scanMeasure(
          { fn: "count_if", of: call("coalesce", call("is_nan", value), literal(false, "boolean")) },
          columns,
          fieldIds,
          isPlain ? { is: "nans", fieldId } : undefined,
        ),
      ]
    : [];
  const { metric } = test;
  if (metric === "distinct_count" || metric === "distinct_share") return undefined;
  if (metric === "null_share") {
    const all = isPlain
      ? scanMeasure({ fn: "count_all" }, columns, [], { is: "rows" })
      : scanMeasure({ fn: "count_if", of: (whereExpr(schema, rule.where) as { expr: Expr }).expr }, columns, fieldIds);
    return single([all, count], ([rows, values]) => {
      const total = countOf(rows as Measured);
      if (total === 0n) return noReading("vacuous");
      return number(divideDecimal(String(total - countOf(values as Measured)), total));
    });
  }
  if (metric === "min" || metric === "max") {
    if (typeof type !== "string" || type === "boolean" || type === "binary")
      return { reason: "wrong_type", detail: `${metric} needs numbers, times or texts` };
    const measure = scanMeasure({ fn: metric, of: value }, columns, fieldIds, isPlain ? { is: metric, fieldId } : undefined);
    return single(
      [measure, ...nans],
      ([extreme], odd) => odd ?? (extreme === null ? noReading("no_values") : number(String(extreme))),
      nans.length,
    );
  }
  if (!isNumber(type)) return { reason: "wrong_type", detail: `${metric} needs numbers` };
  if (metric === "sum" || metric === "mean") {
    const sum = scanMeasure({ fn: "sum", of: value }, columns, fieldIds);
    return single(
      [sum, count, ...nans],
      ([total, values], odd) => {
        if (odd !== undefined) return odd;
        if (total === null) return noReading("no_values");
        if (metric === "sum") return number(String(total));
        if (isFloating(type)) return number(String(Number(total) / Number(values)));
        return number(divideDecimal(String(total), countOf(values as Measured)));
      },
      nans.length,
    );
  }
  if (metric === "stddev") {
    const moments = scanMeasure({ fn: "moments", of: value }, columns, fieldIds);
    return single(
      [moments, ...nans],
      ([list], odd) => {
        const [n = 0, , squares = 0] = list as unknown as number[];
        return odd ?? (n < 2 ? noReading("no_values") : number(String(Math.sqrt(squares / (n - 1)))));
      },
      nans.length,
    );
  }
  const at = metric === "median" ? 0.5 : test.at;
  if (at === undefined || at < 0 || at > 1) return { reason: "rule_error", detail: "a quantile lies between 0 and 1" };
  const quantile = scanMeasure({ fn: "quantiles", of: value, at: [at] }, columns, fieldIds);
  return single(
    [quantile, ...nans],
    ([list], odd) => odd ?? (list === null ? noReading("no_values") : number(String((list as unknown as number[])[0]))),
    nans.length,
  );
}

function number(text: string): Reading {
  if (text === "NaN" || text.endsWith("Infinity")) return noReading("not_a_number", text);
  return { value: plainDecimal(text) ?? text, evaluated: null, bad: null, reason: null };
}

/** A rule of one number; the last `nans` measures count NaN, which make the number unknown. */
function single(measures: readonly ScanMeasure[], read: (values: Measured[], odd: Reading | undefined) => Reading, nans = 0): ScanRule {
  return {
    kind: "scan",
    measures,
    read: (valueOf) => {
      const values = measures.map(valueOf);
      const failed = values.find(isFailed);
      if (failed !== undefined) return failedReading(failed);
      const count = nans === 0 ? 0n : countOf(values.at(-1) ?? 0);
      return read(values, count > 0n ? noReading("not_a_number", `${count} NaN`) : undefined);
    },
  };
}

/** The newest or oldest moment of a column; how long ago that is, the clock says when the rule is judged. */
function timeRule(
  rule: Rule,
  schema: Schema,
  test: { kind: "freshness" | "retention"; column: { name: string; fieldId: number | undefined } },
): ScanRule | Problem {
  const made = filtered(rule, schema, test.column);
  if (isProblem(made)) return made;
  const { found, value, fieldIds, isPlain } = made;
  const { type, fieldId } = found;
  if (type !== "date" && type !== "timestamp" && type !== "timestamptz")
    return { reason: "wrong_type", detail: `${test.kind} needs a date or a time` };
  const is = test.kind === "freshness" ? "max" : "min";
  const measure = scanMeasure({ fn: is, of: value }, columnsById(schema), fieldIds, isPlain ? { is, fieldId } : undefined);
  return single([measure], ([moment]) =>
    moment === null ? noReading("no_values") : { value: String(moment), evaluated: null, bad: null, reason: null },
  );
}

/** Milliseconds between a moment as a Cell and now. */
export function ageOf(moment: string, now: Date): number {
  const text = moment.length === 10 ? `${moment}T00:00:00` : moment;
  return now.getTime() - Date.parse(text.endsWith("Z") ? text : `${text}Z`);
}

const logicalNames: Readonly<Record<string, RegExp>> = {
  integer: /^(int|long)$/,
  int: /^(int|long)$/,
  bigint: /^long$/,
  number: /^(int|long|float|double|decimal.*)$/,
  numeric: /^decimal/,
  decimal: /^decimal/,
  real: /^float$/,
  float: /^(float|double)$/,
  varchar: /^string$/,
  text: /^string$/,
  bool: /^boolean$/,
  timestamp: /^timestamp(tz)?$/,
  datetime: /^timestamp(tz)?$/,
  array: /^list$/,
  object: /^struct$/,
};

function schemaRule({ test }: Rule, schema: Schema): Compiled {
  const decided = (holds: boolean, found: string): Compiled => ({
    kind: "schema",
    reading: { value: null, evaluated: null, bad: null, reason: null, found, verdict: holds ? "pass" : "fail" },
  });
  const names = schema.fields.map(({ name }) => name);
  if (test.kind === "column_count")
    return { kind: "schema", reading: { value: String(names.length), evaluated: null, bad: null, reason: null } };
  if (test.kind === "column_type") {
    const found = findColumn(schema, test.column);
    if (isProblem(found)) return { kind: "problem", problem: found };
    const type = typeName(found.type).replaceAll(" ", "");
    const fits = test.types.some((wanted) => {
      const plain = wanted.toLowerCase().replaceAll(" ", "");
      return plain === type || logicalNames[plain]?.test(type) === true;
    });
    return decided(fits, type);
  }
  if (test.kind !== "columns") return undefined;
  const missing = test.names.filter((name) => !names.includes(name));
  const further = names.filter((name) => !test.names.includes(name));
  const parts = [missing.length === 0 ? "" : `missing ${missing.join(", ")}`, further.length === 0 ? "" : `further ${further.join(", ")}`];
  const text = parts.filter((part) => part !== "").join("; ");
  if (test.relation === "contains") return decided(missing.length === 0, text === "" ? "all there" : text);
  const inOrder = test.relation === "equal" || names.join("\n") === test.names.join("\n");
  const equal = missing.length === 0 && further.length === 0 && new Set(test.names).size === names.length;
  return decided(equal && inOrder, text !== "" ? text : inOrder ? "all there" : `in the order ${names.join(", ")}`);
}
