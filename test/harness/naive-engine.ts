import { callType, columnNamed, measureType, planColumns } from "../../src/engine/plan-types.ts";
import type {
  AggregatePlan,
  Column,
  Expr,
  Fn,
  JoinPlan,
  Measure,
  NumberPlan,
  Order,
  Plan,
  StagedPlan,
  TablePlan,
} from "../../src/engine/plan.ts";
import type { Row } from "../../src/engine/engine.ts";
import type { FieldType } from "../../src/lake/schema.ts";
import { decimalShape, isFloating } from "../../src/lake/types.ts";
import { castDatum, compare, identity, textOf, toCell, toDatum, united, type Datum } from "./naive-values.ts";

type Line = readonly Datum[];
type Typed = { value: Datum; type: FieldType };

/** Reads the rows of a file scan; the naive engine knows no Parquet. */
export type ReadScan = (plan: TablePlan | StagedPlan) => Promise<Row[]>;

/** The second adapter: plans in plain TypeScript, row by row, as an oracle for the real one. */
export async function naiveRows(plan: Plan, read: ReadScan): Promise<Row[]> {
  const columns = planColumns(plan);
  const lines = await run(plan, read);
  return lines.map((line) => Object.fromEntries(columns.map(({ name, type }, at) => [name, toCell(line[at] ?? null, type)])));
}

async function run(plan: Plan, read: ReadScan): Promise<Line[]> {
  if (plan.op === "union") return (await Promise.all(plan.inputs.map((input) => run(input, read)))).flat();
  if (plan.op === "join") return join(plan, await run(plan.left, read), await run(plan.right, read));
  if (plan.op === "values") return plan.rows.map((row) => plan.columns.map(({ type }, at) => toDatum(row[at] ?? null, type)));
  if (plan.op === "table" || plan.op === "staged") {
    const columns = planColumns(plan);
    return (await read(plan)).map((row) => columns.map(({ name, type }) => toDatum(row[name] ?? null, type)));
  }
  const lines = await run(plan.input, read);
  const columns = planColumns(plan.input);
  switch (plan.op) {
    case "project":
      return lines.map((line) => plan.columns.map(({ expr }) => evaluate(expr, columns, line).value));
    case "filter":
      return lines.filter((line) => evaluate(plan.where, columns, line).value === true);
    case "aggregate":
      return aggregate(plan, columns, lines);
    case "number":
      return number(plan, columns, lines);
    case "previous": {
      const index = at(columns, plan.of);
      const ordered = lines.toSorted(byOrder(plan.orderBy, columns));
      return ordered.map((line, place) => [...line, ordered[place - 1]?.[index] ?? null]);
    }
    case "sort":
      return lines.toSorted(byOrder(plan.by, columns));
    case "limit":
      return lines.slice(plan.offset ?? 0, (plan.offset ?? 0) + plan.count);
  }
}

function at(columns: readonly Column[], name: string): number {
  return columns.indexOf(columnNamed(columns, name));
}

function byOrder(order: readonly Order[], columns: readonly Column[]): (a: Line, b: Line) => number {
  const keys = order.map(({ column, descending }) => ({ index: at(columns, column), sign: descending === true ? -1 : 1 }));
  return (a, b) => {
    for (const { index, sign } of keys) {
      const [left, right] = [a[index] ?? null, b[index] ?? null];
      if (left === null && right === null) continue;
      if (left === null || right === null) return left === null ? 1 : -1;
      const found = sign * compare(left, right, (columns[index] as Column).type);
      if (found !== 0) return found;
    }
    return 0;
  };
}

function grouped(lines: readonly Line[], indexes: readonly number[]): Line[][] {
  const groups = new Map<string, Line[]>();
  for (const line of lines) {
    const id = indexes.map((index) => identity(line[index] ?? null)).join("|");
    groups.set(id, [...(groups.get(id) ?? []), line]);
  }
  return [...groups.values()];
}

function join(plan: JoinPlan, left: readonly Line[], right: readonly Line[]): Line[] {
  const [l, r] = [planColumns(plan.left), planColumns(plan.right)];
  const id = (line: Line, columns: readonly Column[], side: "left" | "right") =>
    plan.on.map((pair) => identity(line[at(columns, pair[side])] ?? null)).join("|");
  const matches = (line: Line) => right.filter((other) => id(other, r, "right") === id(line, l, "left"));
  if (plan.how === "semi") return left.filter((line) => matches(line).length > 0);
  if (plan.how === "anti") return left.filter((line) => matches(line).length === 0);
  const joined = left.flatMap((line) => {
    const found = matches(line).map((other) => [...line, ...other]);
    return found.length === 0 && plan.how !== "inner" ? [[...line, ...r.map(() => null)]] : found;
  });
  if (plan.how !== "full") return joined;
  const known = new Set(left.map((line) => id(line, l, "left")));
  return [...joined, ...right.filter((line) => !known.has(id(line, r, "right"))).map((line) => [...l.map(() => null), ...line])];
}

function number(plan: NumberPlan, columns: readonly Column[], lines: readonly Line[]): Line[] {
  const groups = grouped(
    lines,
    plan.partitionBy.map((name) => at(columns, name)),
  );
  return groups.flatMap((group) => group.toSorted(byOrder(plan.orderBy, columns)).map((line, index) => [...line, BigInt(index + 1)]));
}

function aggregate(plan: AggregatePlan, columns: readonly Column[], lines: readonly Line[]): Line[] {
  const indexes = plan.by.map((name) => at(columns, name));
  const groups = indexes.length === 0 ? [[...lines]] : grouped(lines, indexes);
  return groups.map((group) => [
    ...indexes.map((index) => group[0]?.[index] ?? null),
    ...plan.measures.map(({ of }) => {
      if (of.fn === "count_all") return BigInt(group.length);
      const values = group.map((line) => evaluate(of.of, columns, line).value);
      return measure(
        of,
        values.filter((value) => value !== null),
        evaluateType(of.of, columns),
      );
    }),
  ]);
}

function evaluateType(expr: Expr, columns: readonly Column[]): FieldType {
  return planColumns({ op: "project", input: { op: "values", columns, rows: [] }, columns: [{ name: "x", expr }] })[0]?.type as FieldType;
}

function measure(of: Exclude<Measure, { fn: "count_all" }>, values: Datum[], type: FieldType): Datum {
  const result = measureType(of.fn, type);
  const numbers = () => values.map((value) => Number(textOf(value, type)));
  switch (of.fn) {
    case "count":
      return BigInt(values.length);
    case "count_if":
      return BigInt(values.filter((value) => value === true).length);
    case "count_distinct":
    case "approx_count_distinct":
      return BigInt(new Set(values.map(identity)).size);
    case "min":
    case "max":
    case "any": {
      const sign = of.fn === "max" ? -1 : 1;
      return of.fn === "any" ? (values[0] ?? null) : (values.toSorted((a, b) => sign * compare(a, b, type))[0] ?? null);
    }
    case "sum":
      if (values.length === 0) return null;
      return isFloating(result) ? numbers().reduce((a, b) => a + b) : (values as bigint[]).reduce((a, b) => a + b);
    case "mean":
      return values.length === 0 ? null : numbers().reduce((a, b) => a + b) / values.length;
    case "stddev": {
      if (values.length < 2) return null;
      const mean = numbers().reduce((a, b) => a + b) / values.length;
      return Math.sqrt(numbers().reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
    }
    case "moments": {
      const all = numbers();
      if (all.some((value) => !Number.isFinite(value))) return [all.length, NaN, NaN];
      const mean = all.length === 0 ? 0 : all.reduce((a, b) => a + b) / all.length;
      return [all.length, mean, all.reduce((sum, value) => sum + (value - mean) ** 2, 0)];
    }
    case "histogram": {
      const bins: Datum[] = Array.from({ length: of.edges.length + 1 }, () => 0n);
      for (const value of numbers().filter((number) => !Number.isNaN(number))) {
        const found = of.edges.findIndex((edge) => value <= edge);
        const bin = found < 0 ? of.edges.length : found;
        bins[bin] = (bins[bin] as bigint) + 1n;
      }
      return bins;
    }
    case "quantiles": {
      const isTime = typeof result !== "string" && result.type === "list" && result.element !== "double";
      if (isTime) {
        const ordered = values.toSorted((a, b) => compare(a, b, type));
        if (ordered.length === 0) return null;
        return of.at.map((point) => ordered[Math.max(0, Math.ceil(ordered.length * point) - 1)] ?? null);
      }
      const ordered = numbers()
        .filter(Number.isFinite)
        .toSorted((a, b) => a - b);
      if (ordered.length === 0) return null;
      return of.at.map((point) => {
        const place = point * (ordered.length - 1);
        const [low, high] = [ordered[Math.floor(place)] as number, ordered[Math.ceil(place)] as number];
        return low === high ? low : low + (high - low) * (place - Math.floor(place));
      });
    }
    case "approx_quantiles": {
      const sorted = numbers()
        .filter(Number.isFinite)
        .toSorted((a, b) => a - b);
      return sorted.length === 0 ? null : of.at.map((point) => sorted[Math.round(point * (sorted.length - 1))] ?? null);
    }
    case "top": {
      const counts = new Map<string, number>();
      for (const value of values) counts.set(textOf(value, type), (counts.get(textOf(value, type)) ?? 0) + 1);
      const ranked = [...counts].toSorted(([a, n], [b, m]) => m - n || compare(a, b, "string"));
      return ranked.slice(0, of.count).map(([value, count]) => ({ value, count: BigInt(count) }));
    }
  }
}

function evaluate(expr: Expr, columns: readonly Column[], line: Line): Typed {
  switch (expr.is) {
    case "column": {
      const index = at(columns, expr.name);
      return { value: line[index] ?? null, type: (columns[index] as Column).type };
    }
    case "literal":
      return { value: toDatum(expr.value, expr.type), type: expr.type };
    case "cast": {
      const { value, type } = evaluate(expr.value, columns, line);
      return { value: castDatum(value, type, expr.type, expr.lenient), type: expr.type };
    }
    case "call": {
      if (expr.fn === "if") {
        const chosen = evaluate(expr.args[0] as Expr, columns, line).value === true ? 1 : 2;
        const type = evaluateType(expr, columns);
        const found = evaluate(expr.args[chosen] as Expr, columns, line);
        return { value: castDatum(found.value, found.type, type), type };
      }
      const args = expr.args.map((arg) => evaluate(arg, columns, line));
      const type = callType(
        expr.fn,
        args.map((arg) => arg.type),
      );
      return { value: call(expr.fn, args, type), type };
    }
  }
}

function call(fn: Fn, args: readonly Typed[], type: FieldType): Datum {
  const [first, second] = args as [Typed, Typed];
  const values = args.map((arg) => arg.value);
  const anyNull = values.includes(null);
  const unite = () => united(fn, args);
  switch (fn) {
    case "same": {
      const [a, b] = unite().values as [Datum, Datum];
      return identity(a) === identity(b);
    }
    case "row_hash": {
      // Any number that is equal for equal arguments will do.
      let hash = 7n;
      for (const letter of values.map(identity).join("|")) hash = BigInt.asIntN(64, hash * 1_000_003n + BigInt(letter.codePointAt(0) ?? 0));
      return hash;
    }
    case "and":
      return values.includes(false) ? false : anyNull ? null : true;
    case "or":
      return values.includes(true) ? true : anyNull ? null : false;
    case "not":
      return first.value === null ? null : first.value !== true;
    case "is_null":
      return first.value === null;
    case "coalesce":
      return unite().values.find((value) => value !== null) ?? null;
    case "greatest":
    case "least": {
      const { values: all, type: common } = unite();
      const sign = fn === "greatest" ? -1 : 1;
      return all.filter((value) => value !== null).toSorted((a, b) => sign * compare(a, b, common))[0] ?? null;
    }
    case "in": {
      const [needle, ...items] = unite().values.map((value) => (value === null ? null : identity(value)));
      if (items.length === 0) return false;
      if (needle === null || needle === undefined) return null;
      return items.includes(needle) ? true : items.includes(null) ? null : false;
    }
    default:
      break;
  }
  if (anyNull) return null;
  switch (fn) {
    case "=":
    case "<":
    case "<=":
    case ">":
    case ">=": {
      const { values: pair, type: common } = unite();
      const order = compare(pair[0] ?? null, pair[1] ?? null, common);
      return { "=": order === 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0 }[fn];
    }
    case "is_nan":
      return Number.isNaN(first.value);
    case "text":
      return textOf(first.value, first.type);
    case "length":
      return BigInt([...(first.value as string)].length);
    case "contains":
      return (first.value as string).includes(second.value as string);
    case "mod": {
      const { values: pair } = unite();
      const [a, b] = pair as [bigint, bigint];
      return Number(b) === 0 ? null : a % b;
    }
    case "like":
      return likePattern(second.value as string).test(first.value as string);
    case "matches":
      // The oracle has no RE2: its cases use what both dialects share.
      return new RegExp(second.value as string, "u").test(first.value as string);
    case "is_json":
      return isJson(first.value as string);
    case "items":
      return BigInt((first.value as Datum[]).length);
    case "distinct_items":
      return BigInt(new Set((first.value as Datum[]).filter((item) => item !== null).map(identity)).size);
    case "abs":
      return typeof first.value === "bigint" ? (first.value < 0n ? -first.value : first.value) : Math.abs(first.value as number);
    default:
      return arithmetic(fn, first, second, type);
  }
}

function arithmetic(fn: string, left: Typed, right: Typed, type: FieldType): Datum {
  if (isFloating(type)) {
    const [a, b] = [left, right].map(({ value, type: of }) => Number(textOf(value, of))) as [number, number];
    if (fn === "/") return b === 0 ? null : a / b;
    return fn === "+" ? a + b : fn === "-" ? a - b : a * b;
  }
  const scale = (of: FieldType) => decimalShape(of)?.scale ?? 0;
  if (fn === "*") return (left.value as bigint) * (right.value as bigint);
  const lift = ({ value, type: of }: Typed) => (value as bigint) * 10n ** BigInt(scale(type) - scale(of));
  return fn === "+" ? lift(left) + lift(right) : lift(left) - lift(right);
}

function likePattern(pattern: string): RegExp {
  const parts = [...pattern].map((sign) =>
    sign === "%" ? "[^]*" : sign === "_" ? "[^]" : sign.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"),
  );
  return new RegExp(`^${parts.join("")}$`, "u");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
