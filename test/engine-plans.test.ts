import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { duckdbEngine } from "../src/engine/duckdb/duckdb-engine.ts";
import type { Engine, Row } from "../src/engine/engine.ts";
import { planColumns } from "../src/engine/plan-types.ts";
import type { Cell, Plan } from "../src/engine/plan.ts";
import { naiveRows } from "./harness/naive-engine.ts";
import { PlanMaker } from "./harness/random-plans.ts";

let engine: Engine;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-plans-"));
  engine = await duckdbEngine({ memoryMb: 512, threads: 2, tempDir: dir });
});

afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true, force: true });
});

/** Values by type, so that 1 and 1.0 and both zeros meet; sums and means may differ in the last digits. */
function comparable(value: Cell | undefined): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return value === 0 ? "0" : Number.isFinite(value) ? value.toPrecision(12) : String(value);
  if (typeof value === "bigint") return Number(value).toPrecision(17);
  if (typeof value !== "object") return JSON.stringify(value);
  return `[${Object.entries(value)
    .map(([key, item]) => `${key}:${comparable(item)}`)
    .join(",")}]`;
}

function bag(rows: readonly Row[]): string[] {
  return rows.map((row) => Object.values(row).map(comparable).join(" | ")).sort();
}

test("random plans give the same rows on both engines", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), fc.integer({ min: 1, max: 4 }), async (generate, depth) => {
      const plan = new PlanMaker((arbitrary) => generate(() => arbitrary)).plan(depth);
      const [found, expected] = [await engine.rows(plan), await naiveRows(plan, (scan) => engine.rows(scan))];
      expect(
        bag(found),
        JSON.stringify(plan, (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value)),
      ).toEqual(bag(expected));
      expect(Object.keys(found[0] ?? {})).toEqual(found.length === 0 ? [] : planColumns(plan).map(({ name }) => name));
    }),
    { numRuns: Number(process.env["TIDEGATE_TEST_RUNS"] ?? 300), endOnFailure: true },
  );
});

test("a staged plan reads back as what was staged", async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (generate) => {
      const plan: Plan = new PlanMaker((arbitrary) => generate(() => arbitrary)).plan(1);
      await engine.withScratch(async (scratch) => {
        const staged = await engine.stage(plan, scratch);
        expect(staged.columns).toEqual(planColumns(plan));
        expect(bag(await engine.rows(staged))).toEqual(bag(await engine.rows(plan)));
      });
    }),
    { numRuns: 40 },
  );
});
