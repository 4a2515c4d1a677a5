import { takeNumbers } from "../catalog/dataset-store.ts";
import type { TableState } from "../effects/table-state.ts";
import { holdsNoValue, tentativeFields } from "../effects/tentative.ts";
import type { Column } from "../engine/plan.ts";
import type { ApplyContext } from "./apply-context.ts";
import { applySchemaEdits } from "./apply-schema.ts";
import type { SchemaEdit } from "./operation.ts";
import type { Workpiece } from "./workpiece.ts";
import { sameType, typeName } from "../lake/types.ts";

/** Gives columns that have held only nulls the type of their first values: a new field id, and no file is written for it. */
export async function takeFirstTypes(
  context: ApplyContext,
  piece: Workpiece,
  brought: { columns: readonly Column[]; tentative: readonly string[] },
): Promise<string[]> {
  const state = piece.state as TableState;
  const edits = tentativeFields(state.schema).flatMap((field): Extract<SchemaEdit, { edit: "retype" }>[] => {
    const found = brought.columns.find((item) => item.name.toLowerCase() === field.name.toLowerCase());
    if (found === undefined || brought.tentative.includes(found.name) || sameType(found.type, field.type)) return [];
    return holdsNoValue(state.files, field.id) ? [{ edit: "retype", name: field.name, type: found.type }] : [];
  });
  if (edits.length === 0) return [];
  piece.state = await applySchemaEdits(context, piece, edits);
  return edits.map(({ name, type }) => `${name}: its first values made it ${typeName(type)}`);
}

/** A column that has values now is what it is: from here on a retype converts them. */
export async function endTentative(context: ApplyContext, piece: Workpiece): Promise<void> {
  const { state } = piece;
  if (state === undefined) return;
  const settled = new Set(tentativeFields(state.schema).flatMap((field) => (holdsNoValue(state.files, field.id) ? [] : field.id)));
  if (settled.size === 0) return;
  const schemaId = piece.created ? state.schema["schema-id"] + 1 : await takeNumbers(context.db, piece.dataset.id, "next_schema_id", 1);
  const fields = state.schema.fields.map((field) => {
    const { doc: _doc, ...rest } = field;
    return settled.has(field.id) ? rest : field;
  });
  piece.state = { ...state, schema: { ...state.schema, "schema-id": schemaId, fields } };
}
