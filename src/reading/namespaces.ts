/** Names of datasets seen as namespaces and tables: of `sales.eu.orders`, `sales` and `sales.eu` are namespaces. */

/** The namespaces directly below another (or at the top), by name. */
export function namespacesBelow(datasets: readonly string[], parent: readonly string[]): string[][] {
  const found = new Map<string, string[]>();
  for (const dataset of datasets) {
    const parts = dataset.split(".");
    if (parts.length < parent.length + 2 || !startsWith(parts, parent)) continue;
    const namespace = parts.slice(0, parent.length + 1);
    found.set(namespace.join("."), namespace);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, namespace]) => namespace);
}

export function hasNamespace(datasets: readonly string[], namespace: readonly string[]): boolean {
  return namespace.length > 0 && datasets.some((dataset) => dataset.startsWith(`${namespace.join(".")}.`));
}

/** The tables directly in a namespace, by name. */
export function tablesIn(datasets: readonly string[], namespace: readonly string[]): string[] {
  return datasets
    .map((dataset) => dataset.split("."))
    .filter((parts) => parts.length === namespace.length + 1 && startsWith(parts, namespace))
    .map((parts) => parts.at(-1) ?? "")
    .sort();
}

function startsWith(parts: readonly string[], first: readonly string[]): boolean {
  return first.every((part, index) => parts[index] === part);
}

/** A part of a list in the order of its keys, and the token for what follows: the last key, so that what comes or goes in between shifts nothing. */
export function pageOf<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  page: { after: string; size: number },
): { items: T[]; next: string | undefined } {
  const rest = page.after === "" ? items : items.filter((item) => keyOf(item) > page.after);
  const taken = rest.slice(0, page.size);
  const last = taken.at(-1);
  return { items: taken, next: rest.length > taken.length && last !== undefined ? keyOf(last) : undefined };
}
