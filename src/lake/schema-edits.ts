import { AppError } from "../lib/errors.ts";
import type { Field, FieldType, PrimitiveType, Schema } from "./schema.ts";
import { isWidening } from "./types.ts";

/** How many field ids a type takes: one for the column, and one for each part of a nested type. */
export function idsNeeded(type: FieldType): number {
  if (typeof type === "string") return 1;
  if (type.type === "list") return 1 + idsNeeded(type.element);
  if (type.type === "map") return 1 + idsNeeded(type.key) + idsNeeded(type.value);
  return 1 + type.fields.reduce((sum, field) => sum + idsNeeded(field.type), 0);
}

function renumber(type: FieldType, next: () => number): FieldType {
  if (typeof type === "string") return type;
  if (type.type === "list") return { ...type, "element-id": next(), element: renumber(type.element, next), "element-required": false };
  if (type.type === "map") {
    return {
      ...type,
      "key-id": next(),
      key: renumber(type.key, next),
      "value-id": next(),
      value: renumber(type.value, next),
      "value-required": false,
    };
  }
  return { ...type, fields: type.fields.map((field) => ({ ...field, id: next(), required: false, type: renumber(field.type, next) })) };
}

/** Columns as optional fields with new ids. Names must be printable, at most 128 characters, and unique without regard to case. */
export function assignIds(columns: readonly { name: string; type: FieldType }[], next: () => number): Field[] {
  const seen = new Set<string>();
  return columns.map(({ name, type }) => {
    checkName(name);
    if (seen.has(name.toLowerCase())) throw exists(name);
    seen.add(name.toLowerCase());
    return { id: next(), name, required: false, type: renumber(type, next) };
  });
}

export function checkName(name: string): void {
  if (name.length > 0 && name.length <= 128 && !/\p{C}/u.test(name)) return;
  throw new AppError("column.name", `«${name.slice(0, 140)}» cannot be the name of a column.`, {
    expected: "1 to 128 printable characters",
    found: `${name.length} characters`,
    hint: "rename the column in the input",
  });
}

function exists(name: string): AppError {
  return new AppError("column.exists", `There is a column ${name} already (case makes no difference).`, {
    expected: "a new name",
    found: name,
    hint: `choose another name, or free this one: --rename ${name}=<name>`,
  });
}

function find(schema: Schema, name: string): Field {
  const field = schema.fields.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
  if (field !== undefined) return field;
  throw new AppError("column.not_found", `There is no column ${name}.`, {
    expected: schema.fields.map((candidate) => candidate.name).join(", "),
    found: name,
    hint: "tidegate dataset show <dataset>",
  });
}

function isKey(schema: Schema, field: Field): boolean {
  return (schema["identifier-field-ids"] ?? []).includes(field.id);
}

function refuseKey(schema: Schema, field: Field, what: string): void {
  if (!isKey(schema, field)) return;
  throw new AppError("column.is_key", `${field.name} is part of the key and cannot be ${what}.`, {
    expected: "a column that is not in the key",
    found: field.name,
    hint: "import the data as a new dataset with another key",
  });
}

function replace(schema: Schema, id: number, edit: (field: Field) => Field): Schema {
  return { ...schema, fields: schema.fields.map((field) => (field.id === id ? edit(field) : field)) };
}

export function addColumn(schema: Schema, added: { name: string; type: FieldType; doc?: string }, next: () => number): Schema {
  if (schema.fields.some((field) => field.name.toLowerCase() === added.name.toLowerCase())) throw exists(added.name);
  const [field] = assignIds([added], next) as [Field];
  return { ...schema, fields: [...schema.fields, added.doc === undefined ? field : { ...field, doc: added.doc }] };
}

export function dropColumn(schema: Schema, name: string): Schema {
  const field = find(schema, name);
  refuseKey(schema, field, "dropped");
  if (schema.fields.length === 1)
    throw new AppError("column.is_key", `${name} is the only column.`, { expected: "a column that remains", found: name });
  return { ...schema, fields: schema.fields.filter((candidate) => candidate.id !== field.id) };
}

export function renameColumn(schema: Schema, name: string, to: string): Schema {
  const field = find(schema, name);
  checkName(to);
  if (schema.fields.some((other) => other.id !== field.id && other.name.toLowerCase() === to.toLowerCase())) throw exists(to);
  return replace(schema, field.id, (old) => ({ ...old, name: to }));
}

export function makeNullable(schema: Schema, name: string): Schema {
  const field = find(schema, name);
  refuseKey(schema, field, "nullable");
  return replace(schema, field.id, (old) => ({ ...old, required: false }));
}

/** Puts the named columns first, in this order; the others follow as they stood. */
export function reorderColumns(schema: Schema, names: readonly string[]): Schema {
  const first = names.map((name) => find(schema, name));
  const ids = new Set(first.map((field) => field.id));
  return { ...schema, fields: [...first, ...schema.fields.filter((field) => !ids.has(field.id))] };
}

export function widenColumn(schema: Schema, name: string, type: PrimitiveType): Schema {
  const field = find(schema, name);
  if (!isWidening(field.type, type)) {
    throw new AppError("type.cannot_widen", `${field.name} cannot be widened from ${JSON.stringify(field.type)} to ${type}.`, {
      expected: "int to long, float to double, or a decimal with more digits at the same scale",
      found: type,
      hint: `tidegate propose <dataset> --retype ${field.name}=${type}`,
    });
  }
  return replace(schema, field.id, (old) => ({ ...old, type }));
}
