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
export const hasNewNames = (before: readonly Field[], after: readonly Field[] | undefined): boolean => newNames(before, after).length > 0;

/** Names that only the candidate has, in lower case. */
const newNames = (before: readonly Field[], after: readonly Field[] | undefined): string[] =>
  (after ?? []).map(({ name }) => name.toLowerCase()).filter((name) => !before.some((other) => sameName(other.name, name)));

/** Words of a query that take columns without naming them, or join and line up whatever has the same name. */
const takesUnnamed = ["columns", "except", "intersect", "natural", "pivot", "union", "unpivot"];

/**
 * Whether a query that plans on base could notice columns that were added: it names one of them (another table's column may become ambiguous),
 * or takes columns without naming them. Says yes when in doubt; then the query is planned.
 */
export function mayNoticeNew(
  sql: string,
  words: ReadonlySet<string>,
  used: ColumnsUsed,
  tables: readonly { name: string; before: readonly Field[]; after: readonly Field[] | undefined }[],
): boolean {
  const added = tables.map((table) => ({ ...table, names: newNames(table.before, table.after) })).filter(({ names }) => names.length > 0);
  if (added.length === 0) return false;
  if (takesUnnamed.some((word) => words.has(word))) return true;
  if (sql.replaceAll(/count\s*\(\s*\*\s*\)/gi, "").includes("*")) return true;
  return added.some(({ name, before, names }) => {
    const of = used.find((item) => item.table === name)?.columns ?? [];
    // A table without a word for its columns (FROM t, or t as a row) shows as all of them.
    return of === "all" || of.length >= before.length || names.some((word) => isNamed(sql, words, word));
  });
}

const plainName = /^[\p{L}_][\p{L}\p{N}_$]*$/u;
const isNamed = (sql: string, words: ReadonlySet<string>, column: string): boolean =>
  plainName.test(column) ? words.has(column) : sql.toLowerCase().includes(column.replaceAll('"', '""'));

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
