import type { Metric, Rule, RuleColumn } from "../contracts/rule.ts";
import type { RunOptions } from "../engine/engine.ts";
import { call, column, type Plan } from "../engine/plan.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { ask } from "../evidence/evidence-store.ts";
import type { Schema } from "../lake/schema.ts";
import { isNumber } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import { grouped } from "../lib/text.ts";
import { countOf, filtered, metricRule } from "./compile.ts";
import { divideDecimal, subtractDecimals } from "../lib/decimal.ts";
import { categoryDrift, distinctDrift, fewestRows, nullDrift, quantileDrift, quantileOfBins, scaleOf, type DriftFinding } from "./drift.ts";
import { isProblem } from "./literals.ts";
import { decodeCell, encodeCell, isFailed, scanMeasure, topLimit, type Measured, type ScanMeasure, type TopEntry } from "./measure.ts";
import { noReading, numberText, percentText, type Reading } from "./reading.ts";
import { columnsById, idName, whereExpr } from "./row-test.ts";
import { measureSource, sourcePlan, type ScanDeps, type Source } from "./scan-service.ts";
import { distinctOf, groups } from "./set-tests.ts";

/*
 * Rules that compare: with the base of the change, with the last versions, or with what tools are known to do.
 */

/** One state of the dataset. */
export interface Snapshot {
  source: Extract<Source, { files: unknown }>;
  /** When it came to be; undefined for a draft. */
  at?: Date | undefined;
}

export interface RelativeContext extends RunOptions {
  deps: ScanDeps;
  datasetId: string;
  candidate: Snapshot;
  /** Undefined when there is none: a version on its own, or a dataset that the change brings. */
  base: Snapshot | undefined;
  /** The rows that the rule looks at: those of the change, or all. */
  looked(rule: Rule): Promise<Source>;
  /** The last versions on the main line before this one, newest first. */
  history(last: number, season: Season | undefined): Promise<Snapshot[]>;
  /** Names that other columns of the dataset bore before, by field id. */
  earlierNames: ReadonlyMap<number, readonly string[]>;
  now: Date;
}

export type Season = "hour" | "day" | "week" | "month";

export interface RelativeReading {
  reading: Reading;
  /** Of drift rules: what chance gives, judged together with all others of the batch. */
  drift?: { p: number | null; isLarge: boolean } | undefined;
}

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
    if (!(error instanceof AppError) || !ownFailures.has(error.code)) throw error;
    return { reading: noReading("rule_error", error.found ?? error.message) };
  }
}

const passing = (reason: Reading["reason"], found?: string): RelativeReading => ({
  reading: { value: null, evaluated: null, bad: null, reason, verdict: "pass", found },
});
const number = (value: string, found?: string): Reading => ({ value, evaluated: null, bad: null, reason: null, found });

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
  return isFailed(value) ? noReading("rule_error", value.failed) : countOf(value ?? 0);
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

const driftReading = (finding: DriftFinding): RelativeReading => ({
  reading: { ...number(String(finding.effect), finding.found), reason: finding.p === null ? "too_few_rows" : null },
  drift: { p: finding.p, isLarge: finding.effect > finding.floor },
});

async function drift(
  context: RelativeContext,
  rule: Rule,
  test: Extract<Rule["test"], { kind: "drift" }>,
  base: Snapshot,
): Promise<RelativeReading> {
  const [before, after] = [base.source, await context.looked(rule)];
  const sides = [before, after].map((source) => filtered(rule, source.schema, test.column));
  for (const [at, side] of sides.entries()) {
    // What base does not have cannot have drifted.
    if (isProblem(side)) return at === 0 ? passing("no_base") : { reading: noReading(side.reason, side.detail) };
  }
  if (test.by === "distinct") {
    const [first, second] = [
      await countsOfCounts(context, rule, before, test.column),
      await countsOfCounts(context, rule, after, test.column),
    ];
    return driftReading(distinctDrift(first, second));
  }
  const ask = (source: Source, extra: readonly ScanMeasure[]) => measured(context, rule, source, test.column, extra);
  if (test.by === "nulls") {
    const [a, b] = [await ask(before, []), await ask(after, [])];
    return driftReading(nullDrift({ base: a.rows, candidate: b.rows }, { base: a.nulls, candidate: b.nulls }));
  }
  const type = after.schema.fields.find(({ id }) => id === test.column.fieldId)?.type ?? "string";
  if (test.by === "categories") {
    const top = (source: Source) => measureOf(rule, source.schema, test.column, (of) => ({ fn: "top", of, count: topLimit }));
    const [a, b] = [await ask(before, [top(before)]), await ask(after, [top(after)])];
    const [old, now] = [a, b].map(
      ({ values }) => new Map((values[0] as unknown as TopEntry[]).map(({ value, count }) => [value, Number(count)])),
    );
    if ((old?.size ?? 0) >= topLimit)
      return { reading: noReading("wrong_type", `more than ${topLimit} categories: use quantiles or distinct`) };
    return driftReading(categoryDrift(old ?? new Map(), now ?? new Map(), { base: a.nulls, candidate: b.nulls }));
  }
  if (!isNumber(type)) return { reading: noReading("wrong_type", "quantiles need numbers") };
  const edges = await fixedEdges(context, before, test.column.fieldId as number);
  const bins = (source: Source) => measureOf(rule, source.schema, test.column, (of) => ({ fn: "histogram", of, edges }));
  const [a, b] = [await ask(before, [bins(before)]), await ask(after, [bins(after)])];
  return driftReading(
    quantileDrift(edges, a.values[0] as unknown as number[], b.values[0] as unknown as number[], { base: a.nulls, candidate: b.nulls }),
  );
}

function measureOf(
  rule: Rule,
  schema: Schema,
  wanted: RuleColumn,
  of: (value: Parameters<typeof call>[1]) => ScanMeasure["of"],
): ScanMeasure {
  const made = filtered(rule, schema, wanted);
  if (isProblem(made)) throw new Error(made.detail);
  return scanMeasure(of(made.value as Parameters<typeof call>[1]), columnsById(schema), made.fieldIds);
}

/** Rows, nulls among them, and further measures of a column. */
async function measured(context: RelativeContext, rule: Rule, source: Source, wanted: RuleColumn, extra: readonly ScanMeasure[]) {
  const made = filtered(rule, source.schema, wanted);
  const where = whereExpr(source.schema, rule.where);
  if (isProblem(made) || isProblem(where)) throw new Error("the column was there a moment ago");
  const columns = columnsById(source.schema);
  const { fieldId } = made.found;
  const rows =
    where.expr === undefined
      ? scanMeasure({ fn: "count_all" }, columns, [], { is: "rows" })
      : scanMeasure({ fn: "count_if", of: where.expr }, columns, where.fieldIds);
  const count = scanMeasure({ fn: "count", of: made.value }, columns, made.fieldIds, made.isPlain ? { is: "values", fieldId } : undefined);
  const values = await measureSource(context.deps, source, [rows, count, ...extra], context);
  const valueOf = (measure: ScanMeasure): Measured => values.get(measure.id) ?? null;
  const [all, present] = [Number(valueOf(rows)), Number(valueOf(count))];
  return { rows: all, nulls: all - present, values: extra.map(valueOf) };
}

/** How many values occur once, twice …: a table that stays small however many values there are. */
async function countsOfCounts(context: RelativeContext, rule: Rule, source: Source, wanted: RuleColumn): Promise<Map<number, number>> {
  const made = filtered(rule, source.schema, wanted);
  if (isProblem(made)) throw new Error(made.detail);
  const input: Plan = {
    op: "project",
    input: sourcePlan(context.deps, source),
    columns: [{ name: idName(made.found.fieldId), expr: made.value }],
  };
  const present: Plan = { op: "filter", input, where: call("not", call("is_null", column(idName(made.found.fieldId)))) };
  const counted = groups(present, [made.found.fieldId]);
  const plan: Plan = { op: "aggregate", input: counted, by: ["\u0001rows"], measures: [{ name: "values", of: { fn: "count_all" } }] };
  const rows = await context.deps.engine.rows(plan, context);
  return new Map(rows.map((row) => [Number(row["\u0001rows"]), Number(row["values"])]));
}

/**
 * The edges of a column's histograms: quantiles of the first base that was asked about, kept, so that what was counted of a file stays true of
 * later versions.
 */
async function fixedEdges(context: RelativeContext, source: Source, fieldId: number): Promise<number[]> {
  const type = source.schema.fields.find(({ id }) => id === fieldId)?.type;
  const key = evidenceKey("state", { format: 1, edges: fieldId, datasetId: context.datasetId, type });
  const kept = await ask<object, { edges: unknown }>(context.deps, { key, kind: "state", datasetId: context.datasetId }, async () => {
    const at = Array.from({ length: 49 }, (_, index) => (index + 1) / 50);
    const measure = scanMeasure({ fn: "quantiles", of: column(idName(fieldId)), at }, columnsById(source.schema), [fieldId]);
    const found = (await measureSource(context.deps, source, [measure], context)).get(measure.id);
    const edges = Array.isArray(found) ? [...new Set(found as number[])] : [];
    return { verdict: "pass", body: {}, values: { edges: encodeCell(edges) } };
  });
  return decodeCell(kept.values?.edges ?? []) as unknown as number[];
}

async function scaled(context: RelativeContext, rule: Rule, wanted: RuleColumn, base: Snapshot): Promise<RelativeReading> {
  const looked = await context.looked(rule);
  const made = filtered(rule, looked.schema, wanted);
  if (isProblem(made)) return { reading: noReading(made.reason, made.detail) };
  if (!isNumber(made.found.type)) return { reading: noReading("wrong_type", "only numbers have a unit") };
  if (isProblem(filtered(rule, base.source.schema, wanted))) return passing("no_base");
  const edges = await fixedEdges(context, base.source, made.found.fieldId);
  const points = [0.1, 0.25, 0.5, 0.75, 0.9];
  const bins = measureOf(rule, base.source.schema, wanted, (of) => ({ fn: "histogram", of, edges }));
  const before = await measured(context, rule, base.source, wanted, [bins]);
  const quantiles = measureOf(rule, looked.schema, wanted, (of) => ({ fn: "quantiles", of, at: points }));
  const after = await measured(context, rule, looked, wanted, [quantiles]);
  const few = Math.min(before.rows - before.nulls, after.rows - after.nulls);
  if (few < fewestRows) return passing("too_few_rows", `too few rows to tell: ${few}, needs ${fewestRows}`);
  const old = points.map((at) => quantileOfBins(edges, before.values[0] as unknown as number[], at) ?? Number.NaN);
  const scale = scaleOf(old, after.values[0] as unknown as number[]);
  if (scale === undefined) return passing(null, "no constant factor");
  const factor = String(Number(scale.factor.toPrecision(3)));
  const found = scale.isScaled ? `${wanted.name} is ${factor} times what it was, at every quantile` : "no constant factor";
  return { reading: { ...number(factor, found), verdict: scale.isScaled ? "fail" : "pass" } };
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
