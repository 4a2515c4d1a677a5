import type { Column } from "../engine/plan.ts";
import { assignIds, idsNeeded } from "../lake/schema-edits.ts";
import { keyNames, type Field, type Schema } from "../lake/schema.ts";
import { isWidening, sameType, typeName } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";

/** How the schema of a derived dataset follows its SELECT, before new columns have their ids. */
export interface Followed {
  /** Fields in the order of the SELECT; columns that need an id of their own stand as they came. */
  columns: (Field | Column)[];
  idsNeeded: number;
}

/**
 * Fields for the columns of a SELECT. A column keeps its field by name: of the dataset as it stands first, else of the other schemas, so that
 * a column which was added on a branch keeps its id everywhere. A type that is no widening makes a new column of the same name.
 */
export function followColumns(present: Schema | undefined, others: readonly Schema[], columns: readonly Column[]): Followed {
  const taken = new Set((present?.fields ?? []).map((field) => field.id));
  const followed = columns.map((column) => {
    const own = fieldFor(present?.fields ?? [], column);
    if (own !== undefined) return own;
    const elsewhere = others.flatMap((schema) => schema.fields).filter((field) => !taken.has(field.id));
    return fieldFor(elsewhere, column) ?? column;
  });
  const needed = followed.reduce((sum, item) => sum + ("id" in item ? 0 : idsNeeded(item.type)), 0);
  return { columns: followed, idsNeeded: needed };
}

function fieldFor(fields: readonly Field[], column: Column): Field | undefined {
  const field = fields.find((candidate) => candidate.name.toLowerCase() === column.name.toLowerCase());
  if (field === undefined) return undefined;
  if (sameType(field.type, column.type)) return { ...field, name: column.name };
  if (isWidening(field.type, column.type)) return { ...field, name: column.name, type: column.type };
  return undefined;
}

/** The fields with their ids and the key: its columns are required, and of a type that can be a key. */
export function fieldsWithKey(
  followed: Followed,
  key: readonly string[],
  next: () => number,
  dataset: string,
): { fields: Field[]; keyIds: number[] } {
  const named = followed.columns.map((item) => ("id" in item ? item : (assignIds([item], next)[0] as Field)));
  refuseTwins(named, dataset);
  const keyIds = key.map((name) => {
    const field = named.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    if (field === undefined) {
      throw new AppError("key.missing", `The key column ${name} is not in the SELECT of ${dataset}.`, {
        expected: name,
        found: named.map((item) => item.name).join(", "),
        hint: `tidegate propose ${dataset} --derive "SELECT …" --key ${named[0]?.name ?? "<column>"}`,
      });
    }
    if (typeof field.type !== "string" || field.type === "float" || field.type === "double") {
      throw new AppError("key.type", `${field.name} cannot be a key of ${dataset}.`, {
        expected: "integers, decimals, text, dates, times, booleans or UUIDs",
        found: typeName(field.type),
        hint: "name another column with --key",
      });
    }
    return field.id;
  });
  return { fields: named.map((field) => ({ ...field, required: keyIds.includes(field.id) })), keyIds };
}

function refuseTwins(fields: readonly Field[], dataset: string): void {
  const seen = new Set<string>();
  for (const { name } of fields) {
    if (seen.has(name.toLowerCase())) {
      throw new AppError("column.exists", `The SELECT of ${dataset} gives two columns the name ${name} (case makes no difference).`, {
        expected: "each name once",
        found: fields.map((field) => field.name).join(", "),
        hint: "name it with AS",
      });
    }
    seen.add(name.toLowerCase());
  }
}

/** Whether two schemas say the same, whatever their number. */
export function sayTheSame(schema: Schema, fields: readonly Field[], keyIds: readonly number[]): boolean {
  const key = schema["identifier-field-ids"] ?? [];
  const same = key.length === keyIds.length && key.every((id, index) => id === keyIds[index]);
  return same && JSON.stringify(schema.fields.map(essence)) === JSON.stringify(fields.map(essence));
}

const essence = ({ id, name, required, type }: Field): unknown => [id, name, required, type];

export function keyOf(schema: Schema | undefined): string[] {
  return schema === undefined ? [] : keyNames(schema);
}
