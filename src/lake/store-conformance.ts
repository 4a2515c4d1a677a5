import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import type { ErrorCode } from "../lib/error-codes.ts";
import { AppError } from "../lib/errors.ts";
import type { ObjectStore } from "./store.ts";

/** One thing that every object store must do, on an empty store. */
export interface StoreCase {
  name: string;
  run(store: ObjectStore): Promise<void>;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (content: Uint8Array): string => Buffer.from(content).toString("utf8");
const code = (wanted: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === wanted;

async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** Keys that name nothing below the root. */
const escaping = ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a\0b", "a/./b"];

export const storeConformance: StoreCase[] = [
  {
    name: "what was put is there, whole and in parts",
    async run(store) {
      await store.put("a/b/c.txt", bytes("hello"));
      equal(text(await store.get("a/b/c.txt")), "hello");
      equal(text(await store.getRange("a/b/c.txt", 1, 3)), "ell");
      equal(text(await store.getRange("a/b/c.txt", 3, 100)), "lo");
      equal((await store.getRange("a/b/c.txt", 100, 5)).length, 0);
      const found = await store.stat("a/b/c.txt");
      deepEqual([found?.key, found?.size], ["a/b/c.txt", 5]);
      ok(found?.modified instanceof Date);
      await store.put("empty", bytes(""));
      equal((await store.get("empty")).length, 0);
    },
  },
  {
    name: "nothing is ever overwritten",
    async run(store) {
      await store.put("once", bytes("first"));
      await rejects(store.put("once", bytes("second")), code("store.exists"));
      equal(text(await store.get("once")), "first");
      const rivals = Array.from({ length: 8 }, (_, index) => store.put("race", bytes(`rival ${index}`)));
      const outcomes = await Promise.allSettled(rivals);
      equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
      const winner = outcomes.findIndex((outcome) => outcome.status === "fulfilled");
      equal(text(await store.get("race")), `rival ${winner}`);
      deepEqual(await keysBelow(store, ""), ["once", "race"]);
    },
  },
  {
    name: "what is absent is said to be missing",
    async run(store) {
      await store.put("folder/file", bytes("x"));
      await rejects(store.get("nothing"), code("store.missing"));
      await rejects(store.getRange("folder/nothing", 0, 1), code("store.missing"));
      await rejects(store.makeDurable(["nothing"]), code("store.missing"));
      equal(await store.stat("nothing"), undefined);
      equal(await store.stat("folder"), undefined);
      equal(await store.stat("folder/file/below"), undefined);
      await store.delete("nothing");
    },
  },
  {
    name: "a list holds what its prefix names",
    async run(store) {
      for (const key of ["a/1", "a/2", "a/sub/3", "ab/4", "b/5"]) await store.put(key, bytes(key));
      deepEqual(await keysBelow(store, ""), ["a/1", "a/2", "a/sub/3", "ab/4", "b/5"]);
      deepEqual(await keysBelow(store, "a/"), ["a/1", "a/2", "a/sub/3"]);
      deepEqual(await keysBelow(store, "a"), ["a/1", "a/2", "a/sub/3", "ab/4"]);
      deepEqual(await keysBelow(store, "none/"), []);
      await store.delete("a/1");
      deepEqual(await keysBelow(store, "a/"), ["a/2", "a/sub/3"]);
      equal(await store.stat("a/1"), undefined);
    },
  },
  {
    name: "no key leads out of the store",
    async run(store) {
      for (const key of escaping) {
        await rejects(store.put(key, bytes("x")), code("input.path_escapes"), `put ${key}`);
        await rejects(store.get(key), code("input.path_escapes"), `get ${key}`);
        await rejects(store.delete(key), code("input.path_escapes"), `delete ${key}`);
        await rejects(store.writePath(key), code("input.path_escapes"), `writePath ${key}`);
        throws(() => store.uri(key), code("input.path_escapes"), `uri ${key}`);
        throws(() => store.address(key), code("input.path_escapes"), `address ${key}`);
      }
      await rejects(keysBelow(store, "../"), code("input.path_escapes"));
    },
  },
  {
    name: "keys and addresses name the same thing, in every spelling of writers",
    async run(store) {
      for (const key of ["single", "a/ü 100%/x=%2F.parquet", "..a/b..c", "日本/🚀"]) {
        const address = store.uri(key);
        equal(store.key(address), key);
        equal(store.key(store.address(key)), key);
        equal(store.key(`file:${address}`), key);
        equal(store.key(`file://${address}`), key);
        await store.put(key, bytes(key));
        equal(text(await store.get(key)), key);
      }
      const root = store.uri("a").slice(0, -2);
      for (const address of [root, `${root}/`, `${root}/../x`, `${root}x/y`, "/etc/passwd", "relative", "s3://bucket/x"]) {
        throws(() => store.key(address), code("input.path_escapes"), address);
      }
    },
  },
  {
    name: "files that an engine writes are stored once they are durable",
    async run(store) {
      const path = await store.writePath("data/x/y.parquet");
      await writeFile(path, "rows");
      await store.makeDurable(["data/x/y.parquet"]);
      equal(text(await store.get("data/x/y.parquet")), "rows");
      equal(store.key(path), "data/x/y.parquet");
    },
  },
];
