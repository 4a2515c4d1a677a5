import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { engineConformance } from "./conformance.ts";
import { duckdbEngine } from "./duckdb/duckdb-engine.ts";
import type { Engine } from "./engine.ts";

describe("DuckDB", () => {
  let engine: Engine;
  let dir: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "tidegate-engine-"));
    engine = await duckdbEngine({ memoryMb: 512, threads: 2, tempDir: join(dir, "tmp") });
  });

  afterAll(async () => {
    await engine.close();
    await rm(dir, { recursive: true, force: true });
  });

  test.each(engineConformance.map((item, index) => ({ ...item, index })))("$name", async ({ run, index }) => {
    const folder = join(dir, `case ${index}`);
    await mkdir(folder);
    await run(engine, folder);
  });
});
