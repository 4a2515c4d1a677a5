import { expect, test } from "vitest";
import { cells, simulate, simulateExact, simulateSilence } from "../../bench/judge.lib.ts";

/* The bars of docs/judge.md on fewer runs of the same seeded streams; `npm run judge-table` makes the whole table. */

const runs = 300;
const barred = cells.map((cell, index) => ({ cell, seed: index + 1 })).filter(({ cell }) => cell.bar !== undefined);

test.each(barred.map(({ cell, seed }) => [cell.name, cell.truth, cell.bar?.says ?? "", cell, seed] as const))(
  "%s, %s: %s",
  (_name, _truth, _says, cell, seed) => {
    const found = simulate(cell, runs, seed);
    expect(cell.bar?.harm?.(found.harm) ?? true, `harm in ${found.harm} of runs`).toBe(true);
    expect(cell.bar?.safe?.(found.safe) ?? true, `safe in ${found.safe} of runs`).toBe(true);
  },
);

test("on the same streams without an effect a threshold and a naive z test stop more than ten times as many good releases", () => {
  const [noEffect] = cells;
  if (noEffect === undefined) throw new Error("no cells");
  const found = simulate(noEffect, runs, 1);
  expect(found.threshold).toBeGreaterThan(10 * Math.max(found.harm, 0.01));
  expect(found.naive).toBeGreaterThan(10 * Math.max(found.harm, 0.01));
});

test("silence on one side is found in most runs, and silence on both in hardly any", () => {
  expect(simulateSilence({ candidate: 0.95, current: 0.95 }, runs, 91)).toBeLessThanOrEqual(0.01);
  expect(simulateSilence({ candidate: 0.8, current: 0.95 }, runs, 92)).toBeGreaterThan(0.8);
});

test("one failing consumer is harm in every run, alone and among fifty", () => {
  expect([simulateExact(1, runs, 93), simulateExact(50, runs, 94)]).toEqual([1, 1]);
});
