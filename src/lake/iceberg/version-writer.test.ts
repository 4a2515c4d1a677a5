import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { madeFile } from "../../../test/harness/made-files.ts";
import { systemIds } from "../../edges/ids.ts";
import { parseJson } from "../../lib/json.ts";
import type { DataFile } from "../data-file.ts";
import { localStore } from "../local-store.ts";
import { renameColumn } from "../schema-edits.ts";
import type { Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import { liveFiles, manifestsOf } from "./live-files.ts";
import { metadataText, parseMetadata } from "./metadata.ts";
import { Reachable } from "./reachable.ts";
import { createTable, readTable, type Table } from "./table.ts";
import { writeVersion } from "./version-writer.ts";

const schema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 1, name: "id", required: true, type: "long" },
    { id: 2, name: "tags", required: false, type: { type: "list", "element-id": 3, element: "string", "element-required": false } },
  ],
  "identifier-field-ids": [1],
};
const start = new Date("2026-11-01T00:00:00Z");

let dir: string;
let store: ObjectStore;
let empty: Table;
let files = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-tables-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
beforeEach(async () => {
  store = await localStore(join(dir, `store-${(files += 1)}`));
  empty = await createTable(store, { location: "t/main", tableUuid: "u-1", schema, lastColumnId: 3, now: start, ids: systemIds });
});

interface Step {
  location?: string;
  schema?: Schema;
  add?: readonly DataFile[];
  remove?: readonly string[];
  now?: Date;
}

const write = (base: Table, step: Step) =>
  writeVersion(store, {
    base,
    location: step.location ?? "t/main",
    schema: step.schema ?? base.schema,
    lastColumnId: base.lastColumnId,
    add: step.add ?? [],
    remove: new Set(step.remove),
    now: step.now ?? start,
    ids: systemIds,
  });
const some = (...names: string[]) => names.map((name) => madeFile(`t/data/${name}.parquet`));
const namesIn = async (table: Table, snapshot = table.snapshotId) =>
  (await liveFiles(store, table, snapshot)).map(({ file }) => file.key.slice("t/data/".length, -".parquet".length)).sort();
const summaryOf = (table: Table) => table.metadata.snapshots.at(-1)?.summary ?? {};

describe("a new table", () => {
  test("holds nothing, and says all that strict readers ask for", async () => {
    const table = await readTable(store, empty.metadataKey);
    expect(table).toEqual(empty);
    expect(await liveFiles(store, table)).toEqual([]);
    const raw = parseJson(Buffer.from(await store.get(empty.metadataKey)).toString()) as Record<string, unknown>;
    expect(raw).toMatchObject({
      "format-version": 2,
      "table-uuid": "u-1",
      location: store.uri("t/main"),
      "last-sequence-number": 0,
      "last-partition-id": 999,
      "last-column-id": 3,
      "default-spec-id": 0,
      "partition-specs": [{ "spec-id": 0, fields: [] }],
      "sort-orders": [{ "order-id": 0, fields: [] }],
      snapshots: [],
      refs: {},
    });
    expect(raw).not.toHaveProperty("current-snapshot-id");
    expect(Object.values(raw["properties"] as object).every((value) => typeof value === "string")).toBe(true);
    expect(raw["properties"]).toMatchObject({ "gc.enabled": "false", "write.metadata.metrics.column.id": "full" });
    const mapping = JSON.parse((raw["properties"] as Record<string, string>)["schema.name-mapping.default"] ?? "");
    expect(mapping).toEqual([
      { "field-id": 1, names: ["id"] },
      { "field-id": 2, names: ["tags"], fields: [{ "field-id": 3, names: ["element"] }] },
    ]);
  });
});

describe("a new version", () => {
  test("appends, replaces and removes; older snapshots stay as they were", async () => {
    const one = await write(empty, { add: some("a", "b") });
    const two = await write(one, { add: some("c"), remove: ["t/data/a.parquet"] });
    const three = await write(two, { remove: ["t/data/b.parquet", "t/data/c.parquet"] });
    expect(await namesIn(one)).toEqual(["a", "b"]);
    expect(await namesIn(two)).toEqual(["b", "c"]);
    expect(await namesIn(three)).toEqual([]);
    const last = await readTable(store, three.metadataKey);
    expect(await namesIn(last, one.snapshotId)).toEqual(["a", "b"]);
    expect(await namesIn(last, two.snapshotId)).toEqual(["b", "c"]);
    expect(last.metadata.snapshots.map((snapshot) => [snapshot["sequence-number"], snapshot.summary["operation"]])).toEqual([
      [1n, "append"],
      [2n, "overwrite"],
      [3n, "delete"],
    ]);
    expect(summaryOf(one)).toMatchObject({
      "added-data-files": "2",
      "total-data-files": "2",
      "total-records": "20",
      "total-files-size": "2000",
    });
    expect(summaryOf(two)).toMatchObject({ "deleted-records": "10", "total-data-files": "2", "total-records": "20" });
    expect(summaryOf(three)).toMatchObject({ "deleted-data-files": "2", "total-records": "0", "total-files-size": "0" });
    expect(last.metadata.refs["main"]?.["snapshot-id"]).toBe(three.snapshotId);
    expect(three.metadataKey).toMatch(/^t\/main\/metadata\/00003-[0-9a-f]{24}\.metadata\.json$/);
  });

  test("of the schema alone makes no snapshot", async () => {
    const one = await write(empty, { add: some("a") });
    const renamed = { ...renameColumn(schema, "id", "key"), "schema-id": 1 };
    const two = await write(one, { schema: renamed });
    expect(two.snapshotId).toBe(one.snapshotId);
    expect(two.metadata.snapshots).toEqual(one.metadata.snapshots);
    expect((await readTable(store, two.metadataKey)).schema).toEqual(renamed);
    const { properties } = two.metadata;
    expect(properties["write.metadata.metrics.column.key"]).toBe("full");
    // Spark refuses to commit to a table with metrics of a column that it does not have.
    expect(properties).not.toHaveProperty(["write.metadata.metrics.column.id"]);
    expect(JSON.parse(properties["schema.name-mapping.default"] ?? "")[0]).toEqual({ "field-id": 1, names: ["key", "id"] });
  });

  test("a schema id cannot come to mean another schema", async () => {
    const other = { ...renameColumn(schema, "id", "key"), "schema-id": 0 };
    await expect(write(empty, { schema: other })).rejects.toThrow("schema id 0 is taken");
  });

  test("cannot remove what the base does not have", async () => {
    const one = await write(empty, { add: some("a") });
    await expect(write(one, { remove: ["t/data/b.parquet"] })).rejects.toThrow("t/data/b.parquet cannot leave");
  });

  test("on a branch stands in its own place, names the shared files, and leaves the base as it was", async () => {
    const one = await write(empty, { add: some("a", "b") });
    const before = Buffer.from(await store.get(one.metadataKey));
    const branch = await write(one, { location: "t/branch", add: some("c"), remove: ["t/data/a.parquet"] });
    const main = await write(one, { add: some("d") });
    expect(await namesIn(branch)).toEqual(["b", "c"]);
    expect(await namesIn(main)).toEqual(["a", "b", "d"]);
    expect(branch.metadata.location).toBe(store.uri("t/branch"));
    expect(branch.metadata["table-uuid"]).toBe("u-1");
    expect(Buffer.from(await store.get(one.metadataKey))).toEqual(before);
    const own = new Reachable(store);
    await own.add(branch.metadataKey);
    const shared = new Reachable(store);
    await shared.add(one.metadataKey);
    const written = [...own.keys].filter((key) => !shared.keys.has(key) && !key.startsWith("t/data/"));
    expect(written.length).toBeGreaterThan(0);
    for (const key of written) expect(key).toMatch(/^t\/branch\/metadata\//);
  });

  test("takes time forward only, also when a clock goes back", async () => {
    const one = await write(empty, { add: some("a"), now: new Date("2026-11-02T00:00:00Z") });
    const two = await write(one, { add: some("b"), now: new Date("2026-11-01T12:00:00Z") });
    expect(two.metadata["last-updated-ms"]).toBe(one.metadata["last-updated-ms"] + 1n);
    const times = two.metadata["snapshot-log"].map((line) => line["timestamp-ms"]);
    expect(times).toEqual(times.toSorted((a, b) => Number(a - b)));
    expect(two.metadata["metadata-log"].at(-1)).toEqual({
      "timestamp-ms": one.metadata["last-updated-ms"],
      "metadata-file": store.uri(one.metadataKey),
    });
  });

  test("overwrites nothing and leaves nothing half done when the store fails at any step", async () => {
    const { faultStore } = await import("../../../test/harness/fault-store.ts");
    const one = await write(empty, { add: some("a", "b") });
    const faulty = faultStore(store);
    const request = {
      base: one,
      location: "t/main",
      schema,
      lastColumnId: 3,
      add: some("c"),
      remove: new Set(["t/data/a.parquet"]),
      now: start,
      ids: systemIds,
    };
    await writeVersion(faulty, request);
    const steps = faulty.operations;
    expect(steps).toBeGreaterThanOrEqual(5);
    for (let n = 1; n <= steps; n += 1) {
      for (const when of ["before", "after"] as const) {
        faulty.failAt(n, when);
        await expect(writeVersion(faulty, request)).rejects.toMatchObject({ code: "store.unreachable" });
        expect(await namesIn(await readTable(store, one.metadataKey))).toEqual(["a", "b"]);
      }
    }
    expect(await namesIn(await writeVersion(store, request))).toEqual(["b", "c"]);
  });
});

describe("history", () => {
  test("keeps the last 100 snapshots and the tagged ones, each readable; manifests are merged above 100", async () => {
    let table = await write(empty, { add: some("f0") });
    const first = table.snapshotId as bigint;
    const tagged: Table = {
      ...table,
      metadata: {
        ...table.metadata,
        refs: { ...table.metadata.refs, v1: { "snapshot-id": first, type: "tag" } },
        statistics: [{ "snapshot-id": first }],
      },
    };
    table = tagged;
    for (let n = 1; n <= 230; n += 1) {
      const remove = n % 10 === 0 ? [`t/data/f${n - 5}.parquet`] : [];
      table = await write(table, { add: some(`f${n}`), remove });
      expect((await manifestsOf(store, table)).length).toBeLessThanOrEqual(101);
    }
    expect(table.metadata.snapshots).toHaveLength(101);
    expect(table.metadata.snapshots[0]?.["snapshot-id"]).toBe(first);
    expect(table.metadata.refs["v1"]).toEqual({ "snapshot-id": first, type: "tag" });
    expect(table.metadata.statistics).toHaveLength(1);
    expect(await namesIn(table, first)).toEqual(["f0"]);
    expect(await namesIn(table)).toHaveLength(231 - 23);
    const known = new Set(table.metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]));
    expect(table.metadata["snapshot-log"].every((line) => known.has(line["snapshot-id"]))).toBe(true);
    expect(table.metadata["metadata-log"]).toHaveLength(100);
    for (const snapshot of table.metadata.snapshots) expect((await namesIn(table, snapshot["snapshot-id"])).length).toBeGreaterThan(0);
    // Files keep the sequence numbers that they came with, through every merge of manifests.
    const sequences = new Map((await liveFiles(store, table)).map(({ file }) => [file.key, file.sequence]));
    expect(sequences.get("t/data/f7.parquet")).toBe(8n);
    expect(sequences.get("t/data/f230.parquet")).toBe(231n);
  });

  test("any run of edits on any earlier version holds what a plain model holds", async () => {
    const edit = fc.record({ on: fc.nat(), add: fc.nat({ max: 3 }), remove: fc.array(fc.nat(), { maxLength: 3 }), branch: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 12 }), async (edits) => {
        const versions: { table: Table; model: Set<string> }[] = [{ table: empty, model: new Set() }];
        for (const { on, add, remove, branch } of edits) {
          const base = versions[on % versions.length] as (typeof versions)[number];
          const present = [...base.model];
          const gone = present.length === 0 ? [] : [...new Set(remove.map((at) => present[at % present.length] as string))];
          const added = Array.from({ length: add }, () => `x${(files += 1)}`);
          const model = new Set([...present.filter((name) => !gone.includes(name)), ...added]);
          const keys = gone.map((name) => `t/data/${name}.parquet`);
          const table = await write(base.table, { location: branch ? "t/branch" : "t/main", add: some(...added), remove: keys });
          versions.push({ table, model });
        }
        for (const { table, model } of versions) {
          const again = await readTable(store, table.metadataKey);
          expect(await namesIn(again)).toEqual([...model].sort());
          if (again.snapshotId !== undefined) expect(summaryOf(again)["total-data-files"]).toBe(String(model.size));
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("metadata of others", () => {
  test("goes through reading and writing without losing a digit or a key", () => {
    const id = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(id, id, fc.string(), (current, other, text) => {
        const snapshot = (value: bigint) =>
          `{"snapshot-id":${value},"sequence-number":1,"timestamp-ms":1700000000000,"manifest-list":"/x","summary":{"operation":"append"},"first-row-id":${other}}`;
        const line = metadataText({
          ...empty.metadata,
          properties: { text },
        }).replace(
          '"snapshots":[]',
          `"current-snapshot-id":${current},"snapshots":[${snapshot(current)},${snapshot(other)}],"unknown":{"n":${other},"d":1.0625}`,
        );
        const again = metadataText(parseMetadata(line, "x"));
        const sorted = (value: string) =>
          JSON.stringify(parseJson(value), (_key, item: unknown) => (typeof item === "bigint" ? `${item}n` : item))
            .split("")
            .toSorted()
            .join("");
        expect(sorted(again)).toBe(sorted(line));
        expect(parseMetadata(again, "x")["current-snapshot-id"]).toBe(current);
        expect(again).toContain("1.0625");
      }),
    );
  });

  test.each([
    ["another format", (text: string) => text.replace('"format-version":2', '"format-version":3'), "type.unsupported"],
    ["no JSON", (text: string) => text.slice(0, -5), "store.corrupt"],
    ["no current schema", (text: string) => text.replace('"current-schema-id":0', '"current-schema-id":7'), "store.corrupt"],
  ])("%s is refused by code", async (_name, edit, code) => {
    const text = edit(metadataText(empty.metadata));
    await store.put("t/main/metadata/x.metadata.json", Buffer.from(text));
    await expect(readTable(store, "t/main/metadata/x.metadata.json")).rejects.toMatchObject({ code, found: expect.any(String) });
  });
});
