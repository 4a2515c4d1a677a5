import { expect, test } from "vitest";
import { withSides, type ColumnSpec, type Table } from "../../test/harness/diff-sides.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import type { Cell } from "../engine/plan.ts";
import { toJson } from "../lib/json.ts";
import { diffRows, diffTables } from "./diff-service.ts";
import type { DiffResult } from "./diff.ts";
import type { DiffOptions } from "./prepare.ts";

const lake = testEngine();

const diff = (before: Table, after: Table, options: DiffOptions = {}): Promise<DiffResult> =>
  withSides(lake.engine, before, after, (sides) => diffTables(lake.engine, sides.before, sides.after, options));

test("pages give every differing row once, by kind, column or key", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["v", "int"],
    ["w", "int"],
  ];
  const before: Table = { columns, key: ["id"], rows: Array.from({ length: 50 }, (_, id) => [id, id, 0]) };
  const after: Table = { columns, key: ["id"], rows: Array.from({ length: 50 }, (_, id) => [id + 10, id % 2 === 0 ? id + 10 : 0, 0]) };
  await withSides(lake.engine, before, after, async (sides) => {
    const page = (filter: object, offset: number, limit: number) =>
      diffRows(lake.engine, sides.before, sides.after, {}, { filter, offset, limit });
    const seen: unknown[] = [];
    for (let offset = 0; ; offset += 7) {
      const { rows, total } = await page({}, offset, 7);
      expect(total).toBe(40);
      seen.push(...rows.map((row) => row.key?.[0]));
      if (rows.length === 0) break;
    }
    expect(new Set(seen).size).toBe(40);
    expect((await page({ kind: "added" }, 0, 100)).rows).toHaveLength(10);
    expect((await page({ column: "v" }, 0, 100)).rows.every((row) => row.kind === "modified")).toBe(true);
    expect((await page({ column: "w" }, 0, 100)).total).toBe(0);
    expect((await page({ key: ["3"] }, 0, 10)).rows).toMatchObject([{ kind: "removed", key: [3] }]);
    await expect(page({ column: "zzz" }, 0, 1)).rejects.toMatchObject({ code: "column.not_found" });
  });
});

test("nothing of a masked column leaks: not its cells, not its statistics, not by a filter, not as a key", async () => {
  const columns: ColumnSpec[] = [
    ["id", "string", 1],
    ["mail", "string", 2],
    ["v", "int", 3],
  ];
  const before: Table = {
    columns,
    key: ["id"],
    rows: [
      ["secret-1", "secret-a", 1],
      ["secret-2", "secret-b", 2],
      ["secret-2", "secret-b", 3],
    ],
  };
  const after: Table = {
    columns,
    key: ["id"],
    rows: [
      ["secret-1", "secret-c", 1],
      ["secret-3", "secret-d", 2],
    ],
  };
  const options: DiffOptions = { masked: new Set([1, 2]), statistics: "full" };
  const result = await diff(before, after, options);
  expect(result.columns.find((column) => column.name === "mail")?.cells).toBe(1);
  expect(toJson(result)).not.toContain("secret");
  expect(result.samples.find((row) => row.kind === "modified")).toMatchObject({
    key: ["•••"],
    before: { id: "•••", mail: "•••", v: 1 },
    after: { id: "•••", mail: "•••", v: 1 },
    changed: ["mail"],
  });
  await withSides(lake.engine, before, after, async (sides) => {
    const page = await diffRows(lake.engine, sides.before, sides.after, options, { filter: {}, offset: 0, limit: 10 });
    expect(page.rows).toHaveLength(4);
    expect(toJson(page)).not.toContain("secret");
    await expect(
      diffRows(lake.engine, sides.before, sides.after, options, { filter: { key: ["secret-1"] }, offset: 0, limit: 1 }),
    ).rejects.toMatchObject({ code: "auth.denied" });
  });
});

test("statistics of both sides stand beside each column", async () => {
  const columns: ColumnSpec[] = [
    ["id", "int"],
    ["x", "double"],
    ["s", "string"],
  ];
  const rows = (shift: number): Cell[][] =>
    Array.from({ length: 101 }, (_, id) => [id, id === 0 ? null : id + shift, id % 2 === 0 ? "even" : "odd"]);
  const result = await diff({ columns, key: ["id"], rows: rows(0) }, { columns, key: ["id"], rows: rows(100) }, { statistics: "full" });
  const x = result.columns[1]?.statistics;
  expect(x?.before).toMatchObject({ rows: 101, nulls: 1, min: 1, max: 100, mean: 50.5 });
  expect(x?.after).toMatchObject({ nulls: 1, min: 101, max: 200, mean: 150.5 });
  expect(Number(x?.after?.quantiles?.[2])).toBeCloseTo(150.5, -1);
  expect(result.columns[2]?.statistics?.before?.top).toEqual([
    { value: "even", count: 51 },
    { value: "odd", count: 50 },
  ]);
});
