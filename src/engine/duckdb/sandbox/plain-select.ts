import type { PlainSelect } from "../../sandbox.ts";

/*
 * A SELECT over tables and their joins alone, told part by part: which names each of its columns mentions, and which names choose its rows in a
 * way that could carry a value into another column. Decided on the parsed tree; in doubt a name is told, or nothing is (undefined).
 */

type Tree = { readonly [key: string]: unknown };

const isTree = (value: unknown): value is Tree => value !== null && typeof value === "object" && !Array.isArray(value);
const listOf = (value: unknown): Tree[] => (Array.isArray(value) ? value.filter(isTree) : []);

/** Parts whose columns cannot be told by their names: `*`, `#1`, a query within the query. */
const opaque = new Set(["STAR", "POSITIONAL_REFERENCE", "SUBQUERY"]);

const known = new Set([
  "type",
  "modifiers",
  "select_list",
  "from_table",
  "where_clause",
  "group_expressions",
  "group_sets",
  "aggregate_handling",
  "having",
  "qualify",
]);

/** One column of the result as its expression says it. */
interface Item {
  alias: string | undefined;
  /** References as written, their parts joined. */
  refs: ReadonlySet<string>;
}

export function plainSelect(serialized: unknown): PlainSelect | undefined {
  const statements = (serialized as { statements?: { node?: Tree }[] }).statements ?? [];
  const node = statements[0]?.node;
  if (node === undefined || statements.length !== 1 || node["type"] !== "SELECT_NODE") return undefined;
  if (Object.keys(node).some((key) => !known.has(key)) || isOpaque(node)) return undefined;
  const from = tablesOf(node["from_table"]);
  if (from === undefined) return undefined;
  const items = listOf(node["select_list"]).map((tree): Item => ({ alias: aliasOf(tree), refs: refsOf(tree) }));
  const all = new Set([...refsOf(node), ...from.refs]);
  // A table's name as a value stands for all its columns.
  if ([...all].some((ref) => from.tables.has(lastPart(ref)))) return undefined;

  const choosing = choosingRefs(node, items);
  if (choosing === undefined) return undefined;
  const closed = (refs: Iterable<string>): string[] => [...new Set(withAliases(refs, items).flatMap(partsOf))].sort();
  return { columns: items.map(({ refs }) => closed(refs)), choosing: closed([...choosing, ...from.refs]) };
}

/** References that choose rows together with others; conditions and groups of one column alone are left out, they carry no value elsewhere. */
function choosingRefs(node: Tree, items: readonly Item[]): Set<string> | undefined {
  const found = new Set<string>();
  const tell = (refs: Iterable<string>): void => {
    for (const ref of refs) found.add(ref);
  };
  /** It names a column of the result, and none of the tables that this one is computed from. */
  const isAlias = (ref: string): boolean => items.some(({ alias, refs }) => alias === ref && !refs.has(ref));
  const isAlone = (refs: ReadonlySet<string>): boolean => withAliases(refs, items).filter((ref) => !isAlias(ref)).length <= 1;

  for (const condition of conjuncts(node["where_clause"])) if (!isAlone(refsOf(condition))) tell(refsOf(condition));
  for (const part of ["having", "qualify"]) tell(refsOf(node[part]));
  const groups = listOf(node["group_expressions"]).map((tree) => itemAt(tree, items)?.refs ?? refsOf(tree));
  const grouping = node["aggregate_handling"] === "FORCE_AGGREGATES" ? items.map(({ refs }) => refs) : groups;
  for (const refs of grouping) if (!isAlone(refs)) tell(refs);
  const modifiers = listOf(node["modifiers"]);
  if (modifiers.some((item) => Array.isArray(item["distinct_on_targets"]))) return undefined;
  if (modifiers.some((item) => String(item["type"]).startsWith("LIMIT"))) {
    const orders = modifiers.flatMap((item) => listOf(item["orders"]));
    for (const { expression } of orders) tell(itemAt(expression, items)?.refs ?? refsOf(expression));
  }
  return found;
}

/** `1` in GROUP BY and ORDER BY is the first column of the result. */
function itemAt(tree: unknown, items: readonly Item[]): Item | undefined {
  if (!isTree(tree) || tree["class"] !== "CONSTANT") return undefined;
  const place = Number((tree["value"] as Tree | undefined)?.["value"]);
  return items[place - 1];
}

/** With what the names of the result's own columns stand for. */
function withAliases(refs: Iterable<string>, items: readonly Item[]): string[] {
  const found = new Set(refs);
  for (const ref of found) for (const { alias, refs: own } of items) if (alias === ref) for (const other of own) found.add(other);
  return [...found];
}

/** Tables and aliases, and the references of what joins them; undefined for queries in FROM and for joins that name no columns. */
function tablesOf(tree: unknown): { tables: Set<string>; refs: Set<string> } | undefined {
  if (!isTree(tree) || tree["column_name_alias"] !== undefined || tree["cte_map"] !== undefined) return undefined;
  const named = new Set([tree["alias"], tree["table_name"]].filter((name) => typeof name === "string").map((name) => name.toLowerCase()));
  switch (tree["type"]) {
    case "EMPTY":
    case "BASE_TABLE":
      return { tables: named, refs: new Set() };
    case "TABLE_FUNCTION":
      // Its columns may bear its name.
      return { tables: new Set(), refs: refsOf(tree) };
    case "JOIN": {
      if (!["REGULAR", "CROSS"].includes(String(tree["ref_type"]))) return undefined;
      const [left, right] = [tablesOf(tree["left"]), tablesOf(tree["right"])];
      if (left === undefined || right === undefined) return undefined;
      const using = (Array.isArray(tree["using_columns"]) ? tree["using_columns"] : []).map((name) => String(name).toLowerCase());
      return {
        tables: new Set([...left.tables, ...right.tables]),
        refs: new Set([...left.refs, ...right.refs, ...refsOf(tree["condition"]), ...using]),
      };
    }
    default:
      return undefined;
  }
}

function conjuncts(tree: unknown): Tree[] {
  if (!isTree(tree)) return [];
  return tree["type"] === "CONJUNCTION_AND" ? listOf(tree["children"]).flatMap(conjuncts) : [tree];
}

const separator = "\u0000";
const partsOf = (ref: string): string[] => ref.split(separator);
const lastPart = (ref: string): string => partsOf(ref).at(-1) ?? "";

function aliasOf(tree: Tree): string | undefined {
  const { alias } = tree;
  return typeof alias === "string" && alias !== "" ? alias.toLowerCase() : undefined;
}

function refsOf(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (Array.isArray(value)) for (const item of value) refsOf(item, found);
  if (!isTree(value)) return found;
  if (value["class"] === "COLUMN_REF")
    found.add((value["column_names"] as unknown[]).map((part) => String(part).toLowerCase()).join(separator));
  for (const item of Object.values(value)) refsOf(item, found);
  return found;
}

function isOpaque(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isOpaque);
  return isTree(value) && (opaque.has(String(value["class"])) || Object.values(value).some(isOpaque));
}
