import type { Ids } from "../edges/ids.ts";
import { AppError } from "../lib/errors.ts";
import { openManifest } from "./iceberg/live-files.ts";
import { readManifestList, writeManifest, writeManifestList, type ManifestFile } from "./iceberg/manifest.ts";
import { metadataText, parseMetadata, type Metadata } from "./iceberg/metadata.ts";
import type { ObjectStore } from "./store.ts";

/** A store that also understands the addresses of its former place. */
function atOldPlace(store: ObjectStore, oldRoot: string): ObjectStore {
  const prefix = `${oldRoot.replace(/\/$/, "")}/`;
  const inner = (uri: string) => (uri.startsWith("file:") ? decodeURI(uri.replace(/^file:(\/\/)?/, "")) : uri);
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
    key: (uri) => (inner(uri).startsWith(prefix) ? inner(uri).slice(prefix.length) : store.key(uri)),
  };
}

/**
 * Writes metadata files, manifest lists and manifests anew for tables whose store has moved, beside the old ones; data files stay. Gives
 * the new metadata key of each old one. Nothing is changed until the caller names the new keys.
 */
export class Relocation {
  readonly #store: ObjectStore;
  readonly #oldRoot: string;
  readonly #ids: Ids;
  readonly #manifests = new Map<string, { key: string; length: bigint }>();
  readonly #lists = new Map<string, string>();

  constructor(store: ObjectStore, options: { oldRoot: string; ids: Ids }) {
    this.#store = atOldPlace(store, options.oldRoot);
    this.#oldRoot = options.oldRoot;
    this.#ids = options.ids;
  }

  async table(metadataKey: string): Promise<string> {
    const store = this.#store;
    const old = parseMetadata(Buffer.from(await store.get(metadataKey)).toString("utf8"), metadataKey);
    const snapshots = [];
    for (const snapshot of old.snapshots) {
      snapshots.push({ ...snapshot, "manifest-list": store.uri(await this.#list(store.key(snapshot["manifest-list"]), old)) });
    }
    const metadata: Metadata = {
      ...old,
      location: store.uri(store.key(`${old.location.replace(/\/$/, "")}/x`).slice(0, -2)),
      snapshots,
      "metadata-log": [],
    };
    const key = this.#beside(metadataKey, ".metadata.json");
    await store.put(key, Buffer.from(metadataText(metadata)));
    return key;
  }

  #beside(key: string, ending: string): string {
    const counter = /(\d+)-[^/]*$/.exec(key)?.[1] ?? "00000";
    return `${key.slice(0, key.lastIndexOf("/"))}/${counter}-${Buffer.from(this.#ids.bytes(12)).toString("hex")}${ending}`;
  }

  async #list(key: string, metadata: Metadata): Promise<string> {
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const lines: ManifestFile[] = [];
    for (const line of readManifestList(await this.#store.get(key), key)) {
      const moved = await this.#manifest(line, metadata);
      lines.push({ ...line, path: this.#store.uri(moved.key), length: moved.length });
    }
    const snapshot = metadata.snapshots.find((candidate) => this.#store.key(candidate["manifest-list"]) === key);
    const about = {
      snapshotId: snapshot?.["snapshot-id"] ?? 0n,
      parentId: snapshot?.["parent-snapshot-id"],
      sequence: snapshot?.["sequence-number"] ?? 0n,
    };
    const written = this.#beside(key, ".avro");
    await this.#store.put(written, writeManifestList(lines, about, this.#ids.bytes(16)));
    this.#lists.set(key, written);
    return written;
  }

  async #manifest(line: ManifestFile, metadata: Metadata): Promise<{ key: string; length: bigint }> {
    const old = this.#store.key(line.path);
    const known = this.#manifests.get(old);
    if (known !== undefined) return known;
    if (line.content === "deletes") {
      throw new AppError("type.unsupported", "A table with position deletes cannot be moved: the paths stand inside its delete files.", {
        expected: "tables without position deletes",
        found: line.path,
        hint: `move the data folder back to ${this.#oldRoot}`,
      });
    }
    const { entries, shape } = await openManifest(this.#store, line);
    const schema =
      metadata.schemas.find((item) => item["schema-id"] === metadata["current-schema-id"]) ??
      (metadata.schemas[0] as Metadata["schemas"][number]);
    const bytes = writeManifest(this.#store, { content: line.content, schema, specId: line.specId, shape, entries }, this.#ids.bytes(16));
    const key = this.#beside(old, "-m0.avro");
    await this.#store.put(key, bytes);
    const moved = { key, length: BigInt(bytes.length) };
    this.#manifests.set(old, moved);
    return moved;
  }
}
