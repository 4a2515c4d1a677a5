import { deepEqual, equal, rejects } from "node:assert/strict";
import type { FieldType } from "../lake/schema.ts";
import { code, evaluated, measured, sorted, values, type ConformanceCase } from "./conformance-cases.ts";
import { call, column, literal, type Cell, type Expr } from "./plan.ts";

const text = (value: Cell): Expr => literal(value, "string");
const listOf = (element: FieldType): FieldType => ({ type: "list", "element-id": 0, element, "element-required": false });

/** What the rules of a contract ask of an engine. */
export const ruleCases: ConformanceCase[] = [
  {
    name: "patterns: regular expressions of RE2 found anywhere, LIKE without an escape sign, what does not compile by code",
    async run(engine) {
      const cases: [Expr, Cell][] = [
        [call("matches", text("abc"), text("b")), true],
        [call("matches", text("abc"), text("^b")), false],
        [call("matches", text("Zürich"), text("^\\p{Lu}\\p{L}+$")), true],
        [call("matches", text(null), text("b")), null],
        [call("like", text("a_b%c"), text("a%c")), true],
        [call("like", text("a_b"), text("a\\_b")), false],
        [call("like", text("ab"), text("a__")), false],
        [call("like", text("aé"), text("a_")), true],
        [call("like", text("a\n(é)[b"), text("%\n_é%_b")), true],
        [call("like", text("a.b"), text("_.%_c%")), false],
        [call("like", text("ab!"), text("%_b")), false],
        [call("like", text(null), text("%_")), null],
      ];
      for (const [expr, wanted] of cases) equal(await evaluated(engine, expr), wanted, JSON.stringify(expr));
      for (const pattern of ["[", "(?=a)", "a{1001}", "("])
        await rejects(evaluated(engine, call("matches", text("a"), text(pattern))), code("pattern.invalid"), pattern);
      await rejects(evaluated(engine, call("parse_time", text("a"), text("%Q"))), code("pattern.invalid"));
      // An expression that would explode elsewhere takes linear time here.
      equal(await evaluated(engine, call("matches", text("a".repeat(5000)), text("^(a+)+$b"))), false);
    },
  },
  {
    name: "patterns that explode where they are tried take linear time on the rows of a table, as LIKE and as regular expressions",
    async run(engine) {
      const rows = values({ x: "string" }, [{ x: `${"a".repeat(200)}!` }, { x: `${"a".repeat(30)}_b` }, { x: null }]);
      const cases: [Expr, Cell[]][] = [
        [call("like", column("x"), text(`${"%a".repeat(20)}_b`)), [false, true, null]],
        [call("like", column("x"), text(`${"%a".repeat(20)}_%a_`)), [true, false, null]],
        [call("matches", column("x"), text(`^${"(?s:.)*a".repeat(20)}(?s:.)b$`)), [false, true, null]],
        [call("matches", column("x"), text(`^${"(?s:.*)a".repeat(20)}(?s:.)b$`)), [false, true, null]],
        [call("matches", column("x"), text("^(a|aa)+$|_b$")), [false, true, null]],
      ];
      for (const [expr, wanted] of cases) {
        const found = await engine.rows({ op: "project", input: rows, columns: [{ name: "m", expr }] });
        deepEqual(
          found.map((row) => row["m"]),
          wanted,
          JSON.stringify(expr),
        );
      }
    },
  },
  {
    name: "times by format, JSON, lists, and the rest of a division exactly",
    async run(engine) {
      const list = (...items: Cell[]): Expr => literal(items, listOf("long"));
      const cases: [Expr, Cell][] = [
        [call("parse_time", text("2026-02-28"), text("%Y-%m-%d")), "2026-02-28T00:00:00"],
        [call("parse_time", text("2026-02-30"), text("%Y-%m-%d")), null],
        [call("parse_time", text("28/02/2026 09:30"), text("%d/%m/%Y %H:%M")), "2026-02-28T09:30:00"],
        [call("is_json", text('{"a": [1]}')), true],
        [call("is_json", text("{a: 1}")), false],
        [call("items", list(1, null, 1)), 3],
        [call("distinct_items", list(1, null, 1)), 1],
        [call("mod", literal("5.55", "decimal(9, 2)"), literal("0.05", "decimal(4, 2)")), "0.00"],
        [call("mod", literal(-7, "long"), literal(4, "int")), -3],
        [call("mod", literal(7, "long"), literal(0, "int")), null],
        [call("mod", literal(9_007_199_254_740_993n, "long"), literal(2, "long")), 1],
      ];
      for (const [expr, wanted] of cases)
        deepEqual(
          await evaluated(engine, expr),
          wanted,
          JSON.stringify(expr, (_, item: unknown) => String(item)),
        );
    },
  },
  {
    name: "exact quantiles and histograms leave out nulls and NaN; the previous value follows the order",
    async run(engine) {
      const odd = values({ x: "double" }, [{ x: 4 }, { x: NaN }, { x: 1 }, { x: null }, { x: 2 }, { x: 3 }, { x: -Infinity }]);
      deepEqual(await measured(engine, odd, { fn: "quantiles", of: column("x"), at: [0, 0.25, 0.5, 1] }), [1, 1.75, 2.5, 4]);
      deepEqual(await measured(engine, odd, { fn: "histogram", of: column("x"), edges: [1, 2.5] }), [2, 1, 2]);
      deepEqual(await measured(engine, odd, { fn: "histogram", of: column("x"), edges: [] }), [5]);
      const none = values({ x: "double" }, []);
      equal(await measured(engine, none, { fn: "quantiles", of: column("x"), at: [0.5] }), null);
      deepEqual(await measured(engine, none, { fn: "histogram", of: column("x"), edges: [1] }), [0, 0]);
      deepEqual(await measured(engine, odd, { fn: "moments", of: column("x") }), [6, NaN, NaN]);
      deepEqual(await measured(engine, none, { fn: "moments", of: column("x") }), [0, 0, 0]);
      const four = values({ x: "decimal(9, 2)" }, [{ x: "1.00" }, { x: "2.00" }, { x: null }, { x: "6.00" }]);
      deepEqual(await measured(engine, four, { fn: "moments", of: column("x") }), [3, 3, 14]);
      const days = values({ d: "date" }, [{ d: "2026-01-05" }, { d: "2026-01-01" }]);
      deepEqual(await measured(engine, days, { fn: "quantiles", of: column("d"), at: [0.5] }), ["2026-01-01"]);
      const plan = { op: "previous", input: values({ n: "long" }, [{ n: 3 }, { n: 1 }, { n: 2 }]), of: "n", as: "p" } as const;
      const found = await engine.rows(sorted({ ...plan, orderBy: [{ column: "n", descending: true }] }, "n"));
      deepEqual(
        found.map((row) => row["p"]),
        [2, 3, null],
      );
    },
  },
];
