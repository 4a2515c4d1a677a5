import type { QueryProfile } from "../../sandbox.ts";

/** An operator as EXPLAIN ANALYZE tells it. */
export interface ProfileNode {
  operator_name?: string;
  operator_cardinality?: number;
  operator_rows_scanned?: number;
  extra_info?: { [key: string]: unknown };
  children: ProfileNode[];
}

const shownJoins = 5;

/** Rows scanned, and what joins made of their inputs. */
export function profileOf(root: ProfileNode): QueryProfile {
  const joins: QueryProfile["joins"] = [];
  let rowsScanned = 0;
  const visit = (node: ProfileNode): void => {
    const name = node.operator_name?.trim() ?? "";
    if (name.endsWith("_JOIN") || name === "CROSS_PRODUCT") {
      const on = node.extra_info?.["Conditions"];
      const inputs = Math.max(0, ...node.children.map((child) => child.operator_cardinality ?? 0));
      joins.push({ on: on === undefined ? "" : [on].flat().map(String).join(" and "), rows: node.operator_cardinality ?? 0, inputs });
    }
    // Scans of files tell how many rows they gave, not how many they looked at.
    if (node.children.length === 0) rowsScanned += Math.max(node.operator_rows_scanned ?? 0, node.operator_cardinality ?? 0);
    for (const child of node.children) visit(child);
  };
  visit(root);
  joins.sort((a, b) => b.rows - a.rows);
  return { rowsScanned, joins: joins.slice(0, shownJoins) };
}
