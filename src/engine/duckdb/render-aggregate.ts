import type { AggregatePlan, Measure } from "../plan.ts";
import { measureType } from "../plan-types.ts";
import { textSql } from "./convert.ts";
import { hashSql } from "./hash.ts";
import { literalSql } from "./literal.ts";
import { renderExpr } from "./render-expr.ts";
import type { Value } from "./value.ts";
import { allSlots, from, positionOf, scopeOf, selectList, type Relation, type RelationColumn } from "./relation.ts";
import { slot } from "./sql.ts";
import { sqlType } from "./types.ts";
import { isFloating, isNumber } from "../../lake/types.ts";

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
      tops.push({
        at: keys.length + index,
        sql: topSql(
          keys.map((key) => key.sql),
          renderExpr(of.of, scope),
          of.count,
          from(input, "t"),
        ),
      });
      const type = measureType("top", "string");
      columns.push({ name, type, nullable: false });
      return `CAST([] AS ${sqlType(type)})`;
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
  const list = `CAST(list(struct_pack("value" := ${value}, "count" := n) ORDER BY rank) AS ${sqlType(measureType("top", "string"))})`;
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
  const type = measureType(measure.fn, of?.type);
  const sure = (sql: string): Value => ({ sql: `CAST(${sql} AS ${sqlType(type)})`, type, nullable: false });
  const maybe = (sql: string): Value => ({ sql: `CAST(${sql} AS ${sqlType(type)})`, type, nullable: true });
  if (measure.fn === "count_all" || of === undefined) return sure("count(*)");
  const { sql } = of;
  switch (measure.fn) {
    case "count":
      return sure(`count(${sql})`);
    case "count_if":
      return sure(`count(*) FILTER (WHERE ${sql})`);
    case "count_distinct":
      return sure(`count(DISTINCT ${sql})`);
    case "approx_count_distinct":
      return sure(sketches.measure(of));
    case "min":
    case "max":
    case "any": {
      const found = `${measure.fn === "any" ? "any_value" : measure.fn}(${sql})`;
      // -0.0 and 0.0 are the same value: which of them is found must not depend on the order of rows.
      return maybe(isFloating(type) ? `CASE WHEN ${found} = 0 THEN 0 ELSE ${found} END` : found);
    }
    case "sum":
      return maybe(isFloating(type) ? `sum(CAST(${sql} AS DOUBLE))` : `sum(${sql})`);
    case "mean":
      return maybe(`avg(${sql})`);
    case "stddev": {
      // The engine fails on NaN and the infinities, which make the deviation NaN.
      const number = `CAST(${sql} AS DOUBLE)`;
      const finite = `count(*) FILTER (WHERE NOT isfinite(${number})) = 0`;
      const nan = `CASE WHEN count(${sql}) > 1 THEN 'NaN'::DOUBLE END`;
      return maybe(`CASE WHEN ${finite} THEN stddev_samp(${number}) FILTER (WHERE isfinite(${number})) ELSE ${nan} END`);
    }
    case "moments": {
      const number = `CAST(${sql} AS DOUBLE)`;
      const finite = `FILTER (WHERE isfinite(${number}))`;
      const isWhole = `count(*) FILTER (WHERE NOT isfinite(${number})) = 0`;
      const orNan = (value: string): string => `CASE WHEN ${isWhole} THEN coalesce(${value}, 0) ELSE 'NaN'::DOUBLE END`;
      const squares = `var_pop(${number}) ${finite} * count(${sql})`;
      return sure(`[count(${sql})::DOUBLE, ${orNan(`avg(${number}) ${finite}`)}, ${orNan(squares)}]`);
    }
    case "histogram": {
      // The engine names only the bins that it met; what lies above the last edge is what is left.
      const number = `CAST(${sql} AS DOUBLE)`;
      const there = `FILTER (WHERE NOT isnan(${number}))`;
      const edges = measure.edges.map((edge) => `${literalSql(edge, "double")}`);
      if (edges.length === 0) return sure(`[count(${sql}) ${there}]`);
      const bins = `histogram(${number}, [${edges.join(", ")}]) ${there}`;
      const counts = edges.map((edge) => `coalesce((${bins})[${edge}], 0)`);
      return sure(`[${counts.join(", ")}, CAST(count(${sql}) ${there} AS HUGEINT) - (${counts.join(" + ")})]`);
    }
    case "quantiles": {
      const points = `[${measure.at.map((point) => Number(point)).join(", ")}]`;
      if (!isNumber(of.type)) return maybe(`quantile_disc(${sql}, ${points})`);
      const number = `CAST(${sql} AS DOUBLE)`;
      return maybe(`quantile_cont(${number}, ${points}) FILTER (WHERE isfinite(${number}))`);
    }
    case "approx_quantiles": {
      const points = `[${measure.at.map((point) => `${Number(point)}::FLOAT`).join(", ")}]`;
      if (!isNumber(of.type)) return maybe(`approx_quantile(${sql}, ${points})`);
      const number = `CAST(${sql} AS DOUBLE)`;
      return maybe(`approx_quantile(${number}, ${points}) FILTER (WHERE isfinite(${number}))`);
    }
  }
}
