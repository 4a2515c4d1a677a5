import type { ObjectStore } from "../store.ts";
import { openManifest } from "./live-files.ts";
import { readManifestList } from "./manifest.ts";
import { readTable } from "./table.ts";

/** Collects all objects that metadata files make reachable; lists and manifests that many versions share are read once. */
export class Reachable {
  readonly keys = new Set<string>();
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async add(metadataKey: string): Promise<void> {
    if (this.keys.has(metadataKey)) return;
    this.keys.add(metadataKey);
    const { metadata } = await readTable(this.#store, metadataKey);
    for (const snapshot of metadata.snapshots) await this.#addList(this.#store.key(snapshot["manifest-list"]));
  }

  async #addList(key: string): Promise<void> {
    if (this.keys.has(key)) return;
    this.keys.add(key);
    for (const line of readManifestList(await this.#store.get(key), key)) {
      const manifest = this.#store.key(line.path);
      if (this.keys.has(manifest)) continue;
      this.keys.add(manifest);
      const { entries } = await openManifest(this.#store, line);
      for (const { file } of entries) this.keys.add(file.key);
    }
  }
}
