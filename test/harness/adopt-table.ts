import type { LakeDeps } from "../../src/effects/lake-deps.ts";
import { liveFiles } from "../../src/lake/iceberg/live-files.ts";
import { metadataText, parseMetadata, type Metadata } from "../../src/lake/iceberg/metadata.ts";
import { readTable } from "../../src/lake/iceberg/table.ts";
import type { ObjectStore } from "../../src/lake/store.ts";

/*
 * Puts tables that another engine wrote into a real catalogue: a change of ours brings the same rows, so that all its records are true, and
 * then its version is made to name the other engine's metadata file.
 */

/** Makes a version stand for the table of a metadata file; the dataset takes over the table's identity and its counters. */
export async function adoptTable(deps: Pick<LakeDeps, "db" | "store" | "engine">, versionId: string, metadataKey: string): Promise<void> {
  const { db, store, engine } = deps;
  const table = await readTable(store, metadataKey);
  const files = await liveFiles(store, table);
  const scanned = files.map(({ file, deletes }) => ({
    uri: store.uri(file.key),
    rows: file.rows,
    deletes: deletes.map((item) => store.uri(item.key)),
  }));
  const [counted] = await engine.rows({
    op: "aggregate",
    input: { op: "table", files: scanned, fields: table.schema.fields },
    by: [],
    measures: [{ name: "rows", of: { fn: "count_all" } }],
  });
  const version = await db
    .updateTable("versions")
    .set({
      metadata_key: metadataKey,
      schema_id: table.schema["schema-id"],
      snapshot_id: table.snapshotId ?? null,
      rows: BigInt(Number(counted?.["rows"] ?? 0)),
      bytes: BigInt(files.reduce((sum, { file }) => sum + file.bytes, 0)),
      files: files.length,
    })
    .where("id", "=", versionId)
    .returning("dataset_id")
    .executeTakeFirstOrThrow();
  const schemas = table.metadata.schemas.map((schema) => schema["schema-id"]);
  await db
    .updateTable("datasets")
    .set({
      table_uuid: table.metadata["table-uuid"],
      next_field_id: table.lastColumnId + 1,
      next_schema_id: Math.max(...schemas) + 1,
    })
    .where("id", "=", version.dataset_id)
    .execute();
}

/** Writes, beside a metadata file, the one of the same table at an earlier snapshot of it, under today's schema. */
export async function metadataAt(store: ObjectStore, metadataKey: string, snapshotId: bigint): Promise<string> {
  const {
    statistics: _statistics,
    "partition-statistics": _partitions,
    ...now
  } = parseMetadata(Buffer.from(await store.get(metadataKey)).toString("utf8"), metadataKey);
  const last = now.snapshots.findIndex((snapshot) => snapshot["snapshot-id"] === snapshotId);
  const then: Metadata = {
    ...now,
    "current-snapshot-id": snapshotId,
    snapshots: now.snapshots.slice(0, last + 1),
    refs: { main: { "snapshot-id": snapshotId, type: "branch" } },
    "snapshot-log": now["snapshot-log"].slice(0, last + 1),
  };
  const key = `${metadataKey.slice(0, metadataKey.lastIndexOf("/"))}/${String(last + 1).padStart(5, "0")}-at-${snapshotId}.metadata.json`;
  if ((await store.stat(key)) === undefined) await store.put(key, Buffer.from(metadataText(then)));
  return key;
}
