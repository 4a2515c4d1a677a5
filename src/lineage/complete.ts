import { emptyChangeSet, type ChangeSet } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import type { Side, VersionContent } from "../catalog/side.ts";
import { findBuild, getVersion } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { fieldIdOf, firstContract, storedContract, withSchema, type Contract } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { withDerivedSql } from "../contracts/derived.ts";
import type { WriteCounts } from "../effects/keyed-write.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { WriteContext } from "../effects/table-state.ts";
import { contentAs, writeDraft, type Draft, type OpenTable } from "../effects/version-writer.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import { AppError } from "../lib/errors.ts";
import { buildContent, buildKeyOf, cannotRebuild, type Input } from "./build-derived.ts";
import { derivedGraph, type DerivedNode, type GraphRequest } from "./derived-graph.ts";
import { withInherited } from "./inherit-classification.ts";
import { keyOf } from "./follow-columns.ts";

export interface CompleteRequest extends GraphRequest {
  /** The line on which it stands: `main`, `live` or a change. Files of `tables/<dataset>/<line>` are written. */
  line: string;
  changeId: string;
  /** Who owns what is new. */
  actor: string;
  /** The changes that a result contains by itself, beside those of its inputs. */
  changeSet: (datasetId: string, onto: Version | undefined) => Promise<ChangeSet> | ChangeSet;
  /** Built again though nothing that it is built from has moved. */
  forced?: ReadonlySet<string>;
  /** Versions that were built elsewhere from what may be the same; each holds on top of the version that it names. */
  prefer?: ReadonlyMap<string, { version: Version; base: string | null }>;
  /** Datasets for which the caller holds a lease, so that files may be written; undefined: for all. */
  leased?: ReadonlySet<string> | undefined;
  /** Snapshots that a new version need not keep. */
  forget?: (onto: Version | undefined, table: OpenTable | undefined) => Promise<ReadonlySet<bigint>>;
  scratch: Scratch;
}

/** One derived dataset of a line, built. */
export interface DerivedPiece {
  dataset: Dataset;
  created: boolean;
  /** It was declared, so that its SQL or contract may differ; false: it follows from its inputs. */
  declared: boolean;
  /** What the line had of it. */
  onto: Version | undefined;
  result: { kind: "version"; version: Version } | { kind: "draft"; draft: Draft };
  lastColumnId: number;
  counts: WriteCounts;
  notes: string[];
}

export type Completed =
  | { kind: "done"; pieces: DerivedPiece[] }
  /** Files of these datasets may have to be written, and the caller holds no lease for all of them. */
  | { kind: "needs_lease"; datasets: string[] };

/**
 * Builds the derived datasets that edits of a line concern, from what the line then has, each after its inputs. What the same SQL gave on the
 * same inputs before is taken over; else the SELECT runs in the sandbox and only files that must change are written. Nothing is committed.
 */
export async function completeDerived(deps: LakeDeps, request: CompleteRequest, options: RunOptions = {}): Promise<Completed> {
  const { nodes, side } = await derivedGraph(deps, { ...request, also: [...(request.also ?? []), ...(request.forced ?? [])] });
  const built = new Map<string, VersionContent>();
  const pieces: DerivedPiece[] = [];
  for (const node of nodes) {
    options.signal?.throwIfAborted();
    const inputs = await inputsFor(deps, request, side, built, node);
    if (!isConcerned(request, node, inputs)) continue;
    const piece = await complete(deps, request, node, inputs, options);
    if (piece === undefined) {
      const open = nodes.slice(nodes.indexOf(node)).map((item) => item.dataset.id);
      return { kind: "needs_lease", datasets: [...new Set([...open, ...(request.leased ?? [])])] };
    }
    built.set(node.dataset.id, piece.result.kind === "draft" ? piece.result.draft.version : piece.result.version);
    pieces.push(piece);
  }
  return { kind: "done", pieces };
}

async function inputsFor(
  deps: LakeDeps,
  request: CompleteRequest,
  side: Side,
  built: ReadonlyMap<string, VersionContent>,
  node: DerivedNode,
): Promise<Input[]> {
  const stored = await getDatasets(deps.db, node.inputs);
  const fresh = [...(request.created ?? []), ...request.declared.map((item) => item.dataset)];
  const inputs: Input[] = [];
  for (const id of node.inputs) {
    const dataset = stored.get(id) ?? fresh.find((item) => item.id === id);
    const content = built.get(id) ?? (await side.get(id));
    if (dataset !== undefined && content === undefined && request.edits.get(id) === null) throw inUse(dataset, node.dataset);
    if (dataset === undefined || content === undefined) {
      throw cannotRebuild(node.dataset, `it is built from ${dataset?.name ?? id}, which is not there any more`);
    }
    inputs.push({ dataset, content });
  }
  return inputs.sort((a, b) => (a.dataset.id < b.dataset.id ? -1 : 1));
}

function inUse(input: Dataset, derived: Dataset): AppError {
  return new AppError("dataset.in_use", `${input.name} cannot be dropped: ${derived.name} is built from it.`, {
    expected: "a dataset from which nothing is built",
    found: derived.name,
    hint: `tidegate propose ${derived.name} --drop-dataset, and ${input.name} in the same change`,
  });
}

function isConcerned(request: CompleteRequest, node: DerivedNode, inputs: readonly Input[]): boolean {
  if (node.declared !== undefined || request.forced?.has(node.dataset.id) === true || node.onto === undefined) return true;
  return !sameIds(node.onto.inputs ?? [], inputs);
}

const sameIds = (ids: readonly string[], inputs: readonly Input[]): boolean =>
  ids.length === inputs.length && inputs.every(({ content }) => ids.includes(content.id));

/** Undefined: files must be written, and no lease is held. */
async function complete(
  deps: LakeDeps,
  request: CompleteRequest,
  node: DerivedNode,
  inputs: readonly Input[],
  options: RunOptions,
): Promise<DerivedPiece | undefined> {
  const { dataset, declared, sql } = node;
  const onto = node.onto === undefined ? undefined : await getVersion(deps.db, node.onto.id);
  const preferred = request.prefer?.get(dataset.id);
  const opened = onto && (await deps.tables.open(onto));
  // Where the line has nothing of it yet, what was built elsewhere is what to build on.
  const present = opened ?? (preferred && (await deps.tables.open(preferred.version)));
  const contract = declared?.contract ?? (onto && (await getContract(deps.db, onto.contractHash)));
  const key = declared?.key ?? keyOf(present?.state.schema);
  const buildKey = buildKeyOf(deps, { datasetId: dataset.id, sql, key, inputs });
  const build = { inputs: inputs.map(({ content }) => content.id), buildKey };
  const piece = { dataset, created: declared?.created === true, declared: declared !== undefined, onto };
  const unchanged = { lastColumnId: present?.table.lastColumnId ?? 0, counts: noCounts, notes: [] };
  if (preferred !== undefined && contract !== undefined && (onto?.id ?? null) === preferred.base) {
    const { version } = preferred;
    const isSame = version.buildKey === buildKey && sameIds(version.inputs ?? [], inputs) && version.collectedAt === null;
    if (isSame && version.contractHash === (await contractHashOn(deps, version, contract)))
      return { ...piece, ...unchanged, result: { kind: "version", version } };
  }
  const changeSet = await request.changeSet(dataset.id, onto);
  const known = await findBuild(deps.db, dataset.id, buildKey);
  if (known !== undefined && contract !== undefined) {
    const { schema } = (await deps.tables.open(known)).state;
    const stored = storedContract(withSchema(withDerivedSql(contract, sql), schema));
    const draft = contentAs(deps, known, {
      changeSet,
      changeId: request.changeId,
      contract: stored,
      build: { ...build, lineageKey: known.lineageKey },
    });
    return { ...piece, ...unchanged, result: { kind: "draft", draft } };
  }
  if (request.leased?.has(dataset.id) === false) return undefined;
  const location = `tables/${dataset.id}/${request.line}`;
  const context: WriteContext = { ...deps, scratch: request.scratch, location, signal: options.signal };
  const { state, lastColumnId, lineageKey, classified, counts, notes } = await buildContent(deps, context, {
    dataset,
    created: piece.created,
    sql,
    key,
    inputs,
    present: present?.state,
    schemas: preferred === undefined ? [] : [(await deps.tables.open(preferred.version)).state.schema],
    isNew: declared !== undefined,
  });
  const said = contract ?? newContract(dataset, state.schema, request.actor);
  // Of a dataset that begins its first contract knows no column yet.
  const knownColumns =
    piece.created || contract === undefined ? [] : (contract.schema[0]?.properties ?? []).flatMap((property) => fieldIdOf(property) ?? []);
  const forget = await request.forget?.(onto, opened);
  const draft = await writeDraft(deps, {
    dataset,
    base: present?.table,
    state,
    lastColumnId: Math.max(lastColumnId, present?.table.lastColumnId ?? 0),
    contract: withDerivedSql(withInherited(said, new Set(knownColumns), state.schema, classified), sql),
    changeSet,
    changeId: request.changeId,
    location,
    builtFrom: [onto?.id ?? [], preferred?.version.id ?? []].flat(),
    build: { ...build, lineageKey },
    ...(forget === undefined ? {} : { forget }),
  });
  return { ...piece, result: { kind: "draft", draft }, lastColumnId, counts, notes };
}

const noCounts: WriteCounts = { inserted: 0, updated: 0, deleted: 0, unchanged: 0, notFound: 0 };

async function contractHashOn(deps: LakeDeps, version: Version, contract: Contract): Promise<string> {
  const { schema } = (await deps.tables.open(version)).state;
  return storedContract(withSchema(contract, schema)).hash;
}

function newContract(dataset: Dataset, schema: Parameters<typeof withSchema>[1], owner: string): Contract {
  return firstContract({ datasetId: dataset.id, name: dataset.name, schema, owner });
}

/** The changes of a line's version with those of a change that is not merged yet, for `changeSet`. */
export const startingSet = (onto: Version | undefined): ChangeSet => onto?.changeSet ?? emptyChangeSet;
