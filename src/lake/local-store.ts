import { randomBytes } from "node:crypto";
import { constants, type Dirent } from "node:fs";
import { link, mkdir, open, readdir, readFile, realpath, rm, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { AppError, type ErrorFacts } from "../lib/errors.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import type { AddressForm, ObjectStore, StoredObject } from "./store.ts";

const codes: Record<string, ErrorCode> = { ENOSPC: "store.full", EDQUOT: "store.full", ENOENT: "store.missing", EEXIST: "store.exists" };

function storeError(error: unknown, what: string): unknown {
  const system = (error as NodeJS.ErrnoException).code;
  if (error instanceof AppError || system === undefined) return error;
  const code = codes[system] ?? "store.unreachable";
  const facts: ErrorFacts = { found: system, cause: error };
  switch (code) {
    case "store.full":
      return new AppError(code, `The disk is full: ${what} could not be written.`, {
        ...facts,
        hint: "df -h, then run the same command again",
      });
    case "store.exists":
      return new AppError(code, `There is a file ${what} already, and files are never overwritten.`, { ...facts, hint: "tidegate doctor" });
    case "store.missing":
      return new AppError(code, `The file ${what} is missing.`, { ...facts, expected: "a file", hint: "tidegate doctor" });
    default:
      return new AppError(code, `${what} could not be read or written.`, { ...facts, hint: "tidegate doctor" });
  }
}

/** What the store asks of the file system; a test can fail any of it. */
export interface FileSystem {
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Makes a file or folder durable. */
  sync(path: string): Promise<void>;
  /** Gives a file its final name, unless something has it already. */
  publish(from: string, to: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
}

export const nodeFileSystem: FileSystem = {
  write: (path, bytes) => writeFile(path, bytes, { flag: "wx" }),
  sync: async (path) => {
    const handle = await open(path, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  publish: async (from, to) => {
    await link(from, to);
    await unlink(from);
  },
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true });
  },
};

/** An object store in a local folder. The folder is made if it is missing. */
export async function localStore(
  folder: string,
  files: FileSystem = nodeFileSystem,
  addresses: AddressForm = "path",
): Promise<ObjectStore> {
  const given = resolve(folder);
  try {
    await mkdir(given, { recursive: true });
    return new LocalStore({ root: await realpath(given), given, files, addresses });
  } catch (error) {
    throw storeError(error, given);
  }
}

class LocalStore implements ObjectStore {
  readonly #root: string;
  /** The root as it was named, which may lead through links. */
  readonly #given: string;
  readonly #files: FileSystem;
  readonly #addresses: AddressForm;
  /** Folders whose own entries are known to be durable. */
  readonly #durable = new Set<string>();

  constructor(of: { root: string; given: string; files: FileSystem; addresses: AddressForm }) {
    this.#root = of.root;
    this.#given = of.given;
    this.#files = of.files;
    this.#addresses = of.addresses;
  }

  uri(key: string): string {
    return this.#path(key);
  }

  address(key: string): string {
    return this.#addresses === "file" ? `file://${this.#path(key)}` : this.#path(key);
  }

  key(uri: string): string {
    // A `%` is part of the name: writers of Iceberg put raw paths behind `file:`.
    const path = resolve(uri.replace(/^file:(\/\/)?(?=\/)/, ""));
    for (const root of [this.#root, this.#given]) {
      const inside = relative(root, path);
      if (inside !== "" && inside !== ".." && !inside.startsWith(`..${sep}`)) return inside.split(sep).join("/");
    }
    throw this.#escapes(uri);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const path = await this.#contained(key);
    const temporary = join(dirname(path), `.${randomBytes(9).toString("hex")}.tmp`);
    try {
      await this.#files.makeFolder(dirname(path));
      await this.#files.write(temporary, bytes);
      await this.#files.sync(temporary);
      await this.#files.publish(temporary, path);
      await this.#syncFolders([path]);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw storeError(error, key);
    }
  }

  async get(key: string): Promise<Uint8Array> {
    try {
      return await readFile(await this.#real(key));
    } catch (error) {
      throw storeError(error, key);
    }
  }

  async getRange(key: string, start: number, length: number): Promise<Uint8Array> {
    try {
      const file = await open(await this.#real(key), constants.O_RDONLY);
      try {
        const buffer = Buffer.alloc(length);
        let filled = 0;
        for (let read = -1; read !== 0 && filled < length; filled += read) {
          ({ bytesRead: read } = await file.read(buffer, filled, length - filled, start + filled));
        }
        return buffer.subarray(0, filled);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw storeError(error, key);
    }
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    try {
      const found = await stat(await this.#real(key));
      return found.isFile() ? { key, size: found.size, modified: found.mtime } : undefined;
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw storeError(error, key);
    }
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    if (prefix.split("/").includes("..")) throw this.#escapes(prefix);
    const folder = join(this.#root, prefix.includes("/") ? prefix.slice(0, prefix.lastIndexOf("/")) : "");
    for await (const path of this.#walk(folder)) {
      const key = relative(this.#root, path).split(sep).join("/");
      if (!key.startsWith(prefix)) continue;
      const found = await this.stat(key);
      if (found !== undefined) yield found;
    }
  }

  async *#walk(folder: string): AsyncIterable<string> {
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw storeError(error, folder);
    }
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) yield* this.#walk(path);
      else if (entry.isFile()) yield path;
    }
  }

  async delete(key: string): Promise<void> {
    const path = await this.#contained(key);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw storeError(error, key);
    }
  }

  async writePath(key: string): Promise<string> {
    const path = await this.#contained(key);
    try {
      await this.#files.makeFolder(dirname(path));
    } catch (error) {
      throw storeError(error, key);
    }
    return path;
  }

  async makeDurable(keys: readonly string[]): Promise<void> {
    const paths = keys.map((key) => this.#path(key));
    try {
      for (const path of paths) await this.#files.sync(path);
      await this.#syncFolders(paths);
    } catch (error) {
      throw storeError(error, keys.join(", "));
    }
  }

  /** Syncs the folders that hold these paths, and the folders above that have not been synced since they were made. */
  async #syncFolders(paths: readonly string[]): Promise<void> {
    for (const folder of new Set(paths.map((path) => dirname(path)))) {
      await this.#files.sync(folder);
      for (let above = folder; above !== this.#root && !this.#durable.has(above); above = dirname(above)) {
        await this.#files.sync(dirname(above));
        this.#durable.add(above);
      }
    }
  }

  #path(key: string): string {
    const parts = key.split("/");
    if (key === "" || key.startsWith("/") || key.includes("\0") || parts.some((part) => part === "" || part === "." || part === "..")) {
      throw this.#escapes(key);
    }
    return join(this.#root, ...parts);
  }

  /** The path behind a key, links followed; a link that leads out of the store is refused. */
  async #real(key: string): Promise<string> {
    const path = await realpath(this.#path(key));
    if (path !== this.#root && !path.startsWith(this.#root + sep)) throw this.#escapes(key);
    return path;
  }

  /** The path of a key that may not exist yet; folders on its way that are links out of the store are refused. */
  async #contained(key: string): Promise<string> {
    const path = this.#path(key);
    for (let folder = dirname(path); folder !== this.#root; folder = dirname(folder)) {
      try {
        const real = await realpath(folder);
        if (!real.startsWith(this.#root + sep)) throw this.#escapes(key);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw storeError(error, key);
      }
    }
    return path;
  }

  #escapes(found: string): AppError {
    return new AppError("input.path_escapes", "That path lies outside the data folder.", {
      expected: `a path below ${this.#root}`,
      found,
      hint: "tidegate doctor",
    });
  }
}
