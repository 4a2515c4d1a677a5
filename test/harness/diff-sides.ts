import type { DiffSide } from "../../src/diffs/diff.ts";
import type { Engine, Scratch } from "../../src/engine/engine.ts";
import type { Cell } from "../../src/engine/plan.ts";
import type { Field, FieldType } from "../../src/lake/schema.ts";

export type ColumnSpec = readonly [name: string, type: FieldType, id?: number];

export function fieldsOf(columns: readonly ColumnSpec[]): Field[] {
  return columns.map(([name, type, id], index) => ({ id: id ?? index + 1, name, type, required: false }));
}

/** Rows as one side of a diff, staged by a real engine. */
export async function stagedSide(
  engine: Engine,
  scratch: Scratch,
  label: string,
  columns: readonly ColumnSpec[],
  rows: readonly (readonly Cell[])[],
  key: readonly string[] = [],
): Promise<DiffSide> {
  const fields = fieldsOf(columns);
  const staged = await engine.stage({ op: "values", columns: fields.map(({ name, type }) => ({ name, type })), rows }, scratch);
  const ids = key.map((name) => fields.find((field) => field.name === name)?.id ?? -1);
  return { label, schema: { type: "struct", "schema-id": 0, fields, ...(ids.length === 0 ? {} : { "identifier-field-ids": ids }) }, content: { staged } };
}
