/** Metadata of one stored object. */
export interface StoredObject {
  /** Path relative to the store's root, `/`-separated, never starting with `/` and never with `..`. */
  key: string;
  /** Bytes. */
  size: number;
  modified: Date;
}

/** How Iceberg's files name places of a folder: by plain absolute paths, or by `file://` and the path for readers that ask for a scheme. */
export const addressForms = ["path", "file"] as const;
export type AddressForm = (typeof addressForms)[number];

/**
 * Where data and metadata files live: a local folder now, a bucket later.
 *
 * Keys are relative to the root, so that everything we store ourselves survives a move of the folder; only Iceberg's own
 * files name absolute addresses (`address`). Objects are immutable: nothing is ever overwritten.
 *
 * Durability: when `put` or `makeDurable` returns, the bytes and the folder entries that lead to them have been fsynced.
 * A commit may only name objects for which one of the two has returned.
 */
export interface ObjectStore {
  /** Writes a new object. `store.exists` if there is one; `store.full`, `store.unreachable` from the medium. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Reads a whole object. `store.missing` if there is none. */
  get(key: string): Promise<Uint8Array>;
  /** Reads a part of an object; shorter where the object ends before it does. `store.missing` if there is none. */
  getRange(key: string, start: number, length: number): Promise<Uint8Array>;
  stat(key: string): Promise<StoredObject | undefined>;
  /** All objects below a prefix (`""` is all), in no order. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Deletes an object; absent is fine. */
  delete(key: string): Promise<void>;
  /** An address at which the engine may create this object; the folders exist when it returns. */
  writePath(key: string): Promise<string>;
  /** Makes objects written through `writePath` durable: files, then folders up to the root. */
  makeDurable(keys: readonly string[]): Promise<void>;
  /** The address that our engine opens. */
  uri(key: string): string;
  /** The address that Iceberg's own files name. */
  address(key: string): string;
  /** The key behind an address; `input.path_escapes` when it lies outside the root. */
  key(uri: string): string;
}
