import { canonicalJson } from "../../lib/json.ts";
import type { Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import type { Metadata, Snapshot } from "./metadata.ts";
import { writeSnapshot, type VersionRequest } from "./snapshot-writer.ts";
import { counterOf, propertiesOf, putMetadata, type Table } from "./table.ts";

/** How much history a metadata file keeps beside its tags; the older lives in commits. */
const keptSnapshots = 100;

/**
 * Writes the next version of a table beside its base: manifests, manifest list and metadata file, durable when it returns. Nothing is
 * overwritten. A change of the schema alone makes no snapshot.
 */
export async function writeVersion(store: ObjectStore, request: VersionRequest): Promise<Table> {
  const { base, schema, location, ids } = request;
  const old = base.metadata;
  const now = BigInt(request.now.getTime()) > old["last-updated-ms"] ? BigInt(request.now.getTime()) : old["last-updated-ms"] + 1n;
  const withSchema: Metadata = {
    ...old,
    location: store.address(location),
    "last-updated-ms": now,
    "last-column-id": Math.max(old["last-column-id"], request.lastColumnId),
    schemas: withCurrent(old.schemas, schema),
    "current-schema-id": schema["schema-id"],
    properties: propertiesOf(schema, old.properties),
    "metadata-log": [
      ...old["metadata-log"],
      { "timestamp-ms": old["last-updated-ms"], "metadata-file": store.address(base.metadataKey) },
    ].slice(-keptSnapshots),
  };
  const counter = counterOf(base.metadataKey) + 1;
  if (request.add.length === 0 && request.remove.size === 0) return putMetadata(store, location, withSchema, counter, ids);
  const { snapshot, specs } = await writeSnapshot(store, { ...request, now, metadata: withSchema });
  return putMetadata(
    store,
    location,
    { ...withSchema, ...specs, ...withSnapshot(old, snapshot, request.forget ?? new Set()) },
    counter,
    ids,
  );
}

function withCurrent(schemas: readonly Schema[], schema: Schema): Schema[] {
  const known = schemas.find((candidate) => candidate["schema-id"] === schema["schema-id"]);
  if (known === undefined) return [...schemas, schema];
  const content = (of: Schema) => canonicalJson([of.fields, of["identifier-field-ids"] ?? []]);
  if (content(known) !== content(schema)) throw new Error(`schema id ${schema["schema-id"]} is taken by another schema of this table`);
  return [...schemas];
}

/** History with one more snapshot, the current one. Tags stay, and what they name; what goes takes its log lines and statistics along. */
function withSnapshot(old: Metadata, snapshot: Snapshot, forget: ReadonlySet<bigint>): Partial<Metadata> {
  const id = snapshot["snapshot-id"];
  const { main: _main, ...tags } = old.refs;
  const tagged = new Set(Object.values(tags).map((ref) => ref["snapshot-id"]));
  const history = old.snapshots.filter(({ "snapshot-id": known }) => !forget.has(known) || tagged.has(known));
  const recent = history.slice(1 - keptSnapshots);
  const older = history.slice(0, history.length - recent.length);
  const snapshots = [...older.filter((candidate) => tagged.has(candidate["snapshot-id"])), ...recent, snapshot];
  const kept = new Set(snapshots.map((candidate) => candidate["snapshot-id"]));
  const stays = (line: { "snapshot-id": number | bigint }) => kept.has(BigInt(line["snapshot-id"]));
  return {
    "last-sequence-number": snapshot["sequence-number"],
    "current-snapshot-id": id,
    snapshots,
    refs: { ...tags, main: { "snapshot-id": id, type: "branch" } },
    "snapshot-log": [...old["snapshot-log"].filter(stays), { "timestamp-ms": snapshot["timestamp-ms"], "snapshot-id": id }],
    ...(old.statistics === undefined ? {} : { statistics: old.statistics.filter(stays) }),
    ...(old["partition-statistics"] === undefined ? {} : { "partition-statistics": old["partition-statistics"].filter(stays) }),
  };
}
