import { expect, test } from "vitest";
import { batch } from "../../test/harness/drift-batches.ts";
import { categoryDrift, nullDrift, quantileOfBins, scaleOf, standing } from "./drift.ts";
import { chiSquareTail, kolmogorovTail, logGamma, normalTail, significant } from "./statistics.ts";

test("distributions have the values of the tables", () => {
  // Abramowitz and Stegun, table 26.8; Smirnov's table; the normal distribution at 1.96.
  expect(chiSquareTail(3.841459, 1)).toBeCloseTo(0.05, 6);
  expect(chiSquareTail(18.307038, 10)).toBeCloseTo(0.05, 6);
  expect(chiSquareTail(67.504807, 50)).toBeCloseTo(0.05, 6);
  expect(chiSquareTail(149.449253, 100)).toBeCloseTo(0.001, 6);
  expect(chiSquareTail(2, 0)).toBe(1);
  expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 10);
  expect(logGamma(11)).toBeCloseTo(Math.log(3_628_800), 9);
  expect(kolmogorovTail(1.3581 / Math.sqrt(5e5), 1e6, 1e6)).toBeCloseTo(0.05, 3);
  expect(kolmogorovTail(0, 100, 100)).toBe(1);
  expect(normalTail(1.959964)).toBeCloseTo(0.05, 6);
});

test("of many p-values those stay that Benjamini and Hochberg let stand", () => {
  expect(significant([0.001, 0.8, 0.012, 0.03, 0.04], 0.05)).toEqual([true, false, true, true, true]);
  expect(significant([0.02, 0.8, 0.9], 0.05)).toEqual([false, false, false]);
  expect(significant([], 0.05)).toEqual([]);
  expect(
    standing([
      { p: 1e-9, isLarge: false },
      { p: 1e-9, isLarge: true },
    ]),
  ).toEqual([false, true]);
});

test("nulls are a category of their own, and too few rows tell nothing", () => {
  const nulls = nullDrift({ base: 10_000, candidate: 10_000 }, { base: 0, candidate: 6_300 });
  expect(nulls.p).toBeLessThan(1e-100);
  expect(nulls.found).toBe("nulls 0 % → 63 %");
  const same = new Map([
    ["a", 500],
    ["b", 500],
  ]);
  const lost = categoryDrift(
    same,
    new Map([
      ["a", 300],
      ["b", 300],
    ]),
    { base: 0, candidate: 400 },
  );
  expect(lost).toMatchObject({ found: "null 0 % → 40 %" });
  expect(lost.effect).toBeGreaterThan(lost.floor);
  expect(nullDrift({ base: 10_000, candidate: 49 }, { base: 0, candidate: 49 })).toMatchObject({
    p: null,
    found: "too few rows to tell: 49, needs 50",
  });
});

test("a constant factor between quantiles is a change of unit; a shift is none", () => {
  expect(scaleOf([1, 2, 3, 4, 5], [2.54, 5.08, 7.62, 10.16, 12.7])).toMatchObject({ isScaled: true });
  expect(scaleOf([1, 2, 3, 4, 5], [2, 3, 4, 5, 6])).toMatchObject({ isScaled: false });
  expect(scaleOf([1, 2, 3, 4, 5], [1.1, 2.2, 3.3, 4.4, 5.5])).toMatchObject({ isScaled: false });
  expect(scaleOf([0, 0, 0, 0, 1], [0, 0, 0, 0, 3])).toBeUndefined();
  expect(scaleOf([5, 5, 5, 5, 5], [10, 10, 10, 10, 10])).toBeUndefined();
  expect(quantileOfBins([0, 10, 20], [0, 10, 10, 0], 0.5)).toBe(10);
  expect(quantileOfBins([0, 10, 20], [0, 10, 10, 0], 0.25)).toBe(5);
});

test("sixty drift rules on batches without drift raise none, at every size; a plain shift is found", () => {
  const sizes = [100, 300, 1000, 3000];
  const blocked = Array.from({ length: 24 }, (_, at) => batch(at + 1, sizes[at % sizes.length] as number, 3000, undefined)).filter(
    Boolean,
  ).length;
  expect(blocked).toBe(0);
  for (const seed of [11, 12, 13]) {
    expect(batch(seed, 1000, 3000, { column: "numbers", by: 1 }), `seed ${seed}`).toBe(true);
    expect(batch(seed, 1000, 3000, { column: "categories", by: 0.4 }), `seed ${seed}`).toBe(true);
  }
});
