import type { DataFile, LiveFile } from "../data-file.ts";
import type { Schema } from "../schema.ts";
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

/** A manifest's live entries; `withDeleted` gives those of files that left the table as well. */
export async function openManifest(store: ObjectStore, line: ManifestFile, withDeleted = false): Promise<ReadManifest> {
  return readManifest(store, await store.get(store.key(line.path)), line, withDeleted);
}

/** Field id of `file_path` in position-delete files; a file whose bounds for it are one path applies to that file only. */
const deletedPathField = 2147483546;

/** Columns of a position-delete file, by the ids that Iceberg reserves. Both together identify a row, so that bounds of paths stay whole. */
export const positionDeleteSchema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: deletedPathField, name: "file_path", required: true, type: "string" },
    { id: 2147483545, name: "pos", required: true, type: "long" },
  ],
  "identifier-field-ids": [deletedPathField, 2147483545],
};

function partitionKey(file: DataFile): string {
  const values = Object.entries(file.partition).map(([name, value]) => [name, typeof value === "bigint" ? `${value}` : value]);
  return JSON.stringify([file.specId, values]);
}

/** The one data file that a delete file names by its bounds. A bound that may have been cut names none. */
function onlyTarget(store: ObjectStore, deletes: DataFile): string | undefined {
  const [lower, upper] = [deletes.lower.get(deletedPathField), deletes.upper.get(deletedPathField)];
  if (lower === undefined || upper === undefined || !Buffer.from(lower).equals(Buffer.from(upper))) return undefined;
  const path = Buffer.from(lower).toString("utf8");
  return path.length < 16 ? undefined : store.key(path);
}

/** Finds the position deletes that apply to a data file, by sequence number, partition and path. */
class DeleteIndex {
  readonly #byFile = new Map<string, DataFile[]>();
  readonly #byPartition = new Map<string, DataFile[]>();

  constructor(store: ObjectStore, deletes: readonly DataFile[]) {
    for (const file of deletes) {
      const target = onlyTarget(store, file);
      const [index, key] = target === undefined ? [this.#byPartition, partitionKey(file)] : [this.#byFile, target];
      index.set(key, [...(index.get(key) ?? []), file]);
    }
  }

  of(data: DataFile): DataFile[] {
    if (this.#byFile.size + this.#byPartition.size === 0) return [];
    const found = [...(this.#byPartition.get(partitionKey(data)) ?? []), ...(this.#byFile.get(data.key) ?? [])];
    return found.filter((candidate) => candidate.sequence >= data.sequence);
  }
}

/** Data files of a snapshot, each with the position deletes that apply to it. */
export async function liveFiles(store: ObjectStore, table: Table, snapshotId = table.snapshotId): Promise<LiveFile[]> {
  const lines = await manifestsOf(store, table, snapshotId);
  const data: DataFile[] = [];
  const deletes: DataFile[] = [];
  for (const line of lines) {
    const { entries } = await openManifest(store, line);
    for (const { file } of entries) (line.content === "data" ? data : deletes).push(file);
  }
  const index = new DeleteIndex(store, deletes);
  return data.map((file) => ({ file, deletes: index.of(file) }));
}

/** Position-delete files that apply to none of these data files any more. */
export function idleDeletes(store: ObjectStore, deletes: readonly DataFile[], data: readonly DataFile[]): Set<string> {
  const index = new DeleteIndex(store, deletes);
  const used = new Set(data.flatMap((file) => index.of(file)).map((file) => file.key));
  return new Set(deletes.map((file) => file.key).filter((key) => !used.has(key)));
}
