import { takeNumbers } from "../catalog/dataset-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { dataKeyOf, type VersionContent } from "../catalog/side.ts";
import { maskedFieldIds, type Contract } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { effectOfPlans } from "../effects/effect.ts";
import { writeKeyed, type WriteCounts } from "../effects/keyed-write.ts";
import { checkKeys, isKeyed, keyFields } from "../effects/keys.ts";
import { writeKeyless } from "../effects/keyless-write.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { scan, writeDataFiles, type TableState, type WriteContext } from "../effects/table-state.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { cast, column, type Plan } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { columnLineage } from "./column-lineage.ts";
import { inheritedClassifications } from "./inherit-classification.ts";
import { fieldsWithKey, followColumns, sayTheSame } from "./follow-columns.ts";
import { capsOfContent } from "../engine/sandbox.ts";

/** A dataset that a derived one is built from, as the line has it. */
export interface Input {
  dataset: Dataset;
  content: VersionContent;
}

export interface BuildRequest {
  dataset: Dataset;
  /** No transaction has made the dataset yet: its counters begin here. */
  created: boolean;
  sql: string;
  key: readonly string[];
  inputs: readonly Input[];
  /** What the dataset holds now, on this line or where it was built before; files that hold the same rows are kept. */
  present: TableState | undefined;
  /** Further schemas whose columns keep their ids. */
  schemas: readonly Schema[];
  /** The SQL is new: what speaks against it is the author's to mend. */
  isNew: boolean;
}

export interface BuiltContent {
  state: TableState;
  /** The highest field id in use. */
  lastColumnId: number;
  counts: WriteCounts;
  /** Where it stands from which columns its columns come. */
  lineageKey: string;
  /** Classifications that its columns have from what they are built from, by name. */
  classified: Map<string, string>;
  notes: string[];
}

/** Key of the content of a derived dataset: its SQL, its key, and the content of what it is built from. */
export function buildKeyOf(
  deps: Pick<LakeDeps, "engine">,
  request: Pick<BuildRequest, "sql" | "key" | "inputs"> & { datasetId: string },
): string {
  const { sql, key, datasetId } = request;
  const inputs = request.inputs.map(({ dataset, content }) => [dataset.name, dataKeyOf(content)]);
  return evidenceKey("state", { datasetId, sql, key, inputs, engine: deps.engine.version });
}

/** Runs the SELECT of a derived dataset and writes what differs from what is there. */
export async function buildContent(deps: LakeDeps, context: WriteContext, request: BuildRequest): Promise<BuiltContent> {
  const { dataset, sql, isNew } = request;
  const opened = await Promise.all(
    request.inputs.map(async (input) => ({ ...input, state: (await deps.tables.open(input.content)).state })),
  );
  let isPlanned = false;
  try {
    const shapes = opened.map(({ dataset: { name }, state }) => ({ name, columns: state.schema.fields }));
    const { key: lineageKey, derivation } = await columnLineage(deps, sql, shapes);
    const { changing, unordered } = derivation;
    if (changing.length > 0) throw changes(dataset, changing);
    isPlanned = true;
    const result = await deps.sandbox.rewrite(
      {
        sql,
        tables: opened.map(({ dataset: { name }, state }) => ({ name, plan: scan(deps.store, state.files, state.schema.fields) })),
        target: dataset.name,
        caps: capsOfContent(deps.sqlCaps),
      },
      context.scratch,
      { signal: context.signal },
    );
    const { schema, lastColumnId } = await schemaFor(deps, request, result.columns);
    const rows = await deps.engine.stage(typed(result.plan, schema), context.scratch, context);
    if (isKeyed(schema)) await checkKeys(deps.engine, rows, keyFields(schema), dataset.name);
    const written = await writeDifference(context, dataset.name, request.present, schema, rows);
    const contracts = await Promise.all(opened.map(({ content }) => getContract(deps.db, content.contractHash).catch(() => undefined)));
    const classified = inheritedClassifications(
      derivation,
      opened.flatMap(({ dataset: { name } }, at) => {
        const contract = contracts[at];
        return contract === undefined ? [] : [{ name, contract }];
      }),
    );
    return { ...written, lastColumnId, lineageKey, classified, notes: unordered.map((what) => orderNote(dataset, what)) };
  } catch (error) {
    if (!(error instanceof AppError) || !isOfTheSql(error)) throw error;
    // A plan is made on empty tables: what speaks against it shows no value of a row.
    const isMasked = isPlanned && (await anyMasked(deps, request.inputs));
    if (isNew && !isMasked) throw error;
    throw cannotRebuild(dataset, isMasked ? `the SQL fails (${error.code})` : reasonOf(error), error);
  }
}

function typed(input: Plan, schema: Schema): Plan {
  return { op: "project", input, columns: schema.fields.map(({ name, type }) => ({ name, expr: cast(column(name), type) })) };
}

async function schemaFor(
  deps: LakeDeps,
  request: BuildRequest,
  columns: readonly { name: string; type: Schema["fields"][number]["type"] }[],
): Promise<{ schema: Schema; lastColumnId: number }> {
  const { dataset, created, present, schemas } = request;
  const followed = followColumns(present?.schema, schemas, columns);
  let next = 1;
  if (!created && followed.idsNeeded > 0) next = await takeNumbers(deps.db, dataset.id, "next_field_id", followed.idsNeeded);
  const { fields, keyIds } = fieldsWithKey(followed, request.key, () => next++, dataset.name);
  const lastColumnId = Math.max(next - 1, ...fields.map((field) => field.id));
  const same = [present?.schema ?? [], schemas].flat().find((schema) => sayTheSame(schema, fields, keyIds));
  if (same !== undefined) return { schema: same, lastColumnId };
  const schemaId = created ? 0 : await takeNumbers(deps.db, dataset.id, "next_schema_id", 1);
  const schema: Schema = { type: "struct", "schema-id": schemaId, fields };
  return { schema: keyIds.length === 0 ? schema : { ...schema, "identifier-field-ids": keyIds }, lastColumnId };
}

async function writeDifference(
  context: WriteContext,
  dataset: string,
  present: TableState | undefined,
  schema: Schema,
  rows: Plan,
): Promise<{ state: TableState; counts: WriteCounts }> {
  const keyOf = (of: Schema) => (of["identifier-field-ids"] ?? []).join();
  const isComparable = present !== undefined && keyOf(present.schema) === keyOf(schema);
  const none: WriteCounts = { inserted: 0, updated: 0, deleted: 0, unchanged: 0, notFound: 0 };
  if (!isComparable) {
    const files = await writeDataFiles(context, rows, schema);
    const inserted = files.reduce((sum, file) => sum + file.file.rows, 0);
    return { state: { schema, files }, counts: { ...none, inserted } };
  }
  const base: TableState = { schema, files: present.files };
  const effect = await effectOfPlans(context, scan(context.store, base.files, schema.fields), rows, schema);
  if (effect.kind === "keyed") return writeKeyed(context, base, { dataset, upserts: effect.upserts, deletes: effect.deletes });
  const result = await writeKeyless(context, base, effect);
  const isChanged = result.added + result.removed > 0;
  return { state: isChanged ? result.state : base, counts: { ...none, inserted: result.added, deleted: result.removed } };
}

function orderNote(dataset: Dataset, what: string): string {
  return `${what} without ORDER BY: which rows ${dataset.name} holds may differ from one rebuild to the next`;
}

function changes(dataset: Dataset, found: readonly string[]): AppError {
  return new AppError("derived.changing", `The SQL of ${dataset.name} gives another result each time it runs.`, {
    expected: "SQL that depends on nothing but its datasets",
    found: found.join(", "),
    hint: "put such values into a dataset, and join it",
  });
}

const ofTheSql: ReadonlySet<string> = new Set<AppError["code"]>([
  "sql.syntax",
  "sql.refused",
  "sql.unknown_table",
  "sql.failed",
  "sql.limit",
  "key.null",
  "key.duplicate",
  "key.missing",
  "key.type",
  "type.unsupported",
  "type.loses_digits",
  "column.exists",
]);

const isOfTheSql = (error: AppError): boolean => ofTheSql.has(error.code);

/** Error texts may show values of rows; keys are left out whoever reads it. */
function reasonOf(error: AppError): string {
  if (error.code === "key.duplicate") return "a key would be there more than once";
  return error.message.replace(/\.$/, "");
}

async function anyMasked(deps: LakeDeps, inputs: readonly Input[]): Promise<boolean> {
  for (const { content } of inputs) {
    const contract: Contract | undefined = await getContract(deps.db, content.contractHash).catch(() => undefined);
    // The contract of a draft is not stored yet: who knows what it masks.
    if (contract === undefined || maskedFieldIds(contract).size > 0) return true;
  }
  return false;
}

/** A derived dataset that was declared, but cannot be rebuilt from what a line would have. */
export function cannotRebuild(dataset: Dataset, reason: string, cause?: AppError): AppError {
  return new AppError("derived.failed", `${dataset.name} cannot be rebuilt: ${reason}.`, {
    expected: `content from which ${dataset.name} can be built`,
    found: cause?.code ?? reason,
    hint: `tidegate propose ${dataset.name} --derive "SELECT …" --change <the change>`,
    cause,
  });
}
