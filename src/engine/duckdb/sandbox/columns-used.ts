import type { Column } from "../../plan.ts";
import type { ColumnsUsed } from "../../sandbox.ts";
import type { PlanNode } from "./gate.ts";

/** A dataset and the name under which plans show its empty twin. */
export interface PlannedTable {
  name: string;
  shown: string;
  columns: readonly Column[];
}

/**
 * Columns that a physical plan reads, per dataset. The plan must come from empty tables with filters kept out of the scans (see
 * `planSettings`), so that each scan lists every column that anything above it needs.
 */
export function columnsOfPlan(plan: readonly PlanNode[], tables: readonly PlannedTable[]): ColumnsUsed {
  const used = new Map<string, Set<string>>();
  const visit = (nodes: readonly PlanNode[]): void => {
    for (const { children, extra_info: info = {} } of nodes) {
      const place = info["Table"];
      const table = typeof place === "string" ? tables.find(({ shown }) => unquoted(shown) === unquoted(place)) : undefined;
      if (table !== undefined) {
        const columns = used.get(table.name) ?? new Set();
        used.set(table.name, columns);
        for (const shown of [info["Projections"] ?? []].flat() as string[]) {
          const column = columnShown(shown, table.columns);
          if (column !== undefined) columns.add(column);
        }
      }
      visit(children);
    }
  };
  visit(plan);
  return [...used].map(([table, columns]) => ({ table, columns: [...columns].sort() })).sort((a, b) => (a.table < b.table ? -1 : 1));
}

/** A place without its quotes: DuckDB quotes parts that are words of its own (`"default".airports`), and the list of those grows. */
function unquoted(place: string): string {
  return place.replaceAll(/"((?:[^"]|"")*)"/g, (_all, part: string) => part.replaceAll('""', '"'));
}

/** A projection is a column's name, or a part of a struct (`address.city`). */
function columnShown(shown: string, columns: readonly Column[]): string | undefined {
  const text = shown.trim();
  const exact = columns.find(({ name }) => name === text);
  if (exact !== undefined) return exact.name;
  const within = columns.filter(({ name }) => text.startsWith(`${name}.`)).sort((a, b) => b.name.length - a.name.length);
  return within[0]?.name;
}

/** Settings under which an empty table neither swallows the plan above it nor hides a column in a filter. */
export const planSettings = "set disabled_optimizers = 'statistics_propagation,empty_result_pullup,filter_pullup,filter_pushdown'";
