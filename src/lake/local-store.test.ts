import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { faultStore } from "../../test/harness/fault-store.ts";
import { localStore, nodeFileSystem, type FileSystem } from "./local-store.ts";
import { readLocalConfig } from "../local-config.ts";
import { storeConformance } from "./store-conformance.ts";

let dir: string;
let folders = 0;
const bytes = Buffer.from("content");

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-store-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const emptyFolder = () => join(dir, `store ${(folders += 1)}`);

describe.each([
  ["a local folder", (folder: string) => localStore(folder)],
  ["a local folder whose files are named by addresses with a scheme", (folder: string) => localStore(folder, nodeFileSystem, "file")],
  ["a store that counts", async (folder: string) => faultStore(await localStore(folder))],
])("%s", (_name, open) => {
  test.each(storeConformance)("$name", async ({ run }) => run(await open(emptyFolder())));
});

test("the data folder's config.yaml says how Iceberg's files name places: by plain paths unless it asks for a scheme", async () => {
  const folder = emptyFolder();
  await mkdir(folder);
  expect(readLocalConfig(folder).addresses).toBe("path");
  await writeFile(join(folder, "config.yaml"), "store: { addresses: file }\n");
  const store = await localStore(join(folder, "lake"), nodeFileSystem, readLocalConfig(folder).addresses);
  expect([store.address("a/b"), store.uri("a/b")]).toEqual([`file://${join(folder, "lake/a/b")}`, join(folder, "lake/a/b")]);
  await writeFile(join(folder, "config.yaml"), "store: { addresses: s3 }\n");
  expect(() => readLocalConfig(folder)).toThrow(expect.objectContaining({ code: "config.invalid", found: "store.addresses" }) as Error);
});

describe("links out of the folder", () => {
  test("are followed by nothing: reading, writing, deleting, listing", async () => {
    const [root, outside] = [emptyFolder(), emptyFolder()];
    const store = await localStore(root);
    await mkdir(outside);
    await writeFile(join(outside, "secret"), "secret");
    await symlink(outside, join(root, "linked"));
    await symlink(join(outside, "secret"), join(root, "file"));
    const escapes = { code: "input.path_escapes" };
    await expect(store.get("linked/secret")).rejects.toMatchObject(escapes);
    await expect(store.get("file")).rejects.toMatchObject(escapes);
    await expect(store.getRange("file", 0, 6)).rejects.toMatchObject(escapes);
    await expect(store.stat("linked/secret")).rejects.toMatchObject(escapes);
    await expect(store.put("linked/new", bytes)).rejects.toMatchObject(escapes);
    await expect(store.put("linked/deeper/new", bytes)).rejects.toMatchObject(escapes);
    await expect(store.writePath("linked/deeper/new")).rejects.toMatchObject(escapes);
    await expect(store.delete("linked/secret")).rejects.toMatchObject(escapes);
    const listed = [];
    for await (const { key } of store.list("")) listed.push(key);
    expect(listed).toEqual([]);
    expect(await readdir(outside)).toEqual(["secret"]);
  });

  test("may be the way to the store itself", async () => {
    const [real, link] = [emptyFolder(), emptyFolder()];
    await mkdir(real);
    await symlink(real, link);
    const store = await localStore(link);
    await store.put("a/b", bytes);
    expect(store.key(join(link, "a", "b"))).toBe("a/b");
    expect(store.key(join(real, "a", "b"))).toBe("a/b");
    expect(await readFile(join(real, "a", "b"), "utf8")).toBe("content");
  });
});

/** The node file system, telling its operations and failing those that `fails` picks. */
function watched(fails: (operation: string) => string | undefined = () => undefined) {
  const done: string[] = [];
  const step = async (operation: string, path: string, work: () => Promise<void>) => {
    const name = path.endsWith(".tmp") ? "temporary" : basename(path);
    const code = fails(operation);
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    await work();
    done.push(`${operation} ${name}`);
  };
  const files: FileSystem = {
    write: (path, content) => step("write", path, () => nodeFileSystem.write(path, content)),
    sync: (path) => step("sync", path, () => nodeFileSystem.sync(path)),
    publish: (from, to) => step("publish", to, () => nodeFileSystem.publish(from, to)),
    makeFolder: (path) => step("folder", path, () => nodeFileSystem.makeFolder(path)),
  };
  return { files, done };
}

describe("durability", () => {
  test("a file is synced before it gets its name, then its folders up to the root, each once", async () => {
    const { files, done } = watched();
    const root = emptyFolder();
    const store = await localStore(root, files);
    await store.put("a/b/first", bytes);
    expect(done.splice(0)).toEqual([
      "folder b",
      "write temporary",
      "sync temporary",
      "publish first",
      "sync b",
      "sync a",
      `sync ${basename(root)}`,
    ]);
    await store.put("a/b/second", bytes);
    expect(done.splice(0)).toEqual(["folder b", "write temporary", "sync temporary", "publish second", "sync b"]);
    await writeFile(await store.writePath("a/c/third"), "rows");
    done.length = 0;
    await store.makeDurable(["a/c/third", "a/b/second"]);
    expect(done).toEqual(["sync third", "sync second", "sync c", "sync a", "sync b"]);
  });

  test.each([
    ["write", "ENOSPC", "store.full"],
    ["sync", "EDQUOT", "store.full"],
    ["publish", "EIO", "store.unreachable"],
    ["folder", "EACCES", "store.unreachable"],
    ["folder", "EROFS", "store.unreachable"],
  ])("a %s that fails with %s is %s and leaves nothing behind", async (operation, code, expected) => {
    const { files } = watched((current) => (current === operation ? code : undefined));
    const root = emptyFolder();
    const store = await localStore(root, files);
    await expect(store.put("a/file", bytes)).rejects.toMatchObject({ code: expected, found: code });
    expect(await readdir(root, { recursive: true })).not.toContain("a/file");
    expect((await readdir(root, { recursive: true })).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("a root that cannot be made is said at once", async () => {
    const file = emptyFolder();
    await writeFile(file, "not a folder");
    await expect(localStore(join(file, "store"))).rejects.toMatchObject({ code: "store.unreachable" });
  });
});
