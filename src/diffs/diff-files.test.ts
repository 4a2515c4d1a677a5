import { join } from "node:path";
import { expect, test } from "vitest";
import { tableFile, version, withoutRows, type ColumnSpec } from "../../test/harness/diff-sides.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import type { Cell } from "../engine/plan.ts";
import { diffRows, diffTables } from "./diff-service.ts";
import type { DiffFile, DiffSide } from "./diff.ts";

const lake = testEngine();

const file = (columns: readonly ColumnSpec[], rows: readonly (readonly Cell[])[]) => tableFile(lake, columns, rows);
const without = (data: DiffFile, positions: readonly number[]) => withoutRows(lake, data, positions);

const columns: readonly ColumnSpec[] = [
  ["id", "int", 1],
  ["v", "string", 2],
];

test("files that both versions have are not read: a shared file may even be gone", async () => {
  const shared: DiffFile = { key: "gone", scan: { uri: join(lake.dir, "gone.parquet"), rows: 500, deletes: [] } };
  const before = version("@1", columns, [
    shared,
    await file(columns, [
      [1, "a"],
      [2, "b"],
    ]),
  ]);
  const after = version("@2", columns, [
    await file(columns, [
      [1, "a"],
      [2, "c"],
      [3, "d"],
    ]),
    shared,
  ]);
  const result = await diffTables(lake.engine, before, after, { statistics: "changed" });
  expect(result.headline).toBe("2 of 503 rows differ: 1 added, 1 modified in v.");
  expect(result.after.rows).toBe(503);
  expect(result.files).toEqual({ before: 2, after: 2, shared: 1 });
  expect(result.columns[0]?.statistics?.after?.rows).toBe(3);
});

test("the same file with other position deletes holds other rows", async () => {
  const data = await file(columns, [
    [1, "a"],
    [2, "b"],
    [3, "c"],
  ]);
  const before = version("@1", columns, [await without(data, [0])]);
  const after = version("@2", columns, [await without(await without(data, [0]), [2])]);
  const result = await diffTables(lake.engine, before, after);
  expect([result.before.rows, result.after.rows]).toEqual([2, 1]);
  expect(result.samples).toMatchObject([{ kind: "removed", key: [3], before: { v: "c" } }]);
  expect((await diffTables(lake.engine, before, before)).rows.differing).toBe(0);
});

test("rows that moved between files do not differ", async () => {
  const before = [
    await file(columns, [
      [1, "a"],
      [2, "b"],
    ]),
    await file(columns, [[3, "c"]]),
  ];
  const after = [
    await file(columns, [[1, "a"]]),
    await file(columns, [
      [2, "b"],
      [3, "c"],
    ]),
  ];
  for (const key of [[1], []]) {
    const result = await diffTables(lake.engine, version("@1", columns, before, key), version("@2", columns, after, key));
    expect(result.rows.differing).toBe(0);
  }
});

test("old files are read by field id after a rename, a widening, a drop and an added column", async () => {
  const data = await file(
    [
      ["id", "int", 1],
      ["v", "string", 2],
      ["n", "int", 3],
      ["old", "int", 4],
    ],
    [
      [1, "a", 1, 9],
      [2, "b", 2, 9],
    ],
  );
  const laterColumns: readonly ColumnSpec[] = [
    ["id", "int", 1],
    ["value", "string", 2],
    ["n", "long", 3],
    ["fresh", "double", 5],
  ];
  const more = await file(laterColumns, [[3, "c", 3, 0.5]]);
  const before = version(
    "@1",
    [
      ["id", "int", 1],
      ["v", "string", 2],
      ["n", "int", 3],
      ["old", "int", 4],
    ],
    [data],
  );
  const after = version("@2", laterColumns, [data, more]);
  const result = await diffTables(lake.engine, before, after);
  expect(result.rows).toEqual({ added: 1, removed: 0, modified: 0, differing: 1 });
  expect(result.files).toEqual({ before: 1, after: 2, shared: 1 });
  const rewritten = await file(laterColumns, [
    [1, "a", 1, null],
    [2, "x", 2, null],
  ]);
  const page = await diffRows(lake.engine, before, version("@3", laterColumns, [rewritten]), {}, { filter: {}, offset: 0, limit: 10 });
  expect(page.rows).toMatchObject([{ kind: "modified", key: [2], changed: ["value"], before: { value: "b" }, after: { value: "x" } }]);
});

test("a retype under a new field id compares all cells, also those of shared files; from an empty column it is free", async () => {
  const old = [
    await file(columns, [
      [1, "1"],
      [2, "x"],
    ]),
  ];
  const before = version("@1", columns, old);
  const retyped = await file(
    [
      ["id", "int", 1],
      ["v", "int", 3],
    ],
    [
      [1, 1],
      [2, null],
    ],
  );
  const after = version(
    "@2",
    [
      ["id", "int", 1],
      ["v", "int", 3],
    ],
    [retyped],
  );
  const result = await diffTables(lake.engine, before, after);
  expect(result.schema).toMatchObject([{ kind: "retyped", effect: "breaking", before: "string", after: "int" }]);
  expect(result.columns[1]).toMatchObject({ compared: "text", cells: 1 });
  const shared = version(
    "@2",
    [
      ["id", "int", 1],
      ["v", "int", 3],
    ],
    old,
  );
  expect((await diffTables(lake.engine, before, shared)).rows.modified).toBe(2);
  const free = await diffTables(lake.engine, before, shared, { tentative: { before: new Set([2]), after: new Set() } });
  expect(free.schema).toMatchObject([{ kind: "retyped", effect: "additive" }]);
  expect(free.rows.modified).toBe(0);
});

test("a dropped name that is given to another column is a warning", async () => {
  const data = await file(
    [
      ["id", "int", 1],
      ["v", "string", 2],
      ["w", "string", 3],
    ],
    [[1, "a", "b"]],
  );
  const before = version(
    "@1",
    [
      ["id", "int", 1],
      ["v", "string", 2],
      ["w", "string", 3],
    ],
    [data],
  );
  const renamedOnto = await diffTables(
    lake.engine,
    before,
    version(
      "@2",
      [
        ["id", "int", 1],
        ["v", "string", 3],
      ],
      [data],
    ),
  );
  expect(renamedOnto.schema).toMatchObject([
    { kind: "renamed", before: "w", after: "v" },
    { kind: "name_reused", column: "v", warning: true, effect: "breaking" },
  ]);
  expect(renamedOnto.columns.map((column) => [column.name, column.state])).toEqual([
    ["id", "same"],
    ["v", "same"],
    ["v (dropped)", "dropped"],
  ]);
  const gone = await diffTables(lake.engine, before, {
    ...before,
    label: "@2",
    schema: version(
      "@2",
      [
        ["id", "int", 1],
        ["v", "string", 3],
      ],
      [],
    ).schema,
    content: { files: [] },
  });
  expect(gone.samples[0]?.before).toEqual({ id: 1, v: "b", "v (dropped)": "a" });
  const again = await diffTables(
    lake.engine,
    before,
    version(
      "@2",
      [
        ["id", "int", 1],
        ["v", "string", 4],
        ["w", "string", 3],
      ],
      [data],
    ),
  );
  expect(again.schema).toMatchObject([{ kind: "name_reused", warning: true }]);
  expect(again.rows.differing).toBe(0);
});

test("a key that changed is said, and the later key matches the rows", async () => {
  const data = await file(columns, [
    [1, "a"],
    [2, "b"],
  ]);
  const result = await diffTables(
    lake.engine,
    version("@1", columns, [data], []),
    version("@2", columns, [
      await file(columns, [
        [1, "a"],
        [2, "c"],
      ]),
    ]),
  );
  expect(result.schema).toMatchObject([{ kind: "key_changed", before: "none", after: "id" }]);
  expect(result.rows.modified).toBe(1);
});

test("range by range the answer is the same, with duplicate keys too", async () => {
  const ranged = async (rows: readonly (readonly Cell[])[]): Promise<DiffFile> => {
    const ids = rows.map(([id]) => Number(id));
    return { ...(await file(columns, rows)), keyRange: { lower: String(Math.min(...ids)), upper: String(Math.max(...ids)) } };
  };
  const before = version("@1", columns, [
    await ranged([
      [1, "a"],
      [2, "b"],
    ]),
    await ranged([
      [10, "c"],
      [11, "d"],
      [11, "e"],
    ]),
    await ranged([[100, "f"]]),
  ]);
  const after = version("@2", columns, [
    await ranged([
      [2, "B"],
      [3, "x"],
    ]),
    await ranged([
      [10, "c"],
      [11, "d"],
    ]),
    await ranged([
      [99, "y"],
      [100, "F"],
    ]),
  ]);
  for (const without of [false, true]) {
    const [old, now] = without
      ? [before, after].map((side) => ({ ...side, content: { files: (side.content as { files: DiffFile[] }).files.toSpliced(1, 1) } }))
      : [before, after];
    const whole = await diffTables(lake.engine, old as DiffSide, now as DiffSide);
    const parted = await diffTables(lake.engine, old as DiffSide, now as DiffSide, { rowsPerPart: 1 });
    expect(parted).toEqual(whole);
    expect(whole.rows).toEqual({ added: 2, removed: without ? 1 : 2, modified: 2, differing: without ? 5 : 6 });
  }
});

test("from nothing and to nothing", async () => {
  const data = await file(columns, [
    [1, "a"],
    [2, "b"],
  ]);
  const [none, some] = [version("@1", columns, []), version("@2", columns, [data])];
  expect((await diffTables(lake.engine, none, some)).headline).toBe("2 rows added to none.");
  expect((await diffTables(lake.engine, some, none)).headline).toBe("All 2 rows are removed.");
  expect((await diffTables(lake.engine, none, none)).rows.differing).toBe(0);
});

test("ranges of another key than the one that matches the rows are not used", async () => {
  const spec: readonly ColumnSpec[] = [
    ["id", "int", 1],
    ["n", "int", 2],
  ];
  const ranged = async (rows: readonly (readonly Cell[])[], lower: number, upper: number): Promise<DiffFile> => ({
    ...(await file(spec, rows)),
    keyRange: { lower: String(lower), upper: String(upper) },
  });
  const before = version(
    "@1",
    spec,
    [
      await ranged(
        [
          [1, 100],
          [2, 101],
        ],
        1,
        2,
      ),
    ],
    [1],
  );
  const after = version(
    "@2",
    spec,
    [
      await ranged(
        [
          [2, 101],
          [1, 100],
        ],
        100,
        101,
      ),
    ],
    [2],
  );
  const result = await diffTables(lake.engine, before, after, { rowsPerPart: 1 });
  expect(result.matching).toMatchObject({ by: "key", columns: ["n"] });
  expect(result.rows.differing).toBe(0);
});

test("a file that holds more rows than its metadata says is compared whole, and the diff says so", async () => {
  const lying = async (rows: readonly (readonly Cell[])[]): Promise<DiffFile> => {
    const data = await file(columns, rows);
    return { ...data, scan: { ...data.scan, rows: 1 } };
  };
  const before = version("@1", columns, [
    await lying([
      [1, "a"],
      [2, "b"],
      [3, "c"],
      [4, "d"],
    ]),
  ]);
  const after = version("@2", columns, [
    await lying([
      [1, "A"],
      [2, "B"],
      [3, "C"],
      [4, "D"],
    ]),
  ]);
  const result = await diffTables(lake.engine, before, after);
  expect(result.rows.modified).toBe(4);
  expect(result.notes.at(-1)).toContain("they hold 4 and 4: run tidegate doctor");
});
