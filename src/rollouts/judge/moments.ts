/*
 * Sums of reported values: how many, their mean, and the sum of their squared distances from it. Kept so, and not as a sum of squares,
 * because values such as 1 000 000 001 and 1 000 000 003 lose all of their spread in the latter.
 */

export interface Moments {
  n: number;
  mean: number;
  /** Sum of squared distances from the mean. */
  squares: number;
}

export const noMoments: Moments = { n: 0, mean: 0, squares: 0 };

export function momentsOf(values: readonly number[]): Moments {
  let [n, mean, squares] = [0, 0, 0];
  for (const value of values) {
    n += 1;
    const step = value - mean;
    mean += step / n;
    squares += step * (value - mean);
  }
  return { n, mean, squares };
}

/** From what a reporter has summed itself; undefined when no values have such sums. */
export function momentsOfSums(sums: { n: number; sum: number; sumSquares: number }): Moments | undefined {
  const { n, sum, sumSquares } = sums;
  if (!Number.isSafeInteger(n) || n < 1 || !Number.isFinite(sum) || !Number.isFinite(sumSquares)) return undefined;
  const mean = sum / n;
  const squares = sumSquares - sum * mean;
  // Rounding may leave a little less than nothing; more than that, no values have these sums.
  const rounding = 1e-9 * Math.abs(sumSquares);
  if (squares < -rounding || (n === 1 && squares > rounding)) return undefined;
  return { n, mean, squares: n === 1 ? 0 : Math.max(0, squares) };
}

/** The moments of two sets of values together. */
export function together(a: Moments, b: Moments): Moments {
  const n = a.n + b.n;
  if (n === 0) return noMoments;
  const step = b.mean - a.mean;
  return { n, mean: a.mean + (step * b.n) / n, squares: a.squares + b.squares + (step * step * a.n * b.n) / n };
}

/** The variance of one value. */
export function variance({ n, squares }: Moments): number {
  return n < 2 ? 0 : squares / (n - 1);
}

/** The same values as if there had been only so many of them. */
const atMost = (moments: Moments, n: number): Moments =>
  moments.n <= n ? moments : { n, mean: moments.mean, squares: (moments.squares * n) / moments.n };

/**
 * The values of several reporters together, none of whom counts for more values than all others together, or than `least` where they are
 * fewer: whoever says that it has ten millions does not outvote those who have a hundred. Of one reporter alone all values count.
 */
export function togetherCapped(reporters: readonly Moments[], least: number): Moments {
  const all = reporters.reduce((sum, { n }) => sum + n, 0);
  if (reporters.length < 2) return reporters[0] ?? noMoments;
  return reporters.map((own) => atMost(own, Math.max(all - own.n, least))).reduce(together, noMoments);
}
