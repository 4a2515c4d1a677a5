/*
 * Whether a SELECT gives the same rows whenever it runs on the same content. Decided on its parsed tree, by the functions that it calls.
 */

type Tree = { readonly [key: string]: unknown };

/** Words that are functions without parentheses, unless a column has the name. */
const bareWords = new Set([
  "current_catalog",
  "current_date",
  "current_role",
  "current_schema",
  "current_time",
  "current_timestamp",
  "current_user",
  "localtime",
  "localtimestamp",
  "session_user",
  "user",
]);

/** Aggregates and windows whose result depends on the order in which they meet rows. */
const orderedFunctions = new Set([
  "any_value",
  "arbitrary",
  "array_agg",
  "first",
  "group_concat",
  "last",
  "list",
  "listagg",
  "string_agg",
  "dense_rank",
  "first_value",
  "lag",
  "last_value",
  "lead",
  "nth_value",
  "ntile",
  "row_number",
]);

const sorters = new Set(["array_reverse_sort", "array_sort", "list_reverse_sort", "list_sort"]);

export interface Unrepeatable {
  /** What gives another result at another time: `random`, `now`, a sample. */
  changing: string[];
  /** What depends on the order of rows, which SQL leaves open: `limit` or `first` without ORDER BY. */
  unordered: string[];
}

/** `volatile`: names of the engine's functions that do not compute from their arguments alone. */
export function findUnrepeatable(tree: unknown, volatile: ReadonlySet<string>, columns: ReadonlySet<string>): Unrepeatable {
  const [changing, unordered] = [new Set<string>(), new Set<string>()];
  const orders = (value: unknown): number => ((value as { orders?: unknown[] } | undefined)?.orders ?? []).length;
  const sorted = new Set<unknown>();
  const visitCall = (node: Tree): void => {
    const name = String(node["function_name"]).toLowerCase();
    const args = (node["children"] as unknown[] | undefined) ?? [];
    // The parser makes this of a list that is ordered by its own values.
    if (sorters.has(name)) sorted.add(args[0]);
    if (volatile.has(name) || (name === "age" && args.length === 1)) changing.add(name);
    const isOrdered = sorted.has(node) || orders(node["order_bys"]) > 0 || orders(node) > 0;
    if (orderedFunctions.has(name) && !isOrdered) unordered.add(name);
  };
  const visitQuery = (node: Tree): void => {
    const modifiers = (node["modifiers"] as Tree[] | undefined) ?? [];
    const isOrdered = modifiers.some((item) => item["type"] === "ORDER_MODIFIER");
    if (!isOrdered && modifiers.some((item) => item["type"] === "LIMIT_MODIFIER" || item["type"] === "LIMIT_PERCENT_MODIFIER")) {
      unordered.add("limit");
    }
    if (!isOrdered && modifiers.some((item) => Array.isArray(item["distinct_on_targets"]))) unordered.add("distinct on");
  };
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return;
    const node = value as Tree;
    if (node["class"] === "FUNCTION" || node["class"] === "WINDOW") visitCall(node);
    const names = node["class"] === "COLUMN_REF" ? (node["column_names"] as string[] | undefined) : undefined;
    const bare = names?.length === 1 ? String(names[0]).toLowerCase() : undefined;
    if (bare !== undefined && bareWords.has(bare) && !columns.has(bare)) changing.add(bare);
    if (node["sample"] !== undefined) changing.add("sample");
    if (Array.isArray(node["modifiers"])) visitQuery(node);
    for (const item of Object.values(node)) visit(item);
  };
  visit(tree);
  return { changing: [...changing].sort(), unordered: [...unordered].sort() };
}
