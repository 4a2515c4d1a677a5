import { getDatasets } from "../catalog/dataset-store.ts";
import { readEntries } from "../catalog/commit-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import { firstContract, storedContract, withNulls, withSchema, type Contract } from "../contracts/contract.ts";
import { effectOfPlans } from "../effects/effect.ts";
import { checkKeys, isKeyed, keyFields, select } from "../effects/keys.ts";
import { writeKeyed } from "../effects/keyed-write.ts";
import { writeKeyless } from "../effects/keyless-write.ts";
import { scan, writeDataFiles, type TableState } from "../effects/table-state.ts";
import { cast, column, type Column, type Plan } from "../engine/plan.ts";
import type { SandboxTable } from "../engine/sandbox.ts";
import type { OpenedSource, SourceRequest } from "../engine/source.ts";
import { keyNames, type Field, type Schema } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { tentativeFields } from "../effects/tentative.ts";
import { endTentative, takeFirstTypes } from "./apply-tentative.ts";
import { withoutMaskedValues } from "./masked-errors.ts";
import type { ApplyContext } from "./apply-context.ts";
import { noOutcome, type OperationOutcome, type OperationRequest, type SourceInput } from "./operation.ts";
import { applySchemaEdits, columnsForReplace, schemaFromColumns } from "./apply-schema.ts";
import { declaredSql, type Workpiece } from "./workpiece.ts";
import { mentionedIn, wordsOf } from "../catalog/mentioned.ts";
import { capsOfContent } from "../engine/sandbox.ts";
import { mainCommit } from "../catalog/revision.ts";

type Of<K extends OperationRequest["kind"]> = Extract<OperationRequest, { kind: K }>;

/** Applies one operation to a dataset in the making. What it wrote is named by nobody until the proposal is committed. */
export async function applyOperation(context: ApplyContext, piece: Workpiece, operation: OperationRequest): Promise<void> {
  if (piece.dropped) {
    throw new AppError("dataset.not_found", `${piece.dataset.name} is dropped by this change.`, { hint: `tidegate change list` });
  }
  refuseDirectWrite(piece, operation);
  const before = { state: piece.state, contract: piece.contract, derive: piece.derive };
  const outcome = await dispatch(context, piece, operation).catch((error: unknown) => {
    throw withoutMaskedValues(error, before);
  });
  piece.outcome = addOutcomes(piece.outcome, outcome);
  if (piece.state === before.state && piece.contract === before.contract && piece.derive === before.derive && !piece.dropped) return;
  if (!piece.dropped) await endTentative(context, piece);
  piece.touched = true;
  piece.operations.push({ kind: operation.kind, payload: toJson(recordOf(operation)) });
}

async function dispatch(context: ApplyContext, piece: Workpiece, operation: OperationRequest): Promise<OperationOutcome> {
  switch (operation.kind) {
    case "create":
      return create(context, piece, operation);
    case "append":
    case "upsert":
      return addRows(context, piece, operation);
    case "delete":
      return deleteRows(context, piece, operation);
    case "replace":
      return replace(context, piece, operation);
    case "sql":
      return runSql(context, piece, operation);
    case "update":
      return update(context, piece, operation);
    case "schema":
      piece.state = await applySchemaEdits(context, piece, operation.edits);
      for (const edit of operation.edits) {
        if (edit.edit === "make_nullable" && piece.contract !== undefined) piece.contract = withNulls(piece.contract, edit.name);
      }
      return noOutcome;
    case "contract":
      setContract(piece, operation.contract, context.actor);
      return noOutcome;
    case "derive":
      setDerivation(piece, operation);
      return noOutcome;
    case "drop":
      piece.dropped = true;
      return noOutcome;
  }
}

const directWrites: ReadonlySet<string> = new Set(["append", "upsert", "delete", "replace", "sql", "update", "schema"]);

/** What a dataset is built from is where its rows are changed. */
function refuseDirectWrite(piece: Workpiece, operation: OperationRequest): void {
  if (declaredSql(piece) === undefined || !directWrites.has(operation.kind)) return;
  throw new AppError(
    "dataset.derived",
    `${piece.dataset.name} is derived: it is built from other datasets, and nothing is written to it.`,
    {
      expected: "a change of what it is built from, or of its SQL",
      found: operation.kind,
      hint: `tidegate dataset show ${piece.dataset.name}; tidegate propose ${piece.dataset.name} --derive "SELECT …"`,
    },
  );
}

/** The rows follow when everything else of the request has been applied. */
function setDerivation(piece: Workpiece, { sql, key }: Of<"derive">): void {
  const sameKey = key === undefined || (piece.state !== undefined && keyNames(piece.state.schema).join("\n") === key.join("\n"));
  if (!piece.created && declaredSql(piece) === sql && sameKey) return;
  piece.derive = { sql, key: key ?? piece.derive?.key };
}

function setContract(piece: Workpiece, contract: Contract, actor: string): void {
  if (piece.state === undefined && piece.derive !== undefined) {
    // It meets its columns when it is built; whoever declares it owns it, unless the contract says otherwise.
    const team = contract.team ?? { members: [{ username: actor, role: "owner" }] };
    piece.contract = { ...contract, team };
    return;
  }
  const { schema } = stateOf(piece);
  const next = withSchema(contract, schema);
  const hasChanged = piece.contract === undefined || storedContract(next).hash !== storedContract(withSchema(piece.contract, schema)).hash;
  if (hasChanged) piece.contract = next;
}

/** The operation as the change keeps it: what was asked, without where the bytes lay. */
function recordOf(operation: OperationRequest): unknown {
  if (!("source" in operation) || operation.source === undefined) return operation;
  const { paths: _paths, ...source } = operation.source;
  return { ...operation, source };
}

function addOutcomes(a: OperationOutcome, b: OperationOutcome): OperationOutcome {
  return {
    inserted: a.inserted + b.inserted,
    updated: a.updated + b.updated,
    deleted: a.deleted + b.deleted,
    unchanged: a.unchanged + b.unchanged,
    notFound: a.notFound + b.notFound,
    notes: [...a.notes, ...b.notes],
  };
}

function stateOf(piece: Workpiece): TableState {
  if (piece.state === undefined)
    throw new AppError("dataset.not_found", `${piece.dataset.name} has no content yet.`, { hint: "tidegate import" });
  return piece.state;
}

async function open(
  context: ApplyContext,
  source: SourceInput,
  as?: Pick<SourceRequest, "as" | "columns" | "free">,
): Promise<OpenedSource> {
  const { paths, format, nullText, types } = source;
  return context.sources.open({ paths, format, nullText, types, ...as }, context.scratch, { signal: context.signal });
}

async function create(context: ApplyContext, piece: Workpiece, operation: Of<"create">): Promise<OperationOutcome> {
  const opened = operation.source === undefined ? undefined : await open(context, operation.source);
  const columns: readonly Column[] = opened?.columns ?? operation.columns ?? [];
  const { schema, lastColumnId } = schemaFromColumns(columns, operation.key, {
    dataset: piece.dataset.name,
    tentative: opened?.tentative ?? [],
  });
  const empty: TableState = { schema, files: [] };
  piece.lastColumnId = lastColumnId;
  piece.contract = firstContract({ datasetId: piece.dataset.id, name: piece.dataset.name, schema, owner: context.actor });
  if (opened === undefined) {
    piece.state = empty;
    return noOutcome;
  }
  const rows = typed(opened.plan, schema.fields);
  if (isKeyed(schema)) await checkKeys(context.engine, rows, keyFields(schema), piece.dataset.name);
  piece.state = { schema, files: await writeDataFiles(context, rows, schema) };
  return { ...noOutcome, inserted: opened.rows, notes: opened.notes };
}

/** The rows in the dataset's columns, order and types. */
function typed(input: Plan, fields: readonly Field[]): Plan {
  return { op: "project", input, columns: fields.map((field) => ({ name: field.name, expr: cast(column(field.name), field.type) })) };
}

/** Opens input as the dataset's columns; those that have held only nulls take the type of what comes. */
async function openAs(
  context: ApplyContext,
  piece: Workpiece,
  source: SourceInput,
  columns: "exact" | "any",
): Promise<{ opened: OpenedSource; notes: string[] }> {
  const { schema } = stateOf(piece);
  const opened = await open(context, source, { as: schema.fields, columns, free: tentativeFields(schema).map((field) => field.name) });
  return { opened, notes: [...opened.notes, ...(await takeFirstTypes(context, piece, opened))] };
}

async function addRows(
  context: ApplyContext,
  piece: Workpiece,
  operation: Of<"append" | "replace" | "upsert" | "delete">,
): Promise<OperationOutcome> {
  if (operation.kind === "upsert") requireKey(piece, stateOf(piece).schema, "--upsert");
  const { opened, notes } = await openAs(context, piece, operation.source, "exact");
  const state = stateOf(piece);
  const { schema } = state;
  const rows = typed(opened.plan, schema.fields);
  if (!isKeyed(schema)) {
    const result = await writeKeyless(context, state, { added: rows });
    if (result.added > 0) piece.state = result.state;
    return { ...noOutcome, inserted: result.added, notes };
  }
  const written = await writeKeyed(context, state, { dataset: piece.dataset.name, upserts: rows, insertOnly: operation.kind === "append" });
  return settle(piece, written, notes);
}

function settle(piece: Workpiece, written: Awaited<ReturnType<typeof writeKeyed>>, notes: string[]): OperationOutcome {
  const { counts, state } = written;
  if (counts.inserted + counts.updated + counts.deleted > 0) piece.state = state;
  return { ...counts, notes };
}

function requireKey(piece: Workpiece, schema: Schema, flag: string): void {
  if (isKeyed(schema)) return;
  throw new AppError("key.missing", `${piece.dataset.name} has no key, and ${flag} matches rows by key.`, {
    expected: "a dataset imported with --key",
    found: "a keyless dataset",
    hint: `tidegate propose ${piece.dataset.name} --append <file>`,
  });
}

async function deleteRows(
  context: ApplyContext,
  piece: Workpiece,
  operation: Of<"append" | "replace" | "upsert" | "delete">,
): Promise<OperationOutcome> {
  const state = stateOf(piece);
  const { schema } = state;
  const opened = await open(context, operation.source, { as: schema.fields, columns: isKeyed(schema) ? "subset" : "exact" });
  if (!isKeyed(schema)) {
    const result = await writeKeyless(context, state, { removed: typed(opened.plan, schema.fields) });
    if (result.missing > 0) {
      throw new AppError("row.not_found", `${result.missing} of the rows to delete are not in ${piece.dataset.name}.`, {
        expected: "rows that are there, column for column",
        found: `${result.removed} of ${result.removed + result.missing}`,
        hint: `tidegate propose ${piece.dataset.name} --sql "DELETE FROM ${piece.dataset.name} WHERE …"`,
      });
    }
    if (result.removed > 0) piece.state = result.state;
    return { ...noOutcome, deleted: result.removed, notes: opened.notes };
  }
  const key = keyFields(schema);
  const missing = key.filter((field) => !opened.columns.some((item) => item.name === field.name));
  if (missing.length > 0) {
    throw new AppError("key.missing", `The rows to delete do not name the key of ${piece.dataset.name}.`, {
      expected: key.map((field) => field.name).join(", "),
      found: opened.columns.map((item) => item.name).join(", "),
      hint: `tidegate dataset show ${piece.dataset.name}`,
    });
  }
  const keys = select(typed(opened.plan, key), key);
  await checkKeys(context.engine, keys, key, piece.dataset.name);
  return settle(piece, await writeKeyed(context, state, { dataset: piece.dataset.name, deletes: keys }), opened.notes);
}

async function replace(
  context: ApplyContext,
  piece: Workpiece,
  operation: Of<"append" | "replace" | "upsert" | "delete">,
): Promise<OperationOutcome> {
  const { opened, notes } = await openAs(context, piece, operation.source, "any");
  return replaceWith(context, piece, { plan: opened.plan, columns: opened.columns, notes });
}

/** Makes the dataset's content equal to `content`, writing only files that must change. New and missing columns become schema edits. */
async function replaceWith(
  context: ApplyContext,
  piece: Workpiece,
  content: { plan: Plan; columns: readonly Column[]; notes: string[] },
): Promise<OperationOutcome> {
  const edits = columnsForReplace(stateOf(piece).schema, content.columns);
  if (edits.length > 0) piece.state = await applySchemaEdits(context, piece, edits);
  const state = stateOf(piece);
  const { schema } = state;
  const rows = await context.engine.stage(typed(content.plan, schema.fields), context.scratch, context);
  if (isKeyed(schema)) await checkKeys(context.engine, rows, keyFields(schema), piece.dataset.name);
  const effect = await effectOfPlans(context, scan(context.store, state.files, schema.fields), rows, schema);
  if (effect.kind === "keyed") {
    return settle(
      piece,
      await writeKeyed(context, state, { dataset: piece.dataset.name, upserts: effect.upserts, deletes: effect.deletes }),
      content.notes,
    );
  }
  const result = await writeKeyless(context, state, effect);
  if (result.added + result.removed > 0) piece.state = result.state;
  return { ...noOutcome, inserted: result.added, deleted: result.removed, notes: content.notes };
}

async function runSql(context: ApplyContext, piece: Workpiece, operation: Of<"sql">): Promise<OperationOutcome> {
  const tables = await tablesFor(context, piece, operation.sql);
  const request = { sql: operation.sql, tables, target: piece.dataset.name, caps: capsOfContent(context.sqlCaps) };
  const result = await context.sandbox.rewrite(request, context.scratch, { signal: context.signal });
  return replaceWith(context, piece, { plan: result.plan, columns: result.columns, notes: [] });
}

async function update(context: ApplyContext, piece: Workpiece, operation: Of<"update">): Promise<OperationOutcome> {
  const { schema } = stateOf(piece);
  for (const { column: name } of operation.set) {
    if (schema.fields.some((field) => field.name.toLowerCase() === name.toLowerCase())) continue;
    throw new AppError("column.not_found", `${piece.dataset.name} has no column ${name}.`, {
      expected: schema.fields.map((field) => field.name).join(", "),
      found: name,
      hint: `tidegate dataset show ${piece.dataset.name}`,
    });
  }
  const target = tableOf(context, piece);
  const request = {
    target,
    set: operation.set,
    caps: capsOfContent(context.sqlCaps),
    ...(operation.where === undefined ? {} : { where: operation.where }),
  };
  const result = await context.sandbox.update(request, context.scratch, { signal: context.signal });
  return replaceWith(context, piece, { plan: result.plan, columns: result.columns, notes: [] });
}

function tableOf(context: ApplyContext, piece: Workpiece): SandboxTable {
  const state = stateOf(piece);
  return { name: piece.dataset.name, plan: scan(context.store, state.files, state.schema.fields) };
}

/** The dataset itself as it stands in this change, and the datasets of main that the SQL mentions. */
async function tablesFor(context: ApplyContext, piece: Workpiece, text: string): Promise<SandboxTable[]> {
  const main = await mainCommit(context.db);
  const entries = await readEntries(context.db, main.tree);
  entries.delete(piece.dataset.id);
  const datasets = await getDatasets(context.db, [...entries.keys()]);
  const mentioned = mentionedIn(wordsOf(text), [...datasets.values()]);
  const versions = await getVersions(
    context.db,
    mentioned.flatMap(({ id }) => entries.get(id) ?? []),
  );
  const others = await Promise.all(
    mentioned.map(async ({ id, name }) => {
      const version = versions.get(entries.get(id) ?? "");
      if (version === undefined) return [];
      const { state } = await context.tables.open(version);
      return [{ name, plan: scan(context.store, state.files, state.schema.fields) }];
    }),
  );
  return [tableOf(context, piece), ...others.flat()];
}
