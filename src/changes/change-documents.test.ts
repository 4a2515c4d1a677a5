import { afterAll, beforeAll, expect, test } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { readCommit, readEntries } from "../catalog/commit-store.ts";
import { readDocument, readDocuments } from "../catalog/document-store.ts";
import { getRef, mainRef } from "../catalog/ref-store.ts";
import type { AppError } from "../lib/errors.ts";
import type { DocumentEdit } from "./operation.ts";
import { openRevert } from "./revert-service.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const mainTree = async (): Promise<string> => (await readCommit(lake.db, (await getRef(lake.db, mainRef)).commitId)).tree;

async function open(...documents: DocumentEdit[]): Promise<string> {
  const { change } = await lake.propose({ operations: [], documents });
  return change?.id ?? "";
}

test("a document stands on the change's branch only, until the change is merged; the datasets stay as they are", async () => {
  const file = await lake.file("rows.csv", "id,name\n1,a\n");
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset: "docs.rows", source: source(file), key: ["id"] }] });
  await lake.merge(change?.id ?? "");
  const before = await readEntries(lake.db, await mainTree());
  const id = await open({ path: "policy", text: "rules: []\n" }, { path: "consumers/model", text: "tests: []\n" });
  expect(await readDocument(lake.db, await mainTree(), "policy")).toBeUndefined();
  await lake.merge(id);
  expect(await readDocument(lake.db, await mainTree(), "policy")).toBe("rules: []\n");
  expect((await readDocuments(lake.db, await mainTree(), "consumers/")).map((item) => item.path)).toEqual(["consumers/model"]);
  expect(await readEntries(lake.db, await mainTree())).toEqual(before);
});

test("an edit that changes nothing opens no change", async () => {
  expect(await lake.propose({ operations: [], documents: [{ path: "policy", text: "rules: []\n" }] })).toMatchObject({ change: undefined });
});

test("a document that main has changed meanwhile is a conflict, unless to the same text", async () => {
  const [one, two, same] = [
    await open({ path: "policy", text: "rules: [] # 1\n" }),
    await open({ path: "policy", text: "rules: [] # 2\n" }),
    await open({ path: "policy", text: "rules: [] # 1\n" }, { path: "consumers/job", text: "tests: []\n" }),
  ];
  await lake.merge(one);
  const failure = await lake.merge(two).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "merge.conflict", found: "policy" });
  expect((failure as AppError).message).toContain("policy was changed on main meanwhile");
  await lake.merge(same);
  expect(await readDocument(lake.db, await mainTree(), "policy")).toBe("rules: [] # 1\n");
  expect(await readDocument(lake.db, await mainTree(), "consumers/job")).toBe("tests: []\n");
});

test("tests of a consumer that cannot be read are refused, with the line", async () => {
  await expect(open({ path: "consumers/board", text: "tests:\n  - name: a\n    query: { sql: 3 }\n" })).rejects.toMatchObject({
    code: "consumer.test_invalid",
    message: expect.stringContaining("line 3") as string,
  });
});

test("a document is taken out by a change", async () => {
  await lake.merge(await open({ path: "consumers/job", text: null }));
  expect(await readDocument(lake.db, await mainTree(), "consumers/job")).toBeUndefined();
});

test.each(["", "../policy", "policy/../x", "consumers/", "a/b/c", "consumers/ a"])("«%s» is no path of a document", async (path) => {
  await expect(open({ path, text: "x" })).rejects.toMatchObject({ code: "name.invalid" });
});

test("a revert brings documents back as the change found them, and nothing that it did not change", async () => {
  const text = (path: string) => mainTree().then((tree) => readDocument(lake.db, tree, path));
  await lake.merge(await open({ path: "policy", text: "rules: [] # 3\n" }));
  const [one, same] = [
    await open({ path: "policy", text: "rules: [] # 4\n" }, { path: "consumers/board", text: "tests: []\n" }),
    await open({ path: "policy", text: "rules: [] # 4\n" }, { path: "consumers/report", text: "tests: []\n" }),
  ];
  await lake.merge(one);
  await lake.merge(same);
  await lake.merge((await openRevert(lake, { changeId: same, actor: "ana" })).id);
  expect([await text("policy"), await text("consumers/report")]).toEqual(["rules: [] # 4\n", undefined]);
  await lake.merge((await openRevert(lake, { changeId: one, actor: "ana" })).id);
  expect([await text("policy"), await text("consumers/board")]).toEqual(["rules: [] # 3\n", undefined]);
});

test("a document that was changed since is not reverted over", async () => {
  const id = await open({ path: "policy", text: "rules: [] # 5\n" });
  await lake.merge(id);
  await lake.merge(await open({ path: "policy", text: "rules: [] # 6\n" }));
  await expect(openRevert(lake, { changeId: id, actor: "ana" })).rejects.toMatchObject({ code: "revert.conflict", found: "policy" });
});
