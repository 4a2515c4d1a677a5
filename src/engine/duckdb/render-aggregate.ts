import type { FieldType } from "../../lake/schema.ts";
import { AppError } from "../../lib/errors.ts";
import type { AggregatePlan, Measure } from "../plan.ts";
import { textSql } from "./convert.ts";
import { hashSql } from "./hash.ts";
import { renderExpr, typeName, type Value } from "./render-expr.ts";
import { allSlots, from, positionOf, scopeOf, selectList, type Relation, type RelationColumn } from "./relation.ts";
import { slot } from "./sql.ts";
import { decimalShape, decimalType, sqlType } from "./types.ts";

const topType: FieldType = {
  type: "list",
  "element-id": 0,
  "element-required": true,
  element: {
    type: "struct",
    fields: [
      { id: 0, name: "value", required: true, type: "string" },
      { id: 0, name: "count", required: true, type: "long" },
    ],
  },
};

type Aggregate = Exclude<Measure, { fn: "top" }>;

/** Whether a plan reads its input more than once. */
export function readsTwice(plan: AggregatePlan): boolean {
  return plan.measures.some(({ of }) => of.fn === "top" || (of.fn === "approx_count_distinct" && plan.by.length === 0));
}

/** One SELECT for all measures; `top` needs counts of counts, so it is joined to it. */
export function renderAggregate(plan: AggregatePlan, input: Relation): Relation {
  const scope = scopeOf(input.columns, "t");
  const sketches = new Sketches(plan.by.length === 0);
  const keys = plan.by.map((name) => ({ ...(input.columns[positionOf(input.columns, name)] as RelationColumn), sql: scope(name).sql }));
  const columns: RelationColumn[] = keys.map(({ name, type, nullable }) => ({ name, type, nullable }));
  const tops: { at: number; sql: string }[] = [];
  const values = plan.measures.map(({ name, of }, index) => {
    if (of.fn === "top") {
      tops.push({ at: keys.length + index, sql: topSql(keys.map((key) => key.sql), renderExpr(of.of, scope), of.count, from(input, "t")) });
      columns.push({ name, type: topType, nullable: false });
      return `CAST([] AS ${sqlType(topType)})`;
    }
    const value = measureSql(of, of.fn === "count_all" ? undefined : renderExpr(of.of, scope), sketches);
    columns.push({ name, type: value.type, nullable: value.nullable });
    return value.sql;
  });
  const group = keys.length === 0 ? "" : ` GROUP BY ${keys.map((key) => key.sql).join(", ")}`;
  // Without a measure of its own the SELECT would not be an aggregate.
  const having = keys.length === 0 ? " HAVING count(*) >= 0" : "";
  const sql = `SELECT ${selectList([...keys.map((key) => key.sql), ...values])} FROM ${from(input, "t")}${sketches.from(from(input, "t"))}${group}${having}`;
  if (tops.length === 0) return { sql, columns };
  return { sql: joinTops(sql, keys.length, columns, tops), columns };
}

function joinTops(sql: string, keyCount: number, columns: readonly RelationColumn[], tops: readonly { at: number; sql: string }[]): string {
  const joins = tops.map(({ sql: top }, index) => {
    const on = Array.from({ length: keyCount }, (_, key) => `a.${slot(key)} IS NOT DISTINCT FROM p${index}.${slot(key)}`);
    return ` LEFT JOIN (${top}) AS p${index} ON ${on.length === 0 ? "true" : on.join(" AND ")}`;
  });
  const values = allSlots(columns, "a").map((value, at) => {
    const index = tops.findIndex((top) => top.at === at);
    return index < 0 ? value : `coalesce(p${index}.${slot(keyCount)}, ${value})`;
  });
  return `SELECT ${selectList(values)} FROM (${sql}) AS a${joins.join("")}`;
}

/** Keys and the list of their most frequent values. */
function topSql(keys: readonly string[], of: Value, count: number, input: string): string {
  const slots = keys.map((_, index) => slot(index));
  const grouped = `SELECT ${selectList([...keys, textSql(of.sql, of.type)])}, count(*) AS n FROM ${input} WHERE ${of.sql} IS NOT NULL GROUP BY ALL`;
  const value = slot(keys.length);
  const partition = slots.length === 0 ? "" : `PARTITION BY ${slots.join(", ")} `;
  const ranked = `SELECT *, row_number() OVER (${partition}ORDER BY n DESC, ${value}) AS rank FROM (${grouped})`;
  const list = `CAST(list(struct_pack("value" := ${value}, "count" := n) ORDER BY rank) AS ${sqlType(topType)})`;
  const group = slots.length === 0 ? "" : ` GROUP BY ${slots.join(", ")}`;
  return `SELECT ${[...slots, `${list} AS ${value}`].join(", ")} FROM (${ranked}) WHERE rank <= ${Math.trunc(count)}${group}`;
}

/** Samples are taken so that about this many different values are counted: one standard deviation is half a percent. */
const sampledValues = 32_768;

/**
 * Distinct counts that are cheap and within 5 %. The engine's own sketch is off by more than a tenth, so it only decides how thin
 * a sample of the values' hashes may be, and that sample is counted exactly. Groups may differ in size a lot: they are counted in full.
 */
class Sketches {
  private readonly ungrouped: boolean;
  private readonly estimates: string[] = [];

  constructor(ungrouped: boolean) {
    this.ungrouped = ungrouped;
  }

  measure({ sql, type }: Value): string {
    if (!this.ungrouped) return `count(DISTINCT ${sql})`;
    const hash = hashSql([{ sql, type }]);
    const rate = `s.${slot(this.estimates.length)}`;
    this.estimates.push(`CAST(greatest(1, approx_count_distinct(${sql}) // ${sampledValues}) AS UBIGINT)`);
    return `coalesce(count(DISTINCT ${hash}) FILTER (WHERE ${sql} IS NOT NULL AND ${hash} % ${rate} = 0) * any_value(${rate}), 0)`;
  }

  /** What the FROM of the measures needs beside their input. */
  from(input: string): string {
    return this.estimates.length === 0 ? "" : `, (SELECT ${selectList(this.estimates)} FROM ${input}) AS s`;
  }
}

function measureSql(measure: Aggregate, of: Value | undefined, sketches: Sketches): Value {
  const long = (sql: string): Value => ({ sql: `CAST(${sql} AS BIGINT)`, type: "long", nullable: false });
  if (measure.fn === "count_all") return long("count(*)");
  const { sql, type } = of as Value;
  const floating = type === "float" || type === "double";
  switch (measure.fn) {
    case "count":
      return long(`count(${sql})`);
    case "count_if":
      return long(`count(*) FILTER (WHERE ${sql})`);
    case "count_distinct":
      return long(`count(DISTINCT ${sql})`);
    case "approx_count_distinct":
      return long(sketches.measure(of as Value));
    case "min":
    case "max":
    case "any": {
      const found = `${measure.fn === "any" ? "any_value" : measure.fn}(${sql})`;
      // -0.0 and 0.0 are the same value: which of them is found must not depend on the order of rows.
      return { sql: floating ? `CASE WHEN ${found} = 0 THEN 0 ELSE ${found} END::${sqlType(type)}` : found, type, nullable: true };
    }
    case "sum": {
      if (floating) return { sql: `sum(CAST(${sql} AS DOUBLE))`, type: "double", nullable: true };
      const total = decimalType(38, numberShape(measure.fn, type).scale);
      return { sql: `CAST(sum(${sql}) AS ${sqlType(total)})`, type: total, nullable: true };
    }
    case "mean":
      numberShape(measure.fn, type);
      return { sql: `CAST(avg(${sql}) AS DOUBLE)`, type: "double", nullable: true };
    case "stddev": {
      numberShape(measure.fn, type);
      const number = `CAST(${sql} AS DOUBLE)`;
      const spread = `stddev_samp(${number}) FILTER (WHERE isfinite(${number}))`;
      return {
        sql: `CASE WHEN count(*) FILTER (WHERE NOT isfinite(${number})) = 0 THEN ${spread} ELSE CASE WHEN count(${sql}) > 1 THEN 'NaN'::DOUBLE END END`,
        type: "double",
        nullable: true,
      };
    }
    case "approx_quantiles":
      return quantilesSql(measure.at, sql, type);
  }
}

function quantilesSql(at: readonly number[], sql: string, type: FieldType): Value {
  const points = `[${at.map((point) => `${Number(point)}::FLOAT`).join(", ")}]`;
  const times: readonly FieldType[] = ["date", "time", "timestamp", "timestamptz"];
  const element: FieldType = times.includes(type) ? type : "double";
  if (element === "double") numberShape("approx_quantiles", type);
  const finite = element === "double" ? ` FILTER (WHERE isfinite(CAST(${sql} AS DOUBLE)))` : "";
  const number = element === "double" ? `CAST(${sql} AS DOUBLE)` : sql;
  const list: FieldType = { type: "list", "element-id": 0, element, "element-required": false };
  return { sql: `CAST(approx_quantile(${number}, ${points})${finite} AS ${sqlType(list)})`, type: list, nullable: true };
}

function numberShape(fn: string, type: FieldType): { scale: number } {
  if (type === "int" || type === "long" || type === "float" || type === "double") return { scale: 0 };
  const decimal = decimalShape(type);
  if (decimal !== undefined) return decimal;
  throw new AppError("type.unsupported", `«${fn}» needs numbers.`, { expected: "a column of numbers", found: typeName(type) });
}
