import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { call, column, literal, type Plan, type TablePlan } from "../plan.ts";
import type { Field } from "../../lake/schema.ts";
import { duckdbEngine } from "./duckdb-engine.ts";
import { engineError } from "./errors.ts";
import { DuckDb } from "./instance.ts";
import { renderPlan } from "./render.ts";
import { evenCuts } from "./write.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-duckdb-"));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

const settings = () => ({ memoryMb: 256, threads: 2, tempDir: join(dir, "tmp") });

test("filters and columns reach the scan of a table, through projections, unions, shared parts and positions", async () => {
  const engine = await duckdbEngine(settings());
  const database = await DuckDb.open(settings());
  try {
    const fields: Field[] = [
      { id: 1, name: "id", required: true, type: "long" },
      { id: 2, name: "other", required: false, type: "string" },
    ];
    const plan: Plan = {
      op: "values",
      columns: [
        { name: "id", type: "long" },
        { name: "other", type: "string" },
      ],
      rows: [
        [1, "a"],
        [9, "b"],
      ],
    };
    const files = await engine.write({
      plan,
      fields,
      sortBy: ["id"],
      rowsPerFile: 1,
      pathFor: async (index) => join(dir, `${index}.parquet`),
    });
    const table: TablePlan = {
      op: "table",
      files: files.map((file) => ({ uri: file.path, rows: 1, deletes: [] })),
      fields,
      position: true,
    };
    const renamed: Plan = {
      op: "project",
      input: table,
      columns: [
        { name: "k", expr: column("id") },
        { name: "at", expr: column("_pos") },
      ],
    };
    const one = (input: Plan, name: string): Plan => ({ op: "filter", input, where: call("same", column(name), literal(9, "long")) });
    const explained = async (asked: Plan) => {
      const text = JSON.stringify((await database.all(`EXPLAIN (FORMAT json) ${renderPlan(asked).sql}`)).rows).replaceAll("\\", "");
      return {
        scans: text.match(/READ_PARQUET/g)?.length ?? 0,
        filters: text.match(/Filters": "[^"]*f1=9/g)?.length ?? 0,
        other: text.includes("f2"),
      };
    };
    expect(await explained(one(renamed, "k"))).toMatchObject({ filters: 1, other: false });
    expect(await explained(one({ op: "union", inputs: [renamed, renamed] }, "k"))).toMatchObject({ filters: 2, other: false });
    const keyed: Plan = {
      op: "join",
      how: "semi",
      left: table,
      right: { op: "values", columns: [{ name: "k", type: "long" }], rows: [[9]] },
      on: [{ left: "id", right: "k" }],
    };
    expect(renderPlan(keyed).sql).toContain("l.c0 = r.c0");
  } finally {
    await engine.close();
    await database.close();
  }
});

test("scratch folders of dead processes are swept at the start, those of living ones stay", async () => {
  const { tempDir } = settings();
  // No process has this id: it is above what Linux hands out.
  await mkdir(join(tempDir, "scratch-4194999-abc"), { recursive: true });
  await writeFile(join(tempDir, "scratch-4194999-abc", "stage.parquet"), "x");
  await mkdir(join(tempDir, `scratch-${process.ppid}-abc`));
  await mkdir(join(tempDir, "something else"));
  const engine = await duckdbEngine(settings());
  const left = await readdir(tempDir);
  expect(left.filter((name) => !name.startsWith(`scratch-${process.pid}-`)).sort()).toEqual(
    [`scratch-${process.ppid}-abc`, "something else"].sort(),
  );
  await engine.close();
  expect((await readdir(tempDir)).filter((name) => name.startsWith(`scratch-${process.pid}-`))).toEqual([]);
});

test("closing stops what runs, and what comes after it is refused", async () => {
  const engine = await duckdbEngine(settings());
  const numbers: Plan = { op: "values", columns: [{ name: "n", type: "long" }], rows: Array.from({ length: 3000 }, (_, n) => [n]) };
  const times = (input: Plan, name: string): Plan => {
    const right: Plan = { op: "project", input: numbers, columns: [{ name, expr: column("n") }] };
    return { op: "join", how: "inner", left: input, right, on: [] };
  };
  const count: Plan = {
    op: "aggregate",
    input: times(times(numbers, "m"), "k"),
    by: [],
    measures: [{ name: "x", of: { fn: "max", of: call("+", call("+", column("n"), column("m")), column("k")) } }],
  };
  const running = [1, 2, 3, 4, 5, 6].map(() => engine.rows(count).catch((error: unknown) => (error as { code: string }).code));
  await engine.close();
  expect(await Promise.all(running)).toEqual(Array.from({ length: 6 }, () => "interrupted"));
  await expect(engine.rows(numbers)).rejects.toMatchObject({ code: "interrupted" });
});

test("a signal that is already given, or is given while the query waits its turn, stops it", async () => {
  const engine = await duckdbEngine(settings());
  const plan: Plan = { op: "values", columns: [{ name: "n", type: "long" }], rows: [[1]] };
  await expect(engine.rows(plan, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "interrupted" });
  const stop = new AbortController();
  const asked = engine.rows(plan, { signal: stop.signal }).then(
    () => "answered",
    (error: unknown) => (error as { code: string }).code,
  );
  stop.abort();
  expect(["answered", "interrupted"]).toContain(await asked);
  expect(await engine.rows(plan)).toEqual([{ n: 1 }]);
  await engine.close();
});

test("the engine's errors have codes of ours", () => {
  const codes = (text: string) => engineError(new Error(text)).code;
  expect(codes('IO Error: Could not write to file "/x": No space left on device')).toBe("store.full");
  expect(
    codes(
      "Out of Memory Error: failed to offload data block of size 256.0 KiB (1.0 MiB/1.0 MiB used). This limit was set by the 'max_temp_directory_size' setting.",
    ),
  ).toBe("store.full");
  expect(codes("Out of Memory Error: could not allocate block of size 32.0 MiB")).toBe("engine.memory");
  expect(codes('IO Error: Cannot open file "/x.parquet": No such file or directory')).toBe("store.missing");
  expect(codes('IO Error: Cannot open file "/x.parquet": Permission denied')).toBe("store.unreachable");
  expect(codes('Invalid Input Error: Failed to read file "/x": ZSTD Decompression failure')).toBe("store.corrupt");
  expect(codes("Out of Range Error: Overflow in addition of INT64 (9223372036854775807 + 1)!")).toBe("type.loses_digits");
  expect(codes("INTERNAL Error: Attempted to access index 0")).toBe("internal");
});

test("cuts are even, cover all rows and never reach 1.5 times what was wanted", () => {
  for (const [rows, wanted] of [
    [1, 10],
    [14, 10],
    [15, 10],
    [16, 10],
    [25, 10],
    [1000, 7],
    [10_000_000, 245_760],
  ] as const) {
    const cuts = evenCuts(rows, wanted);
    expect(cuts[0]?.begin).toBe(0);
    expect(cuts.at(-1)?.end).toBe(rows);
    expect(cuts.every((cut, at) => at === 0 || cut.begin === cuts[at - 1]?.end)).toBe(true);
    const sizes = cuts.map((cut) => cut.end - cut.begin);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(wanted * 1.5);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }
  expect(evenCuts(0, 10)).toEqual([]);
});
