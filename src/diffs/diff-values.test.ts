import { expect, test } from "vitest";
import { keyless, tableFile, version, type ColumnSpec } from "../../test/harness/diff-sides.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import type { Cell } from "../engine/plan.ts";
import { parseJson, toJson } from "../lib/json.ts";
import { diffTables } from "./diff-service.ts";

const lake = testEngine();

const file = (columns: readonly ColumnSpec[], rows: readonly (readonly Cell[])[]) => tableFile(lake, columns, rows);

test("lists, structs and maps are compared whole", async () => {
  const nested: readonly ColumnSpec[] = [
    ["id", "int", 1],
    ["l", { type: "list", "element-id": 20, element: "double", "element-required": false }, 2],
    ["s", { type: "struct", fields: [{ id: 30, name: "a b", type: "int", required: false }] }, 3],
    ["m", { type: "map", "key-id": 40, key: "string", "value-id": 41, value: "int", "value-required": false }, 4],
  ];
  const before = version("@1", nested, [
    await file(nested, [
      [1, [1, null], { "a b": 1 }, [["k", 1]]],
      [2, [0], null, []],
    ]),
  ]);
  const after = version("@2", nested, [
    await file(nested, [
      [1, [1, null], { "a b": 2 }, [["k", 2]]],
      [2, [-0], null, []],
    ]),
  ]);
  const result = await diffTables(lake.engine, before, after, { statistics: "full" });
  expect(result.samples).toMatchObject([
    { key: [1], changed: ["s", "m"], before: { s: { "a b": 1 } }, after: { s: { "a b": 2 }, m: [["k", 2]] } },
  ]);
  expect((await diffTables(lake.engine, keyless(before), keyless(after))).rows).toMatchObject({ added: 1, removed: 1 });
});

test("every type can be a column, and every legal one a key", async () => {
  const types: readonly [ColumnSpec[1], Cell, Cell][] = [
    ["boolean", true, false],
    ["int", 1, 2],
    ["long", 9_007_199_254_740_993n, 9_007_199_254_740_994n],
    ["decimal(38, 2)", "123456789012345678901234567890123456.78", "-0.01"],
    ["date", "2024-01-31", "0001-01-01"],
    ["time", "09:30:00.25", "23:59:59"],
    ["timestamp", "2024-01-31T09:30:00", "2024-01-31T09:30:00.000001"],
    ["timestamptz", "2024-01-31T09:30:00Z", "2024-02-01T00:00:00Z"],
    ["string", "a", "'; DROP"],
    ["uuid", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"],
    ["binary", "AAE=", "/w=="],
  ];
  for (const [type, one, two] of types) {
    const spec: readonly ColumnSpec[] = [
      ["k", type, 1],
      ["v", type, 2],
    ];
    const before = version("@1", spec, [
      await file(spec, [
        [one, one],
        [two, two],
      ]),
    ]);
    const after = version("@2", spec, [
      await file(spec, [
        [one, two],
        [two, two],
      ]),
    ]);
    const result = await diffTables(lake.engine, before, after, { statistics: "full" });
    expect(result.samples, String(type)).toMatchObject([
      { kind: "modified", key: [one], before: { k: one, v: one }, after: { k: one, v: two } },
    ]);
    const multiset = await diffTables(lake.engine, keyless(before), keyless(after));
    expect(multiset.rows, String(type)).toMatchObject({ added: 1, removed: 1 });
  }
});

test("a result is JSON without loss: NaN and the infinities are text, large integers keep their digits", async () => {
  const spec: readonly ColumnSpec[] = [
    ["k", "long", 1],
    ["x", "double", 2],
  ];
  const rows = (shift: number): Cell[][] => [
    [9_007_199_254_740_993n, Number.NaN],
    [2, shift === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY],
    [3, shift],
  ];
  const result = await diffTables(
    lake.engine,
    version("@1", spec, [await file(spec, rows(0))]),
    version("@2", spec, [await file(spec, rows(1))]),
    { statistics: "full" },
  );
  const read = parseJson(toJson(result));
  expect(toJson(read)).toBe(toJson(result));
  expect(result.columns[0]?.statistics?.after?.max).toBe(9_007_199_254_740_993n);
  expect(result.samples[0]).toMatchObject({ key: [2], before: { x: "Infinity" }, after: { x: "-Infinity" } });
});
