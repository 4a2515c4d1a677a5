import type { Engine, Row, RunOptions } from "../engine/engine.ts";
import { call, column, literal, type Cell, type Measure, type Plan } from "../engine/plan.ts";
import type { Field, FieldType } from "../lake/schema.ts";
import { isFloating, isNumber } from "../lake/types.ts";
import { isTime } from "./common-type.ts";
import { shownCell, type ColumnStatistics } from "./diff.ts";

/** Shares at which quantiles are taken. */
export const quantilePoints = [0.05, 0.25, 0.5, 0.75, 0.95] as const;

/** Above this, the most frequent values say little and cost a scan each. */
const mostValuesForTop = 1000;
const shownTop = 10;

/**
 * Above twice this, quantiles are those of about as many rows, picked by the hash of their key. At a million, the share of rows below a quantile
 * is off by less than 0.1 %; over 10 M rows quantiles would cost as much as all other measures together.
 */
const rowsForQuantiles = 1_000_000;

/** Marks the picked rows; no user's column can have such a name. */
const pickedColumn = "\u0001picked";

export interface StatisticsInput {
  plan: Plan;
  /** Rows of the plan. */
  rows: number;
  /** Columns that tell rows apart. */
  key: readonly string[];
  fields: readonly Field[];
}

/** Statistics of each field, by field id: one aggregate over the rows, and one more for the values of columns that have few. */
export async function columnStatistics(
  engine: Engine,
  source: StatisticsInput,
  { signal }: RunOptions,
): Promise<Map<number, ColumnStatistics>> {
  const { fields, plan } = source;
  if (fields.length === 0) return new Map();
  const isPicked = source.rows > 2 * rowsForQuantiles;
  const input = isPicked ? withPicked(source) : plan;
  const measures = [{ name: "rows", of: { fn: "count_all" as const } }, ...fields.flatMap((field) => measuresOf(field, isPicked))];
  const [row = {}] = await engine.rows({ op: "aggregate", input, by: [], measures }, { signal });
  const few = fields.filter((field) => hasTop(field.type) && isBetween(row[nameOf(field, "distinct")], 1, mostValuesForTop));
  const tops = few.map((field) => ({ name: nameOf(field, "top"), of: { fn: "top" as const, of: column(field.name), count: shownTop } }));
  const [frequent = {}] = tops.length === 0 ? [] : await engine.rows({ op: "aggregate", input: plan, by: [], measures: tops }, { signal });
  return new Map(fields.map((field) => [field.id, statisticsOf(field, row, frequent)]));
}

function withPicked({ plan, rows, key, fields }: StatisticsInput): Plan {
  const identity = key.length > 0 ? key : fields.filter((field) => typeof field.type === "string").map((field) => field.name);
  const most = ((2n ** 63n - 1n) / BigInt(rows)) * BigInt(rowsForQuantiles);
  const picked = call("<", call("row_hash", ...identity.map(column)), literal(most, "long"));
  return {
    op: "project",
    input: plan,
    columns: [...fields.map(({ name }) => ({ name, expr: column(name) })), { name: pickedColumn, expr: picked }],
  };
}

const nameOf = (field: Field, measure: string): string => `${measure}${field.id}`;

const isBetween = (value: Cell | undefined, low: number, high: number): boolean => Number(value ?? 0) >= low && Number(value ?? 0) <= high;

function hasTop(type: FieldType): boolean {
  return type === "string" || type === "boolean" || type === "int" || type === "long" || type === "date";
}

function hasOrder(type: FieldType): boolean {
  return typeof type === "string" && type !== "binary" && !type.startsWith("fixed[");
}

function measuresOf(field: Field, isPicked: boolean): { name: string; of: Measure }[] {
  const of = column(field.name);
  const named = (measure: string, what: Measure) => ({ name: nameOf(field, measure), of: what });
  const measures = [named("count", { fn: "count", of })];
  if (typeof field.type !== "string") return measures;
  measures.push(named("distinct", { fn: "approx_count_distinct", of }));
  if (hasOrder(field.type)) measures.push(named("min", { fn: "min", of }), named("max", { fn: "max", of }));
  if (isNumber(field.type)) measures.push(named("mean", { fn: "mean", of }));
  if (isNumber(field.type) || isTime(field.type)) {
    const picked = isPicked ? call("if", column(pickedColumn), of, literal(null, field.type)) : of;
    measures.push(named("quantiles", { fn: "approx_quantiles", of: picked, at: quantilePoints }));
  }
  return measures;
}

function statisticsOf(field: Field, row: Row, frequent: Row): ColumnStatistics {
  const rows = Number(row["rows"] ?? 0);
  const count = Number(row[nameOf(field, "count")] ?? 0);
  const distinct = row[nameOf(field, "distinct")];
  const quantiles = row[nameOf(field, "quantiles")];
  const top = frequent[nameOf(field, "top")] as readonly { value: string; count: number }[] | undefined;
  const mean = shownCell(row[nameOf(field, "mean")]);
  return {
    rows,
    nulls: rows - count,
    // The estimate may lie above what is possible.
    distinct: distinct === undefined ? null : Math.min(Number(distinct), count),
    min: shownCell(row[nameOf(field, "min")]),
    max: shownCell(row[nameOf(field, "max")]),
    mean: typeof mean === "number" || typeof mean === "string" ? mean : null,
    quantiles: Array.isArray(quantiles) && (!isFloating(field.type) || count > 0) ? (quantiles as readonly Cell[]).map(shownCell) : null,
    top: top === undefined ? null : top.map(({ value, count: times }) => ({ value, count: Number(times) })),
  };
}
