import type { Field, FieldType } from "../lake/schema.ts";

/*
 * Plans are questions about data as data: no SQL text crosses the engine port. A second engine renders the same plans in
 * its own dialect and must give the same answers (engine/conformance).
 */

/** A named, typed column of a plan's result. */
export interface Column {
  name: string;
  type: FieldType;
}

/**
 * A value in a plan or a result: booleans as themselves, int and long as numbers (bigints beyond 2^53), float and double as numbers,
 * decimals as text with all digits of their scale, date `2026-01-31`, time `09:30:00.25`, timestamp `2026-01-31T09:30:00`, timestamptz
 * the same in UTC with `Z`, uuid as text, binary as base64. Lists, structs (by name) and maps (list of [key, value]) nest. In a stream's
 * JSON, which has no number for them, NaN and the infinities are the texts `NaN`, `Infinity`, `-Infinity`.
 */
export type Cell = null | boolean | number | bigint | string | { readonly [key: string]: Cell } | readonly Cell[];

export interface ScanFile {
  /** Address of a Parquet file (`ObjectStore.uri`). */
  uri: string;
  rows: number;
  /** Addresses of the v2 position-delete files that apply to it. */
  deletes: readonly string[];
}

/** Reads a table's files by field id: renamed, widened, added and absent columns come out as `fields` says. */
export interface TablePlan {
  op: "table";
  files: readonly ScanFile[];
  fields: readonly Field[];
  /** Adds the columns `_file` (string, the uri) and `_pos` (long, row number in the file before deletes). */
  position?: boolean;
}

/** Reads Parquet files that this engine staged; columns by name. */
export interface StagedPlan {
  op: "staged";
  paths: readonly string[];
  columns: readonly Column[];
}

export interface ValuesPlan {
  op: "values";
  columns: readonly Column[];
  rows: readonly (readonly Cell[])[];
}

export interface ProjectPlan {
  op: "project";
  input: Plan;
  columns: readonly { name: string; expr: Expr }[];
}

export interface FilterPlan {
  op: "filter";
  input: Plan;
  where: Expr;
}

/**
 * Joins on pairs of columns; keys match when they are the same (null-safe). `semi` and `anti` keep the left columns, the others give all columns
 * of both sides, which must not share a name.
 */
export interface JoinPlan {
  op: "join";
  how: "inner" | "left" | "full" | "semi" | "anti";
  left: Plan;
  right: Plan;
  on: readonly { left: string; right: string }[];
}

/** All rows of all inputs (bag union); inputs have the same column names and types in the same order. */
export interface UnionPlan {
  op: "union";
  inputs: readonly Plan[];
}

export interface AggregatePlan {
  op: "aggregate";
  input: Plan;
  by: readonly string[];
  measures: readonly { name: string; of: Measure }[];
}

/**
 * Adds `as`: 1, 2, 3 … within equal values of `partitionBy`, in the order of `orderBy`. When that is empty: any order, except directly over a
 * staged plan without `partitionBy`, whose rows are numbered as they stand (so row i of a source is its i-th).
 */
export interface NumberPlan {
  op: "number";
  input: Plan;
  as: string;
  partitionBy: readonly string[];
  orderBy: readonly Order[];
}

/** Adds `as`: the value of `of` in the row before, in the order of `orderBy`; null in the first. */
export interface PreviousPlan {
  op: "previous";
  input: Plan;
  of: string;
  as: string;
  orderBy: readonly Order[];
}

export interface SortPlan {
  op: "sort";
  input: Plan;
  by: readonly Order[];
}

export interface LimitPlan {
  op: "limit";
  input: Plan;
  count: number;
  offset?: number;
}

/** Ascending unless said; nulls last; strings by UTF-8 bytes. */
export interface Order {
  column: string;
  descending?: boolean;
}

export type Plan =
  | TablePlan
  | StagedPlan
  | ValuesPlan
  | ProjectPlan
  | FilterPlan
  | JoinPlan
  | UnionPlan
  | AggregatePlan
  | NumberPlan
  | PreviousPlan
  | SortPlan
  | LimitPlan;

export type Expr =
  | { is: "column"; name: string }
  | { is: "literal"; value: Cell; type: FieldType }
  /** Casts without losing anything: 2.5 as an int is an error (`type.loses_digits`). `lenient` gives null instead. */
  | { is: "cast"; value: Expr; type: FieldType; lenient?: boolean }
  | { is: "call"; fn: Fn; args: readonly Expr[] };

/**
 * `same`: null-safe equality with NULL = NULL, NaN = NaN, -0.0 = 0.0, strings by bytes; never null. `row_hash`: a hash over its
 * arguments under the same equality, as a long; only comparable inside one plan. `=` and its kin are SQL's (null in, null out); NaN
 * equals itself and is greater than any number. `text`: canonical text of any value, as a Cell has it. `if`: condition, then, else.
 * Integers add up to a long, decimals to the decimal that holds the result, with a float or double to a double. `/` is a double, null
 * for a divisor of 0. `greatest` and `least` leave nulls out. `length` counts code points. `in`: value, then the list. `mod` is the rest of a
 * division, exact for integers and decimals, with the sign of the first number; null for a divisor of 0. `matches`: text and a regular
 * expression in RE2's syntax, found anywhere in the text; `like`: text and a pattern of `%` and `_`, with no escape sign; `parse_time`: text and
 * a strptime format, as a timestamp, null where it does not fit. What does not compile is `pattern.invalid`. `is_json`: a text is JSON.
 * `items` counts the items of a list, nulls too, `distinct_items` its different items that are not null.
 */
export type Fn =
  | "same"
  | "row_hash"
  | "="
  | "<"
  | "<="
  | ">"
  | ">="
  | "and"
  | "or"
  | "not"
  | "is_null"
  | "is_nan"
  | "coalesce"
  | "if"
  | "+"
  | "-"
  | "*"
  | "/"
  | "abs"
  | "length"
  | "text"
  | "contains"
  | "in"
  | "greatest"
  | "least"
  | "mod"
  | "matches"
  | "like"
  | "parse_time"
  | "is_json"
  | "items"
  | "distinct_items";

/**
 * Nulls are left out. NaN is the largest value for min and max; -0.0 counts as 0.0. Sums of integers and decimals are decimals of 38 digits,
 * other sums, means and standard deviations (of a sample) doubles. `any`: some value that is not null.
 */
export type Measure =
  | { fn: "count_all" }
  | { fn: "count" | "count_if" | "count_distinct" | "min" | "max" | "sum" | "mean" | "stddev" | "any"; of: Expr }
  /** Count, mean and sum of squared deviations from it, as three doubles: what two sets of rows have together follows from theirs. */
  | { fn: "moments"; of: Expr }
  /** Approximate: at most 5 % off; for exact answers use count_distinct. */
  | { fn: "approx_count_distinct"; of: Expr }
  /** Approximate quantiles of finite numbers (as doubles), dates or times, as a list in the order of `at` (each in 0 … 1). */
  | { fn: "approx_quantiles"; of: Expr; at: readonly number[] }
  /** Exact quantiles as `approx_quantiles` has them: of numbers between the two nearest values in proportion, of dates and times the lower one. */
  | { fn: "quantiles"; of: Expr; at: readonly number[] }
  /** How many numbers are at most each edge and above the one before it, and last how many are above all edges; NaN is left out. Edges ascend. */
  | { fn: "histogram"; of: Expr; edges: readonly number[] }
  /** The `count` most frequent non-null values as a list of {value: text, count}; ties by text. */
  | { fn: "top"; of: Expr; count: number };

export const column = (name: string): Expr => ({ is: "column", name });
export const literal = (value: Cell, type: FieldType): Expr => ({ is: "literal", value, type });
export const call = (fn: Fn, ...args: Expr[]): Expr => ({ is: "call", fn, args });
export const cast = (value: Expr, type: FieldType): Expr => ({ is: "cast", value, type });
