import { AppError } from "../../lib/errors.ts";
import { parseJson, toJson, type Json } from "../../lib/json.ts";
import type { FieldType, Schema } from "../schema.ts";

/** A snapshot as metadata.json lists it. */
export interface Snapshot {
  "snapshot-id": bigint;
  "parent-snapshot-id"?: bigint;
  "sequence-number": bigint;
  "timestamp-ms": bigint;
  "manifest-list": string;
  "schema-id"?: number;
  summary: Record<string, string>;
}

export interface PartitionSpec {
  "spec-id": number;
  fields: Json[];
}

/**
 * Table metadata of format v2 with its 63-bit numbers whole. Keys that Tidegate does not know are kept as they are.
 * https://iceberg.apache.org/spec/#table-metadata
 */
export interface Metadata {
  "format-version": 2;
  "table-uuid": string;
  location: string;
  "last-sequence-number": bigint;
  "last-updated-ms": bigint;
  "last-column-id": number;
  "current-schema-id": number;
  schemas: Schema[];
  "default-spec-id": number;
  "partition-specs": PartitionSpec[];
  "last-partition-id": number;
  "default-sort-order-id": number;
  "sort-orders": Json[];
  properties: Record<string, string>;
  "current-snapshot-id"?: bigint;
  snapshots: Snapshot[];
  refs: Record<string, { "snapshot-id": bigint; type: string }>;
  "snapshot-log": { "timestamp-ms": bigint; "snapshot-id": bigint }[];
  "metadata-log": { "timestamp-ms": bigint; "metadata-file": string }[];
  /** Statistics files of other engines; they go with their snapshot. */
  statistics?: readonly { "snapshot-id": number | bigint }[];
  "partition-statistics"?: readonly { "snapshot-id": number | bigint }[];
}

const big = (value: unknown): bigint => BigInt(value as number | bigint);

/** Parses metadata.json; `store.corrupt` for what is none, `type.unsupported` for another format version. */
export function parseMetadata(text: string, key: string): Metadata {
  let raw: Record<string, Json>;
  try {
    raw = parseJson(text) as Record<string, Json>;
  } catch (error) {
    throw new AppError("store.corrupt", `${key} is not a readable metadata file.`, {
      found: (error as Error).message,
      hint: "tidegate doctor",
      cause: error,
    });
  }
  if (raw["format-version"] !== 2) {
    throw new AppError("type.unsupported", `${key} is not an Iceberg table of format v2.`, {
      expected: "format-version 2",
      found: `format-version ${String(raw["format-version"])}`,
      hint: "write the table with format-version 2",
    });
  }
  const list = <T>(name: string): T[] => (raw[name] ?? []) as unknown as T[];
  const current = raw["current-snapshot-id"];
  const { "current-snapshot-id": _current, ...rest } = raw;
  const metadata: Metadata = {
    ...(rest as unknown as Metadata),
    "last-sequence-number": big(raw["last-sequence-number"] ?? 0),
    "last-updated-ms": big(raw["last-updated-ms"] ?? 0),
    properties: (raw["properties"] ?? {}) as unknown as Record<string, string>,
    refs: Object.fromEntries(
      Object.entries((raw["refs"] ?? {}) as Record<string, { "snapshot-id": Json; type: string }>).map(([name, ref]) => [
        name,
        { ...ref, "snapshot-id": big(ref["snapshot-id"]) },
      ]),
    ),
    snapshots: list<Snapshot>("snapshots").map((snapshot) => ({
      ...snapshot,
      "snapshot-id": big(snapshot["snapshot-id"]),
      ...(snapshot["parent-snapshot-id"] == null ? {} : { "parent-snapshot-id": big(snapshot["parent-snapshot-id"]) }),
      "sequence-number": big(snapshot["sequence-number"]),
      "timestamp-ms": big(snapshot["timestamp-ms"]),
    })),
    "snapshot-log": list<Metadata["snapshot-log"][number]>("snapshot-log").map((line) => ({
      "timestamp-ms": big(line["timestamp-ms"]),
      "snapshot-id": big(line["snapshot-id"]),
    })),
    "metadata-log": list<Metadata["metadata-log"][number]>("metadata-log").map((line) => ({
      ...line,
      "timestamp-ms": big(line["timestamp-ms"]),
    })),
  };
  return current == null || big(current) === -1n ? metadata : { ...metadata, "current-snapshot-id": big(current) };
}

export function metadataText(metadata: Metadata): string {
  return toJson(metadata);
}

/** The current schema; `store.corrupt` when the metadata does not have the one that it names. */
export function currentSchema(metadata: Metadata): Schema {
  const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
  if (schema === undefined)
    throw new AppError("store.corrupt", `Table ${metadata["table-uuid"]} lacks its current schema.`, {
      expected: `a schema ${metadata["current-schema-id"]}`,
      found: `schemas ${metadata.schemas.map((candidate) => candidate["schema-id"]).join(", ")}`,
      hint: "tidegate doctor",
    });
  return schema;
}

interface MappedField {
  "field-id"?: number;
  names: string[];
  fields?: MappedField[];
}

/**
 * Names for readers of Parquet files that carry no field ids (`schema.name-mapping.default`). Names that a column had before, as the known
 * mapping has them, stay: files under those names are still there.
 */
export function nameMapping(schema: Schema, known?: string): string {
  const before = new Map<number, string[]>();
  const remember = (fields: readonly MappedField[]): void => {
    for (const field of fields) {
      if (field["field-id"] !== undefined) before.set(field["field-id"], field.names);
      remember(field.fields ?? []);
    }
  };
  try {
    remember(known === undefined ? [] : (JSON.parse(known) as MappedField[]));
  } catch {
    before.clear();
  }
  const taken = new Set<string>();
  const mapped = (id: number, name: string, type: FieldType): MappedField => {
    const names = [name, ...(before.get(id) ?? []).filter((old) => old !== name && !taken.has(old))];
    const fields = partsOf(type);
    return { "field-id": id, names, ...(fields.length === 0 ? {} : { fields }) };
  };
  const partsOf = (type: FieldType): MappedField[] => {
    if (typeof type === "string") return [];
    if (type.type === "list") return [mapped(type["element-id"], "element", type.element)];
    if (type.type === "map") return [mapped(type["key-id"], "key", type.key), mapped(type["value-id"], "value", type.value)];
    return type.fields.map((field) => mapped(field.id, field.name, field.type));
  };
  // A name that another column has now belongs to that one.
  for (const field of schema.fields) taken.add(field.name);
  return JSON.stringify(schema.fields.map((field) => mapped(field.id, field.name, field.type)));
}
