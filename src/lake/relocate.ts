import type { Ids } from "../edges/ids.ts";
import type { Engine, RunOptions } from "../engine/engine.ts";
import { column, type TablePlan } from "../engine/plan.ts";
import type { DataFile } from "./data-file.ts";
import { dataFileOf } from "./iceberg/data-files.ts";
import { openManifest, positionDeleteSchema } from "./iceberg/live-files.ts";
import { readManifestList, writeManifest, writeManifestList, type ManifestEntry, type ManifestFile } from "./iceberg/manifest.ts";
import { metadataText, parseMetadata, type Metadata, type Snapshot } from "./iceberg/metadata.ts";
import type { ObjectStore } from "./store.ts";

/** What a relocation works with. The engine is asked only where a table has position deletes. */
export interface RelocationOptions extends RunOptions {
  /** Where the store was when the metadata was written. */
  oldRoot: string;
  ids: Ids;
  engine: Engine;
}

/** A store that also understands the addresses of its former place. */
function atOldPlace(store: ObjectStore, oldRoot: string): ObjectStore {
  const bare = (uri: string) => uri.replace(/^file:(\/\/)?(?=\/)/, "");
  const prefix = `${bare(oldRoot).replace(/\/+$/, "")}/`;
  return {
    put: (key, bytes) => store.put(key, bytes),
    get: (key) => store.get(key),
    getRange: (key, start, length) => store.getRange(key, start, length),
    stat: (key) => store.stat(key),
    list: (wanted) => store.list(wanted),
    delete: (key) => store.delete(key),
    writePath: (key) => store.writePath(key),
    makeDurable: (keys) => store.makeDurable(keys),
    uri: (key) => store.uri(key),
    address: (key) => store.address(key),
    // Through `uri`, so that a way out of the store is refused as it always is.
    key: (uri) => store.key(bare(uri).startsWith(prefix) ? store.uri(bare(uri).slice(prefix.length)) : uri),
  };
}

/**
 * Writes metadata files, manifest lists and manifests anew for tables whose store has moved, beside the old ones; data files stay. Position
 * deletes name data files by address, so they are written anew too. Gives the new metadata key of each old one. Nothing is changed until the
 * caller names the new keys.
 */
export class Relocation {
  readonly #store: ObjectStore;
  readonly #options: RelocationOptions;
  readonly #manifests = new Map<string, { key: string; length: bigint }>();
  readonly #lists = new Map<string, string>();
  readonly #deletes = new Map<string, DataFile>();

  constructor(store: ObjectStore, options: RelocationOptions) {
    this.#store = atOldPlace(store, options.oldRoot);
    this.#options = options;
  }

  async table(metadataKey: string): Promise<string> {
    const store = this.#store;
    const {
      statistics: _statistics,
      "partition-statistics": _partitions,
      ...old
    } = parseMetadata(Buffer.from(await store.get(metadataKey)).toString("utf8"), metadataKey);
    const snapshots: Snapshot[] = [];
    for (const snapshot of old.snapshots) {
      snapshots.push({ ...snapshot, "manifest-list": store.address(await this.#list(snapshot, old)) });
    }
    const metadata: Metadata = {
      ...old,
      location: store.address(store.key(old.location.replace(/\/+$/, ""))),
      snapshots,
      "metadata-log": [],
    };
    const key = this.#beside(metadataKey, ".metadata.json");
    await store.put(key, Buffer.from(metadataText(metadata)));
    return key;
  }

  #beside(key: string, ending: string): string {
    const counter = /(\d+)(-[^/]*|\.metadata\.json)$/.exec(key)?.[1] ?? "00000";
    const unique = Buffer.from(this.#options.ids.bytes(12)).toString("hex");
    return `${key.slice(0, key.lastIndexOf("/"))}/${counter.padStart(5, "0")}-${unique}${ending}`;
  }

  async #list(snapshot: Snapshot, metadata: Metadata): Promise<string> {
    const key = this.#store.key(snapshot["manifest-list"]);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const lines: ManifestFile[] = [];
    for (const line of readManifestList(await this.#store.get(key), key)) {
      const moved = await this.#manifest(line, metadata);
      lines.push({ ...line, path: this.#store.address(moved.key), length: moved.length });
    }
    const about = {
      snapshotId: snapshot["snapshot-id"],
      parentId: snapshot["parent-snapshot-id"],
      sequence: snapshot["sequence-number"],
    };
    const written = this.#beside(key, ".avro");
    await this.#store.put(written, writeManifestList(lines, about, this.#options.ids.bytes(16)));
    this.#lists.set(key, written);
    return written;
  }

  async #manifest(line: ManifestFile, metadata: Metadata): Promise<{ key: string; length: bigint }> {
    const old = this.#store.key(line.path);
    const known = this.#manifests.get(old);
    if (known !== undefined) return known;
    const { entries, shape } = await openManifest(this.#store, line, true);
    const schema =
      metadata.schemas.find((item) => item["schema-id"] === metadata["current-schema-id"]) ??
      (metadata.schemas[0] as Metadata["schemas"][number]);
    const moved: ManifestEntry[] = [];
    for (const entry of entries) {
      // A delete file that left the table is named as it was; it may be gone.
      const stays = entry.file.content === "data" || entry.status === "deleted";
      moved.push(stays ? entry : { ...entry, file: await this.#deleteFile(entry.file) });
    }
    const { ids } = this.#options;
    const bytes = writeManifest(this.#store, { content: line.content, schema, specId: line.specId, shape, entries: moved }, ids.bytes(16));
    const key = this.#beside(old, "-m0.avro");
    await this.#store.put(key, bytes);
    const written = { key, length: BigInt(bytes.length) };
    this.#manifests.set(old, written);
    return written;
  }

  /** A position-delete file with the same positions under the new addresses of the data files. */
  async #deleteFile(file: DataFile): Promise<DataFile> {
    const known = this.#deletes.get(file.key);
    if (known !== undefined) return known;
    const { engine, signal } = this.#options;
    const store = this.#store;
    const { fields } = positionDeleteSchema;
    const input: TablePlan = { op: "table", files: [{ uri: store.uri(file.key), rows: file.rows, deletes: [] }], fields };
    const paths = await engine.rows({ op: "aggregate", input, by: ["file_path"], measures: [] }, { signal });
    const addresses = paths.map(({ file_path: path }) => [String(path), store.address(store.key(String(path)))]);
    const columns = [
      { name: "old", type: "string" as const },
      { name: "new", type: "string" as const },
    ];
    const [written] = await engine.write(
      {
        plan: {
          op: "project",
          input: {
            op: "join",
            how: "inner",
            left: input,
            right: { op: "values", columns, rows: addresses },
            on: [{ left: "file_path", right: "old" }],
          },
          columns: [
            { name: "file_path", expr: column("new") },
            { name: "pos", expr: column("pos") },
          ],
        },
        fields,
        sortBy: ["file_path", "pos"],
        rowsPerFile: Math.max(1, file.rows),
        pathFor: () => store.writePath(this.#beside(file.key, "-deletes.parquet")),
      },
      { signal },
    );
    if (written === undefined || written.rows !== file.rows) throw new Error(`${file.key} has other rows than its manifest says`);
    const made = dataFileOf(store, written, positionDeleteSchema);
    await store.makeDurable([made.key]);
    const { specId, partition, sequence } = file;
    const moved: DataFile = { ...made, content: "position-deletes", specId, partition, sequence, sortOrderId: undefined };
    this.#deletes.set(file.key, moved);
    return moved;
  }
}
