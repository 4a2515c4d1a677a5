import { readSome } from "../catalog/commit-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { datasetsOfVersions } from "../catalog/derivation-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { Reader } from "../db/db.ts";
import type { Derivation } from "../engine/sandbox.ts";
import { storedLineage } from "./column-lineage.ts";

/** A column of a derived dataset, and one that it comes from. */
export interface ColumnEdge {
  from: string;
  to: string;
  /** `from` decides which rows there are, and maybe no more than that. */
  rows: boolean;
}

/** That a dataset is built from another, on one line. */
export interface LineageEdge {
  from: Dataset;
  to: Dataset;
  /** 1 beside the dataset that was asked about. */
  distance: number;
  /** `all`: it cannot be told which columns. */
  columns: ColumnEdge[] | "all";
}

export type LineageDirection = "up" | "down";

interface Question {
  /** The tree of the line that is meant. */
  tree: string;
  dataset: Dataset;
  /** Only what comes from this column, or what it comes from. */
  column?: string | undefined;
}

/** A dataset on the way, with the columns that matter of it. */
interface Step {
  dataset: Dataset;
  columns: ReadonlySet<string> | "all";
}

/**
 * What a dataset is built from, or what is built from it, at any distance and column by column, from what was stored when it was built:
 * nothing is planned or run.
 */
export async function lineageOf(db: Reader, question: Question, direction: LineageDirection): Promise<LineageEdge[]> {
  const found: LineageEdge[] = [];
  const seen = new Set<string>();
  const start = question.column === undefined ? ("all" as const) : new Set([question.column]);
  let steps: Step[] = [{ dataset: question.dataset, columns: start }];
  for (let distance = 1; steps.length > 0; distance += 1) {
    const edges = direction === "up" ? await edgesUp(db, question.tree, steps) : await edgesDown(db, question.tree, steps);
    const next = new Map<string, Step>();
    for (const edge of edges) {
      const key = JSON.stringify([edge.from.id, edge.to.id, edge.columns]);
      if (seen.has(key)) continue;
      seen.add(key);
      found.push({ ...edge, distance });
      const far = direction === "up" ? edge.from : edge.to;
      const named = edge.columns === "all" ? "all" : edge.columns.map((item) => (direction === "up" ? item.from : item.to));
      next.set(far.id, { dataset: far, columns: union(next.get(far.id)?.columns, named) });
    }
    steps = [...next.values()];
  }
  const order = (edge: LineageEdge): string => `${edge.from.name} ${edge.to.name}`;
  return found.sort((a, b) => a.distance - b.distance || (order(a) < order(b) ? -1 : 1));
}

function union(known: Step["columns"] | undefined, more: readonly string[] | "all"): Step["columns"] {
  if (known === "all" || more === "all") return "all";
  return new Set([...(known ?? []), ...more]);
}

type Edge = Omit<LineageEdge, "distance">;

async function edgesUp(db: Reader, tree: string, steps: readonly Step[]): Promise<Edge[]> {
  const versions = await versionsIn(
    db,
    tree,
    steps.map((step) => step.dataset.id),
  );
  const built = await builds(db, [...versions.values()]);
  return steps.flatMap(({ dataset: to, columns }) => {
    const build = built.get(to.id);
    return (build?.inputs ?? []).flatMap((from) => {
      const edges = columnEdges(build?.derivation, from.name);
      return narrowed({ from, to, columns: edges }, columns, (edge) => edge.to);
    });
  });
}

async function edgesDown(db: Reader, tree: string, steps: readonly Step[]): Promise<Edge[]> {
  const ids = steps.map((step) => step.dataset.id);
  const rows = await db.selectFrom("derivations").select("dataset_id").distinct().where("input_id", "in", ids).execute();
  const versions = await versionsIn(
    db,
    tree,
    rows.map((row) => row.dataset_id),
  );
  const built = await builds(db, [...versions.values()]);
  return [...built.values()].flatMap(({ dataset: to, inputs, derivation }) =>
    steps.flatMap(({ dataset: from, columns }) => {
      if (!inputs.some((input) => input.id === from.id)) return [];
      return narrowed({ from, to, columns: columnEdges(derivation, from.name) }, columns, (edge) => edge.from);
    }),
  );
}

/** The edge with what matters of it; none, when nothing of it does. */
function narrowed(edge: Edge, wanted: Step["columns"], columnOf: (edge: ColumnEdge) => string): Edge[] {
  if (edge.columns === "all" || wanted === "all") return [edge];
  const columns = edge.columns.filter((item) => wanted.has(columnOf(item)));
  return columns.length === 0 ? [] : [{ ...edge, columns }];
}

function columnEdges(derivation: Derivation | undefined, input: string): ColumnEdge[] | "all" {
  if (derivation === undefined) return "all";
  const decisive = derivation.rows.find(({ table }) => table === input)?.columns ?? [];
  const edges: ColumnEdge[] = [];
  for (const { column: to, used } of derivation.from) {
    const columns = used.find(({ table }) => table === input)?.columns ?? [];
    if (columns === "all" || decisive === "all") return "all";
    for (const from of columns) edges.push({ from, to, rows: decisive.includes(from) });
  }
  return edges;
}

async function versionsIn(db: Reader, tree: string, datasetIds: readonly string[]): Promise<Map<string, Version>> {
  const entries = await readSome(db, tree, datasetIds);
  const versions = await getVersions(db, [...entries.values()]);
  return new Map([...versions.values()].map((version) => [version.datasetId, version]));
}

interface StoredBuild {
  dataset: Dataset;
  inputs: Dataset[];
  derivation: Derivation | undefined;
}

/** From what the derived ones among these versions were built, by dataset id. */
async function builds(db: Reader, versions: readonly Version[]): Promise<Map<string, StoredBuild>> {
  const derived = versions.filter((version) => version.inputs !== null);
  const inputs = await datasetsOfVersions(
    db,
    derived.flatMap((version) => version.inputs ?? []),
  );
  const datasets = await getDatasets(db, [...new Set([...inputs.values(), ...derived.map((version) => version.datasetId)])]);
  const stored = await storedLineage(
    db,
    derived.flatMap((version) => version.lineageKey ?? []),
  );
  return new Map(
    derived.flatMap((version): [string, StoredBuild][] => {
      const dataset = datasets.get(version.datasetId);
      const from = (version.inputs ?? []).flatMap((id) => datasets.get(inputs.get(id) ?? "") ?? []);
      const derivation = stored.get(version.lineageKey ?? "");
      return dataset === undefined ? [] : [[dataset.id, { dataset, inputs: from, derivation }]];
    }),
  );
}

/** Names of the datasets that a version was built from. */
export async function builtFromNames(db: Reader, version: Pick<Version, "inputs">): Promise<string[]> {
  const ids = [...(await datasetsOfVersions(db, version.inputs ?? [])).values()];
  return [...(await getDatasets(db, ids)).values()].map(({ name }) => name).sort();
}

/** Names of the datasets of a tree that are built from a dataset directly. */
export async function builtIntoNames(db: Reader, tree: string, dataset: Dataset): Promise<string[]> {
  const edges = await edgesDown(db, tree, [{ dataset, columns: "all" }]);
  return edges.map(({ to }) => to.name).sort();
}
