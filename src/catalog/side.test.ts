import { afterAll, beforeAll, expect, test } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { readCommit } from "./commit-store.ts";
import { documentHash } from "./document-store.ts";
import { changeRef, getRef, mainRef } from "./ref-store.ts";
import { dataKeyOf, treeSide } from "./side.ts";
import { getVersion } from "./version-store.ts";

let lake: Lakehouse;
const ids = new Map<string, string>();

beforeAll(async () => {
  lake = await lakehouse();
  for (const name of ["side.one", "side.two"]) {
    const file = await lake.file(`${name}.csv`, "id\n1\n");
    const { change, datasets } = await lake.propose({ operations: [{ kind: "create", dataset: name, source: source(file), key: ["id"] }] });
    await lake.merge(change?.id ?? "");
    ids.set(name, datasets[0]?.datasetId ?? "");
  }
});
afterAll(() => lake.close());

const mainTree = async (): Promise<string> => (await readCommit(lake.db, (await getRef(lake.db, mainRef)).commitId)).tree;

test("a side has what its tree has; edits stand over it and may take a dataset out", async () => {
  const [one, two] = [ids.get("side.one") ?? "", ids.get("side.two") ?? ""];
  const base = treeSide(lake.db, "base", await mainTree());
  const now = await base.get(one);
  expect((await base.all()).map((item) => item.dataset.name).sort()).toEqual(["side.one", "side.two"]);
  expect((await base.named("one"))?.content.id).toBe(now?.id);
  expect(await base.named("three")).toBeUndefined();
  const draft = { ...(now as NonNullable<typeof now>), id: "ver_draft", metadataKey: "elsewhere" };
  const candidate = treeSide(
    lake.db,
    "candidate",
    await mainTree(),
    new Map([
      [one, draft],
      [two, null],
    ]),
  );
  expect(await candidate.get(one)).toBe(draft);
  expect(await candidate.get(two)).toBeUndefined();
  expect(await candidate.named("side.two")).toBeUndefined();
  expect((await candidate.all()).map((item) => [item.dataset.name, item.content.id])).toEqual([["side.one", "ver_draft"]]);
});

test("the key of what is looked at moves with data and columns, not with number or contract", async () => {
  const content = await getVersion(lake.db, (await treeSide(lake.db, "base", await mainTree()).get(ids.get("side.one") ?? ""))?.id ?? "");
  expect(dataKeyOf({ ...content, id: "ver_x", number: 99, contractHash: "other" } as typeof content)).toBe(dataKeyOf(content));
  for (const moved of [{ metadataKey: "x" }, { schemaId: 9 }, { snapshotId: 5n }])
    expect(dataKeyOf({ ...content, ...moved })).not.toBe(dataKeyOf(content));
});

test("a side has the documents of its tree, with edits over them", async () => {
  const { change } = await lake.propose({
    operations: [],
    documents: [
      { path: "consumers/job", text: "tests: []\n" },
      { path: "policy", text: "rules: []\n" },
    ],
  });
  const branch = (await readCommit(lake.db, (await getRef(lake.db, changeRef(change?.id ?? ""))).commitId)).tree;
  const documents = await treeSide(lake.db, "candidate", branch).documents();
  expect(documents.map(({ path }) => path)).toEqual(["consumers/job", "policy"]);
  expect(await treeSide(lake.db, "base", await mainTree()).documents()).toEqual([]);
  const hashes = new Map([
    ["consumers/model", documentHash("rules: []\n")],
    ["policy", null],
  ]);
  const edited = await treeSide(lake.db, "candidate", branch, new Map(), hashes).documents("consumers/");
  expect(edited).toEqual([
    { path: "consumers/job", text: "tests: []\n" },
    { path: "consumers/model", text: "rules: []\n" },
  ]);
});
