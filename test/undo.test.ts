import { afterAll, beforeAll, expect, test } from "vitest";
import { showChange } from "../src/changes/change-reads.ts";
import { closeChange } from "../src/changes/close-service.ts";
import { proposePolicy } from "../src/changes/policy-service.ts";
import { openRestore } from "../src/changes/restore-service.ts";
import { openRevert } from "../src/changes/revert-service.ts";
import { importText, proposeText, rollBack } from "./harness/changes.ts";
import { lakehouse, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const revertOf = async (id: string): Promise<string> => (await showChange(lake.db, id)).revertedBy[0] ?? "";

test("a change that was opened before a bad one and merged after its revert does not hide the bad one from the revert of the revert", async () => {
  await importText(lake, "older.stock", "id,n\n1,10\n2,20\n", ["id"]);
  const older = await proposeText(lake, "older.stock", { kind: "append", csv: "id,n\n3,30\n" });
  const bad = await proposeText(lake, "older.stock", { kind: "upsert", csv: "id,n\n1,0\n" });
  await rollBack(lake, (await lake.merge(bad)).release.id);
  const revert = await revertOf(bad);
  await lake.merge(revert);
  await lake.merge(older);
  const good = await rowsOf(lake, "older.stock");
  const again = await openRevert(lake, { changeId: revert, actor: "ana" });
  expect((await lake.merge(again.id)).release.state).toBe("waiting");
  expect(await rowsOf(lake, "older.stock")).toEqual(good);
});

test("a column that came after one that is rolled back stays with readers", async () => {
  await importText(lake, "later.stock", "id,n\n1,10\n", ["id"]);
  const add = async (name: string) => {
    const edits = [{ edit: "add" as const, name, type: "string" as const }];
    const { change } = await lake.propose({ operations: [{ kind: "schema", dataset: "later.stock", edits }] });
    return (await lake.merge(change?.id ?? "")).release.id;
  };
  const bad = await add("wrong");
  await add("place");
  await rollBack(lake, bad);
  expect(await rowsOf(lake, "later.stock")).toEqual([{ id: 1, n: 10, place: null }]);
});

test("what came after what is rolled back stays with readers, also when the clock was set back in between", async () => {
  await importText(lake, "clock.stock", "id,n\n1,10\n", ["id"]);
  const add = async (csv: string) => (await lake.merge(await proposeText(lake, "clock.stock", { kind: "append", csv }))).release.id;
  const bad = await add("id,n\n2,0\n");
  lake.clock.advance(-7_200_000);
  await add("id,n\n3,30\n");
  await add("id,n\n4,40\n");
  await rollBack(lake, bad);
  expect(await rowsOf(lake, "clock.stock")).toEqual([
    { id: 1, n: 10 },
    { id: 3, n: 30 },
    { id: 4, n: 40 },
  ]);
  lake.clock.advance(7_200_000);
});

test.each([
  ["without a key", [], "append"],
  ["with a key", ["id"], "upsert"],
] as const)("a batch that is corrected twice leaves only its last rows, %s", async (what, key, kind) => {
  const name = `twice.t${key.length}`;
  await importText(lake, name, "id,v\n1,a\n", [...key]);
  const batch = { sourceId: "batch-1" };
  await lake.merge(await proposeText(lake, name, { kind, csv: "id,v\n2,first\n3,first\n" }, batch));
  await lake.merge(await proposeText(lake, name, { kind, csv: "id,v\n2,second\n" }, { ...batch, correct: true }));
  await lake.merge(await proposeText(lake, name, { kind, csv: "id,v\n4,third\n" }, { ...batch, correct: true }));
  expect(await rowsOf(lake, name), what).toEqual([
    { id: 1, v: "a" },
    { id: 4, v: "third" },
  ]);
});

test("a batch that was rolled back and reverted can still be corrected", async () => {
  await importText(lake, "back.t", "id,v\n1,a\n");
  const bad = await proposeText(lake, "back.t", { kind: "append", csv: "id,v\n2,bad\n" }, { sourceId: "b" });
  await rollBack(lake, (await lake.merge(bad)).release.id);
  await lake.merge(await revertOf(bad));
  await lake.merge(await proposeText(lake, "back.t", { kind: "append", csv: "id,v\n2,good\n" }, { sourceId: "b", correct: true }));
  expect(await rowsOf(lake, "back.t")).toEqual([
    { id: 1, v: "a" },
    { id: 2, v: "good" },
  ]);
});

test("a correction undoes its barred batch, so readers get it; the revert of the correction brings the bar back", async () => {
  await importText(lake, "mend.t", "id,v\n1,a\n");
  const bad = await proposeText(lake, "mend.t", { kind: "append", csv: "id,v\n2,bad\n" }, { sourceId: "b" });
  await rollBack(lake, (await lake.merge(bad)).release.id);
  const mended = { sourceId: "b", correct: true };
  const first = await proposeText(lake, "mend.t", { kind: "append", csv: "id,v\n2,good\n" }, mended);
  expect((await lake.merge(first)).release.state).toBe("completed");
  const second = await proposeText(lake, "mend.t", { kind: "append", csv: "id,v\n2,better\n" }, mended);
  expect((await lake.merge(second)).release.state).toBe("completed");
  expect(await rowsOf(lake, "mend.t")).toHaveLength(2);
  const undone = await openRevert(lake, { changeId: second, actor: "ana" });
  expect((await lake.merge(undone.id)).release.state).toBe("completed");
  const undoneToo = await openRevert(lake, { changeId: first, actor: "ana" });
  expect((await lake.merge(undoneToo.id)).release.state).toBe("waiting");
  expect(await rowsOf(lake, "mend.t")).toEqual([
    { id: 1, v: "a" },
    { id: 2, v: "good" },
  ]);
});

test("a restore does not undo what was merged after it was opened and is not in its list", async () => {
  await importText(lake, "late.t", "id,n\n1,10\n2,20\n", ["id"]);
  await lake.merge(await proposeText(lake, "late.t", { kind: "delete", csv: "id\n2\n" }));
  const restore = await openRestore(lake, { datasets: ["late.t"], to: "@1", actor: "ana" });
  await lake.merge(await proposeText(lake, "late.t", { kind: "append", csv: "id,n\n3,30\n" }));
  await expect(lake.merge(restore.change.id)).rejects.toMatchObject({ code: "merge.conflict" });
  expect((await rowsOf(lake, "late.t")).map((row) => row["id"])).toEqual([1, 3]);
});

test("closing the revert of a drop that was rolled back takes nothing from readers", async () => {
  await importText(lake, "kept.t", "id,n\n1,10\n", ["id"]);
  const { change } = await lake.propose({ operations: [{ kind: "drop", dataset: "kept.t" }] });
  await rollBack(lake, (await lake.merge(change?.id ?? "")).release.id);
  await closeChange(lake, { changeId: await revertOf(change?.id ?? ""), actor: "ana", reason: "no need" });
  expect(await rowsOf(lake, "kept.t")).toHaveLength(1);
});

test("a change that main no longer has is not reverted twice, so the revert of its revert still finds the bar", async () => {
  await importText(lake, "once.t", "id,v\n1,1\n", ["id"]);
  const bad = await proposeText(lake, "once.t", { kind: "upsert", csv: "id,v\n1,0\n" });
  await rollBack(lake, (await lake.merge(bad)).release.id);
  const revert = await revertOf(bad);
  await lake.merge(revert);
  await expect(openRevert(lake, { changeId: bad, actor: "ana" })).rejects.toMatchObject({ code: "change.empty" });
  const again = await openRevert(lake, { changeId: revert, actor: "ana" });
  expect((await lake.merge(again.id)).release.state).toBe("waiting");
  expect(await rowsOf(lake, "once.t")).toEqual([{ id: 1, v: 1 }]);
});

test("what a change only proposes is not restored", async () => {
  await importText(lake, "open.t", "id\n1\n");
  await proposeText(lake, "open.t", { kind: "append", csv: "id\n2\n" });
  await expect(openRestore(lake, { datasets: ["open.t"], to: "@2", actor: "ana" })).rejects.toMatchObject({ code: "version.not_found" });
});

test("a revert that several people open at once is one revert, and undoes what it reverts once", async () => {
  await importText(lake, "both.t", "v\na\n");
  const bad = await proposeText(lake, "both.t", { kind: "append", csv: "v\na\n" });
  await lake.merge(bad);
  const opened = await Promise.all(["ana", "ben", "eve"].map((actor) => openRevert(lake, { changeId: bad, actor })));
  const [first] = opened;
  expect(new Set(opened.map((change) => change.id)).size).toBe(1);
  expect((await showChange(lake.db, bad)).revertedBy).toEqual([first?.id]);
  await lake.merge(first?.id ?? "");
  expect(await rowsOf(lake, "both.t")).toEqual([{ v: "a" }]);
  // One revert is in effect, so its own revert brings the batch back.
  await lake.merge((await openRevert(lake, { changeId: first?.id ?? "", actor: "ana" })).id);
  expect(await rowsOf(lake, "both.t")).toHaveLength(2);
});

test.each(["the revert first", "the correction first"])("what is undone already is not undone again by a merge, %s", async (order) => {
  const name = `again.${order.replaceAll(" ", "_")}`;
  await importText(lake, name, "v\na\n");
  const batch = { sourceId: "b" };
  const bad = await proposeText(lake, name, { kind: "append", csv: "v\na\n" }, batch);
  await lake.merge(bad);
  const revert = (await openRevert(lake, { changeId: bad, actor: "ana" })).id;
  const correction = await proposeText(lake, name, { kind: "append", csv: "v\nb\n" }, { ...batch, correct: true });
  const [first, second] = order === "the revert first" ? [revert, correction] : [correction, revert];
  await lake.merge(first);
  const rows = await rowsOf(lake, name, { at: "main" });
  // The row that stays says the same as the one that was taken out: nothing but what the change was opened to undo tells them apart.
  await expect(lake.merge(second)).rejects.toMatchObject({
    code: "merge.conflict",
    message: expect.stringContaining(`${bad} has no effect on main any more`) as unknown,
  });
  expect(await rowsOf(lake, name, { at: "main" })).toEqual(rows);
  expect(rows).toContainEqual({ v: "a" });
});

test("a correction of a correction, and a revert after changes of other rows, merge onto a main that has moved", async () => {
  await importText(lake, "moved.t", "id,v\n1,a\n", ["id"]);
  const batch = { sourceId: "b" };
  await lake.merge(await proposeText(lake, "moved.t", { kind: "append", csv: "id,v\n2,first\n" }, batch));
  const second = await proposeText(lake, "moved.t", { kind: "append", csv: "id,v\n2,second\n" }, { ...batch, correct: true });
  await lake.merge(await proposeText(lake, "moved.t", { kind: "append", csv: "id,v\n7,x\n" }));
  await lake.merge(second);
  const third = await proposeText(lake, "moved.t", { kind: "append", csv: "id,v\n2,third\n" }, { ...batch, correct: true });
  await lake.merge(await proposeText(lake, "moved.t", { kind: "append", csv: "id,v\n8,x\n" }));
  await lake.merge(third);
  const revert = await openRevert(lake, { changeId: third, actor: "ana" });
  await lake.merge(await proposeText(lake, "moved.t", { kind: "append", csv: "id,v\n9,x\n" }));
  await lake.merge(revert.id);
  expect((await rowsOf(lake, "moved.t")).map((row) => [row["id"], row["v"]])).toEqual([
    [1, "a"],
    [2, "second"],
    [7, "x"],
    [8, "x"],
    [9, "x"],
  ]);
});

test("a revert that opens by itself merges by itself where policy lets it, and stays open for a person where something speaks against it", async () => {
  await importText(lake, "alone.t", "id,v\n1,10\n2,20\n", ["id"]);
  const text = "rules:\n  - { name: the way back, when: { origin: revert }, automatic: true, untested: allow, maxRemoved: 1 }\n";
  await lake.merge((await proposePolicy(lake, { text, actor: "ana" })).change.id);
  const bad = await proposeText(lake, "alone.t", { kind: "upsert", csv: "id,v\n2,0\n" });
  await rollBack(lake, (await lake.merge(bad)).release.id);
  expect(await showChange(lake.db, await revertOf(bad))).toMatchObject({ change: { state: "merged", origin: "revert" } });
  expect(await rowsOf(lake, "alone.t")).toEqual([
    { id: 1, v: 10 },
    { id: 2, v: 20 },
  ]);
  const worse = await proposeText(lake, "alone.t", { kind: "append", csv: "id,v\n3,0\n4,0\n" });
  await rollBack(lake, (await lake.merge(worse)).release.id);
  expect(await showChange(lake.db, await revertOf(worse))).toMatchObject({ change: { state: "open" } });
});
