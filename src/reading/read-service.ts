import type { StandingAnswers } from "../audit/standing.ts";
import { findByName, parseVersionName, type Dataset } from "../catalog/dataset.ts";
import { datasetsCalled, getDatasets, resolveDataset } from "../catalog/dataset-store.ts";
import { readEntries, readSome } from "../catalog/commit-store.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { resolveCommit, versionInCommit } from "../catalog/revision.ts";
import { getVersionByNumber, getVersions } from "../catalog/version-store.ts";
import { versionText, type Version } from "../catalog/version.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { keyFields } from "../effects/keys.ts";
import { scan, type TableState } from "../effects/table-state.ts";
import type { Row } from "../engine/engine.ts";
import { call, cast, column, literal, type Plan } from "../engine/plan.ts";
import type { Field } from "../lake/schema.ts";
import { typeName } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import type { Resolved, ViewResolver } from "../rollouts/views/view-resolver.ts";
import type { Door } from "../usage/exposure.ts";
import type { ExposureLedger, OpenExposure } from "../usage/exposure-ledger.ts";
import { readsAs, type Answer, type ReaderIdentity, type RowsRequest } from "./reader.ts";

export interface ReadDeps extends LakeDeps {
  resolver: ViewResolver;
  ledger: ExposureLedger;
  standing: StandingAnswers;
}

/** An answer with its rows under way: the exposure is committed, the rows come as JSON objects in text. */
export interface RowStream {
  answer: Answer;
  columns: Field[];
  rows: AsyncIterable<string[]>;
}

/** Resolves what a reader gets for a name: `orders`, or `orders@42` for those who may name versions. */
export async function answerFor(deps: ReadDeps, reader: ReaderIdentity, text: string): Promise<Answer> {
  const { name, number } = parseVersionName(text);
  if (number !== undefined) {
    const dataset = await resolveDataset(deps.db, name);
    const version = await getVersionByNumber(deps.db, dataset, number);
    return { dataset, version, view: reader.at ?? text, reason: "named", leaseUntil: undefined };
  }
  return reader.at === undefined ? answerIn(deps, await deps.resolver.resolve(reader), name) : answerAt(deps, reader.at, name);
}

/** What a branch, tag or commit has under a name. */
export async function answerAt(deps: ReadDeps, at: string, name: string): Promise<Answer> {
  const commit = await resolveCommit(deps.db, at);
  const dataset = await resolveWithin(deps, name, commit.tree);
  return { dataset, version: await versionInCommit(deps.db, commit, dataset, at), view: at, reason: "named", leaseUntil: undefined };
}

/** What a view that was resolved before has under a name. */
export async function answerIn(deps: ReadDeps, resolved: Resolved, name: string): Promise<Answer> {
  const dataset = await resolveWithin(deps, name, resolved.tree, resolved.view.overlay);
  const version = await deps.resolver.version(resolved, dataset);
  return { dataset, version, view: resolved.view.id, reason: resolved.reason, leaseUntil: resolved.leaseUntil };
}

/** A reader's view, and what it has of some datasets: all of one moment. */
export async function viewFor(
  deps: ReadDeps,
  reader: ReaderIdentity,
  names: readonly string[],
): Promise<{ resolved: Resolved; answers: Answer[] }> {
  const view = async () => {
    const resolved = await deps.resolver.resolve(reader);
    return { resolved, answers: await Promise.all(names.map((name) => answerIn(deps, resolved, name))) };
  };
  // What a run has seen is a lease, which no commit tells of.
  if (reader.run !== undefined) return view();
  return deps.standing.ask(`answers ${toJson([reader.consumer ?? null, ...names])}`, async () => {
    const value = await view();
    return { value, until: value.resolved.until };
  });
}

/** The dataset that a name stands for among those that are there: what others propose under the same last part disturbs no reader. */
async function resolveWithin(
  deps: ReadDeps,
  name: string,
  tree: string,
  overlay: Readonly<Record<string, string | null>> = {},
): Promise<Dataset> {
  const presentOf = async (called: readonly Dataset[]): Promise<Dataset[]> => {
    const entries = await readSome(
      deps.db,
      tree,
      called.map((dataset) => dataset.id),
    );
    return called.filter(({ id }) => (overlay[id] === undefined ? entries.has(id) : overlay[id] !== null));
  };
  const called = await datasetsCalled(deps.db, name);
  const present = await presentOf(called);
  if (present.length > 0) return findByName(present, name);
  // What main has dropped stays with its readers until the drop reaches them.
  const left = await presentOf(await datasetsCalled(deps.db, name, "dropped"));
  return findByName(left.length > 0 ? left : called, name);
}

/** Streams rows of a dataset, all columns unless some are named. */
export async function readRows(
  deps: ReadDeps,
  reader: ReaderIdentity,
  name: string,
  request: RowsRequest,
  signal?: AbortSignal,
): Promise<RowStream> {
  const answer = await answerFor(deps, reader, name);
  const { state } = await deps.tables.open(answer.version);
  const fields = chosenFields(state, request.columns, answer.dataset);
  const exposure = await expose(deps, reader, answer, fields, "rows");
  return { answer, columns: fields, rows: counted(deps.engine.stream(limited(deps, state, fields, request), { signal }), exposure) };
}

/** Writes a dataset's rows to one Parquet file at `path`. */
export async function readParquet(
  deps: ReadDeps,
  reader: ReaderIdentity,
  name: string,
  request: RowsRequest & { path: string },
  signal?: AbortSignal,
): Promise<Answer & { bytes: number; rows: number }> {
  const answer = await answerFor(deps, reader, name);
  const { state } = await deps.tables.open(answer.version);
  const fields = chosenFields(state, request.columns, answer.dataset);
  const exposure = await expose(deps, reader, answer, fields, "parquet");
  const written = await deps.engine.exportParquet(limited(deps, state, fields, request), request.path, { signal });
  exposure.done(written);
  return { ...answer, ...written };
}

/** The one row with a key; of a composite one its parts in key order, joined by commas. `row.not_found` when there is none. */
export async function lookUp(deps: ReadDeps, reader: ReaderIdentity, name: string, text: string): Promise<{ answer: Answer; row: Row }> {
  const answer = await answerFor(deps, reader, name);
  const { state } = await deps.tables.open(answer.version);
  const key = keyOf(answer, state, text);
  const exposure = await expose(deps, reader, answer, state.schema.fields, "lookup");
  const row = await rowCalled(deps, answer, state, key);
  exposure.done({ rows: row === undefined ? 0 : 1, bytes: 0 });
  if (row === undefined) {
    throw new AppError("row.not_found", `${answer.dataset.name}${versionText(answer.version)} has no row ${key.join(", ")}.`, {
      found: key.join(", "),
      hint: `tidegate read ${answer.dataset.name}`,
    });
  }
  return { answer, row };
}

/** Whether an answer has a row with a key; throws what looking it up would throw. Nothing is given, so nothing is recorded. */
export async function hasRow(deps: ReadDeps, answer: Answer, text: string): Promise<boolean> {
  const { state } = await deps.tables.open(answer.version);
  return (await rowCalled(deps, answer, state, keyOf(answer, state, text))) !== undefined;
}

function keyOf({ dataset }: Answer, { schema }: TableState, text: string): string[] {
  const fields = keyFields(schema);
  const key = fields.length === 1 ? [text] : text.split(",");
  if (fields.length === key.length) return key;
  throw new AppError("key.missing", `${dataset.name} is not looked up by ${key.length} values.`, {
    expected: fields.length === 0 ? "a dataset with a key" : `${fields.map((field) => field.name).join(", ")}`,
    found: key.join(", "),
    hint: `tidegate dataset show ${dataset.name}`,
  });
}

async function rowCalled(deps: ReadDeps, answer: Answer, state: TableState, key: readonly string[]): Promise<Row | undefined> {
  const fields = keyFields(state.schema);
  const equal = fields.map((field, index) => call("=", column(field.name), cast(literal(key[index] ?? "", "string"), field.type)));
  const where = equal.length === 1 && equal[0] !== undefined ? equal[0] : call("and", ...equal);
  const input = scan(deps.store, state.files, state.schema.fields);
  const [row] = await deps.engine.rows({ op: "limit", input: { op: "filter", input, where }, count: 1 }).catch((error: unknown) => {
    throw error instanceof AppError && error.code === "type.loses_digits" ? noSuchKey(answer, fields, key, error) : error;
  });
  return row;
}

function noSuchKey({ dataset }: Answer, fields: readonly Field[], key: readonly string[], cause: unknown): AppError {
  return new AppError("key.type", `${key.join(", ")} cannot be a key of ${dataset.name}.`, {
    expected: fields.map((field) => `${field.name}: ${typeName(field.type)}`).join(", "),
    found: key.join(", "),
    hint: `tidegate dataset show ${dataset.name}`,
    cause,
  });
}

export interface ListedDataset {
  dataset: Dataset;
  version: Version;
}

/** Datasets of the reader's view (or of a branch), by name. */
export async function listDatasets(deps: ReadDeps, reader: ReaderIdentity): Promise<ListedDataset[]> {
  return listIn(deps, reader, reader.at === undefined ? await deps.resolver.resolve(reader) : undefined);
}

/** Datasets of a view that was resolved before, so that one answer comes from one view; of `reader.at` when there is none. */
export async function listIn(deps: ReadDeps, reader: ReaderIdentity, resolved: Resolved | undefined): Promise<ListedDataset[]> {
  const versions = resolved === undefined ? await versionsAt(deps, reader.at ?? mainRef) : await deps.resolver.versions(resolved);
  const datasets = await getDatasets(deps.db, [...versions.keys()]);
  const listed = [...versions].flatMap(([id, version]) => {
    const dataset = datasets.get(id);
    return dataset === undefined ? [] : [{ dataset, version }];
  });
  return listed.sort((a, b) => (a.dataset.name < b.dataset.name ? -1 : 1));
}

async function versionsAt(deps: ReadDeps, at: string): Promise<Map<string, Version>> {
  const entries = await readEntries(deps.db, (await resolveCommit(deps.db, at)).tree);
  const versions = await getVersions(deps.db, [...entries.values()]);
  return new Map([...versions.values()].map((version) => [version.datasetId, version]));
}

/** Commits the first touch; nothing of the answer leaves before. */
export async function expose(
  deps: ReadDeps,
  reader: ReaderIdentity,
  answer: Answer,
  fields: readonly { name: string }[],
  door: Door,
): Promise<OpenExposure> {
  return deps.ledger.open([
    {
      consumer: readsAs(reader),
      versionId: answer.version.id,
      columns: fields.map((field) => field.name),
      door,
      run: reader.run ?? "",
    },
  ]);
}

/** Passes rows on and counts them; what was given before a failure counts too. */
export async function* counted(rows: AsyncIterable<string[]>, exposure: OpenExposure): AsyncIterable<string[]> {
  const counts = { rows: 0, bytes: 0 };
  try {
    for await (const batch of rows) {
      counts.rows += batch.length;
      for (const row of batch) counts.bytes += Buffer.byteLength(row);
      yield batch;
    }
  } finally {
    exposure.done(counts);
  }
}

function limited(deps: ReadDeps, state: TableState, fields: readonly Field[], request: RowsRequest): Plan {
  const input = scan(deps.store, state.files, fields);
  if (request.limit === undefined && request.offset === undefined) return input;
  return { op: "limit", input, count: request.limit ?? Number.MAX_SAFE_INTEGER, offset: request.offset ?? 0 };
}

function chosenFields(state: TableState, names: readonly string[] | undefined, dataset: Dataset): Field[] {
  if (names === undefined || names.length === 0) return state.schema.fields;
  return names.map((name) => {
    const field = state.schema.fields.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    if (field !== undefined) return field;
    throw new AppError("column.not_found", `${dataset.name} has no column ${name}.`, {
      expected: state.schema.fields.map((item) => item.name).join(", "),
      found: name,
      hint: `tidegate dataset show ${dataset.name}`,
    });
  });
}
