import type { Ids } from "../../edges/ids.ts";
import type { DataFile } from "../data-file.ts";
import type { Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import { unpartitioned, writeManifest, writeManifestList, type ManifestEntry, type ManifestFile, type PartitionShape } from "./manifest.ts";
import type { Metadata, PartitionSpec, Snapshot } from "./metadata.ts";
import { idleDeletes, manifestsOf, openManifest } from "./live-files.ts";
import type { Table } from "./table.ts";

export interface VersionRequest {
  base: Table;
  /** Key prefix of the line that writes; its own place, whatever the base's is. */
  location: string;
  /** The current schema from now on. */
  schema: Schema;
  lastColumnId: number;
  /** New data files, durable already. */
  add: readonly DataFile[];
  /** Keys of data files that leave the table. */
  remove: ReadonlySet<string>;
  /** Snapshots that leave the table's history, such as a draft's earlier states. */
  forget?: ReadonlySet<bigint> | undefined;
  now: Date;
  ids: Ids;
}

/** Above this many manifests, those of data are merged into one. */
const manyManifests = 100;

interface Manifest {
  line: ManifestFile;
  entries: ManifestEntry[];
  shape: PartitionShape;
}

interface Writing extends Pick<VersionRequest, "location" | "schema" | "add" | "remove" | "ids"> {
  snapshotId: bigint;
  sequence: bigint;
}

/** Writes the manifests and the manifest list of the snapshot that a request makes of its base. */
export async function writeSnapshot(
  store: ObjectStore,
  request: Omit<VersionRequest, "now"> & { now: bigint; metadata: Metadata },
): Promise<{ snapshot: Snapshot; specs: Pick<Metadata, "partition-specs" | "default-spec-id"> }> {
  const { base, metadata, ids } = request;
  const work: Writing = {
    ...request,
    snapshotId: newSnapshotId(ids),
    sequence: metadata["last-sequence-number"] + 1n,
  };
  const specs = withUnpartitionedSpec(metadata);
  const lines = await manifestsOf(store, base);
  const removed: DataFile[] = [];
  const kept = await rewriteTouched(store, work, lines, removed);
  const added = request.add.length === 0 ? [] : [await addedManifest(store, work, specs["default-spec-id"])];
  const manifests = await mergeMany(store, work, [...added, ...kept]);
  const listKey = `${request.location}/metadata/snap-${work.snapshotId}-${unique(ids)}.avro`;
  const parentId = base.snapshotId;
  await store.put(listKey, writeManifestList(manifests, { snapshotId: work.snapshotId, parentId, sequence: work.sequence }, ids.bytes(16)));
  const parent = base.metadata.snapshots.find((candidate) => candidate["snapshot-id"] === parentId);
  const snapshot: Snapshot = {
    "snapshot-id": work.snapshotId,
    ...(parentId === undefined ? {} : { "parent-snapshot-id": parentId }),
    "sequence-number": work.sequence,
    "timestamp-ms": request.now,
    "manifest-list": store.address(listKey),
    "schema-id": request.schema["schema-id"],
    summary: summaryOf(request.add, removed, parent?.summary ?? {}),
  };
  return { snapshot, specs };
}

/** Positive and below 2^53, so that readers which parse JSON numbers as doubles keep it whole. */
function newSnapshotId(ids: Ids): bigint {
  return (Buffer.from(ids.bytes(8)).readBigUInt64BE() & 0x1fffffffffffffn) | 1n;
}

function unique(ids: Ids): string {
  return Buffer.from(ids.bytes(12)).toString("hex");
}

/** Our files are unpartitioned; a table that another engine partitioned gets a spec for them. */
function withUnpartitionedSpec(metadata: Metadata): Pick<Metadata, "partition-specs" | "default-spec-id"> {
  const specs = metadata["partition-specs"];
  const plain = specs.find((spec) => spec.fields.length === 0);
  if (plain !== undefined) return { "partition-specs": specs, "default-spec-id": plain["spec-id"] };
  const added: PartitionSpec = { "spec-id": Math.max(...specs.map((spec) => spec["spec-id"])) + 1, fields: [] };
  return { "partition-specs": [...specs, added], "default-spec-id": added["spec-id"] };
}

async function rewriteTouched(
  store: ObjectStore,
  work: Writing,
  lines: readonly ManifestFile[],
  removed: DataFile[],
): Promise<ManifestFile[]> {
  const live = lines.filter((line) => line.addedFiles + line.existingFiles > 0);
  if (work.remove.size === 0) return live;
  const opened: Manifest[] = [];
  for (const line of live) opened.push({ line, ...(await openManifest(store, line)) });
  const filesOf = (content: ManifestFile["content"]) =>
    opened.filter(({ line }) => line.content === content).flatMap(({ entries }) => entries.map((entry) => entry.file));
  const data = filesOf("data");
  const known = new Set(data.map((file) => file.key));
  const unknown = [...work.remove].find((key) => !known.has(key));
  if (unknown !== undefined) throw new Error(`file ${unknown} cannot leave a table that does not have it`);
  const staying = data.filter((file) => !work.remove.has(file.key));
  const idle = idleDeletes(store, filesOf("deletes"), staying);
  const result: ManifestFile[] = [];
  for (const manifest of opened) {
    const gone = manifest.line.content === "data" ? work.remove : idle;
    if (!manifest.entries.some((entry) => gone.has(entry.file.key))) {
      result.push(manifest.line);
      continue;
    }
    const entries = manifest.entries.map((entry): ManifestEntry => {
      if (!gone.has(entry.file.key)) return { ...entry, status: "existing" };
      removed.push(entry.file);
      return { ...entry, status: "deleted", snapshotId: work.snapshotId };
    });
    result.push(await putManifest(store, work, { ...manifest, entries }));
  }
  return result;
}

async function addedManifest(store: ObjectStore, work: Writing, specId: number): Promise<ManifestFile> {
  const entries = work.add.map((file): ManifestEntry => {
    const own = { ...file, specId, partition: {}, sequence: work.sequence };
    return { status: "added", snapshotId: work.snapshotId, sequence: work.sequence, fileSequence: work.sequence, file: own };
  });
  return putManifest(store, work, { line: { content: "data", specId }, entries, shape: unpartitioned });
}

/** Merges manifests of the same kind and spec into one where there are many. */
async function mergeMany(store: ObjectStore, work: Writing, lines: readonly ManifestFile[]): Promise<ManifestFile[]> {
  const groups = new Map<string, ManifestFile[]>();
  for (const line of lines) {
    const kind = `${line.content} ${line.specId}`;
    groups.set(kind, [...(groups.get(kind) ?? []), line]);
  }
  const result: ManifestFile[] = [];
  for (const group of groups.values()) {
    if (group.length > manyManifests) result.push(await mergeManifests(store, work, group as [ManifestFile, ...ManifestFile[]]));
    else result.push(...group);
  }
  return result;
}

async function mergeManifests(store: ObjectStore, work: Writing, group: readonly [ManifestFile, ...ManifestFile[]]): Promise<ManifestFile> {
  const entries: ManifestEntry[] = [];
  let shape = unpartitioned;
  for (const line of group) {
    // What this very snapshot removes is told once more; what earlier ones removed is history.
    const own = line.snapshotId === work.snapshotId;
    const read = await openManifest(store, line, own);
    shape = read.shape;
    entries.push(...read.entries.map((entry): ManifestEntry => (own ? entry : { ...entry, status: "existing" })));
  }
  const { content, specId } = group[0];
  return putManifest(store, work, { line: { content, specId }, entries, shape });
}

async function putManifest(
  store: ObjectStore,
  work: Writing,
  manifest: { line: Pick<ManifestFile, "content" | "specId">; entries: ManifestEntry[]; shape: PartitionShape },
): Promise<ManifestFile> {
  const { line, shape, entries } = manifest;
  const key = `${work.location}/metadata/${unique(work.ids)}-m0.avro`;
  const bytes = writeManifest(
    store,
    { content: line.content, schema: work.schema, specId: line.specId, shape, entries },
    work.ids.bytes(16),
  );
  await store.put(key, bytes);
  const of = (status: ManifestEntry["status"]) => entries.filter((entry) => entry.status === status);
  const rows = (status: ManifestEntry["status"]) => of(status).reduce((sum, entry) => sum + BigInt(entry.file.rows), 0n);
  const sequences = entries.filter((entry) => entry.status !== "deleted").map((entry) => entry.sequence);
  return {
    path: store.address(key),
    length: BigInt(bytes.length),
    content: line.content,
    specId: line.specId,
    sequence: work.sequence,
    minSequence: sequences.reduce((least, sequence) => (sequence < least ? sequence : least), work.sequence),
    snapshotId: work.snapshotId,
    addedFiles: of("added").length,
    existingFiles: of("existing").length,
    deletedFiles: of("deleted").length,
    addedRows: rows("added"),
    existingRows: rows("existing"),
    deletedRows: rows("deleted"),
    // Partition summaries are optional; without them readers look into the manifest.
    partitions: shape.avroFields.length === 0 ? [] : null,
  };
}

function summaryOf(
  added: readonly DataFile[],
  gone: readonly DataFile[],
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const removed = gone.filter((file) => file.content === "data");
  const dropped = gone.filter((file) => file.content === "position-deletes");
  const sum = (files: readonly DataFile[], of: (file: DataFile) => number) => files.reduce((total, file) => total + of(file), 0);
  const rows = (file: DataFile) => file.rows;
  const bytes = (file: DataFile) => file.bytes;
  const total = (name: string, plus: number, minus: number) => String(Number(before[name] ?? 0) + plus - minus);
  const operation = removed.length === 0 ? "append" : added.length === 0 ? "delete" : "overwrite";
  return {
    operation,
    ...(added.length === 0
      ? {}
      : {
          "added-data-files": String(added.length),
          "added-records": String(sum(added, rows)),
          "added-files-size": String(sum(added, bytes)),
        }),
    ...(removed.length === 0
      ? {}
      : {
          "deleted-data-files": String(removed.length),
          "deleted-records": String(sum(removed, rows)),
          "removed-files-size": String(sum(gone, bytes)),
        }),
    ...(dropped.length === 0
      ? {}
      : { "removed-delete-files": String(dropped.length), "removed-position-deletes": String(sum(dropped, rows)) }),
    "total-records": total("total-records", sum(added, rows), sum(removed, rows)),
    "total-files-size": total("total-files-size", sum(added, bytes), sum(gone, bytes)),
    "total-data-files": total("total-data-files", added.length, removed.length),
    "total-delete-files": total("total-delete-files", 0, dropped.length),
    "total-position-deletes": total("total-position-deletes", 0, sum(dropped, rows)),
    "total-equality-deletes": total("total-equality-deletes", 0, 0),
  };
}
