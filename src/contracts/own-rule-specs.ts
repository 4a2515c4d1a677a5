import type { Bound, Metric, Range, RuleColumn, RuleScope, RuleTest, RuleValue, Validity } from "./rule.ts";

/* The rules of the engine `tidegate`: which keys each takes, what it measures, and which rows it looks at by default. */

export type ArgKind =
  | "a number"
  | "a share from 0 to 1"
  | "a count"
  | "true or false"
  | "a text"
  | "a column"
  | "columns"
  | "combinations"
  | "a value"
  | "a list of values"
  | "a list of texts"
  | "patterns"
  | "a length of time"
  | readonly string[];

type Args = Readonly<Record<string, unknown>>;
type Built = { test: RuleTest; unit?: "rows" | "percent" } | { wrong: string; expected: string };

export interface OwnRuleSpec {
  on: "column" | "table" | "both";
  args: Readonly<Record<string, { kind: ArgKind; required?: boolean }>>;
  /** `required`: an operator must be given. `none`: the rule decides by itself. `within`: a length of time. Else the bound by default. */
  bound: "required" | "none" | "within" | Bound;
  scope: RuleScope;
  /** One line for the docs. */
  says: string;
  build(args: Args, column: RuleColumn | undefined): Built;
}

const noBad: Bound = { op: "=", value: "0" };
const comparisons = ["=", "!=", ">", ">=", "<", "<="] as const;
const own = (column: RuleColumn | undefined): RuleColumn => column ?? { name: "", fieldId: undefined };

/** A row rule: counts the values that are not valid. */
function valid(
  says: string,
  args: OwnRuleSpec["args"],
  validity: (args: Args) => Validity | { wrong: string; expected: string },
): OwnRuleSpec {
  return {
    on: "column",
    args,
    bound: noBad,
    scope: "added",
    says,
    build: (given, column) => {
      const made = validity(given);
      return "wrong" in made ? made : { test: { kind: "invalid_values", column: own(column), valid: made } };
    },
  };
}

function metric(says: string, name: Metric, scope: RuleScope, args: OwnRuleSpec["args"] = {}): OwnRuleSpec {
  return {
    on: "column",
    args,
    bound: "required",
    scope,
    says,
    build: (given, column) => ({ test: { kind: "metric", metric: name, column: own(column), ...shareAt(given) } }),
  };
}

const shareAt = (given: Args): { at?: number } => (typeof given["at"] === "number" ? { at: given["at"] } : {});

const metricNames: Readonly<Record<string, Metric>> = {
  min: "min",
  max: "max",
  mean: "mean",
  median: "median",
  sum: "sum",
  stddev: "stddev",
  quantile: "quantile",
  distinctCount: "distinct_count",
  distinctShare: "distinct_share",
  nullShare: "null_share",
  rowCount: "row_count",
};

/** A rule over a metric by name: of the column, or the row count of the table. */
function metricOf(given: Args, column: RuleColumn | undefined): { metric: Metric; column?: RuleColumn; at?: number } | undefined {
  const name = metricNames[given["metric"] as string];
  if (name === undefined || (name === "row_count") === (column !== undefined)) return undefined;
  return { metric: name, ...(column === undefined ? {} : { column }), ...shareAt(given) };
}

const wrongMetric = { wrong: "The metric does not fit here.", expected: "rowCount for the table, another metric for a column" };
const metricArgs = { metric: { kind: Object.keys(metricNames), required: true }, at: { kind: "a share from 0 to 1" } } as const;

function range(given: Args): Range {
  const value = (key: string): RuleValue | undefined => given[key] as RuleValue | undefined;
  const [low, high] = [value("exclusiveMinimum"), value("exclusiveMaximum")];
  return {
    min: low ?? value("minimum"),
    max: high ?? value("maximum"),
    ...(low === undefined ? {} : { exclusiveMin: true }),
    ...(high === undefined ? {} : { exclusiveMax: true }),
  };
}

const list = (is: "in" | "not_in", says: string): OwnRuleSpec =>
  valid(says, { values: { kind: "a list of values", required: true } }, (given) => ({ is, values: given["values"] as RuleValue[] }));

const texts = (is: "matches" | "not_matches" | "like" | "not_like", says: string): OwnRuleSpec => {
  const kind = is.endsWith("like") ? "a list of texts" : "patterns";
  const args = { patterns: { kind, required: true }, how: { kind: ["any", "all"] } } as const;
  return valid(says, args, (given) => {
    const how = given["how"] === "all" ? "all" : "any";
    return { is, patterns: given["patterns"] as string[], how };
  });
};

const column = (kind: "drift" | "scaled"): Pick<OwnRuleSpec, "on" | "bound" | "scope"> & { kind: typeof kind } => ({
  on: "column",
  bound: "none",
  scope: "added",
  kind,
});

/** All rules of our own, by name. */
export const ownRuleSpecs: Readonly<Record<string, OwnRuleSpec>> = {
  in: list("in", "every value is one of these"),
  notIn: list("not_in", "no value is one of these"),
  matches: texts("matches", "every value matches one (or all) of these regular expressions"),
  notMatches: texts("not_matches", "no value matches one (or all) of these regular expressions"),
  like: texts("like", "every value is LIKE one (or all) of these"),
  notLike: texts("not_like", "no value is LIKE one (or all) of these"),
  range: valid(
    "every value lies in the range",
    {
      minimum: { kind: "a value" },
      maximum: { kind: "a value" },
      exclusiveMinimum: { kind: "a value" },
      exclusiveMaximum: { kind: "a value" },
    },
    (given) => {
      const made = range(given);
      return made.min === undefined && made.max === undefined
        ? { wrong: "A range needs an end.", expected: "minimum, maximum, exclusiveMinimum or exclusiveMaximum" }
        : { is: "range", range: made };
    },
  ),
  length: valid("every text has so many characters", { min: { kind: "a count" }, max: { kind: "a count" } }, (given) => {
    const [min, max] = [given["min"] as number | undefined, given["max"] as number | undefined];
    return min === undefined && max === undefined
      ? { wrong: "A length needs an end.", expected: "min or max" }
      : { is: "length", min, max };
  }),
  multipleOf: valid("every number is a multiple of this", { of: { kind: "a number", required: true } }, (given) => ({
    is: "multiple_of",
    of: given["of"] as string,
  })),
  json: valid("every text is JSON", {}, () => ({ is: "json" })),
  timeFormat: valid("every text is a date or time in this strptime format", { format: { kind: "a text", required: true } }, (given) => ({
    is: "time_format",
    format: given["format"] as string,
  })),
  format: valid(
    "every text has this form",
    { name: { kind: ["email", "uuid", "uri", "ipv4", "ipv6", "hostname"], required: true } },
    (given) => ({ is: "format", name: given["name"] as string }),
  ),
  items: valid(
    "every list has so many items, or none twice",
    { min: { kind: "a count" }, max: { kind: "a count" }, unique: { kind: "true or false" } },
    (given) => ({
      is: "items",
      min: given["min"] as number | undefined,
      max: given["max"] as number | undefined,
      unique: given["unique"] as boolean | undefined,
    }),
  ),
  compareColumns: {
    on: "both",
    args: {
      left: { kind: "a column" },
      is: { kind: comparisons, required: true },
      right: { kind: "a column", required: true },
      orNull: { kind: "true or false" },
    },
    bound: noBad,
    scope: "added",
    says: "in every row, left is (=, !=, >, >=, <, <=) right",
    build: (given, at) => {
      const left = (given["left"] as RuleColumn | undefined) ?? at;
      if (left === undefined) return { wrong: "The rule names no left column.", expected: "left: <column>" };
      const op = given["is"] as (typeof comparisons)[number];
      const orNull = given["orNull"] === true ? { orNull: true } : {};
      return { test: { kind: "compare_columns", left, op, right: given["right"] as RuleColumn, ...orNull } };
    },
  },
  ordered: {
    on: "column",
    args: {
      direction: { kind: ["increasing", "decreasing"], required: true },
      strictly: { kind: "true or false" },
      by: { kind: "a column" },
    },
    bound: noBad,
    scope: "snapshot",
    says: "values go up (or down) in the order of the rows, or of another column",
    build: (given, at) => ({
      test: {
        kind: "ordered",
        column: own(at),
        direction: given["direction"] as "increasing" | "decreasing",
        strictly: given["strictly"] === true,
        by: given["by"] as RuleColumn | undefined,
      },
    }),
  },
  min: metric("the smallest value", "min", "added"),
  max: metric("the largest value", "max", "added"),
  mean: metric("the mean", "mean", "snapshot"),
  median: metric("the median", "median", "snapshot"),
  sum: metric("the sum", "sum", "snapshot"),
  stddev: metric("the standard deviation (of a sample)", "stddev", "snapshot"),
  quantile: metric("the quantile at a share", "quantile", "snapshot", { at: { kind: "a share from 0 to 1", required: true } }),
  distinctCount: metric("how many different values", "distinct_count", "snapshot"),
  distinctShare: metric("different values per value, from 0 to 1", "distinct_share", "snapshot"),
  nullShare: metric("the share of nulls, from 0 to 1", "null_share", "added"),
  distinctSet: {
    on: "column",
    args: { relation: { kind: ["equal", "contains", "within"], required: true }, values: { kind: "a list of values", required: true } },
    bound: "none",
    scope: "snapshot",
    says: "the different values are exactly these, hold all of these, or are among these",
    build: (given, at) => ({
      test: {
        kind: "distinct_set",
        column: own(at),
        relation: given["relation"] as "equal" | "contains" | "within",
        values: given["values"] as RuleValue[],
      },
    }),
  },
  mostCommon: {
    on: "column",
    args: { values: { kind: "a list of values", required: true }, ties: { kind: "true or false" } },
    bound: "none",
    scope: "snapshot",
    says: "the most frequent value is among these; with ties, one of several that are",
    build: (given, at) => ({
      test: { kind: "most_common", column: own(at), values: given["values"] as RuleValue[], ties: given["ties"] === true },
    }),
  },
  combinations: {
    on: "table",
    args: {
      columns: { kind: "columns", required: true },
      values: { kind: "combinations", required: true },
      orNull: { kind: "true or false" },
    },
    bound: noBad,
    scope: "added",
    says: "the values of these columns together are one of these; null stands for NULL",
    build: (given) => ({
      test: {
        kind: "combinations",
        columns: given["columns"] as RuleColumn[],
        valid: given["values"] as (RuleValue | null)[][],
        ...(given["orNull"] === true ? { orNull: true } : {}),
      },
    }),
  },
  rowSum: {
    on: "table",
    args: { columns: { kind: "columns", required: true }, total: { kind: "a number", required: true } },
    bound: noBad,
    scope: "added",
    says: "the numbers of these columns add up to the total in each row",
    build: (given) => ({ test: { kind: "row_sum", columns: given["columns"] as RuleColumn[], total: given["total"] as string } }),
  },
  columnCount: {
    on: "table",
    args: {},
    bound: "required",
    scope: "snapshot",
    says: "how many columns there are",
    build: () => ({ test: { kind: "column_count" } }),
  },
  columns: {
    on: "table",
    args: { relation: { kind: ["equal", "contains", "ordered"], required: true }, names: { kind: "a list of texts", required: true } },
    bound: "none",
    scope: "snapshot",
    says: "the columns are exactly these, hold all of these, or are these in this order",
    build: (given) => ({
      test: { kind: "columns", relation: given["relation"] as "equal" | "contains" | "ordered", names: given["names"] as string[] },
    }),
  },
  columnType: {
    on: "column",
    args: { types: { kind: "a list of texts", required: true } },
    bound: "none",
    scope: "snapshot",
    says: "the column has one of these physical types (int, long, decimal(10, 2), string …)",
    build: (given, at) => ({ test: { kind: "column_type", column: own(at), types: given["types"] as string[] } }),
  },
  freshness: {
    on: "column",
    args: { within: { kind: "a length of time", required: true } },
    bound: "within",
    scope: "snapshot",
    says: "the newest value is at most so old",
    build: (_given, at) => ({ test: { kind: "freshness", column: own(at) } }),
  },
  retention: {
    on: "column",
    args: { within: { kind: "a length of time", required: true } },
    bound: "within",
    scope: "snapshot",
    says: "no value is older than that",
    build: (_given, at) => ({ test: { kind: "retention", column: own(at) } }),
  },
  rowCountChange: {
    on: "table",
    args: {},
    bound: { op: ">", value: "50" },
    scope: "snapshot",
    says: "rows as a percent of the rows of base; takes the place of the built-in rule",
    build: () => ({ test: { kind: "row_count_change" }, unit: "percent" }),
  },
  metricChange: {
    on: "both",
    args: { ...metricArgs, by: { kind: ["difference", "ratio"], required: true } },
    bound: "required",
    scope: "snapshot",
    says: "a metric less (difference) or over (ratio) the same on base",
    build: (given, at) => {
      const measured = metricOf(given, at);
      if (measured === undefined) return wrongMetric;
      return { test: { kind: "metric_change", ...measured, by: given["by"] as "difference" | "ratio" } };
    },
  },
  drift: {
    ...column("drift"),
    args: { by: { kind: ["nulls", "distinct", "quantiles", "categories"], required: true } },
    says: "the rows added are distributed as base is; the bound follows the sample",
    build: (given, at) => ({
      test: { kind: "drift", column: own(at), by: given["by"] as "nulls" | "distinct" | "quantiles" | "categories" },
    }),
  },
  scaled: {
    ...column("scaled"),
    args: {},
    says: "the numbers are not those of base times a constant (a change of unit)",
    build: (_given, at) => ({ test: { kind: "scaled", column: own(at) } }),
  },
  duplicatedContent: {
    on: "table",
    args: {},
    bound: "none",
    scope: "added",
    says: "the rows added are not the rows of an earlier batch again",
    build: () => ({ test: { kind: "duplicated_content" } }),
  },
  suspiciousCount: {
    on: "table",
    args: {},
    bound: "none",
    scope: "added",
    says: "the row count is none at which tools cut off (65 535, 1 048 575 …)",
    build: () => ({ test: { kind: "suspicious_count" } }),
  },
  nameReused: {
    on: "table",
    args: {},
    bound: noBad,
    scope: "snapshot",
    says: "how many columns bear a name that another column had; takes the place of the built-in rule",
    build: () => ({ test: { kind: "name_reused" } }),
  },
  history: {
    on: "both",
    args: { ...metricArgs, last: { kind: "a count", required: true }, season: { kind: ["hour", "day", "week", "month"] } },
    bound: { op: "<=", value: "3" },
    scope: "snapshot",
    says: "how many standard deviations a metric lies away from the last versions",
    build: (given, at) => {
      const measured = metricOf(given, at);
      if (measured === undefined) return wrongMetric;
      const last = given["last"] as number;
      if (last < 3) return { wrong: "A history has at least three versions.", expected: "last: 3 or more" };
      return { test: { kind: "history", ...measured, last, season: given["season"] as "hour" | "day" | "week" | "month" | undefined } };
    },
  },
};
