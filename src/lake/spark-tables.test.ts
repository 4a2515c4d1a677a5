import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sparkTables, type SparkTable } from "../../test/harness/spark-fixture.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import { systemIds } from "../edges/ids.ts";
import type { Cell, TablePlan } from "../engine/plan.ts";
import { inspectFiles } from "./doctor.ts";
import type { LiveFile } from "./data-file.ts";
import { liveFiles, manifestsOf, openManifest } from "./iceberg/live-files.ts";
import { Reachable } from "./iceberg/reachable.ts";
import { readTable, type Table } from "./iceberg/table.ts";
import { writeVersion } from "./iceberg/version-writer.ts";
import { localStore } from "./local-store.ts";
import { Relocation } from "./relocate.ts";
import type { Field } from "./schema.ts";
import type { ObjectStore } from "./store.ts";

const there = testEngine();
let dir: string;
let store: ObjectStore;
let tables: Awaited<ReturnType<typeof sparkTables>>;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-spark-"));
  store = await localStore(join(dir, "lake"));
  tables = await sparkTables(store, there.engine);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function scan(files: readonly LiveFile[], fields: readonly Field[], at = store): TablePlan {
  const uri = (file: { key: string }) => at.uri(file.key);
  return { op: "table", fields, files: files.map(({ file, deletes }) => ({ uri: uri(file), rows: file.rows, deletes: deletes.map(uri) })) };
}

async function rowsOf(files: readonly LiveFile[], fields: readonly Field[], at = store): Promise<Cell[][]> {
  const order = [{ column: "id" }, { column: fields[1]?.name ?? "id" }];
  const rows = await there.engine.rows({ op: "sort", input: scan(files, fields, at), by: order });
  // Spark's own list has no zone, as its session stands in UTC.
  return rows.map((row) =>
    fields.map(({ name, type }) =>
      type === "timestamptz" ? ((row[name] as string | null)?.replace("Z", "") ?? null) : (row[name] ?? null),
    ),
  );
}

const cases: [string, (all: typeof tables) => SparkTable][] = [
  ["with a key and deletes per file", (all) => all.keyed],
  ["with partitions and deletes per partition", (all) => all.parts],
];

describe.each(cases)("a table of Spark %s", (_name, pick) => {
  let table: Table;
  let expected: SparkTable;
  beforeAll(async () => {
    expected = pick(tables);
    table = await readTable(store, expected.metadataKey);
  });

  test("has the rows that Spark reads, now and at every snapshot", async () => {
    const { schema } = table;
    expect(schema.fields.map((field) => field.name)).toEqual(expected.columns);
    expect(await rowsOf(await liveFiles(store, table), schema.fields)).toEqual(expected.rows);
    expect(expected.snapshots.size).toBeGreaterThanOrEqual(6);
    for (const [id, rows] of expected.snapshots) {
      const snapshot = table.metadata.snapshots.find((candidate) => candidate["snapshot-id"] === id);
      const then = table.metadata.schemas.find((candidate) => candidate["schema-id"] === snapshot?.["schema-id"]);
      expect(await rowsOf(await liveFiles(store, table, id), then?.fields ?? []), `snapshot ${id}`).toEqual(rows);
    }
  });

  test("is sound in the doctor's eyes", async () => {
    expect(await inspectFiles(store, there.engine, table.schema, await liveFiles(store, table))).toEqual([]);
  });

  test("has position deletes that apply to some of its files only", async () => {
    const live = await liveFiles(store, table);
    expect(live.some(({ deletes }) => deletes.length > 0)).toBe(true);
    expect(live.some(({ deletes }) => deletes.length === 0)).toBe(true);
    for (const { file, deletes } of live) for (const item of deletes) expect(item.sequence).toBeGreaterThanOrEqual(file.sequence);
  });

  test("can be written on: a file goes, its idle deletes go with it, everything else stays", async () => {
    const live = await liveFiles(store, table);
    const victim = live.find(({ deletes }) => deletes.length > 0) as LiveFile;
    const added = { ...(live.find(({ deletes }) => deletes.length === 0) as LiveFile).file };
    const next = await writeVersion(store, {
      base: table,
      location: "branch/one",
      schema: table.schema,
      lastColumnId: table.lastColumnId,
      add: [{ ...added, key: `${added.key}.copy` }],
      remove: new Set([victim.file.key]),
      now: new Date("2027-01-01T00:00:00Z"),
      ids: systemIds,
    });
    const after = await liveFiles(store, await readTable(store, next.metadataKey));
    const names = (files: readonly LiveFile[]) =>
      files.map(({ file, deletes }) => [file.key, ...deletes.map((item) => item.key)].join(" ")).sort();
    const untouched = live.filter((item) => item !== victim);
    expect(names(after)).toEqual(names([...untouched, { file: { ...added, key: `${added.key}.copy` }, deletes: [] }]));
    const lines = (await manifestsOf(store, next)).filter((line) => line.content === "deletes");
    const named = (await Promise.all(lines.map((line) => openManifest(store, line)))).flatMap(({ entries }) => entries);
    const applied = new Set(after.flatMap(({ deletes }) => deletes.map((item) => item.key)));
    expect(named.map((entry) => entry.file.key).sort()).toEqual([...applied].sort());
    expect(next.metadata.location).toBe(store.uri("branch/one"));
    expect(next.metadata["table-uuid"]).toBe(table.metadata["table-uuid"]);
    expect(next.metadata.properties["gc.enabled"]).toBe("false");
    // What the base named is still reachable through its snapshots, and nothing below the base's place was written.
    const [before, now] = [new Reachable(store), new Reachable(store)];
    await before.add(table.metadataKey);
    await now.add(next.metadataKey);
    for (const key of before.keys) if (key !== table.metadataKey) expect(now.keys).toContain(key);
    for (const key of now.keys) if (!before.keys.has(key) && !key.endsWith(".copy")) expect(key).toMatch(/^branch\/one\/metadata\//);
  });
});

test("a store that moves with tables of Spark in it is read the same at its new place, and nothing names the old one", async () => {
  const folder = join(dir, "first");
  const first = await localStore(folder);
  const { keyed, parts } = await sparkTables(first, there.engine, "in/side");
  const moved = join(dir, "second place 100%");
  await rename(folder, moved);
  const second = await localStore(moved);
  const relocation = new Relocation(second, { oldRoot: folder, ids: systemIds, engine: there.engine });
  for (const expected of [keyed, parts]) {
    const key = await relocation.table(expected.metadataKey);
    expect(key).not.toBe(expected.metadataKey);
    const table = await readTable(second, key);
    expect(await rowsOf(await liveFiles(second, table), table.schema.fields, second)).toEqual(expected.rows);
    for (const [id, rows] of expected.snapshots) {
      const snapshot = table.metadata.snapshots.find((candidate) => candidate["snapshot-id"] === id);
      const then = table.metadata.schemas.find((candidate) => candidate["schema-id"] === snapshot?.["schema-id"]);
      expect(await rowsOf(await liveFiles(second, table, id), then?.fields ?? [], second)).toEqual(rows);
    }
    const reachable = new Reachable(second);
    await reachable.add(key);
    for (const name of reachable.keys) {
      expect(await second.stat(name), name).toBeDefined();
      if (name.endsWith(".json")) expect(Buffer.from(await second.get(name)).toString()).not.toContain(folder);
    }
  }
});
