import type { Rule, RuleColumn } from "../contracts/rule.ts";
import type { call } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { filtered } from "./compile.ts";
import { isProblem } from "./literals.ts";
import { isFailed, scanMeasure, type Measured, type ScanMeasure } from "./measure.ts";
import type { RelativeContext } from "./relative-reading.ts";
import { columnsById, whereExpr } from "./row-test.ts";
import { measureSource, type Source } from "./scan-service.ts";

/* What rules that compare measure of one column. */

/** A measure of the values that a rule looks at in a column. */
export function measureOf(
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
export async function measured(context: RelativeContext, rule: Rule, source: Source, wanted: RuleColumn, extra: readonly ScanMeasure[]) {
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
  const failed = [...values.values()].find(isFailed);
  if (failed !== undefined) throw new AppError("internal", failed.failed, { hint: "tidegate doctor" });
  const valueOf = (measure: ScanMeasure): Measured => values.get(measure.id) ?? null;
  const [all, present] = [Number(valueOf(rows)), Number(valueOf(count))];
  return { rows: all, nulls: all - present, values: extra.map(valueOf) };
}
