import { takeNumbers } from "../catalog/dataset-store.ts";
import { scan, writeDataFiles, type TableState } from "../effects/table-state.ts";
import { holdsNoValue, tentativeDoc } from "../effects/tentative.ts";
import { cast, column, type Column } from "../engine/plan.ts";
import {
  assignIds,
  addColumn,
  dropColumn,
  idsNeeded,
  makeNullable,
  renameColumn,
  reorderColumns,
  widenColumn,
} from "../lake/schema-edits.ts";
import type { Field, PrimitiveType, Schema } from "../lake/schema.ts";
import { isWidening, typeName } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import type { ApplyContext } from "./apply-context.ts";
import type { SchemaEdit } from "./operation.ts";
import type { Workpiece } from "./workpiece.ts";

/** The first schema of a dataset, with its field ids. */
export function schemaFromColumns(
  columns: readonly Column[],
  key: readonly string[],
  about: { dataset: string; tentative: readonly string[] },
): { schema: Schema; lastColumnId: number } {
  if (columns.length === 0) {
    throw new AppError("input.empty", `${about.dataset} would have no columns.`, {
      expected: "at least one column",
      hint: "tidegate import <name> <file>",
    });
  }
  let last = 0;
  const fields = assignIds(columns, () => (last += 1));
  const keyIds = key.map((name) => {
    const field = fields.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    if (field === undefined) {
      throw new AppError("key.missing", `The key column ${name} is not in the input of ${about.dataset}.`, {
        expected: name,
        found: columns.map((item) => item.name).join(", "),
        hint: `tidegate import ${about.dataset} <file> --key ${columns[0]?.name ?? "<column>"}`,
      });
    }
    refuseKeyType(field, about.dataset);
    return field.id;
  });
  const described = fields.map((field) => ({
    ...field,
    required: keyIds.includes(field.id),
    ...(about.tentative.includes(field.name) ? { doc: tentativeDoc } : {}),
  }));
  const schema: Schema = { type: "struct", "schema-id": 0, fields: described };
  return { schema: keyIds.length === 0 ? schema : { ...schema, "identifier-field-ids": keyIds }, lastColumnId: last };
}

function refuseKeyType(field: Field, dataset: string): void {
  if (typeof field.type === "string" && field.type !== "float" && field.type !== "double") return;
  throw new AppError("key.type", `${field.name} cannot be a key of ${dataset}.`, {
    expected: "integers, decimals, text, dates, times, booleans or UUIDs",
    found: typeName(field.type),
    hint: "name another column with --key",
  });
}

/** Schema edits that make a dataset take content with other columns: new ones are added, missing ones dropped. */
export function columnsForReplace(schema: Schema, columns: readonly Column[]): SchemaEdit[] {
  const lower = (name: string) => name.toLowerCase();
  const known = new Set(schema.fields.map((field) => lower(field.name)));
  const brought = new Set(columns.map((item) => lower(item.name)));
  return [
    ...columns
      .filter((item) => !known.has(lower(item.name)))
      .map((item): SchemaEdit => ({ edit: "add", name: item.name, type: item.type })),
    ...schema.fields.filter((field) => !brought.has(lower(field.name))).map((field): SchemaEdit => ({ edit: "drop", name: field.name })),
  ];
}

/** Edits the columns of a dataset in the making. Only a retype that Iceberg cannot widen to writes data. */
export async function applySchemaEdits(context: ApplyContext, piece: Workpiece, edits: readonly SchemaEdit[]): Promise<TableState> {
  let state = piece.state as TableState;
  for (const edit of edits) state = await applyEdit(context, piece, state, edit);
  const schemaId = piece.created ? state.schema["schema-id"] + 1 : await takeNumbers(context.db, piece.dataset.id, "next_schema_id", 1);
  return { ...state, schema: { ...state.schema, "schema-id": schemaId } };
}

async function applyEdit(context: ApplyContext, piece: Workpiece, state: TableState, edit: SchemaEdit): Promise<TableState> {
  const { schema } = state;
  switch (edit.edit) {
    case "add":
      return {
        ...state,
        schema: addColumn(
          schema,
          { name: edit.name, type: edit.type, ...(edit.doc === undefined ? {} : { doc: edit.doc }) },
          await idSource(context, piece, edit.type),
        ),
      };
    case "drop":
      return { ...state, schema: dropColumn(schema, edit.name) };
    case "rename":
      return { ...state, schema: renameColumn(schema, edit.name, edit.to) };
    case "make_nullable":
      return { ...state, schema: makeNullable(schema, edit.name) };
    case "reorder":
      return { ...state, schema: reorderColumns(schema, edit.names) };
    case "retype":
      return retype(context, piece, state, edit);
  }
}

/** Field ids from the dataset's own counter, never used for another column on any branch. */
async function idSource(context: ApplyContext, piece: Workpiece, type: Field["type"]): Promise<() => number> {
  const count = idsNeeded(type);
  let next = piece.created ? piece.lastColumnId + 1 : await takeNumbers(context.db, piece.dataset.id, "next_field_id", count);
  piece.lastColumnId = Math.max(piece.lastColumnId, next + count - 1);
  return () => next++;
}

async function retype(
  context: ApplyContext,
  piece: Workpiece,
  state: TableState,
  edit: Extract<SchemaEdit, { edit: "retype" }>,
): Promise<TableState> {
  const { schema } = state;
  const field = schema.fields.find((candidate) => candidate.name.toLowerCase() === edit.name.toLowerCase());
  if (field === undefined) {
    throw new AppError("column.not_found", `${piece.dataset.name} has no column ${edit.name}.`, {
      expected: schema.fields.map((item) => item.name).join(", "),
      found: edit.name,
      hint: `tidegate dataset show ${piece.dataset.name}`,
    });
  }
  if (isWidening(field.type, edit.type)) return { ...state, schema: widenColumn(schema, edit.name, edit.type as PrimitiveType) };
  if ((schema["identifier-field-ids"] ?? []).includes(field.id)) {
    throw new AppError("column.is_key", `${field.name} is the key of ${piece.dataset.name} and cannot be retyped.`, {
      expected: "a widening, such as int to long",
      found: `${JSON.stringify(field.type)} to ${JSON.stringify(edit.type)}`,
      hint: "import the data as a new dataset with another key",
    });
  }
  const next = await idSource(context, piece, edit.type);
  const [renewed] = assignIds([{ name: field.name, type: edit.type }], next) as [Field];
  const fields = schema.fields.map((candidate) => (candidate.id === field.id ? { ...renewed, required: false } : candidate));
  const retyped: Schema = { ...schema, fields };
  const rows = {
    op: "project" as const,
    input: scan(context.store, state.files, schema.fields),
    columns: fields.map((item) => ({
      name: item.name,
      expr: item.id === renewed.id ? cast(column(item.name), item.type) : column(item.name),
    })),
  };
  const files =
    field.doc === tentativeDoc && holdsNoValue(state.files, field.id) ? state.files : await writeDataFiles(context, rows, retyped);
  return { schema: retyped, files };
}
