import fc from "fast-check";
import { expect, test } from "vitest";
import { diffRows, diffTables } from "../src/diffs/diff-service.ts";
import type { DiffRow, DiffSide } from "../src/diffs/diff.ts";
import type { Cell } from "../src/engine/plan.ts";
import { toJson } from "../src/lib/json.ts";
import { stagedSide, type ColumnSpec } from "./harness/diff-sides.ts";
import { testEngine } from "./harness/test-engine.ts";

/*
 * Laws of the diff on random small tables, against an oracle that knows nothing of joins. A failure prints the seed; replay it with
 * `TIDEGATE_SEED=<seed> npx vitest run test/diff-laws`.
 */

const lake = testEngine();

const seed = process.env["TIDEGATE_SEED"];
const settings = { numRuns: Number(process.env["TIDEGATE_RUNS"] ?? 15), ...(seed === undefined ? {} : { seed: Number(seed) }) };

type Row = readonly Cell[];
const columns: readonly ColumnSpec[] = [
  ["k", "int"],
  ["part", "string"],
  ["x", "double"],
  ["s", "string"],
  ["d", "decimal(6, 2)"],
  ["t", "timestamp"],
];
const keyWidth = 2;

const cells = {
  k: fc.integer({ min: 0, max: 4 }),
  part: fc.constantFrom("a", "b", "A"),
  x: fc.constantFrom<Cell>(null, 0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY),
  s: fc.constantFrom<Cell>(null, "", "a", "a ", "é", "e\u0301", "'; drop"),
  d: fc.constantFrom<Cell>(null, "0.00", "1.10", "-1.10"),
  t: fc.constantFrom<Cell>(null, "2024-01-31T00:00:00", "2024-01-31T00:00:00.000001"),
};
const row = fc.tuple(cells.k, cells.part, cells.x, cells.s, cells.d, cells.t);
const bag = fc.array(row, { maxLength: 12 });
/** Rows whose first two columns are a key. */
const table = fc.uniqueArray(row, { maxLength: 12, selector: ([k, part]) => `${k}/${part}` });

/** A row as text under the equality of rows: NaN is itself, -0 is 0. */
const identity = (values: Row): string =>
  toJson(values.map((value) => (typeof value === "number" ? String(value === 0 ? 0 : value) : value)));
const keyOf = (values: Row): string => identity(values.slice(0, keyWidth));

function tally(rows: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const values of rows) counts.set(identity(values), (counts.get(identity(values)) ?? 0) + 1);
  return counts;
}

async function withSides<T>(
  a: readonly Row[],
  b: readonly Row[],
  keyed: boolean,
  work: (before: DiffSide, after: DiffSide) => Promise<T>,
): Promise<T> {
  return lake.engine.withScratch(async (scratch) => {
    const key = keyed ? columns.slice(0, keyWidth).map(([name]) => name) : [];
    return work(await stagedSide(lake.engine, scratch, "a", columns, a, key), await stagedSide(lake.engine, scratch, "b", columns, b, key));
  });
}

/** All differing rows, page by page. */
async function allRows(before: DiffSide, after: DiffSide): Promise<DiffRow[]> {
  const rows: DiffRow[] = [];
  for (;;) {
    const page = await diffRows(lake.engine, before, after, {}, { filter: {}, offset: rows.length, limit: 8 });
    rows.push(...page.rows);
    if (page.rows.length === 0) return rows;
  }
}

const valuesOf = (record: DiffRow["before"]): Row =>
  columns.map(([name]) => {
    const cell = record?.[name] ?? null;
    return name === "x" && typeof cell === "string" ? Number(cell) : cell;
  });

/** Takes the differing rows away from `a` and puts the new ones in. */
function applied(a: readonly Row[], rows: readonly DiffRow[]): Map<string, number> {
  const counts = tally(a);
  const move = (values: Row, by: number) => {
    const left = (counts.get(identity(values)) ?? 0) + by;
    if (left < 0) throw new Error(`the diff removes a row that is not there: ${identity(values)}`);
    if (left === 0) counts.delete(identity(values));
    else counts.set(identity(values), left);
  };
  for (const diffRow of rows) if (diffRow.before !== null) move(valuesOf(diffRow.before), -diffRow.count);
  for (const diffRow of rows) if (diffRow.after !== null) move(valuesOf(diffRow.after), diffRow.count);
  return counts;
}

const sorted = (counts: Map<string, number>) => [...counts].sort(([a], [b]) => (a < b ? -1 : 1));

for (const keyed of [true, false]) {
  const way = keyed ? "by key" : "as a multiset";
  const rows = keyed ? table : bag;

  test(`a table does not differ from itself, whatever the order of its rows (${way})`, async () => {
    await fc.assert(
      fc.asyncProperty(rows, async (a) => {
        const result = await withSides(a, [...a].reverse(), keyed, (before, after) => diffTables(lake.engine, before, after));
        expect(result.rows.differing).toBe(0);
        expect(result.samples).toEqual([]);
        expect(result.schema).toEqual([]);
      }),
      { ...settings, numRuns: Math.ceil(settings.numRuns / 3) },
    );
  });

  test(`what the diff says, applied to the first table, gives the second (${way})`, async () => {
    await fc.assert(
      fc.asyncProperty(rows, rows, async (a, b) => {
        const found = await withSides(a, b, keyed, allRows);
        expect(sorted(applied(a, found))).toEqual(sorted(tally(b)));
      }),
      settings,
    );
  });

  test(`the way back has the same counts with added and removed swapped (${way})`, async () => {
    await fc.assert(
      fc.asyncProperty(rows, rows, async (a, b) => {
        const there = await withSides(a, b, keyed, (before, after) => diffTables(lake.engine, before, after));
        const back = await withSides(b, a, keyed, (before, after) => diffTables(lake.engine, before, after));
        expect(back.rows).toEqual({ ...there.rows, added: there.rows.removed, removed: there.rows.added });
        expect(back.columns.map((column) => column.cells)).toEqual(there.columns.map((column) => column.cells));
      }),
      { ...settings, numRuns: Math.ceil(settings.numRuns / 3) },
    );
  });
}

test("counts per row and per column are those of a naive comparison by key", async () => {
  await fc.assert(
    fc.asyncProperty(table, table, async (a, b) => {
      const [old, now] = [a, b].map((rows) => new Map(rows.map((values) => [keyOf(values), values]))) as unknown as [
        Map<string, Row>,
        Map<string, Row>,
      ];
      const both = [...old].flatMap(([key, values]) => (now.has(key) ? [[values, now.get(key) as Row] as const] : []));
      const differs = (column: number) => both.filter(([x, y]) => identity([x[column] as Cell]) !== identity([y[column] as Cell])).length;
      const result = await withSides(a, b, true, (before, after) => diffTables(lake.engine, before, after));
      expect(result.rows).toMatchObject({
        added: b.length - both.length,
        removed: a.length - both.length,
        modified: both.filter(([x, y]) => identity(x) !== identity(y)).length,
      });
      expect(result.columns.map((column) => column.cells)).toEqual(columns.map((_, index) => differs(index)));
    }),
    settings,
  );
});

test("keys that occur more than once: counts are those of a naive multiset of their rows, and no row is lost", async () => {
  await fc.assert(
    fc.asyncProperty(bag, bag, async (a, b) => {
      const perKey = (rows: readonly Row[]) => {
        const counts = new Map<string, number>();
        for (const values of rows) counts.set(keyOf(values), (counts.get(keyOf(values)) ?? 0) + 1);
        return counts;
      };
      const twice = (rows: readonly Row[]) => [...perKey(rows).values()].filter((count) => count > 1).length;
      const [result, found] = await withSides(
        a,
        b,
        true,
        async (before, after) => [await diffTables(lake.engine, before, after), await allRows(before, after)] as const,
      );
      expect([result.duplicateKeys?.keysBefore ?? 0, result.duplicateKeys?.keysAfter ?? 0]).toEqual([twice(a), twice(b)]);
      expect(sorted(applied(a, found))).toEqual(sorted(tally(b)));
      const total = (kind: DiffRow["kind"]) =>
        found.filter((diffRow) => diffRow.kind === kind).reduce((sum, diffRow) => sum + diffRow.count, 0);
      expect(result.rows).toMatchObject({ added: total("added"), removed: total("removed"), modified: total("modified") });
    }),
    settings,
  );
});
