import { afterAll, beforeAll, expect, test } from "vitest";
import { liveRef, mainRef } from "../src/catalog/ref-store.ts";
import { merge } from "../src/changes/merge-service.ts";
import { showChange } from "../src/changes/change-reads.ts";
import { openRestore } from "../src/changes/restore-service.ts";
import { openRevert } from "../src/changes/revert-service.ts";
import { contractOnMain, importText, proposeText, rollBack } from "./harness/changes.ts";
import { lakehouse, source, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

/** Sets what a column's contract says beyond the data. */
async function editColumn(name: string, column: string, more: Record<string, unknown>): Promise<string> {
  const contract = await contractOnMain(lake, name);
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((property) => (property.name === column ? { ...property, ...more } : property)),
  }));
  const { change } = await lake.propose({ operations: [{ kind: "contract", dataset: name, contract: { ...contract, schema } }] });
  return change?.id ?? "";
}

async function said(name: string, ref = mainRef): Promise<Record<string, unknown>> {
  const properties = (await contractOnMain(lake, name, ref)).schema[0]?.properties ?? [];
  return Object.fromEntries(
    properties.map((property) => [property.name, property["logicalTypeOptions"] ?? property["description"] ?? null]),
  );
}

const minimum = (value: number) => ({ logicalTypeOptions: { minimum: value } });
const start = (name: string) => importText(lake, name, "id,v\n1,10\n2,20\n", ["id"]);
const upsert = (name: string, csv: string) => proposeText(lake, name, { kind: "upsert", csv });

test("a change of rows and one of the contract both survive, whichever merges first", async () => {
  for (const first of ["rows", "contract"]) {
    const name = `both.${first}`;
    await start(name);
    const [rows, contract] = [await upsert(name, "id,v\n3,30\n"), await editColumn(name, "v", minimum(0))];
    for (const id of first === "rows" ? [rows, contract] : [contract, rows]) await lake.merge(id);
    expect(await rowsOf(lake, name)).toHaveLength(3);
    expect(await said(name)).toEqual({ id: null, v: { minimum: 0 } });
  }
});

test("two edits of different rules both survive, with rows or without", async () => {
  await start("two.rules");
  const [one, two] = [await editColumn("two.rules", "v", minimum(0)), await editColumn("two.rules", "id", { description: "the id" })];
  await lake.merge(one);
  await lake.merge(two);
  expect(await said("two.rules")).toEqual({ id: "the id", v: { minimum: 0 } });
});

test("a contract edit and a renamed column meet in one contract", async () => {
  await start("renamed.t");
  const edit = await editColumn("renamed.t", "v", minimum(0));
  const { change } = await lake.propose({
    operations: [{ kind: "schema", dataset: "renamed.t", edits: [{ edit: "rename", name: "v", to: "value" }] }],
  });
  await lake.merge(change?.id ?? "");
  await lake.merge(edit);
  expect(await said("renamed.t")).toEqual({ id: null, value: { minimum: 0 } });
});

test("one rule changed differently on both sides is a conflict named by the rule", async () => {
  await start("one.rule");
  const [one, two] = [await editColumn("one.rule", "v", minimum(1)), await editColumn("one.rule", "v", minimum(2))];
  await lake.merge(one);
  await expect(lake.merge(two)).rejects.toMatchObject({
    code: "merge.conflict",
    message: expect.stringContaining("rule v/minimum of its contract was added differently on both sides") as string,
  });
  expect(await said("one.rule")).toMatchObject({ v: { minimum: 1 } });
});

test("a revert takes its own contract edit out and leaves later ones; what was edited again is a conflict", async () => {
  await start("reverted.t");
  const edit = await editColumn("reverted.t", "v", minimum(1));
  await lake.merge(edit);
  await lake.merge(await editColumn("reverted.t", "id", { description: "the id" }));
  await lake.merge(await upsert("reverted.t", "id,v\n3,30\n"));
  const revert = await openRevert(lake, { changeId: edit, actor: "ana" });
  await lake.merge(revert.id);
  expect(await said("reverted.t")).toEqual({ id: "the id", v: null });
  expect(await rowsOf(lake, "reverted.t")).toHaveLength(3);

  const again = await editColumn("reverted.t", "v", minimum(2));
  await lake.merge(again);
  await lake.merge(await editColumn("reverted.t", "v", minimum(3)));
  await expect(openRevert(lake, { changeId: again, actor: "ana" })).rejects.toMatchObject({
    code: "revert.conflict",
    message: expect.stringContaining("rule v/minimum") as string,
  });
});

test("a batch carried to readers while a bar stands leaves them the contract that they have, until the revert brings main's", async () => {
  await start("carried.t");
  const bad = await upsert("carried.t", "id,v\n1,0\n");
  await rollBack(lake, (await lake.merge(bad)).release.id);
  const edit = await editColumn("carried.t", "v", minimum(0));
  await lake.merge(edit);
  const batch = source(await lake.file("carried.csv", "id,v\n9,90\n"));
  lake.clock.advance(1000);
  const operations = [{ kind: "append" as const, dataset: "carried.t", source: batch }];
  const { change } = await lake.propose({ operations, origin: "feed" });
  await merge(lake, { changeId: change?.id ?? "", actor: "ana", ordinary: true, byPerson: true });
  await lake.drain();
  const rows = [
    { id: 1, v: 10 },
    { id: 2, v: 20 },
    { id: 9, v: 90 },
  ];
  expect(await said("carried.t", liveRef("production"))).toEqual({ id: null, v: null });
  expect(await rowsOf(lake, "carried.t")).toEqual(rows);
  await lake.merge((await showChange(lake.db, bad)).revertedBy[0] ?? "");
  expect(await said("carried.t", liveRef("production"))).toEqual({ id: null, v: { minimum: 0 } });
  expect(await said("carried.t")).toEqual({ id: null, v: { minimum: 0 } });
  expect(await rowsOf(lake, "carried.t")).toEqual(rows);
});

test("a restore brings the contract of the older version back with its rows", async () => {
  await start("restored.t");
  await lake.merge(await editColumn("restored.t", "v", minimum(0)));
  await lake.merge(await upsert("restored.t", "id,v\n1,11\n"));
  const { change } = await openRestore(lake, { datasets: ["restored.t"], to: "@1", actor: "ana" });
  await lake.merge(change.id);
  expect(await said("restored.t")).toEqual({ id: null, v: null });
});

test("a corrected batch takes the contract edit of the old one out with its rows", async () => {
  await start("corrected.t");
  const contract = await contractOnMain(lake, "corrected.t");
  const file = await lake.file("corrected.csv", "id,v\n7,70\n");
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((property) => (property.name === "v" ? { ...property, ...minimum(5) } : property)),
  }));
  const { change } = await lake.propose({
    operations: [{ kind: "upsert", dataset: "corrected.t", source: source(file) }],
    sourceId: "batch",
  });
  const changeId = change?.id ?? "";
  await lake.propose({ operations: [{ kind: "contract", dataset: "corrected.t", contract: { ...contract, schema } }], changeId });
  await lake.merge(changeId);
  expect(await said("corrected.t")).toMatchObject({ v: { minimum: 5 } });
  const again = { kind: "upsert", csv: "id,v\n7,71\n" } as const;
  await lake.merge(await proposeText(lake, "corrected.t", again, { sourceId: "batch", correct: true }));
  expect(await said("corrected.t")).toEqual({ id: null, v: null });
});
