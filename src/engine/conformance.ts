import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { FieldType } from "../lake/schema.ts";
import { call, cast, column, literal, type Cell, type Plan } from "./plan.ts";

/** One thing that every engine must do, on an engine and an empty folder. */
import { code, evaluated, field, measured, numbers, scan, sorted, values, write, type ConformanceCase } from "./conformance-cases.ts";
import { ruleCases } from "./conformance-rules.ts";
import { tableCases } from "./conformance-tables.ts";

const everyType: [FieldType, Cell][] = [
  ["boolean", true],
  ["int", -2147483648],
  ["long", 9223372036854775807n],
  ["float", 0.5],
  ["double", -1e-300],
  ["date", "2026-01-31"],
  ["time", "09:30:00.25"],
  ["timestamp", "2026-01-31T09:30:00.000001"],
  ["timestamptz", "1969-12-31T23:59:59Z"],
  ["string", "Zürich\0\n'\"🦆"],
  ["uuid", "6f9619ff-8b86-d011-b42d-00c04fc964ff"],
  ["binary", "AAH/"],
  ["decimal(38, 0)", "99999999999999999999999999999999999999"],
  ["decimal(9, 2)", "-0.10"],
  [{ type: "list", "element-id": 101, element: "decimal(4, 1)", "element-required": false }, ["1.5", null]],
  [
    { type: "map", "key-id": 102, key: "string", "value-id": 103, value: "long", "value-required": false },
    [
      ["a", 9007199254740993n],
      ["b", null],
    ],
  ],
  [
    {
      type: "struct",
      fields: [
        field(104, "a b", "date"),
        field(105, "c", { type: "list", "element-id": 106, element: "double", "element-required": false }),
      ],
    },
    { "a b": "2026-01-31", c: [NaN] },
  ],
];

const typeCases: ConformanceCase[] = [
  {
    name: "every type goes through values, rows, stage, table files and stream unharmed",
    async run(engine, dir) {
      const columns = everyType.map(([type], at) => ({ name: `c${at}`, type }));
      const nothing = Object.fromEntries(columns.map(({ name }) => [name, null]));
      const all = Object.fromEntries(everyType.map(([, cell], at) => [`c${at}`, cell]));
      const plan: Plan = { op: "values", columns, rows: [everyType.map(([, cell]) => cell), everyType.map(() => null)] };
      const fields = columns.map(({ name, type }, at) => field(at + 1, name, type));
      deepEqual(await engine.describe(plan), columns);
      deepEqual(await engine.rows(plan), [all, nothing]);
      deepEqual(await engine.withScratch(async (scratch) => engine.rows(await engine.stage(plan, scratch))), [all, nothing]);
      deepEqual(await engine.rows(scan(await write(engine, dir, { plan, fields }), fields)), [all, nothing]);
      const texts: string[] = [];
      for await (const batch of engine.stream({
        op: "project",
        input: plan,
        columns: ["c2", "c4", "c9", "c12", "c16"].map((name) => ({ name, expr: column(name) })),
      }))
        texts.push(...batch);
      equal(texts.length, 2);
      deepEqual(JSON.parse((texts[0] as string).replace("9223372036854775807", '"9223372036854775807"')), {
        c2: "9223372036854775807",
        c4: -1e-300,
        c9: "Zürich\0\n'\"🦆",
        c12: "99999999999999999999999999999999999999",
        c16: { "a b": "2026-01-31", c: ["NaN"] },
      });
    },
  },
  {
    name: "values are the same by SEMANTICS: nulls, NaN, both zeros, text by bytes; the hash agrees",
    async run(engine) {
      const pairs: [FieldType, Cell, Cell, boolean][] = [
        ["double", NaN, NaN, true],
        ["double", 0, -0, true],
        ["double", null, null, true],
        ["double", null, 0, false],
        ["string", "a", "A", false],
        ["string", "ä", "a\u0308", false],
        ["string", "a ", "a", false],
        ["string", "", null, false],
        ["string", "0123456a0123456a", "0123456b0123456c", false],
        [{ type: "list", "element-id": 0, element: "double", "element-required": false }, [0, NaN, null], [-0, NaN, null], true],
      ];
      for (const [type, a, b, same] of pairs) {
        const [left, right] = [literal(a, type), literal(b, type)];
        equal(await evaluated(engine, call("same", left, right)), same, `${String(a)} and ${String(b)}`);
        equal(
          await evaluated(engine, call("same", call("row_hash", left), call("row_hash", right))),
          same,
          `hash of ${String(a)} and ${String(b)}`,
        );
      }
    },
  },
  {
    name: "ten thousand texts that differ in two places have ten thousand hashes",
    async run(engine) {
      const rows = Array.from({ length: 10_000 }, (_, n) => ({ s: `0123456${n % 100}-345678${Math.floor(n / 100)}-3456` }));
      const hashed: Plan = {
        op: "project",
        input: values({ s: "string" }, rows),
        columns: [{ name: "h", expr: call("row_hash", column("s")) }],
      };
      equal(await measured(engine, hashed, { fn: "count_distinct", of: column("h") }), 10_000);
    },
  },
  {
    name: "casts lose nothing: strict ones fail by code, lenient ones give null",
    async run(engine) {
      const fits: [FieldType, Cell, FieldType, Cell][] = [
        ["double", 2, "int", 2],
        ["decimal(9, 2)", "1.50", "decimal(4, 1)", "1.5"],
        ["string", " 7.0", "long", 7],
        ["long", 3, "string", "3"],
        ["timestamp", "2026-01-31T00:00:00", "date", "2026-01-31"],
        ["string", "2026-01-31T10:00:00+01:00", "timestamptz", "2026-01-31T09:00:00Z"],
      ];
      for (const [from, value, to, wanted] of fits) deepEqual(await evaluated(engine, cast(literal(value, from), to)), wanted);
      const misfits: [FieldType, Cell, FieldType][] = [
        ["double", 2.5, "int"],
        ["double", NaN, "long"],
        ["long", 9007199254740993n, "double"],
        ["decimal(9, 2)", "1.55", "decimal(4, 1)"],
        ["decimal(9, 2)", "1234.50", "decimal(4, 1)"],
        ["string", "1.5", "int"],
        ["string", "1e3", "int"],
        ["string", "1.255", "decimal(9, 2)"],
        ["string", "x", "double"],
        ["timestamp", "2026-01-31T00:00:01", "date"],
        ["double", 0.1, "float"],
      ];
      for (const [from, value, to] of misfits) {
        await rejects(evaluated(engine, cast(literal(value, from), to)), code("type.loses_digits"), `${String(value)} as ${String(to)}`);
        equal(await evaluated(engine, { is: "cast", value: literal(value, from), type: to, lenient: true }), null);
      }
    },
  },
];

const questionCases: ConformanceCase[] = [
  {
    name: "approximate counts are within 5 %, quantiles near, the most frequent values exact",
    async run(engine) {
      const rows = Array.from({ length: 250 }, (_, a) => ({ a, g: a % 7 }));
      const hundreds: Plan = {
        op: "project",
        input: numbers(400),
        columns: [{ name: "b", expr: call("*", column("n"), literal(250, "long")) }],
      };
      const pairs: Plan = { op: "join", how: "inner", left: values({ a: "long", g: "int" }, rows), right: hundreds, on: [] };
      const n = call("+", column("a"), column("b"));
      const columns = [
        { name: "n", expr: n },
        { name: "g", expr: column("g") },
        { name: "s", expr: call("text", n) },
      ];
      await engine.withScratch(async (scratch) => {
        const plan = await engine.stage({ op: "project", input: pairs, columns }, scratch);
        for (const name of ["n", "s"]) {
          const found = Number(await measured(engine, plan, { fn: "approx_count_distinct", of: column(name) }));
          ok(Math.abs(found - 100_000) < 5000, `${found} of 100000`);
        }
        equal(await measured(engine, plan, { fn: "approx_count_distinct", of: column("g") }), 7);
        const quantiles = (await measured(engine, plan, { fn: "approx_quantiles", of: column("n"), at: [0.1, 0.5] })) as number[];
        ok(Math.abs((quantiles[0] as number) - 10_000) < 1000 && Math.abs((quantiles[1] as number) - 50_000) < 1000, String(quantiles));
        deepEqual(await measured(engine, plan, { fn: "top", of: column("g"), count: 2 }), [
          { value: "0", count: 14_400 },
          { value: "1", count: 14_400 },
        ]);
      });
    },
  },
  {
    name: "aggregates of nothing, of nulls and of NaN",
    async run(engine) {
      const none = values({ x: "double" }, []);
      const odd = values({ x: "double" }, [{ x: 1 }, { x: NaN }, { x: null }, { x: -0 }]);
      const ask = (
        plan: Plan,
        fn: "count" | "sum" | "min" | "max" | "mean" | "stddev" | "count_distinct" | "approx_count_distinct" | "any",
      ) => measured(engine, plan, { fn, of: column("x") });
      deepEqual(
        [
          await ask(none, "count"),
          await ask(none, "sum"),
          await ask(none, "max"),
          await ask(none, "stddev"),
          await ask(none, "approx_count_distinct"),
        ],
        [0, null, null, null, 0],
      );
      deepEqual(
        [
          await ask(odd, "count"),
          await ask(odd, "min"),
          await ask(odd, "max"),
          await ask(odd, "mean"),
          await ask(odd, "stddev"),
          await ask(odd, "count_distinct"),
        ],
        [3, 0, NaN, NaN, NaN, 3],
      );
      equal(
        await measured(engine, values({ n: "long" }, [{ n: 9223372036854775807n }, { n: 1 }]), { fn: "sum", of: column("n") }),
        "9223372036854775808",
      );
      deepEqual(await measured(engine, none, { fn: "top", of: column("x"), count: 3 }), []);
      deepEqual(await engine.rows({ op: "aggregate", input: none, by: ["x"], measures: [{ name: "n", of: { fn: "count_all" } }] }), []);
    },
  },
  {
    name: "plans as deep as a tree of a thousand unions, and shared parts, are answered",
    async run(engine) {
      const leaf = numbers(2);
      const wide: Plan = { op: "union", inputs: Array.from({ length: 1000 }, () => leaf) };
      equal(await measured(engine, wide, { fn: "count_all" }), 2000);
      let deep: Plan = numbers(3);
      for (let level = 0; level < 60; level += 1) {
        deep =
          level % 2 === 0
            ? { op: "project", input: deep, columns: [{ name: "n", expr: call("+", column("n"), literal(1, "long")) }] }
            : { op: "filter", input: deep, where: call(">", column("n"), literal(0, "long")) };
      }
      deepEqual(
        (await engine.rows(sorted(deep, "n"))).map((row) => row["n"]),
        [30, 31, 32],
      );
      let doubled: Plan = { op: "aggregate", input: numbers(3), by: ["n"], measures: [] };
      for (let level = 0; level < 8; level += 1) doubled = { op: "union", inputs: [doubled, doubled] };
      equal(await measured(engine, doubled, { fn: "count_all" }), 768);
    },
  },
  {
    name: "calls run side by side",
    async run(engine) {
      const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => measured(engine, numbers(n * 10), { fn: "count_all" })));
      deepEqual(
        answers,
        Array.from({ length: 12 }, (_, n) => n * 10),
      );
    },
  },
];

/** What every engine must do; each case is one test. */
export const engineConformance: readonly ConformanceCase[] = [...typeCases, ...tableCases, ...questionCases, ...ruleCases];
