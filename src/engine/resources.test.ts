import { expect, test } from "vitest";
import { budgetOf, shareResources } from "./resources.ts";

test("the parts never add up to more than the one setting, from 1 GB up", () => {
  for (const memoryMb of [1024, 2000, 4096, 16_384]) {
    const { engine, input, sandbox } = shareResources({ memoryMb, threads: 4 });
    expect(engine.memoryMb + input.memoryMb + sandbox.memoryMb * sandbox.size).toBeLessThanOrEqual(memoryMb);
  }
});

test("without a setting half of the machine is taken, and at most 4 GB", () => {
  expect(budgetOf({ memoryMb: 4000, processors: 2 })).toEqual({ memoryMb: 2000, threads: 2 });
  expect(budgetOf({ memoryMb: 64_000, processors: 8 })).toEqual({ memoryMb: 4096, threads: 8 });
  expect(budgetOf({ memoryMb: 64_000, processors: 8 }, { memoryMb: 900, threads: 1 })).toEqual({ memoryMb: 900, threads: 1 });
});
