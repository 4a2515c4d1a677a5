import { expect, test } from "vitest";
import { withSides, type ColumnSpec, type Table } from "../../test/harness/diff-sides.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import type { Cell } from "../engine/plan.ts";
import { diffTables } from "./diff-service.ts";
import type { DiffResult } from "./diff.ts";
import type { DiffOptions } from "./prepare.ts";

const lake = testEngine();

const diff = (before: Table, after: Table, options: DiffOptions = {}): Promise<DiffResult> =>
  withSides(lake.engine, before, after, (sides) => diffTables(lake.engine, sides.before, sides.after, options));

const airports: Table = {
  columns: [
    ["iata", "string"],
    ["name", "string"],
    ["lat", "double"],
  ],
  rows: [
    ["DEN", "Denver", 39.85],
    ["LAS", "McCarran", 36.08],
    ["ORD", "O'Hare", 41.97],
  ],
  key: ["iata"],
};
const later: Table = {
  ...airports,
  rows: [
    ["DEN", "Denver", 39.86],
    ["LAS", "Harry Reid", 36.1],
    ["SFO", "San Francisco", 37.62],
  ],
};

test("rows are matched by key, and each changed cell counts once", async () => {
  const result = await diff(airports, later);
  expect(result.headline).toBe("All 4 rows differ: 1 added, 1 removed, 2 modified in 2 columns.");
  expect(result.rows).toEqual({ added: 1, removed: 1, modified: 2, differing: 4 });
  expect(result.cells).toBe(3);
  expect(result.columns.map((column) => [column.name, column.state, column.cells])).toEqual([
    ["iata", "same", 0],
    ["name", "modified", 1],
    ["lat", "modified", 2],
  ]);
  expect(result.samples.map((row) => [row.kind, row.key, row.changed])).toEqual([
    ["removed", ["ORD"], []],
    ["added", ["SFO"], []],
    ["modified", ["DEN"], ["lat"]],
    ["modified", ["LAS"], ["name", "lat"]],
  ]);
  expect(result.samples[3]).toMatchObject({ before: { name: "McCarran" }, after: { name: "Harry Reid" } });
  expect(result.columns[1]?.example).toEqual({ key: ["LAS"], before: "McCarran", after: "Harry Reid" });
});

test("a table has no difference from itself", async () => {
  const result = await diff(airports, airports);
  expect(result.headline).toBe("No difference in 3 rows, 3 columns.");
  expect(result.samples).toEqual([]);
});

test("NULL equals NULL, NaN equals NaN, -0.0 equals 0.0, and text is compared by bytes", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["x", "double"],
    ["s", "string"],
  ];
  const before: Table = {
    columns,
    key: ["id"],
    rows: [
      [1, Number.NaN, "a"],
      [2, -0, null],
      [3, null, "é"],
      [4, 1, "a "],
      [5, 1, "A"],
    ],
  };
  const after: Table = {
    columns,
    key: ["id"],
    rows: [
      [1, Number.NaN, "a"],
      [2, 0, null],
      [3, null, "e\u0301"],
      [4, 1, "a"],
      [5, Number.NaN, "a"],
    ],
  };
  const result = await diff(before, after);
  expect(result.samples.map((row) => [row.key?.[0], row.changed])).toEqual([
    [3, ["s"]],
    [4, ["s"]],
    [5, ["x", "s"]],
  ]);
  expect(result.samples[2]?.after?.["x"]).toBe("NaN");
  const asMultiset = await diff({ ...before, key: [] }, { ...after, key: [] });
  expect(asMultiset.rows).toEqual({ added: 3, removed: 3, modified: 0, differing: 6 });
});

test("a key that occurs more than once is counted and shown, and its rows are compared as a multiset", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["v", "string"],
  ];
  const before: Table = {
    columns,
    key: ["id"],
    rows: [
      [1, "a"],
      [1, "b"],
      [2, "x"],
      [3, "y"],
    ],
  };
  const after: Table = {
    columns,
    key: ["id"],
    rows: [
      [1, "a"],
      [1, "c"],
      [2, "z"],
      [4, "n"],
      [4, "n"],
    ],
  };
  const result = await diff(before, after);
  expect(result.rows).toEqual({ added: 3, removed: 2, modified: 1, differing: 6 });
  expect(result.duplicateKeys).toEqual({
    keysBefore: 1,
    keysAfter: 2,
    samples: [
      { key: [1], before: 2, after: 2 },
      { key: [4], before: 0, after: 2 },
    ],
  });
  expect(result.headline).toContain("2 keys occur more than once");
  expect(result.samples.filter((row) => row.kind === "added").map((row) => [row.key, row.count, row.after?.["v"]])).toEqual([
    [[1], 1, "c"],
    [[4], 2, "n"],
  ]);
});

test("duplicate keys never blow up the join", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["v", "int"],
  ];
  const rows = Array.from({ length: 20_000 }, (_, index): Cell[] => [1, index]);
  const result = await diff({ columns, key: ["id"], rows }, { columns, key: ["id"], rows: [...rows.slice(1), [1, -1]] });
  expect(result.rows).toEqual({ added: 1, removed: 1, modified: 0, differing: 2 });
  expect(result.duplicateKeys?.keysAfter).toBe(1);
});

test("duplicates that stand on both sides alike are found although no row differs", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["v", "int"],
  ];
  const rows = [
    [1, 1],
    [1, 1],
    [2, 2],
  ];
  const result = await diff({ columns, key: ["id"], rows }, { columns, key: ["id"], rows });
  expect(result.rows.differing).toBe(0);
  expect(result.duplicateKeys).toMatchObject({ keysBefore: 1, keysAfter: 1 });
});

test("a key that occurs twice on one side only is found among the rows without a partner", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["v", "string"],
  ];
  const result = await diff(
    { columns, key: ["id"], rows: [[1, "a"]] },
    {
      columns,
      key: ["id"],
      rows: [
        [1, "a"],
        [2, "b"],
        [2, "c"],
      ],
    },
  );
  expect(result.duplicateKeys).toMatchObject({ keysBefore: 0, keysAfter: 1 });
  expect(result.rows).toEqual({ added: 2, removed: 0, modified: 0, differing: 2 });
});

test("without a key whole rows are compared as a multiset, and it says so", async () => {
  const columns: ColumnSpec[] = [["v", "string"]];
  const result = await diff({ columns, rows: [["a"], ["a"], ["b"], ["c"]] }, { columns, rows: [["a"], ["b"], ["d"], ["d"]] });
  expect(result.matching).toEqual({ by: "row", reason: "no key" });
  expect(result.notes[0]).toContain("whole rows are compared (no key)");
  expect(result.samples.map((row) => [row.kind, row.count, row.before?.["v"] ?? row.after?.["v"]])).toEqual([
    ["removed", 1, "a"],
    ["removed", 1, "c"],
    ["added", 2, "d"],
  ]);
});

test("NULL, floats and nested values are refused as keys", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["x", "double"],
    ["l", { type: "list", "element-id": 9, element: "int", "element-required": false }],
  ];
  const table: Table = {
    columns,
    rows: [
      [1, 1, [1]],
      [null, 2, [2]],
    ],
  };
  await expect(diff(table, table, { key: ["id"] })).rejects.toMatchObject({
    code: "key.null",
    found: "rows without one: 1 in old, 1 in new",
  });
  await expect(diff(table, table, { key: ["x"] })).rejects.toMatchObject({ code: "key.type" });
  await expect(diff(table, table, { key: ["l"] })).rejects.toMatchObject({ code: "key.type" });
  await expect(diff(table, table, { key: ["nope"] })).rejects.toMatchObject({ code: "key.missing", expected: "nope" });
  const declared = await diff({ ...table, key: ["id"] }, { ...table, key: ["id"] });
  expect(declared.matching).toEqual({ by: "row", reason: "rows have no value in the key id: 1 in old, 1 in new" });
});

test("columns match by field id: a rename, a widening and an order change no cell, a new column modifies no row", async () => {
  const before: Table = {
    columns: [
      ["id", "int", 1],
      ["name", "string", 2],
      ["n", "int", 3],
      ["old", "int", 4],
    ],
    key: ["id"],
    rows: [
      [1, "a", 1, 7],
      [2, "b", 2, 7],
    ],
  };
  const after: Table = {
    columns: [
      ["id", "int", 1],
      ["n", "long", 3],
      ["title", "string", 2],
      ["fresh", "int", 5],
    ],
    key: ["id"],
    rows: [
      [1, 1, "a", 9],
      [2, 3, "b", 9],
    ],
  };
  const result = await diff(before, after);
  expect(result.rows.modified).toBe(1);
  expect(result.schema.map((item) => [item.kind, item.effect])).toEqual([
    ["widened", "additive"],
    ["renamed", "breaking"],
    ["added", "additive"],
    ["dropped", "breaking"],
    ["reordered", "additive"],
  ]);
  expect(result.headline).toBe(
    "1 of 2 rows differs in n; 1 new column, 1 column dropped, 1 column renamed, 1 column widened, columns in another order.",
  );
});

test("cells are compared by value across number types, exactly also where the common type cannot hold them", async () => {
  const big = 9_007_199_254_740_993n;
  const before: Table = {
    columns: [
      ["id", "int"],
      ["a", "long"],
      ["b", "decimal(4, 1)"],
      ["c", "int"],
    ],
    key: ["id"],
    rows: [
      [1, 5, "1.0", 1],
      [2, big, "2.5", 2],
    ],
  };
  const after: Table = {
    columns: [
      ["id", "int"],
      ["a", "double"],
      ["b", "decimal(5, 2)"],
      ["c", "string"],
    ],
    key: ["id"],
    rows: [
      [1, 5, "1.00", "1"],
      [2, 9_007_199_254_740_992, "2.51", "x"],
    ],
  };
  const result = await diff(before, after);
  expect(result.columns.map((column) => [column.name, column.compared, column.cells])).toEqual([
    ["id", "value", 0],
    ["a", "value", 1],
    ["b", "value", 1],
    ["c", "text", 1],
  ]);
});
