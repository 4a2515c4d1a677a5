type Items = ReadonlyMap<string, string>;

const mostItems = 200_000;
const kept = new Map<string, Items>();
let items = 0;

/** A tree node that this process has read or written before. Nodes are named by their content and never collected, so none is out of date. */
export function keptNode(hash: string): Items | undefined {
  const node = kept.get(hash);
  if (node === undefined) return undefined;
  kept.delete(hash);
  kept.set(hash, node);
  return node;
}

/** Keeps a node; the ones unused for longest go when there are too many items, about 30 MB. */
export function keepNode(hash: string, node: Items): void {
  if (kept.has(hash)) return;
  kept.set(hash, new Map(node));
  items += node.size;
  for (const [oldest, old] of kept) {
    if (items <= mostItems) return;
    kept.delete(oldest);
    items -= old.size;
  }
}

const mostTrees = 20_000;
const trees = new Map<string, string>();

/** The tree of a commit that this process has read or written: a commit's id covers its tree. */
export function keptTree(commitId: string): string | undefined {
  return trees.get(commitId);
}

export function keepTree(commitId: string, tree: string): void {
  trees.set(commitId, tree);
  if (trees.size <= mostTrees) return;
  const [oldest = ""] = trees.keys();
  trees.delete(oldest);
}
