import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compiled } from "../harness/compiled.ts";
import { duckdbSandbox } from "../../src/engine/duckdb/sandbox/duckdb-sandbox.ts";
import type { Sandbox } from "../../src/engine/sandbox.ts";
import { runQueryTest } from "../../src/consumers/query-test.ts";

/* When a query is called slower. The queries run for real, the times that they took are given: a busy machine on demand. */

let root: string;
let sandbox: Sandbox;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-slower-"));
  sandbox = duckdbSandbox({ tempDir: root, size: 1, memoryMb: 256, threads: 1, entry: compiled("engine/duckdb/sandbox/child.ts") });
});
afterAll(async () => {
  await sandbox.close();
  rmSync(root, { recursive: true, force: true });
});

/** Runs a test whose first runs (current, candidate, current again) and pairs of further runs (current, candidate) take so long. */
async function outcomeOf(first: readonly number[], pairs: readonly (readonly [number, number])[]) {
  const times = [...first, ...pairs.flat()];
  let runs = 0;
  const timed: Sandbox = {
    ...sandbox,
    query: async (...request) => {
      const milliseconds = times[runs];
      runs += 1;
      return { ...(await sandbox.query(...request)), took: () => milliseconds };
    },
  };
  const caps = { rows: 10, bytes: 10_000, memoryMb: 64, milliseconds: 60_000 };
  const found = await runQueryTest(
    { sandbox: timed, caps },
    { kind: "query", name: "one", sql: "select 1 as n" },
    { before: [], after: [] },
  );
  return { outcome: found.outcome, times: found.milliseconds, pairs: (runs - 3) / 2 };
}

test("three pairs in turns that all say so are enough", async () => {
  expect(
    await outcomeOf(
      [210, 900, 220],
      Array.from({ length: 9 }, () => [200, 800] as const),
    ),
  ).toEqual({
    outcome: "slower",
    times: { before: 200, after: 800 },
    pairs: 3,
  });
});

test("times of a busy machine, now on one side and now on the other, call nothing slower", async () => {
  const pairs: [number, number][] = [
    [220, 800],
    [900, 700],
    [230, 900],
    [240, 260],
  ];
  expect(await outcomeOf([210, 900, 600], pairs)).toEqual({ outcome: "same", times: { before: 210, after: 260 }, pairs: 4 });
});

test("where the pairs do not agree, the shortest of nine pairs decide", async () => {
  const pairs = Array.from({ length: 9 }, (_, at): [number, number] => (at % 2 === 0 ? [200, 800] : [900, 850]));
  expect(await outcomeOf([210, 900, 220], pairs)).toEqual({ outcome: "slower", times: { before: 200, after: 800 }, pairs: 9 });
});

test("nothing is run again that is not half as long again, or less than 100 ms longer", async () => {
  expect(await outcomeOf([1000, 1499, 1000], [])).toMatchObject({ outcome: "same", pairs: 0 });
  expect(await outcomeOf([20, 119, 20], [])).toMatchObject({ outcome: "same", pairs: 0 });
});
