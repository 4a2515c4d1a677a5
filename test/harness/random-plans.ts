import fc from "fast-check";
import { planColumns } from "../../src/engine/plan-types.ts";
import { call, column, literal, type Cell, type Column, type Expr, type Fn, type Measure, type Plan } from "../../src/engine/plan.ts";
import type { PrimitiveType } from "../../src/lake/schema.ts";
import { isNumber, isWhole } from "../../src/lake/types.ts";

/** Small domains, so that rows meet: nulls, both zeros, NaN, wide integers, decimals, text beyond ASCII. */
const domains: Partial<Record<PrimitiveType, readonly Cell[]>> = {
  int: [null, 0, 1, -1, 2, 7],
  long: [null, 0, 1, -3, 5, 9007199254740993n],
  double: [null, 0, -0, 0.5, -2.25, 1e16, NaN, Infinity],
  "decimal(9, 2)": [null, "0.00", "1.50", "-1.50", "7.25", "0.10"],
  string: [null, "", "a", "A", "ä", "a\u0308", "ß", "🦆", "10", " 1.5 ", 'it\'s "x"', "a\0b"],
  boolean: [null, true, false],
  date: [null, "2026-01-31", "1969-12-31"],
  timestamp: [null, "2026-01-31T09:30:00", "2026-01-31T09:30:00.25"],
  timestamptz: [null, "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.5Z"],
};
const types = Object.keys(domains) as PrimitiveType[];
const cellOf = (type: PrimitiveType) => fc.constantFrom(...(domains[type] as Cell[]));

/** Draws from one fast-check run, as a plain function. */
export type Draw = <T>(arbitrary: fc.Arbitrary<T>) => T;

export class PlanMaker {
  private readonly draw: Draw;
  private names = 0;

  constructor(draw: Draw) {
    this.draw = draw;
  }

  plan(depth: number): Plan {
    if (depth === 0) return this.values();
    const input = this.plan(depth - 1);
    const kinds = ["project", "filter", "union", "aggregate", "number", "limit"] as const;
    // Joins multiply rows, and the oracle is slow: only near the leaves.
    switch (this.pick(depth <= 2 ? [...kinds, "join" as const] : kinds)) {
      case "project":
        return this.project(input);
      case "filter":
        return { op: "filter", input, where: this.condition(planColumns(input), 2) };
      case "join":
        return this.join(input, depth);
      case "union":
        return {
          op: "union",
          inputs: [input, this.draw(fc.boolean()) ? input : { op: "filter", input, where: this.condition(planColumns(input), 1) }],
        };
      case "aggregate":
        return this.aggregate(input);
      case "number": {
        const names = planColumns(input).map((item) => item.name);
        const orderBy = names.map((name) => ({ column: name }));
        if (this.draw(fc.boolean())) return { op: "previous", input, as: this.name(), of: this.pick(names), orderBy };
        return { op: "number", input, as: this.name(), partitionBy: this.some(names), orderBy };
      }
      case "limit": {
        const by = planColumns(input).map(({ name }) => ({ column: name, descending: this.draw(fc.boolean()) }));
        return { op: "limit", input: { op: "sort", input, by }, count: this.draw(fc.nat(4)), offset: this.draw(fc.nat(2)) };
      }
    }
  }

  private pick<T>(items: readonly T[]): T {
    return this.draw(fc.constantFrom(...items));
  }

  private some<T>(items: readonly T[]): T[] {
    return this.draw(fc.subarray([...items]));
  }

  private name(): string {
    this.names += 1;
    return this.pick(["n", "N", "a.b", 'q"', "Land/Région"]) + String(this.names);
  }

  private values(): Plan {
    const columns = this.draw(fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 4 })).map((type) => ({
      name: this.name(),
      type,
    }));
    const row = fc.tuple(...columns.map(({ type }) => cellOf(type)));
    return { op: "values", columns, rows: this.draw(fc.array(row, { maxLength: 6 })) };
  }

  private project(input: Plan): Plan {
    const columns = planColumns(input);
    const kept = columns.filter(() => this.draw(fc.boolean())).map(({ name }) => ({ name: this.name(), expr: column(name) }));
    return { op: "project", input, columns: [...kept, { name: this.name(), expr: this.value(columns) }] };
  }

  private join(left: Plan, depth: number): Plan {
    const other = this.draw(fc.boolean()) ? left : this.plan(depth - 1);
    const renamed = planColumns(other).map(({ name, type }) => ({ from: name, name: this.name(), type }));
    const right: Plan = { op: "project", input: other, columns: renamed.map(({ name, from }) => ({ name, expr: column(from) })) };
    const pairs = planColumns(left).flatMap((a) => renamed.filter((b) => a.type === b.type).map((b) => ({ left: a.name, right: b.name })));
    return {
      op: "join",
      how: this.pick(["inner", "left", "full", "semi", "anti"]),
      left,
      right,
      on: pairs.length === 0 ? [] : [this.pick(pairs), ...this.some(pairs).slice(0, 1)],
    };
  }

  private aggregate(input: Plan): Plan {
    const columns = planColumns(input);
    const measures: { name: string; of: Measure }[] = [{ name: this.name(), of: { fn: "count_all" } }];
    for (const { name, type } of columns) {
      const fns: ("count" | "count_distinct" | "min" | "max" | "sum" | "mean")[] = ["count", "count_distinct"];
      if (typeof type === "string" && type !== "boolean") fns.push("min", "max");
      if (isNumber(type)) fns.push("sum", "mean");
      if (typeof type !== "string") continue;
      if (isNumber(type) && this.draw(fc.boolean())) {
        const of = column(name);
        const some: Measure[] = [
          { fn: "histogram", of, edges: [-2, 0, 0.5, 7] },
          { fn: "quantiles", of, at: [0, 0.25, 0.5, 1] },
        ];
        measures.push({ name: this.name(), of: this.pick(some) });
        continue;
      }
      measures.push({
        name: this.name(),
        of: this.draw(fc.boolean()) ? { fn: this.pick(fns), of: column(name) } : { fn: "top", of: column(name), count: 2 },
      });
    }
    const by = this.some(columns.filter(({ type }) => typeof type === "string").map(({ name }) => name));
    return { op: "aggregate", input, by, measures };
  }

  private condition(columns: readonly Column[], depth: number): Expr {
    if (depth > 0 && this.draw(fc.boolean())) {
      const parts = [this.condition(columns, depth - 1), this.condition(columns, depth - 1)];
      return this.pick([call("and", ...parts), call("or", ...parts), call("not", parts[0] as Expr)]);
    }
    const { name, type } = this.pick(columns);
    const item = column(name);
    if (typeof type !== "string" || domains[type] === undefined) return call("is_null", item);
    const other = () =>
      this.pick([literal(this.draw(cellOf(type)), type), ...columns.filter((like) => like.type === type).map((like) => column(like.name))]);
    const comparison: Fn[] = ["same", "=", "<", "<=", ">", ">="];
    return this.pick([
      call(this.pick(comparison), item, other()),
      call("in", item, other(), other()),
      call("is_null", item),
      call("is_nan", item),
      call("=", call("row_hash", item, item), call("row_hash", item, other())),
    ]);
  }

  private value(columns: readonly Column[]): Expr {
    const { name, type } = this.pick(columns);
    const item = column(name);
    const like = columns.filter((other) => other.type === type).map((other) => column(other.name));
    const choices: Expr[] = [item, call("if", this.condition(columns, 1), item, this.pick(like)), call("coalesce", item, this.pick(like))];
    if (typeof type !== "string") return this.pick(choices);
    choices.push(call("greatest", item, this.pick(like)), call("least", item, this.pick(like)), call("text", item));
    const lenient = (value: Expr, to: PrimitiveType): Expr => ({ is: "cast", value, type: to, lenient: true });
    if (type === "string") {
      choices.push(call("length", item), call("contains", item, literal("a", "string")), call("is_json", item));
      choices.push(call("like", item, literal(this.pick(["%", "a%", "_", "%1.5_", "A"]), "string")));
      choices.push(call("matches", item, literal(this.pick(["^a", "[0-9]", "ä|ß", "^$", "1\\.5"]), "string")));
      choices.push(...(["long", "double", "decimal(9, 2)", "int", "boolean"] as const).map((to) => lenient(item, to)));
    }
    if (isNumber(type)) {
      choices.push(...(["long", "double", "decimal(9, 2)", "int", "string"] as const).map((to) => lenient(item, to)));
      // Wide integers overflow, and sums of doubles depend on the order: small ones only.
      const small: Expr = isWhole(type) ? call("if", call("<", call("abs", item), literal(1000, "long")), item, literal(1, type)) : item;
      choices.push(call("mod", small, literal("1.5", "decimal(9, 2)")));
      choices.push(...(["+", "-", "*", "/"] as const).map((fn) => call(fn, small, literal("1.5", "decimal(9, 2)"))), call("abs", item));
    }
    return this.pick(choices);
  }
}
