import type { Ids } from "../../edges/ids.ts";
import { keyNames, type Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import { currentSchema, metadataText, nameMapping, parseMetadata, type Metadata } from "./metadata.ts";

/** A table as one metadata file tells it. */
export interface Table {
  metadataKey: string;
  metadata: Metadata;
  schema: Schema;
  /** Undefined before the first data. */
  snapshotId: bigint | undefined;
  lastColumnId: number;
}

function tableOf(metadataKey: string, metadata: Metadata): Table {
  return {
    metadataKey,
    metadata,
    schema: currentSchema(metadata),
    snapshotId: metadata["current-snapshot-id"],
    lastColumnId: metadata["last-column-id"],
  };
}

export async function readTable(store: ObjectStore, metadataKey: string): Promise<Table> {
  const text = Buffer.from(await store.get(metadataKey)).toString("utf8");
  return tableOf(metadataKey, parseMetadata(text, metadataKey));
}

/** Writes a metadata file of a table; the counter stands in its name. */
export async function putMetadata(store: ObjectStore, location: string, metadata: Metadata, counter: number, ids: Ids): Promise<Table> {
  const unique = Buffer.from(ids.bytes(12)).toString("hex");
  const key = `${location}/metadata/${String(counter).padStart(5, "0")}-${unique}.metadata.json`;
  await store.put(key, Buffer.from(metadataText(metadata)));
  return tableOf(key, metadata);
}

export function counterOf(metadataKey: string): number {
  return Number(/(\d+)-[^/]*$/.exec(metadataKey)?.[1] ?? 0);
}

/** Where other engines would put new files; a table of ours has its own place. */
const placeProperties = ["write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"];
const metricsPrefix = "write.metadata.metrics.column.";

/**
 * Properties that every table of ours has: no engine may delete its files, new files stay below the table's place, and key columns keep
 * whole bounds. Metrics of columns that are gone are left out: Spark refuses to commit to a table that has them.
 */
export function propertiesOf(schema: Schema, known: Readonly<Record<string, string>> = {}): Record<string, string> {
  const names = new Set(schema.fields.map((field) => field.name));
  const kept = Object.entries(known).filter(
    ([name]) => !placeProperties.includes(name) && (!name.startsWith(metricsPrefix) || names.has(name.slice(metricsPrefix.length))),
  );
  const keyMetrics = keyNames(schema).map((name) => [metricsPrefix + name, "full"] as const);
  return {
    ...Object.fromEntries([...kept, ...keyMetrics]),
    "gc.enabled": "false",
    "schema.name-mapping.default": nameMapping(schema, known["schema.name-mapping.default"]),
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
  };
}

/** Writes the first metadata file of a table that holds nothing yet. */
export async function createTable(
  store: ObjectStore,
  table: { location: string; tableUuid: string; schema: Schema; lastColumnId: number; now: Date; ids: Ids },
): Promise<Table> {
  const metadata: Metadata = {
    "format-version": 2,
    "table-uuid": table.tableUuid,
    location: store.address(table.location),
    "last-sequence-number": 0n,
    "last-updated-ms": BigInt(table.now.getTime()),
    "last-column-id": table.lastColumnId,
    "current-schema-id": table.schema["schema-id"],
    schemas: [table.schema],
    "default-spec-id": 0,
    "partition-specs": [{ "spec-id": 0, fields: [] }],
    "last-partition-id": 999,
    "default-sort-order-id": 0,
    "sort-orders": [{ "order-id": 0, fields: [] }],
    properties: propertiesOf(table.schema),
    snapshots: [],
    refs: {},
    "snapshot-log": [],
    "metadata-log": [],
  };
  return putMetadata(store, table.location, metadata, 0, table.ids);
}
