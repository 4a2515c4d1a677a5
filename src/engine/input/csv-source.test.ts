import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sourceFiles, type SourceFiles } from "../../../test/harness/source-files.ts";
import type { SourceRequest } from "../source.ts";

const data = process.env["TIDEGATE_TEST_DATA"] ?? "../shared/data";
let files: SourceFiles;

beforeAll(async () => {
  files = await sourceFiles();
});
afterAll(() => files.close());

const file = (content: string | Buffer, ending = "csv"): string => files.file(content, ending);
const open: SourceFiles["open"] = (paths, request) => files.open(paths, request);
const rowsOf: SourceFiles["rowsOf"] = (opened) => files.rowsOf(opened);
const read = (content: string | Buffer, request: Partial<SourceRequest> = {}) => files.read(file(content), request);
const refusal = (content: string | Buffer, request: Partial<SourceRequest> = {}) => files.refusal(file(content), request);

describe("types come from every cell", () => {
  test.each([
    ["1\n2", "long"],
    ["1\n2.5", "double"],
    ["-0\n12", "long"],
    ["01234\n99999", "string"],
    ["00.5\n1", "string"],
    ["+4912345\n1", "string"],
    ["1_000\n2", "string"],
    ["0x10\n2", "string"],
    ["1e2\n5", "double"],
    ["1e999\n5", "string"],
    ["nan\n1", "double"],
    ["nan\ninf", "string"],
    ["9223372036854775807\n1", "long"],
    ["9223372036854775808\n1", "decimal(38, 0)"],
    ["9007199254740993\n0.5", "decimal(38, 1)"],
    ["0.30000000000000004\n1", "double"],
    ["0.1234567890123456789\n1", "decimal(38, 19)"],
    ["1234567890123456789012345678901234567890\n1", "string"],
    ["true\nFALSE", "boolean"],
    ["true\n1", "string"],
    ["2020-02-29\n2021-01-01", "date"],
    ["2020-02-30\n2021-01-01", "string"],
    ["01/02/2020\n03/04/2020", "string"],
    ["2020-01-01\n2020-01-01 10:00:00", "timestamp"],
    ["2020-01-01T10:00:00.123456\n2020-01-01 10:00", "timestamp"],
    ["2020-01-01 10:00:00.1234567\n2020-01-01 10:00", "string"],
    ["2020-01-01T10:00:00Z\n2020-01-01 10:00:00+02:00", "timestamptz"],
    ["2020-01-01T10:00:00Z\n2020-01-01 10:00:00", "string"],
    ["10:30:00\n23:59:59.5", "time"],
    ["24:00:00\n10:00:00", "string"],
    [" 5\n6 ", "long"],
    ["\n", "string"],
  ])("%j is %s", async (cells, type) => {
    const { types } = await read(cells.split("\n").reduce((text, cell) => `${text}x,${cell}\n`, "a,b\n"));
    expect(types["b"]).toBe(type);
  });

  test("the last of 50 000 rows still decides", async () => {
    const text = "a,b\n" + Array.from({ length: 50_000 }, (_, index) => `${index},${index}\n`).join("");
    expect((await read(text + "50000,x\n")).types).toEqual({ a: "long", b: "string" });
    expect((await read(text + "50000,0.5\n")).types).toEqual({ a: "long", b: "double" });
    const { types, rows } = await read(text + "50000,\n");
    expect(types).toEqual({ a: "long", b: "long" });
    expect(rows.at(-1)).toEqual(["50000", null]);
  });

  test("values after typing", async () => {
    const { rows } = await read("a,b,c,d,e\n 7 ,1.50,TRUE,2020-01-01T10:00:00+02:00,10:00:00\n,,,,\n");
    expect(rows).toEqual([
      ["7", 1.5, true, "2020-01-01 08:00:00+00", "10:00:00"],
      [null, null, null, null, null],
    ]);
  });

  test("a column of nulls is a string whose type is open", async () => {
    const { types, tentative } = await read('a,b,c\n1,,""\n2,,\n');
    expect({ types, tentative }).toEqual({ types: { a: "long", b: "string", c: "string" }, tentative: ["b"] });
    const headerOnly = await read("a,b\n");
    expect(headerOnly).toMatchObject({ rows: [], types: { a: "string", b: "string" }, tentative: ["a", "b"] });
  });

  test("types of all files together, columns in any order", async () => {
    const opened = await open([file("id,v\n1,2\n"), file("V,id\n2.5,3\n")]);
    expect(opened.columns).toEqual([
      { name: "id", type: "long" },
      { name: "v", type: "double" },
    ]);
    expect(await rowsOf(opened)).toEqual([
      ["1", 2],
      ["3", 2.5],
    ]);
  });
});

describe("text", () => {
  test("empty is null, quoted empty is text in a string column and null in others", async () => {
    const { rows } = await read('s,n\n"",""\n,\nx,1\n');
    expect(rows).toEqual([
      ["", null],
      [null, null],
      ["x", "1"],
    ]);
  });

  test("--null sets another text, bare only", async () => {
    const { rows } = await read('s,n\nNA,NA\n"NA",1\n,\n', { nullText: "NA" });
    expect(rows).toEqual([
      [null, null],
      ["NA", "1"],
      ["", null],
    ]);
  });

  test("types string keeps all text", async () => {
    const { rows, types, tentative } = await read('a,b,c\n007, 1.50,\n"",x,\n', { types: "string" });
    expect(types).toEqual({ a: "string", b: "string", c: "string" });
    expect(rows).toEqual([
      ["007", " 1.50", null],
      ["", "x", null],
    ]);
    expect(tentative).toEqual([]);
  });

  test("quotes, delimiters and line ends inside quotes", async () => {
    const { rows } = await read('a,b\n1,"x,""y""\r\nz"\n2,5" pipe\n3, "q"\n4,"t"  \n');
    expect(rows).toEqual([
      ["1", 'x,"y"\r\nz'],
      ["2", '5" pipe'],
      ["3", ' "q"'],
      ["4", "t"],
    ]);
  });

  test.each([
    ["LF", "a,b\n1,2\n3,4\n"],
    ["no end", "a,b\n1,2\n3,4"],
    ["CRLF", "a,b\r\n1,2\r\n3,4\r\n"],
    ["CR", "a,b\r1,2\r3,4\r"],
    ["mixed", "a,b\r\n1,2\n3,4\r\n"],
    ["mixed the other way", "a,b\n1,2\r\n3,4"],
    ["blank lines", "\n\na,b\n\n1,2\n\r\n3,4\n\n\n"],
    ["a byte order mark", "\ufeffa,b\n1,2\n3,4\n"],
    ["semicolons", "a;b\n1;2\n3;4\n"],
    ["tabs", "a\tb\n1\t2\n3\t4\n"],
    ["pipes", "a|b\n1|2\n3|4\n"],
    ["UTF-16 LE", Buffer.from("\ufeffa,b\n1,2\n3,4\n", "utf16le")],
    ["UTF-16 LE without mark", Buffer.from("a,b\n1,2\n3,4\n", "utf16le")],
    ["UTF-16 BE", Buffer.from("\ufeffa,b\n1,2\n3,4\n", "utf16le").swap16()],
    ["gzip", gzipSync("a,b\n1,2\r\n3,4\n")],
    ["two gzip members", Buffer.concat([gzipSync("a,b\n1,"), gzipSync("2\n3,4\n")])],
  ])("%s", async (_, content) => {
    const { rows, types } = await read(content);
    expect(types).toEqual({ a: "long", b: "long" });
    expect(rows).toEqual([
      ["1", "2"],
      ["3", "4"],
    ]);
  });

  test.each([["\n"], ["\r\n"]])("zstd with %j", async (end) => {
    const path = files.path("csv.zst");
    // COPY itself ends the last line with LF.
    const text = ["a,b", '1,"x', 'y"', ' 2 ,"q""r"'].join(end) + end.slice(0, -1);
    await files.connection.run(
      `copy (select $1) to '${path}' (format csv, header false, quote '', escape '', delimiter '\u0001', compression zstd)`,
      [text],
    );
    expect(await rowsOf(await open(path))).toEqual([
      ["1", `x${end}y`],
      ["2", 'q"r'],
    ]);
  });

  test("one column, blank lines are nulls", async () => {
    expect((await read("a\n1\n\n3\n")).rows).toEqual([["1"], [null], ["3"]]);
  });

  test("names: trimmed, numbered when empty, any printable text", async () => {
    const { columns, notes } = await read(',Country/Region, b ,"x.y ""z"""\n1,2,3,4\n');
    expect(columns.map(({ name }) => name)).toEqual(["column_1", "Country/Region", "b", 'x.y "z"']);
    expect(notes.join()).toContain("column_1");
  });

  test("a name that looks like a glob is a name", async () => {
    const path = join(files.folder, "odd [1]*?.csv");
    writeFileSync(path, "a\n1\n");
    expect(await rowsOf(await open(path))).toEqual([["1"]]);
  });

  test("the content hash is that of the raw bytes", async () => {
    const [one, two] = [gzipSync("a\n1\n"), Buffer.from("a\r\n2\n3\n")];
    const opened = await open([file(one, "csv.gz"), file(two)]);
    expect(opened.contentHash).toBe(createHash("sha256").update(one).update(two).digest("hex"));
  });
});

describe("refusals", () => {
  test("ragged rows, with lines counted through quoted line ends", async () => {
    const error = await refusal('a,b\n1,"x\r\ny\nz"\n\n3\n4,5,6\n7,8,\n');
    expect(error.code).toBe("input.ragged");
    expect(error.details).toMatchObject({
      rows: [
        { line: 6, expected: 2, found: 1 },
        { line: 7, expected: 2, found: 3 },
        { line: 8, expected: 2, found: 3 },
      ],
      total: 3,
    });
  });

  test("cells that do not fit the dataset's types", async () => {
    const as = [
      { name: "id", type: "int" },
      { name: "price", type: "decimal(5, 2)" },
      { name: "at", type: "date" },
      { name: "note", type: "string" },
    ] as const;
    const good = await read("ID,price,at,note\n007,1.50,2020-01-01,x\n7.0,999.990,,\n", { as });
    expect(good.columns).toEqual(as);
    expect(good.rows).toEqual([
      [7, "1.50", "2020-01-01", "x"],
      [7, "999.99", null, null],
    ]);
    const error = await refusal('id,price,at,note\n1,1,2020-01-01,"a\nb"\n2.5,1.505,2020-13-01,\n3000000000,1000,x,\n', { as });
    expect(error.code).toBe("input.cell");
    expect(error.details).toMatchObject({
      total: 6,
      cells: [
        { line: 4, column: "id", value: "2.5", expected: "int" },
        { line: 4, column: "price", value: "1.505", expected: "decimal(5, 2)" },
        { line: 4, column: "at", value: "2020-13-01", expected: "date" },
        { line: 5, column: "id", value: "3000000000" },
        { line: 5, column: "price", value: "1000" },
        { line: 5, column: "at", value: "x" },
      ],
    });
  });

  test("at most ten cells are listed, all are counted", async () => {
    const error = await refusal("id\n" + "x\n".repeat(25), { as: [{ name: "id", type: "long" }] });
    expect(error.details).toMatchObject({ total: 25 });
    expect((error.details as { cells: { line: number }[] }).cells.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("missing and unknown columns; what a misspelt one could be", async () => {
    const as = [
      { name: "customer_id", type: "long" },
      { name: "total", type: "double" },
    ] as const;
    expect(await refusal("customer_id\n1\n", { as })).toMatchObject({ code: "input.column_missing", details: { missing: ["total"] } });
    const error = await refusal("custmer_id,total\n1,2\n", { as });
    expect(error.code).toBe("input.column_unknown");
    expect(error.hint).toContain("customer_id");
    expect((await read("total\n1\n", { as, columns: "subset" })).columns).toEqual([as[1]]);
    expect((await read("extra,total\n1,2\n", { as, columns: "any" })).columns).toEqual([as[1], { name: "extra", type: "long" }]);
  });

  test.each([
    ["input.empty", ""],
    ["input.empty", "\n\n"],
    ["input.empty", "\ufeff"],
    ["input.column_duplicate", "a,b,A\n1,2,3\n"],
    ["input.format", 'a,b\n1,"x\n2,3\n'],
    ["input.format", 'a,b\n1,"x"y\n'],
    ["input.format", Buffer.from("a,b\n1,\xff\n", "latin1")],
    ["input.format", Buffer.from("a,b\n1,x\0y\n")],
    ["input.format", gzipSync("a,b\n1,2\n").subarray(0, 20)],
    ["column.name", '"a\nb"\n1\n'],
  ])("%s", async (code, content) => {
    const error = await refusal(content);
    expect(error.code).toBe(code);
    expect(error.hint).toBeTruthy();
  });

  test("a byte that is not UTF-8 is named by offset and line", async () => {
    const error = await refusal(Buffer.concat([Buffer.from("a,b\n" + "é,y\n".repeat(400_000)), Buffer.from([0x61, 0xe9, 0x2c, 0x0a])]));
    expect(error.details).toMatchObject({ offset: 4 + 5 * 400_000 + 1, line: 400_002 });
  });

  test("a file that is not there, a folder, a name that tells no format", async () => {
    await expect(open(join(files.folder, "none.csv"))).rejects.toMatchObject({ code: "input.not_found" });
    await expect(open(files.folder, { format: "csv" })).rejects.toMatchObject({ code: "input.format" });
    await expect(open(file("a\n", "dat"))).rejects.toMatchObject({ code: "input.format" });
  });
});

describe("real files", () => {
  const months = readdirSync(join(data, "nyc-taxi-monthly"));
  test("all taxi months have all their rows", async () => {
    expect(months).toHaveLength(21);
    for (const month of months) {
      const path = join(data, "nyc-taxi-monthly", month);
      const expected = parse(readFileSync(path), { record_delimiter: ["\r\n", "\n"], columns: true }) as unknown[];
      const opened = await open(path);
      expect([month, opened.rows]).toEqual([month, expected.length]);
      expect(opened.columns).toHaveLength(18);
    }
  }, 60_000);

  test.each(["hospital/dirty", "hospital/clean", "beers/dirty", "beers/clean"])("%s as text equals another parser's", async (name) => {
    const path = join(data, "dirty-clean", `${name}.csv`);
    const expected = (parse(readFileSync(path), { record_delimiter: ["\r\n", "\n"], bom: true }) as string[][]).slice(1);
    const rows = await rowsOf(await open(path, { types: "string" }));
    expect(rows.map((row) => row.map((cell) => cell ?? ""))).toEqual(expected);
  });
});

test("any table of text comes back, whatever line ends and quotes it is written with", async () => {
  const cell = fc
    .oneof(fc.constantFrom("", '"', ",", "\n", "\r\n", "\r", " ", "é😀", "1", "x"), fc.string({ maxLength: 6 }))
    .map((text) => text.replaceAll("\0", ""));
  const table = fc.integer({ min: 1, max: 4 }).chain((width) =>
    fc.array(fc.array(fc.tuple(cell, fc.boolean(), fc.constantFrom("\n", "\r\n", "\r")), { minLength: width, maxLength: width }), {
      minLength: 1,
      maxLength: 8,
    }),
  );
  await fc.assert(
    fc.asyncProperty(table, async (rows) => {
      const width = rows[0]!.length;
      const header = Array.from({ length: width }, (_, index) => `h${index}`);
      const write = (text: string, quote: boolean): string => (quote || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
      const text = [
        header.join(",") + "\n",
        ...rows.map((row) => row.map(([value, quote]) => write(value, quote)).join(",") + row[0]![2]),
      ].join("");
      const expected = (
        parse(text, { record_delimiter: ["\r\n", "\n", "\r"], skip_empty_lines: width > 1, relax_quotes: true }) as string[][]
      ).slice(1);
      const opened = await open(file(text), { types: "string" });
      const found = await rowsOf(opened);
      expect(found.map((row) => row.map((value) => value ?? ""))).toEqual(expected);
      if (width > 1)
        expect(found).toEqual(
          rows
            .filter((row) => write(...front(row[0]!)) !== "" || width > 1)
            .map((row) => row.map(([value, quote]) => (value === "" && !quote ? null : value))),
        );
    }),
    { numRuns: 150 },
  );
});

const front = ([value, quote]: readonly [string, boolean, string]): [string, boolean] => [value, quote];

test("unquoted text, which the engine checks while it reads, has the same rows and the same ragged lines as for another parser", async () => {
  const cell = fc.constantFrom("", "1", "x", " ", "NA", "2.5", "é");
  const lines = fc.array(fc.array(cell, { minLength: 0, maxLength: 5 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 4 }),
      lines,
      fc.boolean(),
      fc.constantFrom("", "NA"),
      async (width, rows, isEven, nullText) => {
        const even = isEven ? rows.map((row) => Array.from({ length: width }, (_, index) => row[index] ?? "")) : rows;
        const text = [Array.from({ length: width }, (_, index) => `h${index}`), ...even].map((row) => `${row.join(",")}\n`).join("");
        const parsed = parse(text, { relax_column_count: true, skip_empty_lines: true, info: true, delimiter: "," }) as unknown as {
          record: string[];
          info: { lines: number };
        }[];
        const ragged = parsed.filter(({ record }) => record.length !== width).map(({ info }) => info.lines);
        if (ragged.length > 0) {
          const error = await refusal(text, { types: "string" });
          expect(error.code).toBe("input.ragged");
          expect((error.details as { rows: { line: number }[] }).rows.map(({ line }) => line)).toEqual(ragged);
        } else {
          const expected = parsed.slice(1).map(({ record }) => record.map((value) => (value === nullText ? null : value)));
          expect((await read(text, { types: "string", nullText })).rows).toEqual(expected);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("one ragged row among many is found", async () => {
  const rows = Array.from({ length: 400_000 }, (_, index) => `${index},${index},some text to fill the buffers of several threads`);
  for (const odd of ["1,2", "1,2,3,", "1,2,3,4", "1,2,3,4,5"]) {
    const error = await refusal(["a,b,c", ...rows.slice(0, 350_000), odd, ...rows.slice(350_000)].join("\n"));
    expect(error).toMatchObject({ code: "input.ragged", details: { total: 1, rows: [{ line: 350_002, expected: 3 }] } });
  }
});
