import { readEntries } from "../catalog/commit-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { findByName, type Dataset } from "../catalog/dataset.ts";
import { datasetsOfVersions, everBuiltFrom } from "../catalog/derivation-store.ts";
import { treeSide, type Side, type SideEdits, type VersionContent } from "../catalog/side.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Contract } from "../contracts/contract.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";

/** How a change declares a derived dataset: one that it creates, or whose SQL, key or contract it sets. */
export interface Declared {
  dataset: Dataset;
  /** No transaction has made the dataset yet. */
  created: boolean;
  sql: string;
  /** Undefined: the key that it has. */
  key: readonly string[] | undefined;
  /** Undefined: the dataset has none yet. */
  contract: Contract | undefined;
}

/** A derived dataset of a line, as it is to be built. */
export interface DerivedNode {
  dataset: Dataset;
  declared: Declared | undefined;
  /** What the line has of it now. */
  onto: VersionContent | undefined;
  sql: string;
  /** Ids of the datasets that it is built from. */
  inputs: string[];
}

export interface GraphRequest {
  /** The tree that the line has now, and what is put in place of its entries; null takes a dataset out. */
  tree: string;
  edits: SideEdits;
  declared: readonly Declared[];
  /** Derived datasets to look at beside those that the edits concern. */
  also?: Iterable<string>;
  /** Datasets of this request that no transaction has made yet, so that SQL may name them. */
  created?: readonly Dataset[] | undefined;
}

/** Derived datasets that edits of a line may concern, each after those that it is built from. Nothing is run. */
export async function derivedGraph(deps: LakeDeps, request: GraphRequest): Promise<{ nodes: DerivedNode[]; side: Side }> {
  const { edits, declared, also = [] } = request;
  const side = treeSide(deps.db, "line", request.tree, edits);
  const own = new Map(declared.map((item) => [item.dataset.id, item]));
  const concerned = await everBuiltFrom(deps.db, [...edits.keys(), ...own.keys(), ...also]);
  const ids = new Set([...own.keys(), ...also, ...concerned]);
  const nodes = new Map<string, DerivedNode>();
  for (const item of declared) nodes.set(item.dataset.id, await declaredNode(deps, request, side, item));
  const present = [...ids].filter((id) => !own.has(id) && edits.get(id) !== null);
  const datasets = await getDatasets(deps.db, present);
  for (const id of present) {
    const [dataset, onto] = [datasets.get(id), await side.get(id)];
    if (dataset === undefined || onto?.inputs == null) continue;
    const sql = derivedSqlOf(await getContract(deps.db, onto.contractHash));
    if (sql === undefined) continue;
    const inputs = await inputsOf(deps, onto);
    nodes.set(id, { dataset, declared: undefined, onto, sql, inputs });
  }
  return { nodes: await inOrder(deps, side, nodes), side };
}

/** Datasets that a version of a derived dataset was built from. */
export async function inputsOf(deps: Pick<LakeDeps, "db">, version: Pick<VersionContent, "inputs">): Promise<string[]> {
  const ids = version.inputs ?? [];
  const datasets = await datasetsOfVersions(deps.db, ids);
  return ids.flatMap((id) => datasets.get(id) ?? []);
}

async function declaredNode(deps: LakeDeps, request: GraphRequest, side: Side, declared: Declared): Promise<DerivedNode> {
  const { dataset, sql } = declared;
  const named = await deps.sandbox.tablesNamed({ sql, milliseconds: deps.sqlCaps.milliseconds });
  const known = await datasetsOf(deps, request);
  const inputs = named.map((name) => {
    const text = name.toLowerCase();
    if (text === dataset.name || !known.some((item) => item.name === text || item.name.endsWith(`.${text}`))) {
      if (text === dataset.name || dataset.name.endsWith(`.${text}`)) throw cycle([dataset.name, dataset.name]);
    }
    const found = findByName(known, text);
    if (found.id === dataset.id) throw cycle([dataset.name, dataset.name]);
    return found.id;
  });
  const onto = declared.created ? undefined : await side.get(dataset.id);
  return { dataset, declared, onto, sql, inputs: [...new Set(inputs)].sort() };
}

/** All datasets that SQL on this side may name. */
async function datasetsOf(deps: LakeDeps, { tree, edits, created = [], declared }: GraphRequest): Promise<Dataset[]> {
  const ids = new Set((await readEntries(deps.db, tree)).keys());
  for (const [id, content] of edits) {
    if (content === null) ids.delete(id);
    else ids.add(id);
  }
  const fresh = [...created, ...declared.map((item) => item.dataset)];
  const stored = await getDatasets(
    deps.db,
    [...ids].filter((id) => !fresh.some((item) => item.id === id)),
  );
  return [...stored.values(), ...fresh];
}

/** Kahn's order over the nodes; what cannot be ordered, or reaches itself through datasets that stay as they are, is a cycle. */
async function inOrder(deps: LakeDeps, side: Side, nodes: ReadonlyMap<string, DerivedNode>): Promise<DerivedNode[]> {
  const ordered: DerivedNode[] = [];
  const open = new Map(nodes);
  for (;;) {
    const ready = [...open.values()].filter((node) => node.inputs.every((id) => !open.has(id)));
    if (ready.length === 0) break;
    for (const node of ready.sort((a, b) => (a.dataset.name < b.dataset.name ? -1 : 1))) {
      open.delete(node.dataset.id);
      ordered.push(node);
    }
  }
  if (open.size > 0) throw cycle([...open.values()].map((node) => node.dataset.name));
  for (const node of ordered) if (node.declared !== undefined) await refuseReach(deps, side, nodes, node);
  return ordered;
}

/** A declared dataset may not be built, at any distance, from itself. */
async function refuseReach(deps: LakeDeps, side: Side, nodes: ReadonlyMap<string, DerivedNode>, node: DerivedNode): Promise<void> {
  const seen = new Set<string>();
  for (let pending = node.inputs; pending.length > 0;) {
    const next: string[] = [];
    for (const id of pending) {
      if (id === node.dataset.id) throw cycle([node.dataset.name, ...[...seen].slice(-1)]);
      if (seen.has(id)) continue;
      seen.add(id);
      const known = nodes.get(id)?.inputs;
      const content = known === undefined ? await side.get(id) : undefined;
      next.push(...(known ?? (content === undefined ? [] : await inputsOf(deps, content))));
    }
    pending = next;
  }
}

function cycle(names: readonly string[]): AppError {
  return new AppError("derived.cycle", `${names[0]} would be built from itself.`, {
    expected: "datasets that are built without it",
    found: names.join(", "),
    hint: `tidegate lineage ${names[0]} --up`,
  });
}
