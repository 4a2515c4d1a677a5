import { AppError } from "../../lib/errors.ts";
import { parseJson, toJson } from "../../lib/json.ts";
import type { DataFile } from "../data-file.ts";
import type { Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import { readContainer, writeContainer } from "./avro.ts";

/*
 * Manifests and manifest lists of Iceberg v2. Field ids and record names are the spec's; readers look fields up by id.
 * https://iceberg.apache.org/spec/#manifests
 */

const field = (id: number, name: string, type: unknown, extra: object = {}) => ({ name, type, "field-id": id, ...extra });
const optional = (id: number, name: string, type: unknown) => field(id, name, ["null", type], { default: null });

/** A map with int keys, which Avro writes as an array of pairs. */
const intMap = (id: number, name: string, keyId: number, valueId: number, valueType: string) =>
  optional(id, name, {
    type: "array",
    logicalType: "map",
    items: { type: "record", name: `k${keyId}_v${valueId}`, fields: [field(keyId, "key", "int"), field(valueId, "value", valueType)] },
  });

function entrySchema(partition: readonly unknown[]) {
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      field(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      field(2, "data_file", {
        type: "record",
        name: "r2",
        fields: [
          field(134, "content", "int"),
          field(100, "file_path", "string"),
          field(101, "file_format", "string"),
          field(102, "partition", { type: "record", name: "r102", fields: partition }),
          field(103, "record_count", "long"),
          field(104, "file_size_in_bytes", "long"),
          intMap(108, "column_sizes", 117, 118, "long"),
          intMap(109, "value_counts", 119, 120, "long"),
          intMap(110, "null_value_counts", 121, 122, "long"),
          intMap(137, "nan_value_counts", 138, 139, "long"),
          intMap(125, "lower_bounds", 126, 127, "bytes"),
          intMap(128, "upper_bounds", 129, 130, "bytes"),
          optional(131, "key_metadata", "bytes"),
          optional(132, "split_offsets", { type: "array", items: "long", "element-id": 133 }),
          optional(135, "equality_ids", { type: "array", items: "int", "element-id": 136 }),
          optional(140, "sort_order_id", "int"),
        ],
      }),
    ],
  };
}

const listSchema = {
  type: "record",
  name: "manifest_file",
  fields: [
    field(500, "manifest_path", "string"),
    field(501, "manifest_length", "long"),
    field(502, "partition_spec_id", "int"),
    field(517, "content", "int"),
    field(515, "sequence_number", "long"),
    field(516, "min_sequence_number", "long"),
    field(503, "added_snapshot_id", "long"),
    field(504, "added_files_count", "int"),
    field(505, "existing_files_count", "int"),
    field(506, "deleted_files_count", "int"),
    field(512, "added_rows_count", "long"),
    field(513, "existing_rows_count", "long"),
    field(514, "deleted_rows_count", "long"),
    optional(507, "partitions", {
      type: "array",
      "element-id": 508,
      items: {
        type: "record",
        name: "r508",
        fields: [
          field(509, "contains_null", "boolean"),
          optional(518, "contains_nan", "boolean"),
          optional(510, "lower_bound", "bytes"),
          optional(511, "upper_bound", "bytes"),
        ],
      },
    }),
  ],
};

export type EntryStatus = "existing" | "added" | "deleted";
const statuses: readonly EntryStatus[] = ["existing", "added", "deleted"];

export interface ManifestEntry {
  status: EntryStatus;
  snapshotId: bigint;
  /** Data sequence number of the file. */
  sequence: bigint;
  fileSequence: bigint;
  file: DataFile;
}

/** One line of a manifest list. `raw` keeps what other engines wrote, so that it can be carried over as it stands. */
export interface ManifestFile {
  path: string;
  length: bigint;
  content: "data" | "deletes";
  specId: number;
  sequence: bigint;
  minSequence: bigint;
  snapshotId: bigint;
  addedFiles: number;
  existingFiles: number;
  deletedFiles: number;
  addedRows: bigint;
  existingRows: bigint;
  deletedRows: bigint;
  partitions: unknown;
}

type Pairs = { key: number; value: unknown }[] | null;

const pairs = <T>(map: ReadonlyMap<number, T>, value: (item: T) => unknown): Pairs =>
  map.size === 0 ? null : [...map].sort(([a], [b]) => a - b).map(([key, item]) => ({ key, value: value(item) }));

function toMap<T>(raw: unknown, value: (item: unknown) => T): Map<number, T> {
  return new Map(((raw ?? []) as { key: number; value: unknown }[]).map((pair) => [pair.key, value(pair.value)]));
}

/** How a manifest's files are partitioned, from the schema that wrote it. */
export interface PartitionShape {
  /** The `partition` record's fields as Avro, carried over from manifests of other engines; empty when unpartitioned. */
  avroFields: readonly unknown[];
  specJson: string;
  /** The table schema in which the spec's source columns stand; a later one may lack them. */
  schemaJson?: string | undefined;
}

export const unpartitioned: PartitionShape = { avroFields: [], specJson: "[]" };

export interface ManifestContent {
  content: "data" | "deletes";
  schema: Schema;
  specId: number;
  shape: PartitionShape;
  entries: readonly ManifestEntry[];
}

/** The bytes of a manifest. Sequence numbers of added files are left out: readers take them from the manifest list. */
export function writeManifest(store: ObjectStore, manifest: ManifestContent, sync: Uint8Array): Buffer {
  const records = manifest.entries.map(({ status, snapshotId, sequence, fileSequence, file }) => ({
    status: statuses.indexOf(status),
    snapshot_id: snapshotId,
    sequence_number: status === "added" ? null : sequence,
    file_sequence_number: status === "added" ? null : fileSequence,
    data_file: {
      content: file.content === "data" ? 0 : 1,
      file_path: store.address(file.key),
      file_format: "PARQUET",
      partition: file.partition,
      record_count: BigInt(file.rows),
      file_size_in_bytes: BigInt(file.bytes),
      column_sizes: pairs(file.columnSizes, BigInt),
      value_counts: pairs(file.valueCounts, BigInt),
      null_value_counts: pairs(file.nullCounts, BigInt),
      nan_value_counts: pairs(file.nanCounts, BigInt),
      lower_bounds: pairs(file.lower, (bytes) => Buffer.from(bytes)),
      upper_bounds: pairs(file.upper, (bytes) => Buffer.from(bytes)),
      key_metadata: null,
      split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets.map(BigInt),
      equality_ids: null,
      sort_order_id: file.content === "data" ? (file.sortOrderId ?? null) : null,
    },
  }));
  const schemaJson = manifest.shape.schemaJson ?? toJson(manifest.schema);
  const meta = {
    schema: schemaJson,
    "schema-id": String((parseJson(schemaJson) as unknown as Schema)["schema-id"] ?? 0),
    "partition-spec": manifest.shape.specJson,
    "partition-spec-id": String(manifest.specId),
    "format-version": "2",
    content: manifest.content,
  };
  return writeContainer(entrySchema(manifest.shape.avroFields), meta, records, sync);
}

interface RawEntry {
  status: number;
  snapshot_id: bigint | null;
  sequence_number: bigint | null;
  file_sequence_number: bigint | null;
  data_file: Record<string, unknown>;
}

function refuse(key: string, found: string): AppError {
  return new AppError("type.unsupported", `${key} uses a part of Iceberg that Tidegate does not read.`, {
    expected: "format v2, Parquet, position deletes",
    found,
    hint: "rewrite the table without it, with the engine that wrote it",
  });
}

function dataFileFrom(store: ObjectStore, raw: Record<string, unknown>, specId: number, sequence: bigint): DataFile {
  const path = String(raw["file_path"]);
  const content = Number(raw["content"] ?? 0);
  if (content === 2) throw refuse(path, "equality deletes");
  if (String(raw["file_format"]).toUpperCase() !== "PARQUET") throw refuse(path, String(raw["file_format"]));
  const count = (value: unknown) => Number(value);
  const bytes = (value: unknown) => value as Uint8Array;
  return {
    content: content === 0 ? "data" : "position-deletes",
    key: store.key(path),
    rows: count(raw["record_count"]),
    bytes: count(raw["file_size_in_bytes"]),
    columnSizes: toMap(raw["column_sizes"], count),
    valueCounts: toMap(raw["value_counts"], count),
    nullCounts: toMap(raw["null_value_counts"], count),
    nanCounts: toMap(raw["nan_value_counts"], count),
    lower: toMap(raw["lower_bounds"], bytes),
    upper: toMap(raw["upper_bounds"], bytes),
    splitOffsets: ((raw["split_offsets"] ?? []) as unknown[]).map(count),
    specId,
    partition: { ...(raw["partition"] as Record<string, unknown> | null) },
    sortOrderId: raw["sort_order_id"] == null ? undefined : count(raw["sort_order_id"]),
    sequence,
  };
}

export interface ReadManifest {
  entries: ManifestEntry[];
  shape: PartitionShape;
}

/**
 * Reads a manifest; entries without numbers of their own inherit them from the manifest list's line. Entries of files that left the table
 * are left out, because what they name may be of a kind that is not read, unless `withDeleted` asks for them.
 */
export function readManifest(store: ObjectStore, bytes: Uint8Array, line: ManifestFile, withDeleted = false): ReadManifest {
  const { meta, records } = parse(bytes, line.path);
  const entries = (records as unknown as RawEntry[])
    .filter((raw) => withDeleted || statuses[raw.status] !== "deleted")
    .map((raw): ManifestEntry => {
      const sequence = raw.sequence_number ?? line.sequence;
      return {
        status: statuses[raw.status] ?? "existing",
        snapshotId: raw.snapshot_id ?? line.snapshotId,
        sequence,
        fileSequence: raw.file_sequence_number ?? line.sequence,
        file: dataFileFrom(store, raw.data_file, line.specId, sequence),
      };
    });
  const shape = { avroFields: partitionFields(meta["avro.schema"] ?? "{}"), specJson: meta["partition-spec"] ?? "[]" };
  return { entries, shape: shape.avroFields.length === 0 ? shape : { ...shape, schemaJson: meta["schema"] } };
}

function partitionFields(schemaText: string): readonly unknown[] {
  type Named = { name: string; type: { fields: Named[] } };
  const entry = JSON.parse(schemaText) as { fields: Named[] };
  const dataFile = entry.fields.find((item) => item.name === "data_file");
  return dataFile?.type.fields.find((item) => item.name === "partition")?.type.fields ?? [];
}

function parse(bytes: Uint8Array, path: string) {
  try {
    return readContainer(bytes);
  } catch (error) {
    throw new AppError("store.corrupt", `${path} is not a readable manifest.`, {
      found: (error as Error).message,
      hint: "tidegate doctor",
      cause: error,
    });
  }
}

export function writeManifestList(
  lines: readonly ManifestFile[],
  about: { snapshotId: bigint; parentId: bigint | undefined; sequence: bigint },
  sync: Uint8Array,
): Buffer {
  const records = lines.map((line) => ({
    manifest_path: line.path,
    manifest_length: line.length,
    partition_spec_id: line.specId,
    content: line.content === "data" ? 0 : 1,
    sequence_number: line.sequence,
    min_sequence_number: line.minSequence,
    added_snapshot_id: line.snapshotId,
    added_files_count: line.addedFiles,
    existing_files_count: line.existingFiles,
    deleted_files_count: line.deletedFiles,
    added_rows_count: line.addedRows,
    existing_rows_count: line.existingRows,
    deleted_rows_count: line.deletedRows,
    partitions: line.partitions ?? null,
  }));
  const meta = {
    "snapshot-id": String(about.snapshotId),
    "parent-snapshot-id": String(about.parentId ?? "null"),
    "sequence-number": String(about.sequence),
    "format-version": "2",
  };
  return writeContainer(listSchema, meta, records, sync);
}

export function readManifestList(bytes: Uint8Array, path: string): ManifestFile[] {
  return parse(bytes, path).records.map((raw) => ({
    path: String(raw["manifest_path"]),
    length: BigInt(raw["manifest_length"] as bigint),
    content: Number(raw["content"] ?? 0) === 0 ? "data" : "deletes",
    specId: Number(raw["partition_spec_id"]),
    sequence: BigInt((raw["sequence_number"] as bigint | undefined) ?? 0n),
    minSequence: BigInt((raw["min_sequence_number"] as bigint | undefined) ?? 0n),
    snapshotId: BigInt(raw["added_snapshot_id"] as bigint),
    addedFiles: Number(raw["added_files_count"] ?? raw["added_data_files_count"] ?? 0),
    existingFiles: Number(raw["existing_files_count"] ?? raw["existing_data_files_count"] ?? 0),
    deletedFiles: Number(raw["deleted_files_count"] ?? raw["deleted_data_files_count"] ?? 0),
    addedRows: BigInt((raw["added_rows_count"] as bigint | null) ?? 0n),
    existingRows: BigInt((raw["existing_rows_count"] as bigint | null) ?? 0n),
    deletedRows: BigInt((raw["deleted_rows_count"] as bigint | null) ?? 0n),
    partitions: raw["partitions"],
  }));
}
