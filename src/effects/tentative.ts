import type { LiveFile } from "../lake/data-file.ts";
import type { Field, Schema } from "../lake/schema.ts";

/** Marks a column that has held only nulls: its first real type is a free retype. */
export const tentativeDoc = "tentative: no value yet";

/** Columns that have held only nulls, but for keys, whose type is settled from the start. */
export function tentativeFields(schema: Schema): Field[] {
  const key = new Set(schema["identifier-field-ids"]);
  return schema.fields.filter((field) => field.doc === tentativeDoc && !key.has(field.id));
}

/** Whether the files' own counts prove that a column has no value. A file that counts nothing proves nothing. */
export function holdsNoValue(files: readonly LiveFile[], fieldId: number): boolean {
  return files.every(({ file }) => {
    if (file.rows === 0) return true;
    const values = file.valueCounts.get(fieldId);
    if (values === undefined) return file.valueCounts.size > 0;
    return file.nullCounts.get(fieldId) === values;
  });
}
