import type { ColumnsUsed, PlannedQuery } from "../engine/sandbox.ts";
import type { Field } from "../lake/schema.ts";
import { sameType, typeName } from "../lake/types.ts";

/** What a schema change does to one stored query. */
export type ImpactKind = "breaks" | "uses" | "safe" | "broken_before";

/** A column of base that the candidate no longer has as it was. */
export interface ColumnChange {
  dataset: string;
  column: string;
  /** In words: `dropped`, `renamed to amount_eur`, `double, was int`. */
  what: string;
}

/** The columns of a dataset that were dropped, renamed or retyped, by field id; `after` undefined when the dataset itself is gone. */
export function changedColumns(dataset: string, before: readonly Field[], after: readonly Field[] | undefined): ColumnChange[] {
  if (after === undefined) return before.map(({ name }) => ({ dataset, column: name, what: "dropped with its dataset" }));
  const now = new Map(after.map((field) => [field.id, field]));
  return before.flatMap((field): ColumnChange[] => {
    // A retype to a type that holds other values makes a new column of the same name.
    const found = now.get(field.id) ?? after.find((other) => sameName(other.name, field.name));
    const change = (what: string): ColumnChange[] => [{ dataset, column: field.name, what }];
    if (found === undefined) return change("dropped");
    if (!sameName(found.name, field.name)) return change(`renamed to ${found.name}`);
    if (!sameType(found.type, field.type)) return change(`${typeName(found.type)}, was ${typeName(field.type)}`);
    return found.id === field.id ? [] : change("replaced by another column of its name");
  });
}

/** Names that only the candidate has: a query may find one of them ambiguous, and `*` gives more. */
export function hasNewNames(before: readonly Field[], after: readonly Field[] | undefined): boolean {
  return (after ?? []).some((field) => !before.some((other) => sameName(other.name, field.name)));
}

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

export const hitColumns = (used: ColumnsUsed, changes: readonly ColumnChange[]): ColumnChange[] =>
  changes.filter(({ dataset, column }) =>
    used.some((item) => item.table === dataset && (item.columns === "all" || item.columns.some((name) => sameName(name, column)))),
  );

/** Decides from the plans on both schemas; `after` undefined when nothing could have changed for the query. */
export function impactOf(
  before: PlannedQuery,
  after: PlannedQuery | undefined,
  changes: readonly ColumnChange[],
): { impact: ImpactKind; columns: ColumnChange[]; error: string | null } {
  if (!before.ok) return { impact: "broken_before", columns: [], error: before.message };
  // What could not be planned in time may use every column.
  if (after !== undefined && !after.ok && ["sql.limit", "sql.crashed"].includes(after.code))
    return { impact: "uses", columns: [...changes], error: after.message };
  const columns = hitColumns(before.used, changes);
  if (after !== undefined && !after.ok) return { impact: "breaks", columns, error: after.message };
  return { impact: columns.length > 0 ? "uses" : "safe", columns, error: null };
}
