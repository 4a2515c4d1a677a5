import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bound, Metric, RowCondition, Rule, RuleTest, RuleValue } from "../../src/contracts/rule.ts";
import type { Cell, Column } from "../../src/engine/plan.ts";
import { col, rule } from "./checks.ts";

/* Great Expectations' own cases (names, arguments, data, outcome) as rules of ours. */

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Arguments = Readonly<Record<string, Json>>;

export interface GxCase {
  file: string;
  expectation: string;
  title: string;
  args: Arguments;
  out: Readonly<Record<string, Json>>;
  /** It raises: the arguments make no sense. */
  raises: boolean;
  onlyFor: readonly string[];
}

export interface GxTable {
  name: string;
  columns: Column[];
  rows: Cell[][];
  cases: GxCase[];
}

interface RawTest {
  title: string;
  in: Arguments;
  out?: Readonly<Record<string, Json>>;
  error?: Json;
  only_for?: readonly string[];
}

interface RawDataset {
  data: Readonly<Record<string, readonly Json[]>>;
  schemas?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  only_for?: readonly string[];
  tests: readonly RawTest[];
}

/** All cases, by the table they look at. */
export function readGxCases(folder: string): GxTable[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return files.sort().flatMap((file) => {
    const { expectation_type: expectation, datasets } = JSON.parse(jsonOf(readFileSync(join(folder, file), "utf8"))) as {
      expectation_type: string;
      datasets: readonly RawDataset[];
    };
    return datasets.map((dataset, at) => ({
      name: `gx.${file.replace(".json", "").replace("expect_", "").slice(0, 60)}_${at}`,
      ...tableOf(dataset),
      cases: dataset.tests.map((item) => ({
        file,
        expectation,
        title: item.title,
        args: item.in,
        out: item.out ?? {},
        raises: item.error !== undefined || item.out?.["traceback_substring"] !== undefined,
        onlyFor: [...(item.only_for ?? []), ...(dataset.only_for ?? [])],
      })),
    }));
  });
}

/** Python writes infinities and NaN, which JSON does not have; only cases that we do not offer use them. */
const jsonOf = (text: string): string => text.replaceAll(/(?<=[:,[\s])-?(?:Infinity|NaN)(?=[,\]}\s])/g, "null");

/** A column of times, as any of the schemas for other systems says. */
const isTime = (dataset: RawDataset, name: string): boolean =>
  Object.values(dataset.schemas ?? {}).some((types) => /date|time/i.test(types[name] ?? ""));

function tableOf(dataset: RawDataset): Pick<GxTable, "columns" | "rows"> {
  const names = Object.keys(dataset.data);
  const typed = names.map((name) => columnOf(name, dataset.data[name] ?? [], isTime(dataset, name)));
  const count = Math.max(0, ...typed.map(({ cells }) => cells.length));
  return {
    columns: typed.map(({ column }) => column),
    rows: Array.from({ length: count }, (_, at) => typed.map(({ cells }) => cells[at] ?? null)),
  };
}

export function timeOf(value: Json): string | undefined {
  if (typeof value !== "string" || !/\d{4}/.test(value)) return undefined;
  const iso = /^\d{4}-\d{2}-\d{2}/.test(value) ? value.replace(" ", "T").replace(/(\.\d{1,6})\d*/, "$1") : value;
  const zoned = /(Z|[+-]\d{2}:?\d{2}|UTC)$/.test(iso)
    ? iso
    : /T/.test(iso)
      ? `${iso}Z`
      : `${iso}${/^\d{4}-\d{2}-\d{2}$/.test(iso) ? "T00:00:00Z" : " UTC"}`;
  const at = new Date(zoned);
  return Number.isNaN(at.getTime())
    ? undefined
    : at
        .toISOString()
        .replace("Z", "")
        .replace(/\.000$/, "");
}

function columnOf(name: string, values: readonly Json[], asTime: boolean): { column: Column; cells: Cell[] } {
  const present = values.filter((value) => value !== null);
  const all = (wanted: (value: Json) => boolean): boolean => present.length > 0 && present.every(wanted);
  const made = (type: Column["type"], cell: (value: Json) => Cell) => ({
    column: { name, type },
    cells: values.map((value) => (value === null ? null : cell(value))),
  });
  if (asTime && all((value) => timeOf(value) !== undefined)) return made("timestamp", (value) => timeOf(value) ?? null);
  if (all((value) => typeof value === "boolean")) return made("boolean", (value) => value as boolean);
  if (all((value) => Number.isInteger(value))) return made("long", (value) => value as number);
  if (all((value) => typeof value === "number")) return made("double", (value) => value as number);
  return made("string", (value) => (typeof value === "string" ? value : JSON.stringify(value)));
}

const valueOf = (value: Json): RuleValue => {
  if (typeof value === "number") return { type: "number", value: String(value) };
  if (typeof value === "boolean") return { type: "boolean", value: String(value) };
  if (value !== null && typeof value === "object" && "$PARAMETER" in value)
    return { type: "time", value: parameter(String((value as Arguments)["$PARAMETER"])) };
  return { type: "text", value: String(value as string) };
};

/** The moment of an evaluation parameter: the clock of these tests stands still. */
function parameter(text: string): string {
  const made = /^datetime\((\d+), (\d+), (\d+)\)$/.exec(text);
  if (made !== null) return new Date(Date.UTC(Number(made[1]), Number(made[2]) - 1, Number(made[3]))).toISOString();
  const weeks = /timedelta\(weeks=(\d+)(?:\*(\d+))?\)/.exec(text);
  const back = weeks === null ? 0 : Number(weeks[1]) * Number(weeks[2] ?? 1) * 7 * 86_400_000;
  return new Date(Date.UTC(2026, 10, 1) - back).toISOString();
}

/** The bound of a number by its ends, either of which may be missing. */
function between(args: Arguments, low = "min_value", high = "max_value"): Bound | undefined {
  const [min, max] = [args[low] ?? null, args[high] ?? null].map((value) => (value === null ? undefined : valueOf(value).value));
  const strict = { min: args["strict_min"] === true, max: args["strict_max"] === true };
  if (min !== undefined && max !== undefined) return { op: "between", low: min, high: max };
  if (min !== undefined) return { op: strict.min ? ">" : ">=", value: min };
  return max === undefined ? undefined : { op: strict.max ? "<" : "<=", value: max };
}

/** `mostly`: how much of a hundred may be bad. */
function mostly(args: Arguments): Partial<Rule> {
  const share = args["mostly"];
  if (share === undefined) return {};
  const value = typeof share === "number" ? String(Number(((1 - share) * 100).toFixed(9))) : String(share as string);
  return { unit: "percent", bound: { op: "<=", value } };
}

/** `x == 1 & w != 6`, as pandas has it. */
function conditions(args: Arguments): Partial<Rule> {
  const text = args["row_condition"];
  if (typeof text !== "string") return {};
  const where = text.split("&").map((part): RowCondition => {
    const match = /^\(?\s*(\w+)\s*(==|!=|>=|<=|>|<)\s*(.+?)\s*\)?$/.exec(part.trim());
    if (match === null) throw new Error(`no condition: ${part}`);
    const [, name = "", op = "", value = ""] = match;
    const quoted = /^["'](.*)["']$/.exec(value);
    return {
      column: col(name),
      op: (op === "==" ? "=" : op) as RowCondition["op"],
      value: quoted === null ? { type: "number", value } : { type: "text", value: quoted[1] ?? "" },
    };
  });
  return { where };
}

const list = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

/** Names of types that people know from other systems, as ours; undefined where one stands for what only that system has. */
const typeNames: Readonly<Record<string, string>> = {
  int: "long",
  INTEGER: "integer",
  IntegerType: "integer",
  string: "string",
  str: "string",
  TEXT: "text",
  VARCHAR: "varchar",
  StringType: "string",
  float: "double",
  FLOAT: "float",
  FloatType: "float",
  DOUBLE_PRECISION: "double",
  bool: "boolean",
  BOOLEAN: "boolean",
  BooleanType: "boolean",
  datetime64: "timestamp",
  Timestamp: "timestamp",
};

/** The rules that say the same; a reason where we offer none. */
export function rulesOfCase(item: GxCase, id: string): Rule[] | { reason: string } {
  const { args } = item;
  const column = col(String(args["column"] as string));
  const row = (test: RuleTest): Rule[] => [rule(id, test, { ...conditions(args), ...mostly(args) })];
  const valid = (is: Extract<RuleTest, { kind: "invalid_values" }>["valid"]) => row({ kind: "invalid_values", column, valid: is });
  const metric = (name: Metric, more: Partial<Extract<RuleTest, { kind: "metric" }>> = {}) => [
    rule(id, { kind: "metric", metric: name, column, ...more }, { ...conditions(args), bound: between(args) }),
  ];
  const values = list(args["value_set"]).map(valueOf);
  const patterns = (key: string): string[] => (Array.isArray(args[key]) ? (args[key] as string[]) : [String(args[key] as string)]);
  const how = args["match_on"] === "all" ? "all" : "any";
  switch (item.expectation.replace("expect_", "")) {
    case "column_values_to_not_be_null":
      return row({ kind: "null_values", column });
    case "column_values_to_be_between": {
      const [min, max] = [args["min_value"] ?? null, args["max_value"] ?? null].map((value) =>
        value === null ? undefined : valueOf(value),
      );
      if (min === undefined && max === undefined) return [rule(id, { kind: "metric", metric: "min", column })];
      return valid({
        is: "range",
        range: { min, max, exclusiveMin: args["strict_min"] === true, exclusiveMax: args["strict_max"] === true },
      });
    }
    case "column_values_to_be_in_set":
      return valid({ is: "in", values });
    case "column_values_to_be_unique":
      return row({ kind: "duplicate_values", columns: [column], counting: "all" });
    case "compound_columns_to_be_unique":
      return row({
        kind: "duplicate_values",
        columns: list(args["column_list"]).map((name) => col(String(name as string))),
        counting: "all",
      });
    case "column_values_to_match_like_pattern":
    case "column_values_to_match_like_pattern_list":
      return valid({ is: "like", patterns: patterns(item.expectation.endsWith("list") ? "like_pattern_list" : "like_pattern"), how });
    case "column_values_to_not_match_like_pattern":
      return valid({ is: "not_like", patterns: patterns("like_pattern"), how: "any" });
    case "column_values_to_match_regex_list":
      return valid({ is: "matches", patterns: patterns("regex_list"), how });
    case "column_values_to_not_match_regex":
      return valid({ is: "not_matches", patterns: patterns("regex"), how: "any" });
    case "column_values_to_not_match_regex_list":
      return valid({ is: "not_matches", patterns: patterns("regex_list"), how: "any" });
    case "column_values_to_match_strftime_format":
      return valid({ is: "time_format", format: String(args["strftime_format"] as string) });
    case "column_values_to_be_json_parseable":
      return valid({ is: "json" });
    case "column_value_lengths_to_be_between":
    case "column_value_lengths_to_equal": {
      const [low, high] = [args["min_value"] ?? args["value"] ?? null, args["max_value"] ?? args["value"] ?? null];
      if (low === null && high === null) return [rule(id, { kind: "metric", metric: "min", column })];
      const [min, max] = [low, high].map((value) => (typeof value === "number" ? value : undefined));
      if ([low, high].some((value) => value !== null && !Number.isInteger(value)))
        return [rule(id, { kind: "metric", metric: "min", column })];
      return valid({ is: "length", min, max });
    }
    case "column_values_to_be_increasing":
    case "column_values_to_be_decreasing":
      return row({
        kind: "ordered",
        column,
        direction: item.expectation.endsWith("increasing") ? "increasing" : "decreasing",
        strictly: args["strictly"] === true,
      });
    case "column_pair_values_to_be_equal":
      return row({
        kind: "compare_columns",
        left: col(String(args["column_A"] as string)),
        op: "=",
        right: col(String(args["column_B"] as string)),
        orNull: args["ignore_row_if"] === "either_value_is_missing",
      });
    case "column_pair_values_to_be_in_set": {
      const pairs = list(args["value_pairs_set"]).map((pair) => list(pair).map((value) => (value === null ? null : valueOf(value))));
      return row({
        kind: "combinations",
        columns: [col(String(args["column_A"] as string)), col(String(args["column_B"] as string))],
        valid: pairs,
        orNull: args["ignore_row_if"] === "either_value_is_missing",
      });
    }
    case "multicolumn_sum_to_equal":
      return row({
        kind: "row_sum",
        columns: list(args["column_list"]).map((name) => col(String(name as string))),
        total: String(args["sum_total"] as number),
      });
    case "column_min_to_be_between":
      return metric("min");
    case "column_max_to_be_between":
      return metric("max");
    case "column_mean_to_be_between":
      return metric("mean");
    case "column_sum_to_be_between":
      return metric("sum");
    case "column_unique_value_count_to_be_between":
      return metric("distinct_count");
    case "column_proportion_of_unique_values_to_be_between":
      return metric("distinct_share");
    case "column_quantile_values_to_be_between": {
      const ranges = args["quantile_ranges"] as Arguments;
      return list(ranges["quantiles"]).map((at, index) => {
        const [low = null, high = null] = list(list(ranges["value_ranges"])[index]);
        return rule(
          id,
          { kind: "metric", metric: "quantile", column, at: at as number },
          { bound: between({ min_value: low, max_value: high }) },
        );
      });
    }
    case "column_distinct_values_to_be_in_set":
      return args["value_set"] === null
        ? [rule(id, { kind: "metric", metric: "distinct_count", column }, { bound: { op: ">=", value: "0" } })]
        : [rule(id, { kind: "distinct_set", column, relation: "within", values })];
    case "column_distinct_values_to_contain_set":
      return [rule(id, { kind: "distinct_set", column, relation: "contains", values })];
    case "column_most_common_value_to_be_in_set":
      return [rule(id, { kind: "most_common", column, values, ties: args["ties_okay"] === true })];
    case "column_to_exist":
      if (args["column_index"] !== undefined) return { reason: "the place of one column: rules name columns, or all of them in order" };
      return [rule(id, { kind: "columns", relation: "contains", names: [String(args["column"] as string)] })];
    case "table_column_count_to_be_between":
      return [rule(id, { kind: "column_count" }, { bound: between(args) })];
    case "table_columns_to_match_ordered_list":
      return [rule(id, { kind: "columns", relation: "ordered", names: list(args["column_list"]) as string[] })];
    case "table_columns_to_match_set":
      return [
        rule(id, {
          kind: "columns",
          relation: args["exact_match"] === false ? "contains" : "equal",
          names: list(args["column_set"]) as string[],
        }),
      ];
    case "table_row_count_to_equal":
      return [rule(id, { kind: "metric", metric: "row_count" }, { bound: { op: "=", value: String(args["value"] as number) } })];
    case "column_values_to_be_of_type": {
      const type = typeNames[String(args["type_"] as string)];
      return type === undefined
        ? { reason: "types that one vendor alone has" }
        : [rule(id, { kind: "column_type", column, types: [type] })];
    }
    case "column_kl_divergence_to_be_less_than":
    case "column_parameterized_distribution_ks_test_p_value_to_be_greater_than":
      return { reason: "a test against a distribution that is given: drift rules compare with base instead" };
    default:
      throw new Error(`no such expectation: ${item.expectation}`);
  }
}
