import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyAudit } from "../../src/audit/audit-reads.ts";
import { relocateStore } from "../../src/catalog/relocate-service.ts";
import { createTag } from "../../src/catalog/tag-service.ts";
import { mergeAnyway } from "../harness/merge-anyway.ts";
import { propose } from "../../src/changes/propose-service.ts";
import { TableReader } from "../../src/effects/version-writer.ts";
import { localStore } from "../../src/lake/local-store.ts";
import { examine } from "../../src/reading/doctor-service.ts";
import { faultStore } from "../harness/fault-store.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { sparkTables } from "../harness/spark-fixture.ts";
import { adoptedAt, deletesOf, diffFromFirst, proposed, proposedBySpark, rowsById, type RowsById } from "../harness/spark-line.ts";

/** A data folder that moves with tables of Spark in it, position deletes and all: relocated, everything is as it was. */

let lake: Lakehouse;
let moved: Lakehouse;
let branch: string;
const before = new Map<string, RowsById>();
const diffs = new Map<string, unknown>();

/** Every name under which a state can be asked for: branches, tags, old versions. */
const names = (): [dataset: string, at: string][] => [
  ["spark.keyed", "main"],
  ["spark.keyed", "live/production"],
  ["spark.keyed", branch],
  ["spark.keyed", "spring"],
  ["spark.keyed@1", "main"],
  ["spark.keyed@2", "main"],
  ["spark.keyed@3", "main"],
  ["spark.parts", "main"],
  ["spark.parts", "spring"],
  ["spark.parts@1", "main"],
];

const edit = (where: string) =>
  ({ kind: "update", dataset: "spark.keyed", set: [{ column: "label", expression: "'edited'" }], where }) as const;

beforeAll(async () => {
  lake = await lakehouse();
  const { keyed, parts } = await sparkTables(lake.store, lake.engine);
  await adoptedAt(lake, "spark.keyed", keyed, ["id"], 1);
  await adoptedAt(lake, "spark.parts", parts, [], 1);
  await lake.merge(await proposedBySpark(lake, "spark.parts", parts));
  await createTag(lake, { name: "spring", at: "main", actor: "ana" });
  await lake.merge(await proposedBySpark(lake, "spark.keyed", keyed));
  await lake.merge(await proposed(lake, edit("id = 102")));
  branch = await proposed(lake, edit("id = 3"));
  for (const [dataset, at] of names()) before.set(`${dataset} ${at}`, await rowsById(lake, dataset, at));
  for (const [dataset] of names()) diffs.set(dataset, (await diffFromFirst(lake, dataset.replace(/@.*/, ""), "main")).rows);
  const folder = join(lake.dir, "a new place, 100% æ");
  await rename(join(lake.dir, "lake"), folder);
  const store = await localStore(folder);
  moved = { ...lake, store, tables: new TableReader(store) };
});
afterAll(() => lake.close());

const relocated = (store = moved.store) =>
  relocateStore({ ...moved, store }, { root: join(lake.dir, "a new place, 100% æ"), actor: "ana" });

test("before it is relocated the doctor names every version whose files are said to be elsewhere", async () => {
  const report = await examine(moved, { dataset: "spark.keyed" });
  expect(report.findings.map((finding) => finding.version).sort()).toEqual([1, 2, 3, 4]);
  for (const finding of report.findings) {
    expect(finding.found).toContain(join(lake.dir, "lake"));
    expect(finding.expected).toContain("a new place");
  }
});

test("a relocation that fails at any step changes nothing, and works when it is run again", async () => {
  const dry = faultStore(moved.store);
  const versions = await moved.db.selectFrom("versions").select(["id", "metadata_key"]).orderBy("id").execute();
  const steps: number[] = [];
  for (let step = 1; ; step += 7) {
    const from = dry.operations;
    dry.failAt(step);
    const failed = await relocated(dry).then(
      () => false,
      () => true,
    );
    if (!failed) break;
    steps.push(dry.operations - from);
    expect(await moved.db.selectFrom("versions").select(["id", "metadata_key"]).orderBy("id").execute()).toEqual(versions);
  }
  // It failed at ever later steps, and in the end there was none left to fail.
  expect(steps.length).toBeGreaterThan(5);
  const keys = await moved.db.selectFrom("versions").select(["id", "metadata_key"]).orderBy("id").execute();
  for (const [at, { metadata_key: key }] of keys.entries()) expect(key).not.toBe(versions[at]?.metadata_key);
  expect(await relocated()).toMatchObject({ versions: 0 });
  expect((await verifyAudit(moved.db)).ok).toBe(true);
});

test("afterwards branches, tags and old versions are read as before, with their deletes", async () => {
  for (const [dataset, at] of names()) {
    const name = `${dataset} ${at}`;
    expect(await rowsById(moved, dataset, at), name).toEqual(before.get(name));
  }
  for (const name of ["spark.keyed@1", "spark.keyed@2", "spark.parts", "spark.parts@1"])
    expect(await deletesOf(moved, name), name).toBeGreaterThan(0);
  expect(await readdir(lake.dir)).not.toContain("lake");
});

test("and the doctor finds nothing wrong, diffs are the same, and changes go on", async () => {
  const report = await examine(moved, {});
  expect(report.findings).toEqual([]);
  expect(report.deletes).toBeGreaterThan(4);
  // Other samples are another question: it is answered from the files and not from what was stored.
  for (const [dataset] of names())
    expect((await diffFromFirst(moved, dataset.replace(/@.*/, ""), "main", 7)).rows).toEqual(diffs.get(dataset));
  const actor = "ana";
  moved.clock.advance(1000);
  const rows = await moved.file("more.csv", "id,label,amount,seen\n5,five,5.00,2026-05-01T00:00:00\n500,new,1.00,2026-05-01T00:00:00\n");
  const operations = [{ kind: "upsert" as const, dataset: "spark.keyed", source: source(rows) }];
  const { change } = await propose(moved, { operations, actor, origin: "person" });
  moved.clock.advance(1000);
  await mergeAnyway(moved, branch, actor);
  await mergeAnyway(moved, change?.id ?? "", actor);
  const now = await rowsById(moved, "spark.keyed", "main");
  expect([3, 5, 500, 4].map((id) => now.get(id)?.[0])).toEqual(["edited", "five", "new", "ünï-4"]);
  expect(now.size).toBe((before.get("spark.keyed main")?.size ?? 0) + 1);
  expect((await examine(moved, {})).findings).toEqual([]);
});
