import { afterEach, beforeEach, expect, test } from "vitest";
import { openRevert } from "../changes/revert-service.ts";
import { closeChange } from "../changes/close-service.ts";
import type { ObjectStore } from "../lake/store.ts";
import { addConsumer } from "../access/consumer-service.ts";
import { pin } from "../rollouts/pins/pin-service.ts";
import { answerFor } from "../reading/read-service.ts";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { rowsOf } from "../../test/harness/reads.ts";
import { blockedOn } from "../../test/harness/postgres.ts";
import { collectGarbage, type Swept } from "./gc-service.ts";
import { createRef, getRef, mainRef } from "./ref-store.ts";
import { createTag, deleteTag } from "./tag-service.ts";
import type { Version } from "./version.ts";
import { getVersionByNumber, holdVersions } from "./version-store.ts";

const day = 86_400_000;
const hour = 3_600_000;

let lake: Lakehouse;
let dataset: { id: string; name: string };
beforeEach(async () => {
  lake = await lakehouse();
  const file = await lake.file("start.csv", "id,n\n1,10\n2,20\n3,30\n");
  const create = await lake.propose({ operations: [{ kind: "create", dataset: "t.rows", source: source(file), key: ["id"] }] });
  const merged = await lake.merge(create.change?.id ?? "");
  dataset = { id: merged.datasets[0]?.datasetId ?? "", name: "t.rows" };
});
afterEach(() => lake.close());

let files = 0;
async function upsert(csv: string, changeId?: string): Promise<string> {
  files += 1;
  const file = await lake.file(`upsert-${files}.csv`, `id,n\n${csv}\n`);
  const { change } = await lake.propose({ operations: [{ kind: "upsert", dataset: "t.rows", source: source(file) }], changeId });
  return change?.id ?? "";
}

async function mergedUpsert(csv: string): Promise<string> {
  const id = await upsert(csv);
  await lake.merge(id);
  return id;
}

const version = (number: number): Promise<Version> => getVersionByNumber(lake.db, dataset, number);
const gc = (deps: Lakehouse = lake, dryRun = false): Promise<Swept> => collectGarbage(deps, { dryRun, actor: "ana" });
const keys = (swept: readonly { key: string }[]): string[] => swept.map((item) => item.key).toSorted();

/** Both phases, with the wait between them. */
async function collect(): Promise<Swept> {
  await gc();
  lake.clock.advance(hour);
  return gc();
}

async function readable(number: number): Promise<boolean> {
  const found = await version(number);
  try {
    const { state } = await lake.tables.open(found);
    for (const { file } of state.files) if ((await lake.store.stat(file.key)) === undefined) throw new Error(`${file.key} is gone`);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "version.collected" });
    expect(found.collectedAt).not.toBeNull();
    return false;
  }
}

test("what an open change proposed earlier goes after 30 days, with its files; what it proposes now stays for as long as it is open", async () => {
  const id = await upsert("1,11");
  await upsert("1,12", id);
  await upsert("2,22", id);
  const [first, second] = [await version(2), await version(3)];
  const firstFiles = (await lake.tables.open(first)).state.files.map(({ file }) => file.key);
  lake.clock.advance(29 * day);
  expect(new Set((await collect()).deleted.map((item) => item.reason))).toEqual(new Set(["no version names it"]));
  expect([await readable(2), await readable(3)]).toEqual([true, true]);
  lake.clock.advance(2 * day);
  const swept = await collect();
  expect(keys(swept.deleted)).toEqual(expect.arrayContaining([first.metadataKey, second.metadataKey, ...firstFiles]));
  expect([await readable(1), await readable(2), await readable(3), await readable(4)]).toEqual([true, false, false, true]);
  lake.clock.advance(400 * day);
  await collect();
  expect(await readable(4)).toBe(true);
  await lake.merge(id);
  expect(await rowsOf(lake, "t.rows")).toEqual([
    { id: 1, n: 12 },
    { id: 2, n: 22 },
    { id: 3, n: 30 },
  ]);
});

test("what a closed or superseded change proposed goes 30 days after its end, not before", async () => {
  const closed = await upsert("1,11");
  const batch = async (csv: string): Promise<void> => {
    const file = await lake.file("batch.csv", `id,n\n${csv}\n`);
    await lake.propose({ operations: [{ kind: "upsert", dataset: "t.rows", source: source(file) }], sourceId: "batch-1" });
  };
  await batch("2,21");
  lake.clock.advance(40 * day);
  await closeChange(lake, { changeId: closed, actor: "ana", reason: "not needed" });
  await batch("2,22");
  lake.clock.advance(29 * day);
  await collect();
  expect([await readable(2), await readable(3), await readable(4)]).toEqual([true, true, true]);
  lake.clock.advance(2 * day);
  await collect();
  expect([await readable(2), await readable(3), await readable(4)]).toEqual([false, false, true]);
});

test("main's former versions go after 30 days; a tag, an open change's base, a reader's run and pins keep theirs", async () => {
  await mergedUpsert("1,11");
  await createTag(lake, { name: "v2", at: "main", actor: "ana" });
  await mergedUpsert("1,12");
  const open = await upsert("3,33");
  await mergedUpsert("1,13");
  lake.clock.advance(31 * day);
  const run = { consumer: undefined, run: "nightly", at: undefined };
  await answerFor(lake, run, "t.rows");
  await addConsumer(lake, "ana", { name: "board", kind: "job", criticality: "normal", labels: {} });
  await addConsumer(lake, "ana", { name: "report", kind: "job", criticality: "normal", labels: {} });
  const kept = {
    environment: "production",
    until: new Date(lake.clock.now().getTime() + 31 * day),
    reason: "audit",
    owner: "ana",
    actor: "ana",
  };
  await pin(lake, { ...kept, consumer: "board", dataset: "t.rows@1" });
  await pin(lake, { ...kept, consumer: "report" });
  await mergedUpsert("1,14");
  await collect();
  expect([await readable(1), await readable(2), await readable(3), await readable(5), await readable(6)]).toEqual([
    true,
    true,
    true,
    true,
    true,
  ]);
  await deleteTag(lake, { name: "v2", actor: "ana" });
  await closeChange(lake, { changeId: open, actor: "ana", reason: "not needed" });
  lake.clock.advance(31 * day);
  await collect();
  expect([await readable(1), await readable(2), await readable(3), await readable(5)]).toEqual([false, false, false, false]);
  expect(await readable(6)).toBe(true);
  expect(await rowsOf(lake, "t.rows")).toHaveLength(3);
  expect(await lake.db.selectFrom("versions").select("id").execute()).toHaveLength(6);
});

test("a dry run says what would go and why, and changes nothing", async () => {
  await mergedUpsert("1,11");
  await lake.store.put("tables/left-behind.parquet", new Uint8Array([1]));
  lake.clock.advance(31 * day);
  const before = await lake.db.selectFrom("audit_head").selectAll().execute();
  const dry = await gc(lake, true);
  const first = await version(1);
  const reasonOf = (key: string): string | undefined => dry.condemned.find((item) => item.key === key)?.reason;
  expect(reasonOf("tables/left-behind.parquet")).toBe("no version names it");
  expect(reasonOf(first.metadataKey)).toBe("of t.rows@1: no branch, tag, change or run has had it for 30 days");
  expect(await lake.db.selectFrom("condemned_files").selectAll().execute()).toEqual([]);
  expect(await lake.db.selectFrom("audit_head").selectAll().execute()).toEqual(before);
  expect(keys((await gc()).condemned)).toEqual(keys(dry.condemned));
  lake.clock.advance(hour);
  expect(keys((await gc(lake, true)).deleted)).toEqual(keys(dry.condemned));
  expect(await readable(1)).toBe(true);
});

test("a commit between the phases that names a condemned version rescues it and all of its files", async () => {
  await mergedUpsert("1,11");
  const old = await getRef(lake.db, mainRef);
  await mergedUpsert("1,12");
  lake.clock.advance(31 * day);
  await mergedUpsert("1,13");
  const condemned = await gc();
  expect(keys(condemned.condemned)).toContain((await version(2)).metadataKey);
  await createTag(lake, { name: "kept", at: old.commitId, actor: "ana" });
  lake.clock.advance(hour);
  const swept = await gc();
  expect(keys(swept.deleted)).toContain((await version(1)).metadataKey);
  expect([await readable(1), await readable(2)]).toEqual([false, true]);
  const left = await lake.db.selectFrom("condemned_files").select("key").execute();
  expect(left.map((row) => row.key)).not.toContain((await version(2)).metadataKey);
});

test("a commit that is under way while files are about to be deleted is waited for, and what it names stays", async () => {
  await mergedUpsert("1,11");
  const old = await getRef(lake.db, mainRef);
  lake.clock.advance(1);
  await mergedUpsert("1,12");
  lake.clock.advance(31 * day);
  await mergedUpsert("1,13");
  await gc();
  lake.clock.advance(hour);
  let sweeping: Promise<Swept> | undefined;
  await lake.db.transaction().execute(async (tx) => {
    await holdVersions(tx, [(await version(2)).id]);
    await createRef(tx, { name: "tag/late", commitId: old.commitId, at: lake.clock.now(), actor: "ben", reason: "tag late" });
    sweeping = gc();
    await blockedOn(lake.db, 'update "versions"');
  });
  const swept = await sweeping;
  expect(swept?.deleted.map((item) => item.key)).not.toContain((await version(2)).metadataKey);
  expect([await readable(1), await readable(2)]).toEqual([false, true]);
});

test("a commit that took over files of a version which was collected meanwhile fails, and leaves nothing", async () => {
  const change = await mergedUpsert("1,11");
  await mergedUpsert("2,22");
  lake.clock.advance(31 * day);
  await mergedUpsert("3,33");
  await gc();
  lake.clock.advance(hour);
  let swept: Swept | undefined;
  const store: ObjectStore = {
    ...bound(lake.store),
    makeDurable: async (written) => {
      swept ??= await gc();
      await lake.store.makeDurable(written);
    },
  };
  const before = await lake.db.selectFrom("changes").select("id").execute();
  await expect(openRevert({ ...lake, store }, { changeId: change, actor: "ana" })).rejects.toMatchObject({ code: "version.collected" });
  expect(keys(swept?.deleted ?? [])).toContain((await version(1)).metadataKey);
  expect(await lake.db.selectFrom("changes").select("id").execute()).toEqual(before);
  const old = (await version(1)).createdByChange ?? "";
  const { merge_commit: commit } = await lake.db
    .selectFrom("changes")
    .select("merge_commit")
    .where("id", "=", old)
    .executeTakeFirstOrThrow();
  await expect(createTag(lake, { name: "late", at: commit ?? "", actor: "ana" })).rejects.toMatchObject({
    code: "version.collected",
    found: expect.stringContaining("@1, cleaned up"),
  });
});

function bound(store: ObjectStore): ObjectStore {
  return {
    put: (key, bytes) => store.put(key, bytes),
    get: (key) => store.get(key),
    getRange: (key, start, length) => store.getRange(key, start, length),
    stat: (key) => store.stat(key),
    list: (prefix) => store.list(prefix),
    delete: (key) => store.delete(key),
    writePath: (key) => store.writePath(key),
    makeDurable: (written) => store.makeDurable(written),
    uri: (key) => store.uri(key),
    address: (key) => store.address(key),
    key: (uri) => store.key(uri),
  };
}
