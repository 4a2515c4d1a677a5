import type { Rule } from "../contracts/rule.ts";
import type { RunOptions } from "../engine/engine.ts";
import type { Expr, Plan } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import { divideDecimal, plainDecimal } from "../lib/decimal.ts";
import { ownFailure, type Failed } from "./failure.ts";
import { isProblem, literalOf, type Problem } from "./literals.ts";
import { failedReading, noReading, rowReading, type Reading } from "./reading.ts";
import { findColumn, whereExpr, type FoundColumn } from "./row-test.ts";
import { sourcePlan, type ScanDeps, type Source } from "./scan-service.ts";
import {
  countRows,
  distinctOf,
  mostCommon,
  orphanRows,
  presentRows,
  repeated,
  repeatedRows,
  setOf,
  unorderedRows,
  type Target,
} from "./set-tests.ts";

/*
 * Rules that one scan of single rows cannot answer: each has a plan of its own.
 */

export interface OwnPlanContext extends RunOptions {
  deps: ScanDeps;
  /** The dataset that a foreign key points at; undefined when there is none of that name. */
  target(dataset: string, columns: readonly string[]): Promise<Target | undefined>;
  /** Runs one SELECT of others and gives the one value that it finds. */
  runSql(query: string): Promise<{ value: string | null } | Failed>;
}

export interface OwnReading {
  reading: Reading;
  /** The bad rows, for samples. */
  badRows?: Plan | undefined;
}

const ownKinds: ReadonlySet<string> = new Set(["duplicate_values", "foreign_key", "distinct_set", "most_common", "ordered", "sql"]);

export function hasOwnPlan({ test }: Rule): boolean {
  return ownKinds.has(test.kind) || (test.kind === "metric" && (test.metric === "distinct_count" || test.metric === "distinct_share"));
}

const problem = ({ reason, detail }: Problem): OwnReading => ({ reading: noReading(reason, detail) });

/** Failures that are the rule's own; any other ends the check. */
const ownFailures = new Set(["pattern.invalid", "type.unsupported", "type.loses_digits", "internal", "engine.memory"]);

export async function readOwnPlan(context: OwnPlanContext, rule: Rule, source: Source): Promise<OwnReading> {
  try {
    return await read(context, rule, source);
  } catch (error) {
    return { reading: failedReading(ownFailure(error, ownFailures)) };
  }
}

async function read(context: OwnPlanContext, rule: Rule, source: Source): Promise<OwnReading> {
  const { test } = rule;
  if (test.kind === "sql") return sqlReading(context, test.query);
  const where = whereExpr(source.schema, rule.where);
  if (isProblem(where)) return problem(where);
  if (test.kind === "duplicate_values" || test.kind === "foreign_key") {
    const columns = columnsOf(source.schema, test.columns);
    if (isProblem(columns)) return problem(columns);
    return test.kind === "foreign_key"
      ? foreignKey(context, test.to, columns, source, where.expr)
      : duplicates(context, columns, source, where.expr, test.counting === "all");
  }
  if (!("column" in test) || test.column === undefined) return { reading: noReading("rule_error", "the rule names no column") };
  const found = findColumn(source.schema, test.column);
  if (isProblem(found)) return problem(found);
  switch (test.kind) {
    case "metric": {
      const { rows, distinct } = await distinctOf(context.deps, source, [found.fieldId], where.expr, context);
      if (test.metric === "distinct_count") return { reading: number(String(distinct)) };
      return { reading: rows === 0n ? noReading("no_values") : number(divideDecimal(String(distinct), rows)) };
    }
    case "distinct_set":
      return distinctSet(context, { relation: test.relation, values: test.values }, found, source, where.expr);
    case "most_common": {
      const common = await mostCommon(context.deps, sourcePlan(context.deps, source), found, where.expr, context);
      const wanted = texts(found, test.values);
      if (isProblem(wanted)) return problem(wanted);
      if (common.values.length === 0) return { reading: { ...noReading("vacuous"), verdict: "pass" } };
      const within = common.values.filter((value) => wanted.has(value)).length;
      const holds = test.ties === true ? within > 0 : common.values.length === 1 && within === 1;
      const shown = common.values.slice(0, 3).join(", ");
      const more = common.values.length > 3 ? ` and ${common.values.length - 3} more` : "";
      return { reading: { ...number(String(common.values.length)), verdict: holds ? "pass" : "fail", found: `${shown}${more}` } };
    }
    case "ordered": {
      const by = test.by === undefined ? undefined : findColumn(source.schema, test.by);
      if (by !== undefined && isProblem(by)) return problem(by);
      if (typeof found.type !== "string") return { reading: noReading("wrong_type", "lists and structs have no order") };
      const badRows = unorderedRows(context.deps, source, found, { by, direction: test.direction, strictly: test.strictly }, where.expr);
      const bad = await countRows(context.deps, badRows, context);
      const all = presentRows(sourcePlan(context.deps, source), [found.fieldId], where.expr);
      return { reading: rowReading(await countRows(context.deps, all, context), bad), badRows };
    }
    default:
      return { reading: noReading("rule_error", `no such rule: ${test.kind}`) };
  }
}

const number = (value: string): Reading => ({ value, evaluated: null, bad: null, reason: null });

function columnsOf(schema: Schema, columns: readonly { name: string; fieldId: number | undefined }[]): FoundColumn[] | Problem {
  const found: FoundColumn[] = [];
  for (const item of columns) {
    const one = findColumn(schema, item);
    if (isProblem(one)) return one;
    found.push(one);
  }
  return found;
}

async function duplicates(
  context: OwnPlanContext,
  columns: readonly FoundColumn[],
  source: Source,
  where: Expr | undefined,
  countAll: boolean,
): Promise<OwnReading> {
  const ids = columns.map(({ fieldId }) => fieldId);
  const { rows, distinct } = await distinctOf(context.deps, source, ids, where, context);
  const surplus = rows - distinct;
  if (surplus === 0n) return { reading: rowReading(rows, 0n) };
  const input = sourcePlan(context.deps, source);
  const many = await repeated(context.deps, input, ids, where, context);
  const reading = rowReading(rows, countAll ? many.rows : surplus);
  const detail = `${many.values} ${many.values === 1n ? "value occurs" : "values occur"} more than once, in ${many.rows} rows`;
  return { reading: { ...reading, detail }, badRows: repeatedRows(input, ids, where) };
}

async function foreignKey(
  context: OwnPlanContext,
  to: { dataset: string; columns: readonly string[] },
  columns: readonly FoundColumn[],
  source: Source,
  where: Expr | undefined,
): Promise<OwnReading> {
  const target = await context.target(to.dataset, to.columns);
  if (target === undefined) return { reading: noReading("dataset_missing", `there is no ${to.dataset} with ${to.columns.join(", ")}`) };
  const input = sourcePlan(context.deps, source);
  const badRows = orphanRows(context.deps, input, columns, target, where);
  if (isProblem(badRows)) return problem(badRows);
  const ids = columns.map(({ fieldId }) => fieldId);
  const rows = await countRows(context.deps, presentRows(input, ids, where), context);
  return { reading: rowReading(rows, rows === 0n ? 0n : await countRows(context.deps, badRows, context)), badRows };
}

/** The rule's values as canonical text of the column's type. */
function texts(
  { type }: FoundColumn,
  values: Parameters<typeof literalOf>[0][] | readonly Parameters<typeof literalOf>[0][],
): Set<string> | Problem {
  const found = new Set<string>();
  for (const value of values) {
    const item = literalOf(value, type);
    if (isProblem(item)) return item;
    if (item.is === "literal") found.add(canonical(String(item.value), type));
  }
  return found;
}

/** Numbers by value: `1`, `1.0` and `1.00` are one. */
const canonical = (text: string, type: FoundColumn["type"]): string =>
  type === "string" || type === "uuid" ? text : (plainDecimal(text) ?? text);

async function distinctSet(
  context: OwnPlanContext,
  { relation, values }: { relation: "equal" | "contains" | "within"; values: readonly Parameters<typeof literalOf>[0][] },
  found: FoundColumn,
  source: Source,
  where: Expr | undefined,
): Promise<OwnReading> {
  const listed: Expr[] = [];
  for (const value of values) {
    const item = literalOf(value, found.type);
    if (isProblem(item)) return problem(item);
    listed.push(item);
  }
  const wanted = texts(found, values);
  if (isProblem(wanted)) return problem(wanted);
  const { outside, present, total } = await setOf(context.deps, sourcePlan(context.deps, source), found, listed, where, context);
  const there = new Set([...present].map((text) => canonical(text, found.type)));
  const missing = [...wanted].filter((text) => !there.has(text));
  const counts = { outside: relation === "contains" ? 0n : outside, missing: relation === "within" ? 0n : BigInt(missing.length) };
  const parts = [
    counts.outside === 0n ? "" : `${counts.outside} ${counts.outside === 1n ? "value" : "values"} outside`,
    counts.missing === 0n ? "" : `${counts.missing} missing: ${missing.slice(0, 3).join(", ")}`,
  ].filter((part) => part !== "");
  const holds = counts.outside + counts.missing === 0n;
  const reason = total === 0n && relation === "within" ? ("vacuous" as const) : null;
  const reading: Reading = {
    ...number(String(counts.outside + counts.missing)),
    reason,
    verdict: holds ? "pass" : "fail",
    found: parts.length === 0 ? "as listed" : parts.join("; "),
  };
  if (counts.outside === 0n) return { reading };
  const input = sourcePlan(context.deps, source);
  const is = (expr: Expr): Expr => ({ is: "call", fn: "not", args: [expr] });
  const outsideRows: Expr = {
    is: "call",
    fn: "and",
    args: [
      is({ is: "call", fn: "is_null", args: [found.value] }),
      is({ is: "call", fn: "in", args: [found.value, ...listed] }),
      ...(where === undefined ? [] : [where]),
    ],
  };
  return { reading, badRows: { op: "filter", input, where: outsideRows } };
}

async function sqlReading(context: OwnPlanContext, query: string): Promise<OwnReading> {
  const answer = await context.runSql(query);
  if ("failed" in answer) return { reading: failedReading(answer) };
  if (answer.value === null) return { reading: noReading("no_values", "the query gave NULL") };
  if (answer.value === "true" || answer.value === "false") {
    return {
      reading: { ...number(answer.value === "true" ? "1" : "0"), verdict: answer.value === "true" ? "pass" : "fail", found: answer.value },
    };
  }
  const plain = plainDecimal(answer.value);
  if (plain === undefined) return { reading: noReading("not_a_number", answer.value.slice(0, 100)) };
  return { reading: number(plain) };
}
