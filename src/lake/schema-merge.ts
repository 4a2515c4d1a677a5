import { canonicalJson, hashOf } from "../lib/json.ts";
import type { Field, Schema } from "./schema.ts";

export interface SchemaConflict {
  column: string;
  reason: string;
}

export type MergedSchema = { kind: "schema"; schema: Schema } | { kind: "conflicts"; conflicts: SchemaConflict[] };

const text = (value: unknown): string => canonicalJson(value);

/** Three-way merge of schemas by field id. `ours` is the change, `theirs` the line that it is carried onto. */
export function mergeSchemas(base: Schema, ours: Schema, theirs: Schema): MergedSchema {
  if (text(fieldsOf(ours)) === text(fieldsOf(theirs)) || text(fieldsOf(ours)) === text(fieldsOf(base)))
    return { kind: "schema", schema: theirs };
  if (text(fieldsOf(theirs)) === text(fieldsOf(base))) return { kind: "schema", schema: ours };
  const conflicts: SchemaConflict[] = [];
  const known = byId(base);
  const mine = byId(ours);
  const fields: Field[] = [];
  for (const field of theirs.fields) {
    const [old, own] = [known.get(field.id), mine.get(field.id)];
    if (old === undefined) fields.push(field);
    else if (own === undefined) keepDropped(old, field, conflicts);
    else fields.push(mergeField(old, own, field, conflicts));
  }
  const present = new Set(theirs.fields.map((field) => field.id));
  for (const field of ours.fields.filter((candidate) => !present.has(candidate.id))) {
    const old = known.get(field.id);
    if (old === undefined) fields.push(field);
    else if (text(old) !== text(field)) conflicts.push({ column: field.name, reason: "changed by the change, dropped on the other side" });
  }
  conflicts.push(...clashingNames(fields));
  if (
    text(base["identifier-field-ids"] ?? []) !== text(ours["identifier-field-ids"] ?? []) &&
    text(ours["identifier-field-ids"] ?? []) !== text(theirs["identifier-field-ids"] ?? [])
  ) {
    conflicts.push({ column: "*", reason: "the key changed on one side" });
  }
  if (conflicts.length > 0) return { kind: "conflicts", conflicts };
  const key = theirs["identifier-field-ids"];
  const merged = orderOf(base, ours, theirs, fields);
  const schema: Schema = { type: "struct", "schema-id": mergedId(merged, key), fields: merged };
  return { kind: "schema", schema: key === undefined ? schema : { ...schema, "identifier-field-ids": key } };
}

/**
 * The id of a merged schema, from its content: the same merge on another line has the same id, another one has another. It lies above all
 * that a dataset's counter hands out, and leaves room above it for ids that other writers count on from there.
 */
function mergedId(fields: readonly Field[], key: readonly number[] | undefined): number {
  return 2 ** 30 + (Number.parseInt(hashOf([fields, key ?? []]).slice(0, 12), 16) % (2 ** 30 - 2 ** 20));
}

function fieldsOf(schema: Schema): unknown {
  return [schema.fields, schema["identifier-field-ids"] ?? []];
}

function byId(schema: Schema): Map<number, Field> {
  return new Map(schema.fields.map((field) => [field.id, field]));
}

function keepDropped(old: Field, theirs: Field, conflicts: SchemaConflict[]): void {
  if (text(old) !== text(theirs)) conflicts.push({ column: theirs.name, reason: "dropped by the change, changed on the other side" });
}

/** Each attribute of a column is merged by itself: a rename on one side and a widening on the other go together. */
function mergeField(base: Field, ours: Field, theirs: Field, conflicts: SchemaConflict[]): Field {
  const pick = <K extends "name" | "type" | "required" | "doc">(part: K): Field[K] => {
    const [old, own, other] = [text(base[part] ?? null), text(ours[part] ?? null), text(theirs[part] ?? null)];
    if (own === other || own === old) return theirs[part];
    if (other !== old) conflicts.push({ column: base.name, reason: `${part} changed differently on both sides` });
    return ours[part];
  };
  const doc = pick("doc");
  const field: Field = { id: base.id, name: pick("name"), required: pick("required"), type: pick("type") };
  return doc === undefined ? field : { ...field, doc };
}

function clashingNames(fields: readonly Field[]): SchemaConflict[] {
  const seen = new Map<string, number>();
  const conflicts: SchemaConflict[] = [];
  for (const field of fields) {
    const name = field.name.toLowerCase();
    if (seen.has(name)) conflicts.push({ column: field.name, reason: "a column of this name was added on both sides" });
    seen.set(name, field.id);
  }
  return conflicts;
}

function orderOf(base: Schema, ours: Schema, theirs: Schema, fields: readonly Field[]): Field[] {
  const ids = (schema: Schema) => schema.fields.map((field) => field.id);
  const common = (schema: Schema) => ids(schema).filter((id) => ids(base).includes(id));
  const reordered = text(common(ours)) !== text(common(base).filter((id) => ids(ours).includes(id)));
  if (!reordered) return [...fields];
  const place = new Map(ids(ours).map((id, index) => [id, index]));
  return [...fields].sort((a, b) => (place.get(a.id) ?? Number.MAX_SAFE_INTEGER) - (place.get(b.id) ?? Number.MAX_SAFE_INTEGER));
}
