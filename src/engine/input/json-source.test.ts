import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sourceFiles, type SourceFiles } from "../../../test/harness/source-files.ts";
import type { SourceRequest } from "../source.ts";

let files: SourceFiles;

beforeAll(async () => {
  files = await sourceFiles();
});
afterAll(() => files.close());

const read = (content: string | Buffer, ending = "json", request: Partial<SourceRequest> = {}) =>
  files.read(files.file(content, ending), request);
const refusal = (content: string | Buffer, ending = "json", request: Partial<SourceRequest> = {}) =>
  files.refusal(files.file(content, ending), request);

test.each([
  ["an array", '[{"a":1,"b":"x"},\n {"a":2}]', "json"],
  ["objects in a row", '{"a":1,"b":"x"} {"a":2,\n"b":null}', "json"],
  ["lines", '{"a":1,"b":"x"}\r\n\n{"a":2}\n', "ndjson"],
  ["a byte order mark", '\ufeff[{"a":1,"b":"x"},{"a":2}]', "json"],
  ["UTF-16", Buffer.from('\ufeff[{"a":1,"b":"x"},{"a":2}]', "utf16le"), "json"],
  ["gzip", gzipSync('{"a":1,"b":"x"}\n{"a":2}\n'), "ndjson.gz"],
])("%s", async (_, content, ending) => {
  const { types, rows } = await read(content, ending);
  expect(types).toEqual({ a: "long", b: "string" });
  expect(rows).toEqual([
    ["1", "x"],
    ["2", null],
  ]);
});

describe("types come from all rows", () => {
  test("numbers promote, nulls give way, the last row counts", async () => {
    const rows = Array.from({ length: 3000 }, (_, index) => `{"i":${index},"d":${index},"n":null,"t":"x"}`);
    const { types, tentative } = await read([...rows, '{"i":-1,"d":0.5,"late":true}'].join("\n"), "ndjson");
    expect(types).toEqual({ i: "long", d: "double", n: "string", t: "string", late: "boolean" });
    expect(tentative).toEqual(["n"]);
  });

  test("nested objects and arrays", async () => {
    const { types, rows } = await read('[{"o":{"x":1,"y":{"z":"q"}},"l":[1,2.5],"e":[]},{"o":{"w":true},"l":null}]');
    expect(types).toMatchObject({
      o: {
        type: "struct",
        fields: [
          { name: "x", type: "long" },
          { name: "y", type: { type: "struct", fields: [{ name: "z", type: "string" }] } },
          { name: "w", type: "boolean" },
        ],
      },
      l: { type: "list", element: "double" },
      e: { type: "list", element: "string" },
    });
    expect(rows).toEqual([
      [{ x: "1", y: { z: "q" }, w: null }, [1, 2.5], []],
      [{ x: null, y: null, w: true }, null, null],
    ]);
  });

  test("ISO dates and times in strings", async () => {
    const { types } = await read(
      '{"d":"2020-01-31","t":"2020-01-31T10:00:00Z","c":"12","z":"01234"} {"d":null,"t":"2020-02-01 00:00:00+02:00","c":"13","z":"1"}',
    );
    expect(types).toEqual({ d: "date", t: "timestamptz", c: "string", z: "string" });
    expect((await read('{"d":"2020-01-31"}', "json", { types: "string" })).types).toEqual({ d: "string" });
  });

  test("integers of 64 bits and more", async () => {
    const { types, rows } = await read('{"a":18446744073709551615,"b":9223372036854775807}');
    expect(types).toEqual({ a: "decimal(20, 0)", b: "long" });
    expect(rows).toEqual([["18446744073709551615", "9223372036854775807"]]);
    expect((await refusal('{"a":123456789012345678901234567890}')).code).toBe("type.loses_digits");
    expect((await refusal('{"a":{"b":18446744073709551615}}')).code).toBe("type.loses_digits");
  });

  test("different types at one place are an error that names the place", async () => {
    const error = await refusal('[{"a":[{"b.c":1}]},{"a":[{"b.c":"x"}]}]');
    expect(error).toMatchObject({ code: "input.type", details: { path: '$."a"[*]."b.c"', types: ["integer", "string"] } });
    expect((await refusal('{"a":1}\n{"a":true}\n', "ndjson")).code).toBe("input.type");
    expect((await refusal('{"a":{}}')).code).toBe("type.unsupported");
    const two = await files.refusal([files.file('{"a":1}', "json"), files.file('{"a":"x"}', "json")]);
    expect(two.code).toBe("input.type");
    expect((await files.open([files.file('{"a":1}', "json"), files.file('{"a":-2.5}', "json")])).columns).toEqual([
      { name: "a", type: "double" },
    ]);
  });
});

test("the dataset's types win", async () => {
  const as = [
    { name: "id", type: "int" },
    { name: "note", type: "string" },
    { name: "price", type: "decimal(5, 2)" },
  ] as const;
  const { rows } = await read('[{"ID":1,"note":true,"price":1.5},{"ID":"2","note":7,"price":"2.25"}]', "json", { as });
  expect(rows).toEqual([
    [1, "true", "1.50"],
    [2, "7", "2.25"],
  ]);
  const error = await refusal('[{"id":1,"note":"","price":1},{"id":2.5,"note":"x","price":1.005}]', "json", { as });
  expect(error).toMatchObject({
    code: "input.cell",
    details: {
      total: 2,
      cells: [
        { row: 2, column: "id", value: "2.5" },
        { row: 2, column: "price", value: "1.005" },
      ],
    },
  });
  expect((await refusal('{"id":1,"note":"x"}', "json", { as })).code).toBe("input.column_missing");
  expect((await refusal('{"id":1,"notes":"x","price":1}', "json", { as })).hint).toContain("note");
});

test.each([
  ["input.empty", ""],
  ["input.empty", " \n"],
  ["input.empty", "[]"],
  ["input.format", '{"a":1'],
  ["input.format", '[{"a":1},{"a":2}'],
  ["input.format", '{"a":1}\n{"a" 2}'],
  ["input.format", "[1, 2]"],
  ["input.format", "a,b\n1,2\n"],
  ["input.format", Buffer.from('{"a":"\xff"}', "latin1")],
  ["input.column_duplicate", '{"a":1,"A":2}'],
  ["input.column_duplicate", '{"a":1,"a":2}'],
  ["input.column_duplicate", '{"a":{"x":1,"X":2}}'],
])("%s for %j", async (code, content) => {
  const error = await refusal(content);
  expect(error.code).toBe(code);
  expect(error.hint).toBeTruthy();
});
