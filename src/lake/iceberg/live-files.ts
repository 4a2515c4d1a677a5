import type { DataFile, LiveFile } from "../data-file.ts";
import type { ObjectStore } from "../store.ts";
import { readManifest, readManifestList, type ManifestFile, type ReadManifest } from "./manifest.ts";
import type { Table } from "./table.ts";

/** The manifests of a snapshot (the current one unless said). */
export async function manifestsOf(store: ObjectStore, table: Table, snapshotId = table.snapshotId): Promise<ManifestFile[]> {
  const snapshot = table.metadata.snapshots.find((candidate) => candidate["snapshot-id"] === snapshotId);
  if (snapshot === undefined) return [];
  const key = store.key(snapshot["manifest-list"]);
  return readManifestList(await store.get(key), key);
}

export async function openManifest(store: ObjectStore, line: ManifestFile): Promise<ReadManifest> {
  return readManifest(store, await store.get(store.key(line.path)), line);
}

/** Field id of `file_path` in position-delete files; a file whose bounds for it are one path applies to that file only. */
const deletedPathField = 2147483546;

function partitionKey(file: DataFile): string {
  const values = Object.entries(file.partition).map(([name, value]) => [name, typeof value === "bigint" ? `${value}` : value]);
  return JSON.stringify([file.specId, values]);
}

function applies(store: ObjectStore, deletes: DataFile, data: DataFile): boolean {
  if (deletes.sequence < data.sequence || partitionKey(deletes) !== partitionKey(data)) return false;
  const [lower, upper] = [deletes.lower.get(deletedPathField), deletes.upper.get(deletedPathField)];
  if (lower === undefined || upper === undefined || !Buffer.from(lower).equals(Buffer.from(upper))) return true;
  const path = Buffer.from(lower).toString("utf8");
  return path.length < 16 || store.uri(data.key) === store.uri(store.key(path));
}

/** Data files of a snapshot, each with the position deletes that apply to it by sequence, partition and path. */
export async function liveFiles(store: ObjectStore, table: Table, snapshotId = table.snapshotId): Promise<LiveFile[]> {
  const lines = await manifestsOf(store, table, snapshotId);
  const data: DataFile[] = [];
  const deletes: DataFile[] = [];
  for (const line of lines) {
    const { entries } = await openManifest(store, line);
    for (const entry of entries) {
      if (entry.status !== "deleted") (line.content === "data" ? data : deletes).push(entry.file);
    }
  }
  return data.map((file) => ({ file, deletes: deletes.filter((candidate) => applies(store, candidate, file)) }));
}

/** Position-delete files that apply to none of these data files any more. */
export function idleDeletes(store: ObjectStore, deletes: readonly DataFile[], data: readonly DataFile[]): Set<string> {
  return new Set(deletes.filter((candidate) => !data.some((file) => applies(store, candidate, file))).map((file) => file.key));
}
