import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Column } from "../engine/plan.ts";
import { compareResults, type CompareOptions, type QueryResult } from "./compare-results.ts";

const numbers: Column[] = [
  { name: "region", type: "string" },
  { name: "revenue", type: "decimal(10, 2)" },
  { name: "growth", type: "double" },
];

function result(rows: readonly unknown[][], options: { columns?: Column[]; ordered?: boolean } = {}): QueryResult {
  const { columns = numbers, ordered = false } = options;
  const texts = rows.map((row) => JSON.stringify(Object.fromEntries(columns.map(({ name }, at) => [name, row[at]]))));
  return { columns, ordered, rows: texts };
}

const one: Column[] = [{ name: "renewal_rate", type: "double" }];
const sales = [
  ["at", "120.00", 0.4],
  ["be", "80.50", 0.1],
  ["ch", "300.00", 0.2],
  ["de", "900.10", 0.05],
];
const summary = (before: QueryResult, after: QueryResult, options?: CompareOptions): string => {
  const compared = compareResults(before, after, options);
  return `${compared.same ? "same" : "moved"}: ${compared.summary}`;
};

describe("numbers are told with the digits that show the difference", () => {
  test.each([
    [0.612, 0.8199, "renewal_rate 0.61 → 0.82"],
    [0.004, 1, "renewal_rate 0.004 → 1"],
    [20000, 18905, "renewal_rate 20 000 → 18 905"],
    [1234567.891, 1234568.12, "renewal_rate 1 234 567.89 → 1 234 568.12"],
    [0.5, 0.50000001, "renewal_rate 0.5 → 0.50000001"],
    [1e-20, 3e-20, "renewal_rate 1e-20 → 3e-20"],
    [0.4, -0.4, "renewal_rate changes sign: 0.4 → -0.4"],
    [null, 0, "renewal_rate null → 0"],
    ["NaN", 3, "renewal_rate NaN → 3"],
    [-1234.5, "Infinity", "renewal_rate -1 234.5 → Infinity"],
  ])("%s → %s", (before, after, expected) => {
    expect(summary(result([[before]], { columns: one }), result([[after]], { columns: one }))).toBe(`moved: ${expected}`);
  });
});

describe("what is the same", () => {
  test.each<[string, QueryResult, QueryResult]>([
    ["rows in another order, where order says nothing", result(sales), result(sales.toReversed())],
    ["floats to 1e-9", result([["at", "1.00", 0.1 + 0.2]]), result([["at", "1.00", 0.3]])],
    ["NaN and NaN", result([["at", "1.00", "NaN"]]), result([["at", "1.00", "NaN"]])],
    ["-0.0 and 0.0", result([[0]], { columns: one }), { columns: one, ordered: false, rows: ['{"renewal_rate":-0.0}'] }],
    ["nothing and nothing", result([]), result([])],
    [
      "decimals of another scale",
      result([["1.50"]], { columns: [{ name: "a", type: "decimal(9, 2)" }] }),
      result([["1.500"]], { columns: [{ name: "a", type: "decimal(9, 3)" }] }),
    ],
    ["int and long", result([[7]], { columns: [{ name: "a", type: "int" }] }), result([[7]], { columns: [{ name: "a", type: "long" }] })],
  ])("%s", (_, before, after) => {
    expect(compareResults(before, after)).toMatchObject({ same: true, moves: [] });
  });

  test("a tolerance of one's own allows more, on numbers and on rows", () => {
    const moved = sales.map((row) => [row[0], row[1], (row[2] as number) * 1.01]);
    expect(compareResults(result(sales), result(moved)).same).toBe(false);
    expect(compareResults(result(sales), result(moved), { tolerance: { relative: 0.02 } }).same).toBe(true);
    expect(compareResults(result(sales), result(sales.slice(1)), { tolerance: { rows: 0.25 } })).toMatchObject({
      same: true,
      summary: "3 rows; 1 differ, as the tolerance allows",
    });
    expect(compareResults(result(sales), result(sales.slice(2)), { tolerance: { rows: 0.25 } }).same).toBe(false);
  });
});

describe("what moved", () => {
  const long = Array.from({ length: 30 }, (_, at) => [`k${at}`, `${at}.00`, at]);
  test.each<[string, QueryResult, QueryResult, string]>([
    ["one cell", result(sales), result(sales.map((row) => (row[0] === "be" ? ["be", "80.51", 0.1] : row))), "revenue of be 80.5 → 80.51"],
    [
      "one sign",
      result(sales),
      result(sales.map((row) => (row[0] === "be" ? ["be", "80.50", -0.1] : row))),
      "growth of be changes sign: 0.1 → -0.1",
    ],
    [
      "NULL is not 0",
      result(sales),
      result(sales.map((row) => (row[0] === "be" ? ["be", "80.50", null] : row))),
      "growth of be 0.1 → null",
    ],
    ["keys that vanish", result(long), result(long.slice(7)), "7 keys missing: k0, k1, k2, k3, k4, …"],
    ["a new key", result(sales), result([...sales, ["fr", "1.00", 1]]), "1 new key: fr"],
    ["a duplicated row", result(sales), result([...sales, sales[0] as unknown[]]), "1 row once more than before; 4 → 5 rows"],
    ["scaled by a constant", result(sales), result(sales.map(([a, b, c]) => [a, b, (c as number) * 100])), "growth × 100 in all 4 rows"],
    ["a smaller unit", result(sales), result(sales.map(([a, b, c]) => [a, String(Number(b) / 1000), c])), "revenue ÷ 1000 in all 4 rows"],
    ["all signs", result(sales), result(sales.map(([a, b, c]) => [a, b, -(c as number)])), "growth changes sign in all 4 rows"],
    ["emptied", result(sales), result([]), "4 keys missing: at, be, ch, de"],
    [
      "order that counts",
      result(sales, { ordered: true }),
      result(sales.toReversed(), { ordered: true }),
      "rows in another order, from row 1 of 4",
    ],
  ])("%s", (_, before, after, expected) => {
    expect(summary(before, after)).toBe(`moved: ${expected}`);
  });

  test("a shifted time zone", () => {
    const columns: Column[] = [
      { name: "id", type: "long" },
      { name: "seen", type: "timestamp" },
    ];
    const rows = [1, 2, 3].map((id) => [id, `2026-03-0${id}T23:30:00`]);
    const shifted = [1, 2, 3].map((id) => [id, `2026-03-0${id + 1}T00:30:00`]);
    expect(summary(result(rows, { columns }), result(shifted, { columns }))).toBe("moved: seen + 1 h in all 3 rows");
  });

  test("columns: gone, new, of another type, in another order", () => {
    const [a, b, c]: Column[] = [
      { name: "a", type: "long" },
      { name: "b", type: "string" },
      { name: "c", type: "double" },
    ];
    const before = result([[1, "x"]], { columns: [a!, b!] });
    expect(summary(before, result([[1, 2]], { columns: [a!, c!] }))).toBe("moved: column b is gone; new column c");
    expect(summary(before, result([["x", 1]], { columns: [b!, a!] }))).toBe("moved: columns in another order");
    expect(summary(before, result([["1", "x"]], { columns: [{ name: "a", type: "string" }, b!] }))).toBe("moved: a is string, was long");
    expect(summary(before, result([[2, "x"]], { columns: [{ name: "a", type: "int" }, b!] }))).toBe("moved: a 1 → 2");
  });

  test("a key that the test names tells rows apart where nothing else does", () => {
    const columns: Column[] = [
      { name: "year", type: "int" },
      { name: "week", type: "int" },
      { name: "n", type: "long" },
    ];
    const before = result(
      [
        [2025, 1, 5],
        [2025, 2, 6],
        [2026, 1, 7],
      ],
      { columns },
    );
    const after = result(
      [
        [2025, 1, 5],
        [2025, 2, 6],
        [2026, 1, 9],
      ],
      { columns },
    );
    expect(summary(before, after)).toBe("moved: 1 row of 3 gone; 1 new row");
    expect(summary(before, after, { key: ["year", "week"] })).toBe("moved: n of 2 026 / 1 7 → 9");
  });

  test("integers beyond 2^53 differ in their last digit", () => {
    const columns: Column[] = [{ name: "id", type: "long" }];
    const [before, after] = ["9007199254740993", "9007199254740992"].map((digits) => ({
      columns,
      ordered: false,
      rows: [`{"id":${digits}}`],
    }));
    expect(compareResults(before!, after!).same).toBe(false);
  });

  test("masked columns show no value, neither as key nor as number", () => {
    const compared = compareResults(result(sales), result([["zz", "1.00", 9], ...sales.slice(1, 3), ["de", "900.10", 0.07]]), {
      masked: new Set(["region", "growth"]),
    });
    expect(JSON.stringify(compared)).not.toMatch(/"at|row at|of at|zz|0\.07|0\.05/);
    expect(compared.summary).toBe("1 key missing: •••; 1 new key: •••; growth of ••• ••• → •••");
  });
});

test("a result is the same as itself in any order and with its floats a little off; never the same without one of its rows", () => {
  const row = fc.tuple(
    fc.constantFrom("a", "b", "c"),
    fc.constantFrom("1.00", "2.50"),
    fc.oneof(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constant(null)),
  );
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 40 }), fc.nat(), (rows, seed) => {
      const shuffled = rows.map((item, at) => ({ item, at: (at * 7919 + seed) % 104_729 })).sort((a, b) => a.at - b.at);
      const off = shuffled.map(({ item: [a, b, c] }) => [a, b, c === null ? null : c * (1 + 1e-13)]);
      expect(compareResults(result(rows), result(off)).same).toBe(true);
      expect(compareResults(result(rows), result(off.slice(1))).same).toBe(false);
    }),
  );
});
