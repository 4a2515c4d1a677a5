import type { RowCondition, Rule, RuleColumn } from "../contracts/rule.ts";
import { exprType } from "../engine/plan-types.ts";
import { call, column, literal, type Column, type Expr } from "../engine/plan.ts";
import type { FieldType, Schema } from "../lake/schema.ts";
import { isNumber } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import { isProblem, literalOf, type Problem } from "./literals.ts";
import { plainDecimal } from "../lib/decimal.ts";
import { validExpr } from "./validity.ts";

/*
 * Rules as conditions on rows. Columns go by field id (`f12`), so that a rule has one form however its columns are called, and what is known
 * of a file stays known after a rename.
 */

export const idName = (fieldId: number): string => `f${fieldId}`;

/** The columns of a schema under their field ids. */
export function columnsById(schema: Schema): Column[] {
  return schema.fields.map(({ id, type }) => ({ name: idName(id), type }));
}

/** A rule's condition on rows: which are looked at, and which of those are bad. Neither is ever null. */
export interface RowTest {
  /** Undefined: every row. */
  evaluated: Expr | undefined;
  bad: Expr;
  fieldIds: number[];
}

export interface FoundColumn {
  fieldId: number;
  value: Expr;
  type: FieldType;
}

export function findColumn(schema: Schema, wanted: RuleColumn): FoundColumn | Problem {
  const field = schema.fields.find(({ id }) => id === wanted.fieldId);
  if (field === undefined) return { reason: "column_missing", detail: `there is no column ${wanted.name}` };
  return { fieldId: field.id, value: column(idName(field.id)), type: field.type };
}

const present = (value: Expr): Expr => call("not", call("is_null", value));
const all = (...parts: (Expr | undefined)[]): Expr | undefined => {
  const given = parts.filter((part) => part !== undefined);
  return given.length === 0 ? undefined : given.length === 1 ? given[0] : call("and", ...given);
};
const orFalse = (condition: Expr): Expr => call("coalesce", condition, literal(false, "boolean"));

/** The rule's conditions on single rows, joined; undefined without any. */
export function whereExpr(schema: Schema, where: readonly RowCondition[]): { expr: Expr | undefined; fieldIds: number[] } | Problem {
  const parts: Expr[] = [];
  const fieldIds: number[] = [];
  for (const condition of where) {
    const found = findColumn(schema, condition.column);
    if (isProblem(found)) return found;
    fieldIds.push(found.fieldId);
    if (condition.op === "is_null" || condition.op === "is_not_null") {
      parts.push(condition.op === "is_null" ? call("is_null", found.value) : present(found.value));
      continue;
    }
    if (condition.value === undefined) return { reason: "rule_error", detail: `the condition on ${condition.column.name} has no value` };
    const value = literalOf(condition.value, found.type);
    if (isProblem(value)) return value;
    const compared = condition.op === "!=" ? call("not", call("=", found.value, value)) : call(condition.op, found.value, value);
    parts.push(orFalse(compared));
  }
  return { expr: all(...parts), fieldIds };
}

/** The condition of a row rule on this schema; undefined for rules that are no conditions on single rows. */
export function rowTest(rule: Rule, schema: Schema): RowTest | Problem | undefined {
  const where = whereExpr(schema, rule.where);
  if (isProblem(where)) return where;
  const made = conditions(rule, schema, where.expr);
  if (made === undefined || isProblem(made)) return made;
  const problem = typeProblem(made, columnsById(schema));
  if (problem !== undefined) return problem;
  return { ...made, fieldIds: [...new Set([...made.fieldIds, ...where.fieldIds])].sort((a, b) => a - b) };
}

function typeProblem({ evaluated, bad }: RowTest, columns: readonly Column[]): Problem | undefined {
  try {
    for (const expr of [evaluated, bad]) if (expr !== undefined) exprType(expr, columns);
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === "type.unsupported")
      return { reason: "wrong_type", detail: error.found ?? error.message };
    throw error;
  }
}

function conditions(rule: Rule, schema: Schema, where: Expr | undefined): RowTest | Problem | undefined {
  const { test } = rule;
  switch (test.kind) {
    case "null_values":
    case "missing_values": {
      const found = findColumn(schema, test.column);
      if (isProblem(found)) return found;
      const isNull = call("is_null", found.value);
      if (test.kind === "null_values") return { evaluated: where, bad: all(where, isNull) as Expr, fieldIds: [found.fieldId] };
      const within = validExpr(found.value, found.type, { is: "in", values: test.values });
      if (isProblem(within)) return within;
      return { evaluated: where, bad: all(where, call("or", isNull, orFalse(within))) as Expr, fieldIds: [found.fieldId] };
    }
    case "invalid_values": {
      const found = findColumn(schema, test.column);
      if (isProblem(found)) return found;
      const valid = validExpr(found.value, found.type, test.valid);
      if (isProblem(valid)) return valid;
      const looked = all(where, present(found.value)) as Expr;
      return { evaluated: looked, bad: all(looked, call("not", valid)) as Expr, fieldIds: [found.fieldId] };
    }
    case "compare_columns": {
      const [left, right] = [findColumn(schema, test.left), findColumn(schema, test.right)];
      if (isProblem(left)) return left;
      if (isProblem(right)) return right;
      const holds = test.op === "!=" ? call("not", call("=", left.value, right.value)) : call(test.op, left.value, right.value);
      return compared(where, [left, right], holds, test.orNull === true);
    }
    case "combinations": {
      const found = allColumns(schema, test.columns);
      if (isProblem(found)) return found;
      const rows: Expr[] = [];
      for (const values of test.valid) {
        const parts: Expr[] = [];
        for (const [at, item] of found.entries()) {
          const value = values[at] ?? null;
          if (value === null) parts.push(call("is_null", item.value));
          else {
            const wanted = literalOf(value, item.type);
            if (isProblem(wanted)) return wanted;
            parts.push(orFalse(call("=", item.value, wanted)));
          }
        }
        rows.push(call("and", ...parts));
      }
      return compared(where, found, call("or", ...rows), test.orNull === true);
    }
    case "row_sum": {
      const found = allColumns(schema, test.columns);
      if (isProblem(found)) return found;
      const odd = found.find(({ type }) => !isNumber(type));
      if (odd !== undefined) return { reason: "wrong_type", detail: "only numbers add up" };
      const total = literalOf({ type: "number", value: test.total }, "decimal(38, 9)");
      if (isProblem(total) || plainDecimal(test.total) === undefined) return { reason: "rule_error", detail: `${test.total} is no total` };
      const sum = found.map(({ value }) => value).reduce((a, b) => call("+", a, b));
      const looked = all(where, ...found.map(({ value }) => present(value))) as Expr;
      return {
        evaluated: looked,
        bad: all(looked, call("not", call("=", sum, total))) as Expr,
        fieldIds: found.map(({ fieldId }) => fieldId),
      };
    }
    default:
      return undefined;
  }
}

function allColumns(schema: Schema, columns: readonly RuleColumn[]): FoundColumn[] | Problem {
  const found: FoundColumn[] = [];
  for (const item of columns) {
    const one = findColumn(schema, item);
    if (isProblem(one)) return one;
    found.push(one);
  }
  return found;
}

/** A row with nulls in all columns is left out; one with some nulls is bad, unless nulls are allowed. */
function compared(where: Expr | undefined, columns: readonly FoundColumn[], holds: Expr, orNull: boolean): RowTest {
  const isPresent = columns.map(({ value }) => present(value));
  const looked = all(where, call(orNull ? "and" : "or", ...isPresent)) as Expr;
  return { evaluated: looked, bad: all(looked, call("not", orFalse(holds))) as Expr, fieldIds: columns.map(({ fieldId }) => fieldId) };
}
