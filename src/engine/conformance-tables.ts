import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WrittenFile } from "../lake/data-file.ts";
import type { Field, FieldType } from "../lake/schema.ts";
import { call, column, literal, type Plan, type TablePlan } from "./plan.ts";

/** One thing that every engine must do, on an engine and an empty folder. */
import { code, field, numbers, scan, sorted, values, write, type ConformanceCase } from "./conformance-cases.ts";

export const tableCases: ConformanceCase[] = [
  {
    name: "columns are found by field id: renamed, widened, added and absent ones, inside structs too",
    async run(engine, dir) {
      const shape = (...fields: Field[]): FieldType => ({ type: "struct", fields });
      const listOf = (element: FieldType): FieldType => ({ type: "list", "element-id": 9, element, "element-required": false });
      const old = [
        field(1, "a", "int"),
        field(2, "b", "decimal(4, 1)"),
        field(3, "s", shape(field(4, "x", "int"), field(5, "y", "string"))),
        field(6, "l", listOf(shape(field(7, "p", "int"), field(8, "q", "int")))),
        field(10, "gone", "string"),
      ];
      const plan = values({ a: "int", b: "decimal(4, 1)", s: (old[2] as Field).type, l: (old[3] as Field).type, gone: "string" }, [
        { a: 1, b: "1.5", s: { x: 2, y: "z" }, l: [{ p: 3, q: 4 }, null], gone: "g" },
      ]);
      const now = [
        field(2, "b", "decimal(9, 1)"),
        field(1, "Ä.1", "long"),
        field(11, "b2", "uuid"),
        field(3, "S", shape(field(12, "new", "double"), field(5, "x", "string"), field(4, "y", "long"))),
        field(6, "l", listOf(shape(field(8, "p", "int")))),
      ];
      const before = await write(engine, dir, { plan, fields: old });
      const after = await write(
        engine,
        dir,
        {
          plan: values({ b: "decimal(9, 1)", "Ä.1": "long", b2: "uuid", S: (now[3] as Field).type, l: (now[4] as Field).type }, [
            { b: "2.5", S: { new: 0.5, x: "w", y: 6 } },
          ]),
          fields: now,
        },
        "g",
      );
      deepEqual(await engine.rows(sorted(scan([...before, ...after], now), "b")), [
        { b: "1.5", "Ä.1": 1, b2: null, S: { new: null, x: "z", y: 2 }, l: [{ p: 4 }, null] },
        { b: "2.5", "Ä.1": null, b2: null, S: { new: 0.5, x: "w", y: 6 }, l: null },
      ]);
      deepEqual(await engine.rows(scan([], now)), []);
    },
  },
  {
    name: "position deletes hide rows of the files that list them, however the file is spelled, and positions stay",
    async run(engine, dir) {
      const fields = [field(1, "n", "long", true)];
      const files = await write(engine, dir, { plan: numbers(40), fields, sortBy: ["n"], rowsPerFile: 10 });
      const paths = files.map((file) => file.path) as [string, string, string, string];
      const deleteFields = [field(2147483546, "file_path", "string", true), field(2147483545, "pos", "long", true)];
      const rows = [
        { file_path: paths[0], pos: 3 },
        { file_path: `file://${paths[0]}`, pos: 4 },
        { file_path: `file:${paths[1]}`, pos: 9 },
        { file_path: paths[2], pos: 0 },
      ];
      const [deletes] = (await write(
        engine,
        dir,
        { plan: values({ file_path: "string", pos: "long" }, rows), fields: deleteFields },
        "d",
      )) as [WrittenFile];
      // The third file does not list the delete file that names it.
      const plan = { ...scan(files, fields, { [paths[0]]: [deletes.path], [paths[1]]: [deletes.path] }), position: true };
      const left = await engine.rows(sorted(plan, "n"));
      deepEqual(
        left.map((row) => row["n"]),
        Array.from({ length: 40 }, (_, n) => n).filter((n) => ![3, 4, 19].includes(n)),
      );
      deepEqual(
        left.find((row) => row["n"] === 25),
        { n: 25, _file: paths[2], _pos: 5 },
      );
      deepEqual(
        left.find((row) => row["n"] === 5),
        { n: 5, _file: paths[0], _pos: 5 },
      );
    },
  },
  {
    name: "rows are cut into even files in sort order, with statistics per leaf",
    async run(engine, dir) {
      const type: FieldType = { type: "list", "element-id": 3, element: "float", "element-required": false };
      const rows = Array.from({ length: 25 }, (_, n) => ({ n: 24 - n, x: n % 2 === 0 ? NaN : n, l: [n, null] }));
      const fields = [field(1, "n", "long", true), field(2, "x", "double"), field(4, "l", type)];
      const plan = values({ n: "long", x: "double", l: type }, rows);
      const files = await write(engine, dir, { plan, fields, sortBy: ["n"], rowsPerFile: 10 });
      ok(files.every((file) => file.rows <= 15));
      equal(
        files.reduce((sum, file) => sum + file.rows, 0),
        25,
      );
      ok(Math.max(...files.map((file) => file.rows)) - Math.min(...files.map((file) => file.rows)) <= 1);
      const bounds = files.map((file) => file.columns.find((item) => item.fieldId === 1));
      for (const [at, bound] of bounds.entries()) if (at > 0) ok(Number(bound?.min) > Number(bounds[at - 1]?.max));
      const [all] = (await write(engine, dir, { plan, fields }, "one")) as [WrittenFile];
      const { bytes, ...leaf } = all.columns.find((item) => item.fieldId === 2) ?? { bytes: 0 };
      ok(bytes > 0 && all.bytes > bytes && all.splitOffsets.length === 1);
      deepEqual(leaf, { fieldId: 2, values: 25, nulls: 0, nans: 13, min: "1.0", max: "23.0" });
      equal(all.columns.find((item) => item.fieldId === 3)?.nulls, 25);
      deepEqual(all.columns.map((item) => item.fieldId).sort(), [1, 2, 3]);
      deepEqual(
        (await engine.rows(scan([all], fields))).map((row) => row["n"]),
        rows.map((row) => row.n),
      );
    },
  },
  {
    name: "no rows, no file; a value that loses digits is named with its column, and nothing is left behind",
    async run(engine, dir) {
      const fields = [field(1, "n", "int", true)];
      const none: Plan = { op: "filter", input: numbers(5), where: call("<", column("n"), literal(0, "long")) };
      deepEqual(await write(engine, dir, { plan: none, fields }), []);
      deepEqual(await write(engine, dir, { plan: none, fields, rowsPerFile: 1 }), []);
      for (const rowsPerFile of [1, 1000]) {
        const plan = values({ n: "long" }, [{ n: 1 }, { n: 2 }, { n: 3_000_000_000 }]);
        await rejects(write(engine, dir, { plan, fields, rowsPerFile }), (error: Error & { code?: string }) => {
          return error.code === "type.loses_digits" && error.message.includes("n") && error.message.includes("3000000000");
        });
      }
      await rejects(write(engine, dir, { plan: numbers(1), fields: [field(1, "m", "long")] }), code("column.not_found"));
      deepEqual(await readdir(dir), []);
    },
  },
  {
    name: "a stopped call ends at once and leaves nothing; a missing and a broken file are told apart",
    async run(engine, dir) {
      const many: Plan = {
        op: "join",
        how: "inner",
        left: numbers(3000),
        right: { op: "project", input: numbers(3000), columns: [{ name: "m", expr: column("n") }] },
        on: [],
      };
      const most: Plan = {
        op: "join",
        how: "inner",
        left: many,
        right: { op: "project", input: numbers(3000), columns: [{ name: "k", expr: column("n") }] },
        on: [],
      };
      const fields = ["n", "m", "k"].map((name, at) => field(at + 1, name, "long", true));
      const stop = new AbortController();
      const running = engine.write(
        { plan: most, fields, sortBy: [], rowsPerFile: 1000, pathFor: async (index) => join(dir, `s${index}.parquet`) },
        { signal: stop.signal },
      );
      setTimeout(() => stop.abort(), 100);
      await rejects(running, code("interrupted"));
      for await (const batch of engine.stream(most)) {
        ok(batch.length > 0);
        break;
      }
      deepEqual(await readdir(dir), []);
      const table = (name: string): TablePlan => ({ op: "table", files: [{ uri: join(dir, name), rows: 1, deletes: [] }], fields });
      await rejects(engine.rows(table("none.parquet")), code("store.missing"));
      await writeFile(join(dir, "broken.parquet"), "PAR1 this is no Parquet file PAR1");
      await rejects(engine.rows(table("broken.parquet")), code("store.corrupt"));
    },
  },
  {
    name: "scratch folders go when their work is done or fails; an export is one file",
    async run(engine, dir) {
      let seen = "";
      await rejects(
        engine.withScratch(async (scratch) => {
          seen = scratch.dir;
          await engine.stage(numbers(3), scratch);
          equal((await readdir(seen)).length, 1);
          throw new Error("no");
        }),
      );
      ok(seen !== "" && !existsSync(seen));
      const path = join(dir, "[export] it's.parquet");
      const { rows, bytes } = await engine.exportParquet(numbers(1000), path);
      ok(rows === 1000 && bytes > 0);
      equal((await engine.rows({ op: "staged", paths: [path], columns: [{ name: "n", type: "long" }] })).length, 1000);
    },
  },
];
