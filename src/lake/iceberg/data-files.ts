import type { DataFile, WrittenColumn, WrittenFile } from "../data-file.ts";
import type { Field, FieldType, PrimitiveType, Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import { boundBytes, cutLower, cutUpper } from "./bounds.ts";

/** Calls `visit` for a field and all parts of it, with the leaf's type. */
export function walkFields(
  fields: readonly Field[],
  visit: (id: number, type: FieldType, topLevel: boolean) => void,
  topLevel = true,
): void {
  for (const field of fields) walkType(field.id, field.type, visit, topLevel);
}

function walkType(id: number, type: FieldType, visit: (id: number, type: FieldType, topLevel: boolean) => void, topLevel: boolean): void {
  visit(id, type, topLevel);
  if (typeof type === "string") return;
  if (type.type === "struct") walkFields(type.fields, visit, false);
  if (type.type === "list") walkType(type["element-id"], type.element, visit, false);
  if (type.type === "map") {
    walkType(type["key-id"], type.key, visit, false);
    walkType(type["value-id"], type.value, visit, false);
  }
}

/** Leaf types by field id, for columns that may have bounds (lists and maps may not). */
function boundedTypes(schema: Schema): Map<number, PrimitiveType> {
  const found = new Map<number, PrimitiveType>();
  const collect = (fields: readonly Field[]): void => {
    for (const { id, type } of fields) {
      if (typeof type === "string") found.set(id, type);
      else if (type.type === "struct") collect(type.fields);
    }
  };
  collect(schema.fields);
  return found;
}

function bounds(column: WrittenColumn, type: PrimitiveType, isKey: boolean): { lower?: Uint8Array; upper?: Uint8Array } {
  if (column.min === undefined || column.max === undefined) return {};
  const cut = type === "string" && !isKey;
  const upperText = cut ? cutUpper(column.max) : column.max;
  const lower = boundBytes(type, cut ? cutLower(column.min) : column.min);
  const upper = upperText === undefined ? undefined : boundBytes(type, upperText);
  return { ...(lower === undefined ? {} : { lower }), ...(upper === undefined ? {} : { upper }) };
}

/**
 * What a manifest says of a file that the engine has just written. Bounds of key columns are whole, because files are found by them;
 * others are cut to 16 code points.
 */
export function dataFileOf(store: ObjectStore, written: WrittenFile, schema: Schema): DataFile {
  const types = boundedTypes(schema);
  const key = new Set(schema["identifier-field-ids"] ?? []);
  const file: DataFile = {
    content: "data",
    key: store.key(written.path),
    rows: written.rows,
    bytes: written.bytes,
    columnSizes: new Map(),
    valueCounts: new Map(),
    nullCounts: new Map(),
    nanCounts: new Map(),
    lower: new Map(),
    upper: new Map(),
    splitOffsets: written.splitOffsets,
    specId: 0,
    partition: {},
    sortOrderId: 0,
    sequence: 0n,
  };
  for (const column of written.columns) {
    const { fieldId } = column;
    file.columnSizes.set(fieldId, column.bytes);
    file.valueCounts.set(fieldId, column.values);
    file.nullCounts.set(fieldId, column.nulls);
    const type = types.get(fieldId);
    if (column.nans !== undefined && (type === "float" || type === "double")) file.nanCounts.set(fieldId, column.nans);
    const { lower, upper } = type === undefined ? {} : bounds(column, type, key.has(fieldId));
    if (lower !== undefined) file.lower.set(fieldId, lower);
    if (upper !== undefined) file.upper.set(fieldId, upper);
  }
  return file;
}
