import { copyFileSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sourceFiles, type SourceFiles } from "../../../test/harness/source-files.ts";

let files: SourceFiles;

beforeAll(async () => {
  files = await sourceFiles();
});
afterAll(() => files.close());

/** A Parquet file with the rows of a SELECT. */
async function parquet(select: string, ending = "parquet"): Promise<string> {
  const path = files.path(ending);
  await files.connection.run(`copy (${select}) to '${path}' (format parquet)`);
  return path;
}

describe("types", () => {
  test.each([
    ["1::tinyint", "int", "tinyint"],
    ["1::utinyint", "int", "utinyint"],
    ["1::usmallint", "int", "usmallint"],
    ["1::int", "int", undefined],
    ["1::uinteger", "long", "uinteger"],
    ["1::ubigint", "long", "ubigint became long"],
    ["18446744073709551615::ubigint", "decimal(20, 0)", "ubigint became decimal(20, 0)"],
    ["1.5::decimal(9, 2)", "decimal(9, 2)", undefined],
    ["timestamp_s '2020-01-01 00:00:01'", "timestamp", undefined],
    ["timestamp_ms '2020-01-01 00:00:01.001'", "timestamp", undefined],
    ["timestamp_ns '2020-01-01 00:00:01.000001'", "timestamp", "nanoseconds"],
    ["timestamptz '2020-01-01 00:00:01+00'", "timestamptz", undefined],
    ["date '2020-01-01'", "date", undefined],
    ["time '10:00:00'", "time", undefined],
    ["uuid '5d3e3c3e-0000-4000-8000-000000000000'", "uuid", undefined],
    ["'x'::blob", "binary", undefined],
    ["true", "boolean", undefined],
    ["1.5::float", "float", undefined],
    ["'a'::enum('a', 'b')", "string", undefined],
  ])("%s is %s", async (value, type, note) => {
    const { types, notes, rows } = await files.read(await parquet(`select ${value} as v union all select null`));
    expect(types["v"]).toBe(type);
    expect(rows).toHaveLength(2);
    expect(notes.join()).toContain(note ?? "");
  });

  test("nested types are mapped, inside too", async () => {
    const { types } = await files.read(
      await parquet("select [1::utinyint] as l, {'a': 1::bigint, 'b': ['x']} as s, map {'k': 1::int} as m"),
    );
    expect(types).toMatchObject({
      l: { type: "list", element: "int" },
      s: {
        type: "struct",
        fields: [
          { name: "a", type: "long" },
          { name: "b", type: { type: "list", element: "string" } },
        ],
      },
      m: { type: "map", key: "string", value: "int" },
    });
  });

  test.each([["interval 1 day"], ["'12:00:00+02'::timetz"]])("%s is refused", async (value) => {
    const refusal = await files.refusal(await parquet(`select ${value} as v`));
    expect(refusal).toMatchObject({ code: "type.unsupported" });
  });

  test("nanoseconds that would get lost are refused", async () => {
    const refusal = await files.refusal(await parquet("select timestamp_ns '2020-01-01 00:00:00.123456789' as v"));
    expect(refusal).toMatchObject({ code: "type.loses_digits" });
    expect(refusal.found).toContain("123456789");
  });
});

describe("files", () => {
  test("several files, columns in any order, the wider type of both", async () => {
    const opened = await files.open([await parquet("select 1::int as id, 'x' as v"), await parquet("select 'y' as V, 5000000000 as ID")]);
    expect(opened.columns).toEqual([
      { name: "id", type: "long" },
      { name: "v", type: "string" },
    ]);
    expect(await files.rowsOf(opened)).toEqual([
      [1, "x"],
      ["5000000000", "y"],
    ]);
    const error = await files.refusal([await parquet("select 1 as id"), await parquet("select 'x' as id")]);
    expect(error.code).toBe("input.type");
  });

  test("the dataset's types win; what does not fit is named by row", async () => {
    const as = [
      { name: "id", type: "long" },
      { name: "v", type: "int" },
    ] as const;
    const good = await files.read(await parquet("select 1::int as ID, 7::bigint as v, true as b"), { as, columns: "any" });
    expect(good.columns).toEqual([...as, { name: "b", type: "boolean" }]);
    const error = await files.refusal(await parquet("select i as id, case when i = 3 then 2.5 else 1 end as v from range(5) t(i)"), { as });
    expect(error).toMatchObject({
      code: "input.cell",
      details: { total: 1, cells: [{ row: 4, column: "v", value: "2.5", expected: "int" }] },
    });
    expect((await files.refusal(await parquet("select 1 as id"), { as })).code).toBe("input.column_missing");
    expect((await files.refusal(await parquet("select date '2020-01-01' as id, 1 as v"), { as })).code).toBe("input.type");
  });

  test("what was hashed is what is read, even when the source goes away", async () => {
    const path = await parquet("select 1 as id");
    const opened = await files.open(path);
    rmSync(path);
    expect(await files.rowsOf(opened)).toEqual([[1]]);
  });

  test("no rows", async () => {
    expect(await files.read(await parquet("select 1 as id limit 0"))).toMatchObject({ rows: [], types: { id: "int" }, tentative: [] });
  });

  test("a broken, an empty and a foreign file are told apart from a missing one", async () => {
    const path = await parquet("select range as id from range(1000)");
    const cut = files.path("parquet");
    copyFileSync(path, cut);
    truncateSync(cut, 500);
    const torn = files.file(Buffer.concat([readFileSync(path).subarray(0, 500), Buffer.from("PAR1")]), "parquet");
    for (const [code, input] of [
      ["input.format", cut],
      ["input.format", torn],
      ["input.format", files.file("id,v\n1,2\n", "parquet")],
      ["input.empty", files.file("", "parquet")],
      ["input.not_found", files.path("parquet")],
    ] as const) {
      const error = await files.refusal(input);
      expect([input, error.code]).toEqual([input, code]);
      expect(error.hint).toBeTruthy();
    }
    expect((await files.refusal(path, { format: "csv" })).code).toBe("input.format");
  });
});
