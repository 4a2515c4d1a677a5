import { call, column, literal, type Expr, type Plan } from "../engine/plan.ts";
import type { Field } from "../lake/schema.ts";
import { comparable, kinds, number } from "./compare-plans.ts";
import type { ColumnPair } from "./schema-diff.ts";

/** Two sides compared as multisets of rows, and what is shown of a differing row. */
export interface MultisetInput {
  before: Plan;
  after: Plan;
  /** Columns in which rows are compared; all that both sides have. */
  pairs: readonly ColumnPair[];
  /** Columns shown of each side. */
  shown: { before: readonly Field[]; after: readonly Field[] };
}

/** Names of the shown columns in the plan's result. */
export const shownName = (side: "before" | "after", index: number): string => `${side === "before" ? "b" : "a"}${index}`;

function hashed(input: MultisetInput, side: "before" | "after", extra: readonly { name: string; expr: Expr }[]): Plan {
  const hash = call("row_hash", ...input.pairs.flatMap((pair) => comparable(pair, side)));
  return { op: "project", input: input[side], columns: [{ name: "hash", expr: hash }, ...extra] };
}

/**
 * Every row that one side has more often than the other, once, with `kind` (added, removed) and `count` (how often more). Rows are told apart by
 * a 64-bit hash of their compared columns, within this one plan; the shown columns of the other side are NULL.
 */
export function multisetPlan(input: MultisetInput): Plan {
  const marked = (side: "before" | "after"): Plan => hashed(input, side, [{ name: "isAfter", expr: literal(side === "after", "boolean") }]);
  const counts: Plan = {
    op: "aggregate",
    input: { op: "union", inputs: [marked("before"), marked("after")] },
    by: ["hash"],
    measures: [
      { name: "n", of: { fn: "count_if", of: call("not", column("isAfter")) } },
      { name: "m", of: { fn: "count_if", of: column("isAfter") } },
    ],
  };
  const surplus: Plan = {
    op: "project",
    input: { op: "filter", input: counts, where: call("not", call("=", column("n"), column("m"))) },
    columns: [
      { name: "known", expr: column("hash") },
      { name: "kind", expr: call("if", call(">", column("m"), column("n")), number(kinds.added), number(kinds.removed)) },
      { name: "count", expr: call("abs", call("-", column("m"), column("n"))) },
    ],
  };
  return { op: "union", inputs: [rowsOf(input, "removed", surplus), rowsOf(input, "added", surplus)] };
}

/** One row for each surplus of a kind, with the side's own values. */
function rowsOf(input: MultisetInput, kind: "added" | "removed", surplus: Plan): Plan {
  const side = kind === "added" ? "after" : "before";
  const shown = input.shown[side].map((field, index) => ({ name: shownName(side, index), expr: column(field.name) }));
  const joined: Plan = {
    op: "join",
    how: "inner",
    left: hashed(input, side, shown),
    right: { op: "filter", input: surplus, where: call("=", column("kind"), number(kinds[kind])) },
    on: [{ left: "hash", right: "known" }],
  };
  const orderBy = input.shown[side].flatMap((field, index) => (typeof field.type === "string" ? [{ column: shownName(side, index) }] : []));
  const first: Plan = {
    op: "filter",
    input: { op: "number", input: joined, as: "nth", partitionBy: ["hash"], orderBy },
    where: call("=", column("nth"), number(1)),
  };
  const cells = (["before", "after"] as const).flatMap((of) =>
    input.shown[of].map((field, index) => {
      const name = shownName(of, index);
      return { name, expr: of === side ? column(name) : literal(null, field.type) };
    }),
  );
  return {
    op: "project",
    input: first,
    columns: [{ name: "kind", expr: column("kind") }, { name: "count", expr: column("count") }, ...cells],
  };
}
