import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { duckdbEngine } from "../../src/engine/duckdb/duckdb-engine.ts";
import type { Engine } from "../../src/engine/engine.ts";

/** A real engine and a folder for the tests of one file; both are there once the tests run, and gone after them. */
export function testEngine(): { readonly engine: Engine; readonly dir: string } {
  const made: { engine?: Engine; dir?: string } = {};
  beforeAll(async () => {
    made.dir = await mkdtemp(join(tmpdir(), "tidegate-engine-"));
    made.engine = await duckdbEngine({ memoryMb: 512, threads: 2, tempDir: join(made.dir, "tmp") });
  });
  afterAll(async () => {
    await made.engine?.close();
    if (made.dir !== undefined) await rm(made.dir, { recursive: true, force: true });
  });
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the engine is there only while tests run");
    return value;
  };
  return {
    get engine() {
      return there(made.engine);
    },
    get dir() {
      return there(made.dir);
    },
  };
}
