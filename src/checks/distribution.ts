import type { Rule, RuleColumn } from "../contracts/rule.ts";
import { call, column, type Plan } from "../engine/plan.ts";
import { isNumber } from "../lake/types.ts";
import { measureOf, measured } from "./column-measures.ts";
import { filtered } from "./compile.ts";
import { categoryDrift, distinctDrift, fewestRows, nullDrift, quantileDrift, quantileOfBins, scaleOf, type DriftFinding } from "./drift.ts";
import { onFittingEdges } from "./histogram-edges.ts";
import { isProblem } from "./literals.ts";
import { topLimit, type ScanMeasure, type TopEntry } from "./measure.ts";
import { noReading } from "./reading.ts";
import { number, passing, type RelativeContext, type RelativeReading, type Snapshot } from "./relative-reading.ts";
import { idName } from "./row-test.ts";
import { sourcePlan, type Source } from "./scan-service.ts";
import { groups } from "./set-tests.ts";

/* Rules on how a column's values are distributed, against base: drift, and a change of unit. */

const driftReading = (finding: DriftFinding): RelativeReading => ({
  reading: { ...number(String(finding.effect), finding.found), reason: finding.p === null ? "too_few_rows" : null },
  drift: { p: finding.p, isLarge: finding.effect > finding.floor },
});

/** Whether the rows looked at are distributed as those of base. */
export async function drift(
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
  const { edges, measured: a } = await onFittingEdges(context, rule, before, test.column);
  const b = await ask(after, [measureOf(rule, after.schema, test.column, (of) => ({ fn: "histogram", of, edges }))]);
  return driftReading(
    quantileDrift(edges, a.values[0] as unknown as number[], b.values[0] as unknown as number[], { base: a.nulls, candidate: b.nulls }),
  );
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

/** Whether the numbers are those of base times a constant. */
export async function scaled(context: RelativeContext, rule: Rule, wanted: RuleColumn, base: Snapshot): Promise<RelativeReading> {
  const looked = await context.looked(rule);
  const made = filtered(rule, looked.schema, wanted);
  if (isProblem(made)) return { reading: noReading(made.reason, made.detail) };
  if (!isNumber(made.found.type)) return { reading: noReading("wrong_type", "only numbers have a unit") };
  if (isProblem(filtered(rule, base.source.schema, wanted))) return passing("no_base");
  const { edges, measured: before } = await onFittingEdges(context, rule, base.source, wanted);
  const points = [0.1, 0.25, 0.5, 0.75, 0.9];
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
