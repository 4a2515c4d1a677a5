/*
 * A rule of a contract as data: all that is needed to check it on one version, on a change, or on a change against history. Rules are made
 * from a contract's document (contracts/contract-rules.ts) and checked by checks/. Columns are named by field id, so a rename keeps a rule.
 */

export type Severity = "error" | "warning" | "info";

/** `added`: the rows that a change adds or modifies. `snapshot`: the whole table. */
export type RuleScope = "added" | "snapshot";

export type Dimension = "accuracy" | "completeness" | "conformity" | "consistency" | "coverage" | "timeliness" | "uniqueness";

/** A column that a rule looks at. `fieldId` is undefined when the contract has no such column: the rule is then inconclusive. */
export interface RuleColumn {
  name: string;
  fieldId: number | undefined;
}

/** Literal of a rule: numbers as exact decimal text, dates and times in ISO form, text as itself. */
export interface RuleValue {
  type: "number" | "text" | "time" | "boolean";
  value: string;
}

/** What the measured number must be. Texts are exact decimals; `between` takes its ends in. */
export type Bound =
  | { op: "=" | "!=" | ">" | ">=" | "<" | "<="; value: string }
  | { op: "between" | "not_between"; low: string; high: string };

export interface Range {
  min?: RuleValue | undefined;
  max?: RuleValue | undefined;
  exclusiveMin?: boolean | undefined;
  exclusiveMax?: boolean | undefined;
}

/** What makes one value of a column valid; null values are left out. */
export type Validity =
  | { is: "range"; range: Range }
  | { is: "in" | "not_in"; values: readonly RuleValue[] }
  /** Regular expressions in RE2's syntax, found anywhere in the text unless anchored. */
  | { is: "matches" | "not_matches"; patterns: readonly string[]; how: "any" | "all" }
  | { is: "like" | "not_like"; patterns: readonly string[]; how: "any" | "all" }
  | { is: "length"; min?: number | undefined; max?: number | undefined }
  | { is: "multiple_of"; of: string }
  | { is: "json" }
  /** A date or time in this strptime format. */
  | { is: "time_format"; format: string }
  /** A named format: `email`, `uuid`, `uri`, `ipv4`, `ipv6`, `hostname`. */
  | { is: "format"; name: string }
  /** Length of a list, and whether its items differ from each other. */
  | { is: "items"; min?: number | undefined; max?: number | undefined; unique?: boolean | undefined };

export type Metric =
  | "min"
  | "max"
  | "mean"
  | "median"
  | "sum"
  | "stddev"
  | "quantile"
  | "distinct_count"
  | "distinct_share"
  | "null_share"
  | "row_count";

/** A condition on single rows; only rows that meet all of a rule's conditions are looked at. */
export interface RowCondition {
  column: RuleColumn;
  op: "=" | "!=" | ">" | ">=" | "<" | "<=" | "is_null" | "is_not_null";
  value?: RuleValue | undefined;
}

/** What a rule measures. Row rules count bad rows; the others measure one number. */
export type RuleTest =
  // row rules: how many rows are bad
  | { kind: "null_values"; column: RuleColumn }
  | { kind: "missing_values"; column: RuleColumn; values: readonly RuleValue[] }
  | { kind: "invalid_values"; column: RuleColumn; valid: Validity }
  | { kind: "compare_columns"; left: RuleColumn; op: "=" | "!=" | ">" | ">=" | "<" | "<="; right: RuleColumn; orNull?: boolean | undefined }
  | { kind: "ordered"; column: RuleColumn; direction: "increasing" | "decreasing"; strictly: boolean; by?: RuleColumn | undefined }
  /** The values of several columns together are one of these; a row with nulls in all of them is left out. `null` stands for NULL. */
  | {
      kind: "combinations";
      columns: readonly RuleColumn[];
      valid: readonly (readonly (RuleValue | null)[])[];
      orNull?: boolean | undefined;
    }
  /** The columns of each row add up to the total; rows with a null among them are left out. */
  | { kind: "row_sum"; columns: readonly RuleColumn[]; total: string }
  /** Rows beyond the first of each value (or combination) that occurs more than once, or, counting `all`, those too; nulls are never duplicates. */
  | { kind: "duplicate_values"; columns: readonly RuleColumn[]; counting?: "surplus" | "all" | undefined }
  /** Rows whose value has no partner in the other dataset; nulls are left out. */
  | { kind: "foreign_key"; columns: readonly RuleColumn[]; to: { dataset: string; columns: readonly string[] } }
  // one number
  | { kind: "metric"; metric: Metric; column?: RuleColumn | undefined; at?: number | undefined }
  | { kind: "distinct_set"; column: RuleColumn; relation: "equal" | "contains" | "within"; values: readonly RuleValue[] }
  /** The most frequent value is among these; with `ties`, several may be the most frequent, and one of them is enough. */
  | { kind: "most_common"; column: RuleColumn; values: readonly RuleValue[]; ties?: boolean | undefined }
  /** Milliseconds since the newest (`freshness`) or the oldest (`retention`) value, at the time of the check. */
  | { kind: "freshness" | "retention"; column: RuleColumn }
  /** One SELECT by others that gives one number or boolean (true is 1, false 0); runs in the sandbox. Datasets are named in full. */
  | { kind: "sql"; query: string }
  | { kind: "columns"; relation: "equal" | "contains" | "ordered"; names: readonly string[] }
  | { kind: "column_count" }
  | { kind: "column_type"; column: RuleColumn; types: readonly string[] }
  // against the base of the change
  /** Rows of the candidate as a percent of the rows of base: 100 is «as many as before». No rows on base: nothing to compare, vacuous. */
  | { kind: "row_count_change" }
  /** `difference`: candidate − base. `ratio`: candidate / base. */
  | { kind: "metric_change"; metric: Metric; column?: RuleColumn | undefined; at?: number | undefined; by: "difference" | "ratio" }
  /** How many columns that base does not have bear a name that another column of the dataset (another field id) bore before. */
  | { kind: "name_reused" }
  | { kind: "drift"; column: RuleColumn; by: "nulls" | "distinct" | "quantiles" | "categories" }
  | { kind: "scaled"; column: RuleColumn }
  | { kind: "duplicated_content" }
  // on its own
  | { kind: "suspicious_count" }
  /** Against the last versions: how many standard deviations away. `season`: only versions at the same place of the cycle. */
  | {
      kind: "history";
      metric: Metric;
      column?: RuleColumn | undefined;
      last: number;
      season?: "hour" | "day" | "week" | "month" | undefined;
    };

export interface Rule {
  /** Unique in its contract and stable: the document's `id`, else a path such as `fare/minimum`. */
  id: string;
  /** The rule as a sentence, when the document gives it no name. */
  title: string;
  description?: string | undefined;
  severity: Severity;
  scope: RuleScope;
  dimension?: Dimension | undefined;
  test: RuleTest;
  where: readonly RowCondition[];
  /** Undefined where the test decides by itself (drift, scaled, suspicious_count, duplicated_content): see checks/. */
  bound?: Bound | undefined;
  /** What a row rule's bound counts: rows, or percent of the rows looked at. */
  unit: "rows" | "percent";
  /** A second, milder bound: outside of it the check is a warning. */
  warn?: Bound | undefined;
  /** «No worse than base»: it also passes while it is no worse than on the base of the change. */
  noWorseThanBase?: boolean | undefined;
  /** Where it stands in the document, as a JSON path; `built-in` (see `builtIn`) for rules that are on by default. */
  source: string;
}

/** The `source` of rules that no document names. A contract that has no others is untested. */
export const builtIn = "built-in";
