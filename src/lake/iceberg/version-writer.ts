import type { ObjectStore } from "../store.ts";
import type { Metadata } from "./metadata.ts";
import { writeSnapshot, type VersionRequest } from "./snapshot-writer.ts";
import { counterOf, propertiesOf, putMetadata, type Table } from "./table.ts";

/** How much history a metadata file keeps; the older lives in commits. */
const keptSnapshots = 100;

/**
 * Writes the next version of a table beside its base: manifests, manifest list and metadata file, durable when it returns. Nothing is
 * overwritten. A change of the schema alone makes no snapshot.
 */
export async function writeVersion(store: ObjectStore, request: VersionRequest): Promise<Table> {
  const { base, schema, location, ids } = request;
  const old = base.metadata;
  const now = BigInt(request.now.getTime()) > old["last-updated-ms"] ? BigInt(request.now.getTime()) : old["last-updated-ms"] + 1n;
  const known = old.schemas.some((candidate) => candidate["schema-id"] === schema["schema-id"]);
  const withSchema: Metadata = {
    ...old,
    location: store.uri(location),
    "last-updated-ms": now,
    "last-column-id": Math.max(old["last-column-id"], request.lastColumnId),
    schemas: known ? old.schemas : [...old.schemas, schema],
    "current-schema-id": schema["schema-id"],
    properties: propertiesOf(schema, old.properties),
    "metadata-log": [
      ...old["metadata-log"],
      { "timestamp-ms": old["last-updated-ms"], "metadata-file": store.uri(base.metadataKey) },
    ].slice(-keptSnapshots),
  };
  const counter = counterOf(base.metadataKey) + 1;
  if (request.add.length === 0 && request.remove.size === 0) return putMetadata(store, location, withSchema, counter, ids);
  const written = await writeSnapshot(store, { ...request, now, metadata: withSchema });
  const snapshots = [...old.snapshots, written.snapshot].slice(-keptSnapshots);
  const kept = new Set(snapshots.map((snapshot) => snapshot["snapshot-id"]));
  const id = written.snapshot["snapshot-id"];
  const metadata: Metadata = {
    ...withSchema,
    ...written.specs,
    "last-sequence-number": written.snapshot["sequence-number"],
    "current-snapshot-id": id,
    snapshots,
    refs: { main: { "snapshot-id": id, type: "branch" } },
    "snapshot-log": [...old["snapshot-log"], { "timestamp-ms": now, "snapshot-id": id }].filter((line) => kept.has(line["snapshot-id"])),
  };
  return putMetadata(store, location, metadata, counter, ids);
}
