import { expect, test } from "vitest";
import { fieldsOf, type ColumnSpec } from "../../test/harness/diff-sides.ts";
import { testEngine } from "../../test/harness/test-engine.ts";
import type { Cell } from "../engine/plan.ts";
import { columnStatistics } from "./column-statistics.ts";

const lake = testEngine();

const columns: readonly ColumnSpec[] = [
  ["k", "int", 1],
  ["x", "decimal(8, 2)", 2],
  ["t", "timestamp", 3],
  ["s", "string", 4],
];
const day = (index: number): string => new Date(Date.UTC(2024, 0, 1) + index * 60_000).toISOString().slice(0, 19);
const size = 8_000;
const rows = Array.from({ length: size }, (_, index): Cell[] => [
  index,
  index % 10 === 0 ? null : `${index}.25`,
  day(index * 5),
  `s${index % 3}`,
]);

test.each([
  ["from all rows", size, 0.01],
  ["from picked rows of a large table", 8_000_000, 0.06],
])("quantiles %s", async (_, claimed, tolerance) => {
  await lake.engine.withScratch(async (scratch) => {
    const fields = fieldsOf(columns);
    const plan = await lake.engine.stage({ op: "values", columns: fields.map(({ name, type }) => ({ name, type })), rows }, scratch);
    for (const key of [["k"], []]) {
      const found = await columnStatistics(lake.engine, { plan, rows: claimed, key, fields }, {});
      const x = found.get(2);
      expect(x).toMatchObject({ rows: size, nulls: size / 10, min: "1.25", max: `${size - 1}.25` });
      for (const [index, share] of [0.05, 0.25, 0.5, 0.75, 0.95].entries()) {
        expect(Math.abs(Number(x?.quantiles?.[index]) / size - share)).toBeLessThan(tolerance);
      }
      expect(String(found.get(3)?.quantiles?.[2])).toMatch(/^2024-01-1[3-5]/);
      expect(found.get(4)).toMatchObject({ quantiles: null, min: "s0", max: "s2", distinct: 3 });
      expect(found.get(4)?.top?.map(({ value }) => value)).toEqual(["s0", "s1", "s2"]);
    }
  });
});

test("what a type does not have is null: nested values have only a count, no rows have no extremes", async () => {
  await lake.engine.withScratch(async (scratch) => {
    const fields = fieldsOf([
      ["l", { type: "list", "element-id": 9, element: "int", "element-required": false }, 1],
      ["b", "binary", 2],
      ["x", "double", 3],
    ]);
    const plan = await lake.engine.stage(
      {
        op: "values",
        columns: fields.map(({ name, type }) => ({ name, type })),
        rows: [
          [[1], "AA==", null],
          [null, null, null],
        ],
      },
      scratch,
    );
    const found = await columnStatistics(lake.engine, { plan, rows: 2, key: [], fields }, {});
    expect(found.get(1)).toEqual({ rows: 2, nulls: 1, distinct: null, min: null, max: null, mean: null, quantiles: null, top: null });
    expect(found.get(2)).toMatchObject({ nulls: 1, distinct: 1, min: null });
    expect(found.get(3)).toMatchObject({ nulls: 2, distinct: 0, min: null, mean: null, quantiles: null });
  });
});
