import type { Metric, Rule, RuleColumn } from "../contracts/rule.ts";
import { call, column, type Plan } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import { divideDecimal, subtractDecimals } from "../lib/decimal.ts";
import { grouped } from "../lib/text.ts";
import { countOf, filtered, metricRule } from "./compile.ts";
import { drift, scaled } from "./distribution.ts";
import { fewestRows } from "./drift.ts";
import { ownFailure } from "./failure.ts";
import { isProblem } from "./literals.ts";
import { isFailed, scanMeasure } from "./measure.ts";
import { failedReading, noReading, numberText, percentText, type Reading } from "./reading.ts";
import { number, passing, type RelativeContext, type RelativeReading, type Snapshot } from "./relative-reading.ts";
import { columnsById, idName, whereExpr } from "./row-test.ts";
import { measureSource, sourcePlan, type Source } from "./scan-service.ts";
import { distinctOf } from "./set-tests.ts";

/*
 * Rules that compare: with the base of the change, with the last versions, or with what tools are known to do.
 */

const relativeKinds: ReadonlySet<string> = new Set([
  "row_count_change",
  "metric_change",
  "drift",
  "scaled",
  "duplicated_content",
  "suspicious_count",
  "name_reused",
  "history",
]);

export const isRelative = ({ test }: Rule): boolean => relativeKinds.has(test.kind);

/** Failures that are the rule's own; any other ends the check. */
const ownFailures = new Set(["type.unsupported", "pattern.invalid", "internal"]);

export async function readRelative(context: RelativeContext, rule: Rule): Promise<RelativeReading> {
  try {
    return await read(context, rule);
  } catch (error) {
    return { reading: failedReading(ownFailure(error, ownFailures)) };
  }
}

async function read(context: RelativeContext, rule: Rule): Promise<RelativeReading> {
  const { test } = rule;
  if (test.kind === "suspicious_count") return suspiciousCount(context, rule);
  if (test.kind === "history") return history(context, rule, test);
  if (test.kind === "name_reused") return nameReused(context);
  if (context.base === undefined) return passing("no_base");
  switch (test.kind) {
    case "row_count_change":
      return rowCountChange(context, rule, context.base);
    case "metric_change":
      return metricChange(context, rule, test, context.base);
    case "drift":
      return drift(context, rule, test, context.base);
    case "scaled":
      return scaled(context, rule, test.column, context.base);
    case "duplicated_content":
      return duplicatedContent(context, rule, context.base);
    default:
      return { reading: noReading("rule_error", `no such rule: ${test.kind}`) };
  }
}

async function countOfRows(context: RelativeContext, rule: Rule, source: Source): Promise<bigint | Reading> {
  const where = whereExpr(source.schema, rule.where);
  if (isProblem(where)) return noReading(where.reason, where.detail);
  const columns = columnsById(source.schema);
  const measure =
    where.expr === undefined
      ? scanMeasure({ fn: "count_all" }, columns, [], { is: "rows" })
      : scanMeasure({ fn: "count_if", of: where.expr }, columns, where.fieldIds);
  const value = (await measureSource(context.deps, source, [measure], context)).get(measure.id);
  return isFailed(value) ? failedReading(value) : countOf(value ?? 0);
}

async function rowCountChange(context: RelativeContext, rule: Rule, base: Snapshot): Promise<RelativeReading> {
  const [before, after] = [await countOfRows(context, rule, base.source), await countOfRows(context, rule, context.candidate.source)];
  if (typeof before !== "bigint") return { reading: before };
  if (typeof after !== "bigint") return { reading: after };
  if (before === 0n) return passing("vacuous", "no rows on base");
  const percent = divideDecimal(String(after * 100n), before);
  return { reading: number(percent, `${percentText(percent)} % of base (${grouped(before)} → ${grouped(after)} rows)`) };
}

/** A metric on one source, whichever way it is measured. */
async function metricOf(
  context: RelativeContext,
  rule: Rule,
  test: { metric: Metric; column?: RuleColumn | undefined; at?: number | undefined },
  source: Source,
): Promise<Reading> {
  const made = metricRule(rule, source.schema, test);
  if (made === undefined) {
    const of = filtered(rule, source.schema, test.column as RuleColumn);
    if (isProblem(of)) return noReading(of.reason, of.detail);
    const where = whereExpr(source.schema, rule.where) as { expr: Parameters<typeof distinctOf>[3] };
    const { rows, distinct } = await distinctOf(context.deps, source, [of.found.fieldId], where.expr, context);
    if (test.metric === "distinct_count") return number(String(distinct));
    return rows === 0n ? noReading("no_values") : number(divideDecimal(String(distinct), rows));
  }
  if (isProblem(made)) return noReading(made.reason, made.detail);
  const values = await measureSource(context.deps, source, made.measures, context);
  return made.read((measure) => values.get(measure.id) ?? null);
}

async function metricChange(
  context: RelativeContext,
  rule: Rule,
  test: { metric: Metric; column?: RuleColumn | undefined; at?: number | undefined; by: "difference" | "ratio" },
  base: Snapshot,
): Promise<RelativeReading> {
  const before = await metricOf(context, rule, test, base.source);
  const after = await metricOf(context, rule, test, await context.looked(rule));
  if (after.value === null) return { reading: after };
  if (before.value === null) return before.reason === "no_values" ? passing("no_base", "no values on base") : { reading: before };
  const shown = `${numberText(before.value)} → ${numberText(after.value)}`;
  if (test.by === "difference") return { reading: number(subtractDecimals(after.value, before.value), shown) };
  if (Number(before.value) === 0) return { reading: noReading("no_values", "base is 0, and nothing is a multiple of it") };
  return { reading: number(String(Number(after.value) / Number(before.value)), shown) };
}

/** Rows that come again: the same but for their key. Values that many rows share anyway say nothing. */
async function duplicatedContent(context: RelativeContext, rule: Rule, base: Snapshot): Promise<RelativeReading> {
  const source = await context.looked(rule);
  const key = new Set(source.schema["identifier-field-ids"] ?? []);
  const there = new Set(base.source.schema.fields.map(({ id }) => id));
  const ids = source.schema.fields.map(({ id }) => id).filter((id) => there.has(id) && !key.has(id));
  if (ids.length === 0) return passing("vacuous", "there is nothing beside the key");
  const hash = "\u0001content";
  const hashed = (of: Source): Plan => ({
    op: "project",
    input: sourcePlan(context.deps, of),
    columns: [{ name: hash, expr: call("row_hash", ...ids.map((id) => column(idName(id)))) }],
  });
  const known: Plan = {
    op: "aggregate",
    input: hashed({ ...base.source, schema: { ...base.source.schema, fields: sameFields(base.source.schema, source.schema) } }),
    by: [hash],
    measures: [],
  };
  const renamed: Plan = { op: "project", input: known, columns: [{ name: "\u0001known", expr: column(hash) }] };
  const again: Plan = { op: "join", how: "semi", left: hashed(source), right: renamed, on: [{ left: hash, right: "\u0001known" }] };
  const count = async (input: Plan, distinct: boolean): Promise<number> => {
    const of = distinct ? ({ fn: "count_distinct", of: column(hash) } as const) : ({ fn: "count_all" } as const);
    const [row] = await context.deps.engine.rows({ op: "aggregate", input, by: [], measures: [{ name: "n", of }] }, context);
    return Number(row?.["n"] ?? 0);
  };
  const [rows, different] = [await count(hashed(source), false), await count(hashed(source), true)];
  if (rows < fewestRows) return passing("too_few_rows", `too few rows to tell: ${rows}, needs ${fewestRows}`);
  if (different * 2 < rows) return passing("vacuous", `only ${grouped(different)} of ${grouped(rows)} rows differ in content`);
  const repeated = await count(again, false);
  const found = `${grouped(repeated)} of ${grouped(rows)} rows were there before, under other keys or once already`;
  return { reading: { ...number(divideDecimal(String(repeated), BigInt(rows)), found), verdict: repeated * 2 > rows ? "fail" : "pass" } };
}

/** Fields of base with the types that they have now, so that equal rows have equal hashes. */
function sameFields(base: Schema, now: Schema): Schema["fields"] {
  const types = new Map(now.fields.map((field) => [field.id, field.type]));
  return base.fields.map((field) => ({ ...field, type: types.get(field.id) ?? field.type }));
}

/** Row counts at which tools cut off: with or without a header line. */
const limits: ReadonlyMap<number, string> = new Map(
  [
    [2 ** 16, "65 536, the rows of an old spreadsheet"],
    [2 ** 20, "1 048 576, the rows of a spreadsheet"],
    [2 ** 15, "32 768"],
    [2 ** 31, "2 147 483 648"],
  ].flatMap(([limit, name]) => [
    [limit as number, name as string],
    [(limit as number) - 1, `${name as string} without a header`],
  ]),
);

async function suspiciousCount(context: RelativeContext, rule: Rule): Promise<RelativeReading> {
  for (const source of new Set([await context.looked(rule), context.candidate.source])) {
    const count = await countOfRows(context, rule, source);
    if (typeof count !== "bigint") return { reading: count };
    const limit = limits.get(Number(count));
    if (limit !== undefined) return { reading: { ...number(String(count), `${grouped(count)} rows: ${limit}`), verdict: "fail" } };
  }
  return { reading: { ...number("0", "no known limit"), verdict: "pass" } };
}

function nameReused(context: RelativeContext): RelativeReading {
  // What base calls so already is nothing that this change does; a new column under a name that base has is that column with another type.
  const known = new Map((context.base?.source.schema.fields ?? []).map(({ id, name }) => [id, name]));
  const present = new Set([...known.values()].map((name) => name.toLowerCase()));
  const named = context.candidate.source.schema.fields.filter(({ id, name }) =>
    known.has(id) ? known.get(id) !== name : !present.has(name.toLowerCase()),
  );
  const reused = named.filter(({ name, id }) =>
    [...context.earlierNames].some(
      ([other, names]) => other !== id && names.some((earlier) => earlier.toLowerCase() === name.toLowerCase()),
    ),
  );
  const found = reused.length === 0 ? "none" : reused.map(({ name }) => name).join(", ");
  return { reading: number(String(reused.length), found) };
}

async function history(context: RelativeContext, rule: Rule, test: Extract<Rule["test"], { kind: "history" }>): Promise<RelativeReading> {
  const now = await metricOf(context, rule, test, context.candidate.source);
  if (now.value === null) return { reading: now };
  const before: number[] = [];
  for (const { source } of await context.history(test.last, test.season)) {
    const reading = await metricOf(context, rule, test, source);
    if (reading.untold === true) return { reading };
    if (reading.value !== null) before.push(Number(reading.value));
  }
  if (before.length < 3) return passing("no_history", `${before.length} of at least 3 versions`);
  const mean = before.reduce((a, b) => a + b, 0) / before.length;
  const spread = Math.sqrt(before.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (before.length - 1));
  // A metric that never moved may move by a hundredth before anybody looks.
  const away = Math.abs(Number(now.value) - mean) / Math.max(spread, Math.abs(mean) * 0.01, Number.MIN_VALUE);
  const found = `${numberText(now.value)}, against ${numberText(String(mean))} ± ${numberText(String(spread))} in ${before.length} versions`;
  return { reading: number(String(Number(away.toFixed(6))), found) };
}
