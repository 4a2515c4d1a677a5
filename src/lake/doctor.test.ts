import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sparkTables } from "../../test/harness/spark-fixture.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import { countLiveRows } from "../effects/table-state.ts";
import type { DataFile, LiveFile } from "./data-file.ts";
import { inspectMetadata } from "./doctor-metadata.ts";
import { inspectFiles } from "./doctor.ts";
import { dataFileOf } from "./iceberg/data-files.ts";
import { liveFiles, positionDeleteSchema } from "./iceberg/live-files.ts";
import { readTable, type Table } from "./iceberg/table.ts";
import { localStore } from "./local-store.ts";
import { readParquetLeaves } from "./parquet-footer.ts";
import { typeFaults } from "./parquet-types.ts";
import type { Field, PrimitiveType } from "./schema.ts";
import type { ObjectStore } from "./store.ts";

const there = testEngine();
let dir: string;
let store: ObjectStore;
let table: Table;
let live: LiveFile[];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-doctor-"));
  store = await localStore(join(dir, "lake"));
  table = await readTable(store, (await sparkTables(store, there.engine)).keyed.metadataKey);
  live = await liveFiles(store, table);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

let written = 0;

/** A file of position deletes as another engine may have written it. */
async function deleteFile(...rows: (readonly [path: string, position: number])[]): Promise<DataFile> {
  const key = `deletes/${(written += 1)}.parquet`;
  const [made] = await there.engine.write({
    plan: {
      op: "values",
      columns: positionDeleteSchema.fields.map(({ name, type }) => ({ name, type })),
      rows: rows.map(([path, position]) => [path, String(position)]),
    },
    fields: positionDeleteSchema.fields,
    sortBy: ["file_path", "pos"],
    rowsPerFile: 1000,
    pathFor: () => store.writePath(key),
  });
  if (made === undefined) throw new Error("nothing was written");
  return { ...dataFileOf(store, made, positionDeleteSchema), content: "position-deletes", sequence: 99n };
}

const [first, second] = [() => live[0] as LiveFile, () => live[1] as LiveFile];
const inspect = (files: readonly LiveFile[]) => inspectFiles(store, there.engine, table.schema, files);

describe("position deletes", () => {
  test("that name a file outside the store delete nothing, and are found", async () => {
    const deletes = await deleteFile(["/where/it/was/a.parquet", 3]);
    const [finding, ...more] = await inspect([{ file: first().file, deletes: [deletes] }]);
    expect(more).toEqual([]);
    expect(finding).toMatchObject({
      file: deletes.key,
      problem: "its deletes name a file outside the store",
      found: "/where/it/was/a.parquet",
    });
  });

  test("of a row that its file does not have are found", async () => {
    const { file } = first();
    const deletes = await deleteFile([store.uri(file.key), 0], [store.uri(file.key), file.rows]);
    const findings = await inspect([{ file, deletes: [deletes] }]);
    expect(findings.map((finding) => finding.problem)).toEqual(["it deletes a row that its file does not have"]);
  });

  test("whose own file is not what the manifest says are found", async () => {
    const deletes = await deleteFile([store.uri(first().file.key), 0]);
    const wrong = await inspect([{ file: first().file, deletes: [{ ...deletes, rows: 2 }] }]);
    expect(wrong.map((finding) => finding.problem)).toEqual(["its row count is not the one in the manifest"]);
    const gone = await inspect([{ file: first().file, deletes: [{ ...deletes, key: "deletes/gone.parquet" }] }]);
    expect(gone.map((finding) => finding.problem)).toEqual(["the file is missing"]);
  });

  test("count once for each row, and only in files that are still there", async () => {
    const [here, gone] = [store.uri(first().file.key), store.uri(second().file.key)];
    const both = await deleteFile([here, 0], [here, 1], [gone, 0], [gone, 1], [gone, 2]);
    const again = await deleteFile([here, 1], [here, 2]);
    const files = [{ file: first().file, deletes: [both, again] }];
    expect(await countLiveRows({ store, engine: there.engine }, { schema: table.schema, files })).toBe(first().file.rows - 3);
  });
});

test("a sound table of Spark is sound in its metadata too", async () => {
  expect(await inspectMetadata(store, table)).toEqual([]);
});

test("a footer that was damaged anywhere is said to be damaged, or is read; it never ends the reader", async () => {
  const { file } = first();
  const bytes = await readFile(store.uri(file.key));
  const damaged = (at: number, value: number, cut: number): ObjectStore => {
    const copy = Buffer.from(bytes.subarray(0, bytes.length - cut));
    copy[copy.length - 1 - (at % copy.length)] = value;
    return { ...store, getRange: (_key, start, length) => Promise.resolve(copy.subarray(start, start + length)) };
  };
  await fc.assert(
    fc.asyncProperty(fc.nat(4000), fc.nat(255), fc.nat(20), async (at, value, cut) => {
      const found = await readParquetLeaves(damaged(at, value, cut), file.key, bytes.length - cut).then(
        (leaves) => leaves.length,
        (error: Error) => error.message,
      );
      expect(typeof found === "number" || /footer|Parquet/.test(found), String(found)).toBe(true);
    }),
    // A byte that makes a list of structs a list of something else.
    { numRuns: 300, examples: [[3168, 115, 0]] },
  );
});

describe("Parquet types", () => {
  const field = (type: PrimitiveType): Field => ({ id: 1, name: "a", required: false, type });
  const faults = (type: PrimitiveType, found: string) =>
    typeFaults({ type: "struct", "schema-id": 0, fields: [field(type)] }, [{ path: ["a"], fieldId: 1, type: found }]);

  test.each<[PrimitiveType, string]>([
    ["long", "INT32"],
    ["double", "FLOAT"],
    ["decimal(12, 2)", "INT32 DECIMAL(9, 2)"],
    ["decimal(38, 2)", "FIXED_LEN_BYTE_ARRAY(16) DECIMAL(38, 2)"],
    ["fixed[3]", "FIXED_LEN_BYTE_ARRAY(3)"],
    ["timestamptz", "INT64 TIMESTAMP(MICROS, UTC)"],
    ["string", "BYTE_ARRAY ENUM"],
  ])("%s may stand as %s", (type, found) => {
    expect(faults(type, found)).toEqual([]);
  });

  test.each<[PrimitiveType, string]>([
    ["int", "INT64"],
    ["int", "INT32 INT(32, unsigned)"],
    ["float", "DOUBLE"],
    ["decimal(12, 2)", "INT64 DECIMAL(12, 3)"],
    ["decimal(9, 2)", "INT64 DECIMAL(12, 2)"],
    ["timestamp", "INT64 TIMESTAMP(MILLIS)"],
    ["timestamp", "INT64 TIMESTAMP(MICROS, UTC)"],
    ["timestamptz", "INT96"],
    ["string", "BYTE_ARRAY"],
    ["uuid", "FIXED_LEN_BYTE_ARRAY(16)"],
    ["fixed[3]", "FIXED_LEN_BYTE_ARRAY(4)"],
  ])("%s may not stand as %s", (type, found) => {
    expect(faults(type, found)).toHaveLength(1);
  });
});
