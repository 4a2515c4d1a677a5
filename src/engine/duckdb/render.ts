import { AppError } from "../../lib/errors.ts";
import type { JoinPlan, LimitPlan, NumberPlan, Order, Plan, PreviousPlan, ProjectPlan, SortPlan, UnionPlan } from "../plan.ts";
import { noNames, type NamesInFile } from "./nested-names.ts";
import { renderExpr } from "./render-expr.ts";
import { readsTwice, renderAggregate } from "./render-aggregate.ts";
import { renderStaged, renderTable, renderValues, unionAll } from "./render-scan.ts";
import { allSlots, from, positionOf, scopeOf, selectList, type Relation, type RelationColumn } from "./relation.ts";
import { slot } from "./sql.ts";
import { sameType, typeName } from "../../lake/types.ts";

/** Renders a plan as one SELECT; plans that occur more than once in it are written once, as a WITH query. */
export function renderPlan(plan: Plan, names: NamesInFile = noNames): Relation {
  const renderer = new Renderer(plan, names);
  const { sql, columns } = renderer.render(plan);
  return { sql: renderer.withQueries.length === 0 ? sql : `WITH ${renderer.withQueries.join(", ")} ${sql}`, columns };
}

/** The plans directly below a plan. */
export function inputsOf(plan: Plan): readonly Plan[] {
  if (plan.op === "union") return plan.inputs;
  if (plan.op === "join") return [plan.left, plan.right];
  return "input" in plan ? [plan.input] : [];
}

class Renderer {
  readonly withQueries: string[] = [];
  private readonly uses = new Map<Plan, number>();
  private readonly done = new Map<Plan, Relation>();

  private readonly names: NamesInFile;

  constructor(plan: Plan, names: NamesInFile) {
    this.names = names;
    this.count(plan);
  }

  private count(plan: Plan): void {
    const uses = (this.uses.get(plan) ?? 0) + 1;
    this.uses.set(plan, uses);
    if (uses > 1) return;
    for (const input of inputsOf(plan)) this.count(input);
    if (plan.op === "aggregate" && readsTwice(plan)) this.count(plan.input);
  }

  render(plan: Plan): Relation {
    if (this.uses.get(plan) === 1) return this.node(plan);
    const known = this.done.get(plan);
    if (known !== undefined) return known;
    const { sql, columns } = this.node(plan);
    const name = `w${this.withQueries.length}`;
    // Work worth keeping is kept; a scan is read twice instead, so that filters and columns still reach it.
    this.withQueries.push(`${name} AS ${isScan(plan) ? "NOT MATERIALIZED" : "MATERIALIZED"} (${sql})`);
    const shared = { sql: `SELECT * FROM ${name}`, columns };
    this.done.set(plan, shared);
    return shared;
  }

  private node(plan: Plan): Relation {
    switch (plan.op) {
      case "table":
        return renderTable(plan, this.names);
      case "staged":
        return renderStaged(plan);
      case "values":
        return renderValues(plan);
      case "project":
        return renderProject(plan, this.render(plan.input));
      case "filter": {
        const input = this.render(plan.input);
        return { ...input, sql: `SELECT * FROM ${from(input, "t")} WHERE ${renderExpr(plan.where, scopeOf(input.columns, "t")).sql}` };
      }
      case "join":
        return renderJoin(plan, this.render(plan.left), this.render(plan.right));
      case "union":
        return renderUnion(
          plan,
          plan.inputs.map((input) => this.render(input)),
        );
      case "aggregate":
        return renderAggregate(plan, this.render(plan.input));
      case "number":
        return renderNumber(plan, this.render(plan.input));
      case "previous":
        return renderPrevious(plan, this.render(plan.input));
      case "sort":
        return renderSort(plan, this.render(plan.input));
      case "limit":
        return renderLimit(plan, this.render(plan.input));
    }
  }
}

function isScan(plan: Plan): boolean {
  if (plan.op === "project" || plan.op === "filter") return isScan(plan.input);
  return plan.op === "table" || plan.op === "staged" || plan.op === "values";
}

function renderProject(plan: ProjectPlan, input: Relation): Relation {
  const scope = scopeOf(input.columns, "t");
  const values = plan.columns.map(({ name, expr }) => ({ name, ...renderExpr(expr, scope) }));
  const columns = values.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return { sql: `SELECT ${selectList(values.map(({ sql }) => sql))} FROM ${from(input, "t")}`, columns };
}

function renderJoin(plan: JoinPlan, left: Relation, right: Relation): Relation {
  const [l, r] = [scopeOf(left.columns, "l"), scopeOf(right.columns, "r")];
  const on = plan.on.map((pair) => {
    const [a, b] = [l(pair.left), r(pair.right)];
    if (!sameType(a.type, b.type)) {
      throw new AppError("type.unsupported", `Columns ${pair.left} and ${pair.right} cannot be joined.`, {
        expected: "two columns of one type",
        found: `${typeName(a.type)} and ${typeName(b.type)}`,
      });
    }
    // Equal for both when one side has no NULL, and then the engine can skip what cannot match.
    return `${a.sql} ${a.nullable && b.nullable ? "IS NOT DISTINCT FROM" : "="} ${b.sql}`;
  });
  const condition = on.length === 0 ? "true" : on.join(" AND ");
  const how = { inner: "INNER", left: "LEFT", full: "FULL", semi: "SEMI", anti: "ANTI" }[plan.how];
  const tables = `${from(left, "l")} ${how} JOIN ${from(right, "r")} ON ${condition}`;
  if (plan.how === "semi" || plan.how === "anti") {
    return { sql: `SELECT ${selectList(allSlots(left.columns, "l"))} FROM ${tables}`, columns: left.columns };
  }
  const maybe = (columns: readonly RelationColumn[]): RelationColumn[] => columns.map((column) => ({ ...column, nullable: true }));
  const columns = [
    ...(plan.how === "full" ? maybe(left.columns) : left.columns),
    ...(plan.how === "inner" ? right.columns : maybe(right.columns)),
  ];
  const values = [...allSlots(left.columns, "l"), ...allSlots(right.columns, "r")];
  return { sql: `SELECT ${selectList(values)} FROM ${tables}`, columns };
}

function renderUnion(plan: UnionPlan, inputs: readonly Relation[]): Relation {
  const first = inputs[0];
  if (first === undefined) throw new AppError("internal", "A union needs at least one input.");
  for (const other of inputs) {
    const fits =
      other.columns.length === first.columns.length &&
      other.columns.every((column, at) => {
        const like = first.columns[at] as RelationColumn;
        return column.name === like.name && sameType(column.type, like.type);
      });
    if (!fits) {
      throw new AppError("internal", "The inputs of a union have different columns.", {
        expected: first.columns.map((column) => column.name).join(", "),
        found: other.columns.map((column) => column.name).join(", "),
      });
    }
  }
  const columns = first.columns.map((column, at) => ({
    ...column,
    nullable: inputs.some((input) => input.columns[at]?.nullable === true),
  }));
  return { sql: unionAll(inputs.map((input) => input.sql)), columns };
}

/** `ORDER BY` items: nulls last both ways. */
export function orderSql(order: readonly Order[], columns: readonly RelationColumn[]): string {
  return order
    .map(({ column, descending }) => `${slot(positionOf(columns, column))} ${descending === true ? "DESC" : "ASC"} NULLS LAST`)
    .join(", ");
}

function renderNumber(plan: NumberPlan, input: Relation): Relation {
  const partition = plan.partitionBy.map((name) => slot(positionOf(input.columns, name)));
  const window = [
    partition.length === 0 ? "" : `PARTITION BY ${partition.join(", ")}`,
    plan.orderBy.length === 0 ? "" : `ORDER BY ${orderSql(plan.orderBy, input.columns)}`,
  ].join(" ");
  const values = [...allSlots(input.columns, "t"), `row_number() OVER (${window})`];
  return {
    sql: `SELECT ${selectList(values)} FROM ${from(input, "t")}`,
    columns: [...input.columns, { name: plan.as, type: "long", nullable: false }],
  };
}

function renderPrevious(plan: PreviousPlan, input: Relation): Relation {
  const at = positionOf(input.columns, plan.of);
  const order = plan.orderBy.length === 0 ? "" : `ORDER BY ${orderSql(plan.orderBy, input.columns)}`;
  const { type } = input.columns[at] as RelationColumn;
  return {
    sql: `SELECT ${selectList([...allSlots(input.columns, "t"), `lag(t.${slot(at)}) OVER (${order})`])} FROM ${from(input, "t")}`,
    columns: [...input.columns, { name: plan.as, type, nullable: true }],
  };
}

function renderSort(plan: SortPlan, input: Relation): Relation {
  const order = orderSql(plan.by, input.columns);
  return { ...input, sql: `SELECT * FROM ${from(input, "t")}${order === "" ? "" : ` ORDER BY ${order}`}` };
}

function renderLimit(plan: LimitPlan, input: Relation): Relation {
  const offset = plan.offset === undefined || plan.offset === 0 ? "" : ` OFFSET ${Math.trunc(plan.offset)}`;
  return { ...input, sql: `SELECT * FROM ${from(input, "t")} LIMIT ${Math.trunc(plan.count)}${offset}` };
}
