import { isFloating, isNumber } from "../lake/types.ts";
import type { FeatureColumn, FeatureNames } from "../engine/models.ts";
import type { Cell, Column } from "../engine/plan.ts";
import { AppError } from "../lib/errors.ts";
import { parseJson, toJson } from "../lib/json.ts";
import { cellWords } from "./cell-words.ts";
import type { QueryResult } from "./compare-results.ts";
import type { ModelTest } from "./consumer-test.ts";

/** What a query gives a model: rows by their key, their segment, and the columns of the features. */
export interface FeatureRows {
  /** Exact text of each row's key, by which rows of both sides are paired. */
  keys: string[];
  /** The same as people read it. */
  names: string[];
  segments: string[] | undefined;
  columns: FeatureColumn[];
  features: FeatureNames;
}

type ShapeOf = Pick<ModelTest, "key" | "segment" | "features">;

/** Takes a result apart; `model.input` where a column is missing, or a key is empty or comes twice. */
export function featureRows({ columns, rows }: Pick<QueryResult, "columns" | "rows">, test: ShapeOf): FeatureRows {
  const known = new Map(columns.map((column) => [column.name, column]));
  for (const name of [...test.key, ...(test.segment === undefined ? [] : [test.segment])])
    if (!known.has(name)) throw missing(name, columns);
  const features = test.features ?? columns.map(({ name }) => name).filter((name) => !test.key.includes(name) && name !== test.segment);
  const named = [...new Set(Object.values(features).flat())].map((name) => {
    const column = known.get(name);
    if (column === undefined) throw missing(name, columns);
    return column;
  });
  const items = rows.map((text) => parseJson(text) as Record<string, Cell>);
  const of = (name: string): Cell[] => items.map((item) => item[name] ?? null);
  const keys = items.map((item) => test.key.map((name) => item[name] ?? null));
  refuseKeys(keys, test.key);
  return {
    keys: keys.map((key) => toJson(key)),
    names: keys.map((key) => key.map(cellWords).join(" / ")),
    segments: test.segment === undefined ? undefined : of(test.segment).map(cellWords),
    columns: named.map((column) => featureColumn(column, of(column.name))),
    features,
  };
}

function refuseKeys(keys: readonly Cell[][], columns: readonly string[]): void {
  const seen = new Set<string>();
  let twice = 0;
  for (const key of keys) {
    if (key.includes(null)) throw badKey("is NULL in a row", columns);
    const text = toJson(key);
    if (seen.has(text)) twice += 1;
    seen.add(text);
  }
  if (twice > 0) throw badKey(`comes more than once: ${twice} of ${keys.length} rows repeat one`, columns);
}

const badKey = (what: string, columns: readonly string[]): AppError =>
  new AppError("model.input", `The key ${columns.join(", ")} of the model's rows ${what}.`, {
    expected: "one row for each key",
    found: what,
    hint: "name more columns with --key, or group the query by them",
  });

const missing = (name: string, columns: readonly Column[]): AppError =>
  new AppError("model.input", `The query gives no column ${name}, which the model's test needs.`, {
    expected: name,
    found: columns.map((column) => column.name).join(", "),
    hint: "give the query's column that name: select … as <name>",
  });

/** The values of one column as a model takes them. Times and other things that are no number are text. */
function featureColumn({ name, type }: Column, cells: readonly Cell[]): FeatureColumn {
  if (type === "boolean") return { name, kind: "boolean", values: cells as (boolean | null)[] };
  if (typeof type !== "string" || !isNumber(type))
    return { name, kind: "text", values: cells.map((cell) => (cell === null || typeof cell === "string" ? cell : toJson(cell))) };
  if (!isFloating(type) && !type.startsWith("decimal") && !cells.includes(null))
    return { name, kind: "whole", values: BigInt64Array.from(cells, (cell) => BigInt(cell as number | bigint)) };
  return { name, kind: "number", values: Float64Array.from(cells, (cell) => (cell === null ? Number.NaN : Number(cell))) };
}
