/*
 * Whether the order of a SELECT's rows says more than their values. Rows that are sorted by columns of the result are in an order that their
 * values imply, up to ties, which are the engine's to choose: two such results with the same rows are the same. Only an ORDER BY over
 * something that the result does not show makes the order a statement of its own.
 */

type Tree = { readonly [key: string]: unknown };

const listOf = (value: unknown): Tree[] => (Array.isArray(value) ? (value as Tree[]) : []);

/** Decides on the parsed tree of one SELECT. */
export function hasOrder(serialized: unknown): boolean {
  const node = (serialized as { statements?: { node?: Tree }[] }).statements?.[0]?.node;
  if (node === undefined) return false;
  const order = listOf(node["modifiers"]).find((modifier) => modifier["type"] === "ORDER_MODIFIER");
  if (order === undefined || node["type"] !== "SELECT_NODE") return false;
  const shown = listOf(node["select_list"]);
  return !listOf(order["orders"]).every((item) => isShown(item["expression"] as Tree, shown));
}

function isShown(expression: Tree, shown: readonly Tree[]): boolean {
  if (expression["class"] === "CONSTANT" || expression["class"] === "STAR") return true;
  const same = withoutPlace(expression);
  if (shown.some((item) => withoutPlace(item) === same)) return true;
  if (expression["class"] !== "COLUMN_REF") return false;
  const parts = expression["column_names"] as string[];
  const name = (parts.at(-1) ?? "").toLowerCase();
  // A qualified name may mean a column that another one of this name hides.
  if (parts.length > 1) return shown.some((item) => isPlainStar(item) && [undefined, "", parts.at(-2)].includes(relationOf(item)));
  return shown.some((item) => isPlainStar(item) || nameOf(item) === name);
}

const relationOf = (item: Tree): string | undefined => item["relation_name"] as string | undefined;

/** `*` and `t.*`, but not those that leave out, replace or rename columns. */
function isPlainStar(item: Tree): boolean {
  const plain = ["class", "type", "query_location", "relation_name", "columns"];
  return item["class"] === "STAR" && Object.keys(item).every((key) => plain.includes(key));
}

function nameOf(item: Tree): string | undefined {
  if (typeof item["alias"] === "string" && item["alias"] !== "") return item["alias"].toLowerCase();
  return item["class"] === "COLUMN_REF" ? (item["column_names"] as string[]).at(-1)?.toLowerCase() : undefined;
}

const withoutPlace = (tree: Tree): string =>
  JSON.stringify({ ...tree, alias: undefined }, (key, value: unknown) => (key === "query_location" ? undefined : value));
