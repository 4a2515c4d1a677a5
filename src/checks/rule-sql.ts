import type { Rule, RuleColumn } from "../contracts/rule.ts";
import type { Cell, Expr } from "../engine/plan.ts";
import type { FieldType, Schema } from "../lake/schema.ts";
import { isProblem } from "./literals.ts";
import { idName, rowTest, whereExpr } from "./row-test.ts";

/*
 * A rule as a SELECT that a person can run: `tidegate query "…"`. It is never run by us: plans are (checks/compile.ts).
 */

interface Names {
  dataset: string;
  schema: Schema;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const columnName = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name));
const datasetName = (name: string): string =>
  name
    .split(".")
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) ? part : quoted(part)))
    .join(".");

function literalText(value: Cell, type: FieldType): string {
  if (value === null) return "NULL";
  if (typeof value === "string") {
    const text = `'${value.replaceAll("'", "''")}'`;
    if (type === "string") return text;
    if (typeof type === "string" && type.startsWith("decimal")) return value;
    return typeof type === "string" && /^(date|time)/.test(type)
      ? `${type === "timestamptz" ? "TIMESTAMPTZ" : type.toUpperCase()} ${text}`
      : text;
  }
  return String(value);
}

const infix: Readonly<Record<string, string>> = {
  "=": "=",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
  "+": "+",
  "-": "-",
  "*": "*",
  "/": "/",
  mod: "%",
  like: "LIKE",
  and: "AND",
  or: "OR",
};
const functions: Readonly<Record<string, string>> = {
  is_nan: "isnan",
  matches: "regexp_matches",
  parse_time: "try_strptime",
  is_json: "json_valid",
  items: "len",
  distinct_items: "list_unique",
};

/** An expression over field ids as SQL over the columns' names. */
function exprText(expr: Expr, names: Names): string {
  switch (expr.is) {
    case "column": {
      const field = names.schema.fields.find(({ id }) => idName(id) === expr.name);
      return columnName(field?.name ?? expr.name);
    }
    case "literal":
      return literalText(expr.value, expr.type);
    case "cast":
      return exprText(expr.value, names);
    case "call": {
      const args = expr.args.map((arg) => exprText(arg, names));
      const [first = "", ...others] = args;
      if (expr.fn === "coalesce" && expr.args[1]?.is === "literal" && expr.args[1].value === false) return first;
      if (expr.fn === "not") return notText(expr.args[0] as Expr, first);
      if (expr.fn === "is_null") return `${first} IS NULL`;
      if (expr.fn === "in") return others.length === 0 ? "false" : `${first} IN (${others.join(", ")})`;
      if (expr.fn === "if") return `CASE WHEN ${first} THEN ${others[0]} ELSE ${others[1]} END`;
      if (expr.fn === "text") return `CAST(${first} AS VARCHAR)`;
      const sign = infix[expr.fn];
      if (sign === undefined) return `${functions[expr.fn] ?? expr.fn}(${args.join(", ")})`;
      if (args.length === 0) return expr.fn === "and" ? "true" : "false";
      const parts = expr.args.map((arg, at) => (needsParens(arg, expr.fn) ? `(${args[at]})` : args[at]));
      return parts.join(` ${sign} `);
    }
  }
}

function notText(inner: Expr, text: string): string {
  if (inner.is === "call" && inner.fn === "coalesce") return `(${text}) IS NOT TRUE`;
  if (inner.is === "call" && inner.fn === "is_null") return text.replace(/ IS NULL$/, " IS NOT NULL");
  if (inner.is === "call" && inner.fn === "in" && inner.args.length > 1) return text.replace(" IN (", " NOT IN (");
  if (inner.is === "call" && inner.fn === "=") return text.replace(" = ", " <> ");
  return `NOT (${text})`;
}

const needsParens = (arg: Expr, outer: string): boolean =>
  arg.is === "call" &&
  ((outer === "and" && arg.fn === "or") ||
    (outer === "or" && arg.fn === "and") ||
    (infix[outer] !== undefined && !["and", "or"].includes(outer) && infix[arg.fn] !== undefined));

function bareNames(columns: readonly RuleColumn[], { schema }: Names): string[] {
  return columns.map(({ name, fieldId }) => columnName(schema.fields.find(({ id }) => id === fieldId)?.name ?? name));
}

/** What a person can run to see what the rule sees. */
export function ruleSql(rule: Rule, dataset: string, schema: Schema): string {
  const names: Names = { dataset, schema };
  const from = `FROM ${datasetName(dataset)}`;
  const { test } = rule;
  if (test.kind === "sql") return test.query;
  const rows = rowTest(rule, schema);
  if (rows !== undefined && !isProblem(rows)) {
    const key = (schema["identifier-field-ids"] ?? []).filter((id) => !rows.fieldIds.includes(id));
    const columns = [...key, ...rows.fieldIds].map((id) => exprText({ is: "column", name: idName(id) }, names));
    return `SELECT ${columns.join(", ")} ${from} WHERE ${exprText(rows.bad, names)}`;
  }
  const where = whereExpr(schema, rule.where);
  const condition = isProblem(where) || where.expr === undefined ? "" : exprText(where.expr, names);
  const filter = condition === "" ? "" : ` WHERE ${condition}`;
  const and = condition === "" ? "" : ` AND ${condition}`;
  switch (test.kind) {
    case "duplicate_values": {
      const list = bareNames(test.columns, names);
      const present = list.map((name) => `${name} IS NOT NULL`).join(" AND ");
      return `SELECT ${list.join(", ")}, count(*) AS rows ${from} WHERE ${present}${and} GROUP BY ${list.join(", ")} HAVING count(*) > 1`;
    }
    case "foreign_key": {
      const own = bareNames(test.columns, names).map((name) => `s.${name}`);
      const pairs = own.map((name, at) => `t.${columnName(test.to.columns[at] ?? "")} = ${name}`).join(" AND ");
      const present = own.map((name) => `${name} IS NOT NULL`).join(" AND ");
      const target = `FROM ${datasetName(test.to.dataset)} AS t WHERE ${pairs}`;
      return `SELECT ${own.join(", ")} ${from} AS s WHERE ${present}${and} AND NOT EXISTS (SELECT 1 ${target})`;
    }
    case "ordered": {
      const [name = ""] = bareNames([test.column], names);
      const by = test.by === undefined ? "" : ` ORDER BY ${bareNames([test.by], names).join("")}`;
      return `SELECT ${name}, lag(${name}) OVER (${by.trim()}) AS before ${from} WHERE ${name} IS NOT NULL${and}`;
    }
    case "metric":
    case "metric_change":
    case "history":
      return `SELECT ${metricText(test, names)} AS ${test.metric} ${from}${filter}`;
    case "freshness":
    case "retention":
      return `SELECT ${test.kind === "freshness" ? "max" : "min"}(${bareNames([test.column], names).join("")}) ${from}${filter}`;
    case "distinct_set":
    case "most_common":
    case "drift":
    case "scaled": {
      const [name = ""] = bareNames([test.column], names);
      return `SELECT ${name}, count(*) AS rows ${from}${filter} GROUP BY ${name} ORDER BY rows DESC`;
    }
    case "row_count_change":
    case "suspicious_count":
      return `SELECT count(*) ${from}${filter}`;
    default:
      return `SELECT * ${from}${filter} LIMIT 5`;
  }
}

function metricText(test: { metric: string; column?: RuleColumn | undefined; at?: number | undefined }, names: Names): string {
  const [name = "*"] = test.column === undefined ? ["*"] : bareNames([test.column], names);
  switch (test.metric) {
    case "row_count":
      return "count(*)";
    case "mean":
      return `avg(${name})`;
    case "stddev":
      return `stddev_samp(${name})`;
    case "quantile":
      return `quantile_cont(${name}, ${test.at ?? 0.5})`;
    case "distinct_count":
      return `count(DISTINCT ${name})`;
    case "distinct_share":
      return `count(DISTINCT ${name}) / count(${name})`;
    case "null_share":
      return `1 - count(${name}) / count(*)`;
    default:
      return `${test.metric}(${name})`;
  }
}
