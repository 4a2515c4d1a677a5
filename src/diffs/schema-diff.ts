import type { Field, FieldType, Schema } from "../lake/schema.ts";
import { isWidening, sameType, typeText } from "../lake/types.ts";
import { comparisonOf, type Comparison } from "./common-type.ts";

/** What can happen to a column or to the key between two schemas. */
export type SchemaItemKind =
  | "added"
  | "dropped"
  | "renamed"
  | "widened"
  | "retyped"
  | "nullability"
  | "reordered"
  | "key_changed"
  | "name_reused";

/** One difference of two schemas. */
export interface SchemaItem {
  kind: SchemaItemKind;
  /** `breaking`: a reader that names its columns and expects their types can notice it. */
  effect: "additive" | "breaking";
  /** Column by its later name; absent for the key and for the order. */
  column?: string;
  fieldId?: number;
  before?: string;
  after?: string;
  /** The item as a sentence. */
  text: string;
  /** Something that is legal and still likely to be a mistake. */
  warning?: true;
}

/** Two columns whose cells are compared. */
export interface ColumnPair {
  before: Field;
  after: Field;
  comparison: Comparison;
}

export interface SchemaDiff {
  items: SchemaItem[];
  pairs: ColumnPair[];
  /** A file that both versions share holds other values in the second schema, so it cannot be left out. */
  altersValues: boolean;
}

/** Columns that held only nulls; their first real type is a free retype. */
export interface Tentative {
  before: ReadonlySet<number>;
  after: ReadonlySet<number>;
}

const noneTentative: Tentative = { before: new Set(), after: new Set() };

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Compares two schemas by field id. A column that got a new id under its old name counts as retyped when its type differs too. */
export function diffSchemas(before: Schema, after: Schema, tentative: Tentative = noneTentative): SchemaDiff {
  const later = new Map(after.fields.map((field) => [field.id, field]));
  const earlier = new Map(before.fields.map((field) => [field.id, field]));
  const gone = before.fields.filter((field) => !later.has(field.id));
  const fresh = after.fields.filter((field) => !earlier.has(field.id));
  const items: SchemaItem[] = [];
  const pairs: ColumnPair[] = [];
  let altersValues = false;
  for (const field of after.fields) {
    const old = earlier.get(field.id);
    if (old !== undefined) {
      pairs.push({ before: old, after: field, comparison: comparisonOf(old.type, field.type) });
      items.push(...fieldItems(old, field, tentative));
      continue;
    }
    const namesake = gone.find((candidate) => sameName(candidate.name, field.name));
    if (namesake === undefined) items.push(addedItem(field, before));
    else if (sameType(namesake.type, field.type)) items.push(reusedItem(field));
    else {
      const isFree = tentative.before.has(namesake.id);
      altersValues ||= !isFree;
      pairs.push({ before: namesake, after: field, comparison: comparisonOf(namesake.type, field.type) });
      items.push(typeItem(namesake.type, field, isFree));
    }
  }
  for (const field of gone) {
    const namesake = fresh.find((candidate) => sameName(candidate.name, field.name));
    if (namesake === undefined) items.push(droppedItem(field, after));
  }
  items.push(...orderItem(before, pairs), ...keyItem(before, after));
  return { items, pairs, altersValues };
}

function addedItem(field: Field, before: Schema): SchemaItem {
  const type = typeText(field.type);
  const taken = before.fields.find((old) => sameName(old.name, field.name));
  const item: SchemaItem = {
    kind: "added",
    effect: "additive",
    column: field.name,
    fieldId: field.id,
    after: type,
    text: `${field.name} ${type} is new`,
  };
  return taken === undefined ? item : { ...item, warning: true, text: `${item.text}; the name belonged to another column` };
}

function reusedItem(field: Field): SchemaItem {
  const type = typeText(field.type);
  return {
    kind: "name_reused",
    effect: "breaking",
    column: field.name,
    fieldId: field.id,
    before: type,
    after: type,
    text: `${field.name} is another column under the same name; the old one is dropped`,
    warning: true,
  };
}

function droppedItem(field: Field, after: Schema): SchemaItem {
  const type = typeText(field.type);
  const taken = after.fields.find((now) => now.id !== field.id && sameName(now.name, field.name));
  const item: SchemaItem = {
    kind: "dropped",
    effect: "breaking",
    column: field.name,
    fieldId: field.id,
    before: type,
    text: `${field.name} ${type} is dropped`,
  };
  return taken === undefined
    ? item
    : { ...item, kind: "name_reused", warning: true, text: `${item.text}; another column has its name now` };
}

function fieldItems(old: Field, field: Field, tentative: Tentative): SchemaItem[] {
  const items: SchemaItem[] = [];
  const common = { column: field.name, fieldId: field.id };
  if (old.name !== field.name) {
    items.push({
      kind: "renamed",
      effect: "breaking",
      ...common,
      before: old.name,
      after: field.name,
      text: `${old.name} is called ${field.name}`,
    });
  }
  if (!sameType(old.type, field.type)) items.push(typeItem(old.type, field, tentative.before.has(old.id) || tentative.after.has(field.id)));
  if (old.required !== field.required) {
    const [was, now] = [old, field].map((item) => (item.required ? "not null" : "nullable")) as [string, string];
    items.push({
      kind: "nullability",
      effect: "additive",
      ...common,
      before: was,
      after: now,
      text: `${field.name} was ${was}, is ${now}`,
    });
  }
  return items;
}

function typeItem(from: FieldType, field: Field, isFree: boolean): SchemaItem {
  const [before, after] = [typeText(from), typeText(field.type)];
  const common = { column: field.name, fieldId: field.id, before, after };
  if (isWidening(from, field.type))
    return { kind: "widened", effect: "additive", ...common, text: `${field.name} is widened from ${before} to ${after}` };
  if (isFree)
    return {
      kind: "retyped",
      effect: "additive",
      ...common,
      text: `${field.name} held only nulls on one side; the other has ${before === "string" ? after : before}`,
    };
  return { kind: "retyped", effect: "breaking", ...common, text: `${field.name} is retyped from ${before} to ${after}` };
}

function orderItem(before: Schema, pairs: readonly ColumnPair[]): SchemaItem[] {
  const positions = pairs.map((pair) => before.fields.indexOf(pair.before));
  const isSorted = positions.every((position, index) => index === 0 || position > (positions[index - 1] ?? -1));
  if (isSorted) return [];
  const names = (fields: readonly Field[]) => fields.map((field) => field.name).join(", ");
  const inOrder = pairs.map((pair) => pair.before).sort((a, b) => before.fields.indexOf(a) - before.fields.indexOf(b));
  return [
    {
      kind: "reordered",
      effect: "additive",
      before: names(inOrder),
      after: names(pairs.map((pair) => pair.after)),
      text: "the columns stand in another order",
    },
  ];
}

function keyItem(before: Schema, after: Schema): SchemaItem[] {
  const [old, now] = [before["identifier-field-ids"] ?? [], after["identifier-field-ids"] ?? []];
  if (old.length === now.length && old.every((id, index) => id === now[index])) return [];
  const [was, is] = [keyText(before), keyText(after)];
  return [{ kind: "key_changed", effect: "breaking", before: was, after: is, text: `the key was ${was}, is ${is}` }];
}

function keyText(schema: Schema): string {
  const ids = schema["identifier-field-ids"] ?? [];
  return ids.length === 0 ? "none" : ids.map((id) => schema.fields.find((field) => field.id === id)?.name ?? String(id)).join(", ");
}
