import { chiSquareTail, kolmogorovTail, normalTail, significant } from "./statistics.ts";

/*
 * Whether rows that come are distributed as those that are there. A shift must be larger than chance explains (p) and large enough to matter
 * (the floor): a distance alone cries wolf on small batches, a p-value alone on large ones. Null is a category of its own throughout.
 */

export interface DriftFinding {
  /** How likely chance alone gives this; null when there are too few rows to tell. */
  p: number | null;
  /** Size of the shift, in the measure's own unit. */
  effect: number;
  floor: number;
  /** What people read. */
  found: string;
}

/**
 * Share of batches in which chance alone may raise a drift rule, all drift rules of the batch looked at together. Each shift must be large as
 * well, so that in practice it is less.
 */
const falseDiscoveryRate = 0.005;

/** Which shifts of one batch stand: larger than chance explains, and large enough to matter. */
export function standing(shifts: readonly { p: number; isLarge: boolean }[]): boolean[] {
  const flags = significant(
    shifts.map(({ p }) => p),
    falseDiscoveryRate,
  );
  return shifts.map(({ isLarge }, at) => isLarge && flags[at] === true);
}

/** Rows below which nothing is told. */
export const fewestRows = 50;

const tooFew = (n: number, m: number): DriftFinding | undefined =>
  Math.min(n, m) < fewestRows
    ? { p: null, effect: 0, floor: 0, found: `too few rows to tell: ${Math.min(n, m)}, needs ${fewestRows}` }
    : undefined;

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

export interface Sides<T> {
  base: T;
  candidate: T;
}

/** A change of the share of nulls. Floor: two points. */
export function nullDrift(rows: Sides<number>, nulls: Sides<number>): DriftFinding {
  const few = tooFew(rows.base, rows.candidate);
  if (few !== undefined) return few;
  const [before, after] = [nulls.base / rows.base, nulls.candidate / rows.candidate];
  const counts = [
    [nulls.base, rows.base - nulls.base],
    [nulls.candidate, rows.candidate - nulls.candidate],
  ];
  return { p: pearson(counts), effect: Math.abs(after - before), floor: 0.02, found: `nulls ${percent(before)} → ${percent(after)}` };
}

/** Pearson's χ² of a 2 × k table, as a p-value. Bins in which few are expected must have been put together before. */
function pearson(counts: readonly (readonly number[])[]): number {
  const [first = [], second = []] = counts;
  const [n, m] = [first, second].map((row) => row.reduce((a, b) => a + b, 0)) as [number, number];
  let [statistic, bins] = [0, 0];
  for (const [at, count] of first.entries()) {
    const both = count + (second[at] ?? 0);
    if (both === 0) continue;
    bins += 1;
    const [expected, other] = [(both * n) / (n + m), (both * m) / (n + m)];
    statistic += (count - expected) ** 2 / expected + ((second[at] ?? 0) - other) ** 2 / other;
  }
  return chiSquareTail(statistic, bins - 1);
}

/** Population stability index; empty bins count as half a row. */
function stability(base: readonly number[], candidate: readonly number[]): number {
  const [n, m] = [base, candidate].map((row) => row.reduce((a, b) => a + b, 0)) as [number, number];
  return base.reduce((sum, count, at) => {
    const [p, q] = [Math.max(count, 0.5) / n, Math.max(candidate[at] ?? 0, 0.5) / m];
    return sum + (q - p) * Math.log(q / p);
  }, 0);
}

/** A change of the shares of categories, those of null among them. Floor: a stability index of 0.1. */
export function categoryDrift(
  base: ReadonlyMap<string, number>,
  candidate: ReadonlyMap<string, number>,
  nulls: Sides<number>,
): DriftFinding {
  const total = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);
  const rows = { base: total(base) + nulls.base, candidate: total(candidate) + nulls.candidate };
  const few = tooFew(rows.base, rows.candidate);
  if (few !== undefined) return few;
  const share = Math.min(rows.base, rows.candidate) / (rows.base + rows.candidate);
  const bins: [string, number, number][] = [["null", nulls.base, nulls.candidate]];
  for (const name of new Set([...base.keys(), ...candidate.keys()])) bins.push([name, base.get(name) ?? 0, candidate.get(name) ?? 0]);
  // χ² holds where at least five are expected on either side: rarer ones count together.
  const common = bins.filter(([, a, b]) => (a + b) * share >= 5);
  const rare = bins.filter(([, a, b]) => (a + b) * share < 5);
  const rest = rare.reduce<[string, number, number]>(([name, a, b], [, c, d]) => [name, a + c, b + d], ["others", 0, 0]);
  const table = rest[1] + rest[2] === 0 ? common : [...common, rest];
  const [before, after] = [table.map(([, a]) => a), table.map(([, , b]) => b)];
  const most = table
    .map(([name, a, b]) => ({ name, before: a / rows.base, after: b / rows.candidate }))
    .sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before))[0];
  const found = most === undefined ? "no values" : `${most.name} ${percent(most.before)} → ${percent(most.after)}`;
  return { p: table.length < 2 ? 1 : pearson([before, after]), effect: stability(before, after), floor: 0.1, found };
}

/**
 * A change of a distribution over fixed edges: the largest distance of the two shares below an edge, null below all numbers. Floor: 0.1. Over
 * edges the distance is at most that over all values, so chance is never taken for a shift.
 */
export function quantileDrift(
  edges: readonly number[],
  base: readonly number[],
  candidate: readonly number[],
  nulls: Sides<number>,
): DriftFinding {
  const [n, m] = [base, candidate].map((row, at) => row.reduce((a, b) => a + b, at === 0 ? nulls.base : nulls.candidate)) as [
    number,
    number,
  ];
  const few = tooFew(n, m);
  if (few !== undefined) return few;
  let [below, other] = [nulls.base, nulls.candidate];
  let [largest, at] = [Math.abs(below / n - other / m), "null"];
  let shares: [number, number] = [below / n, other / m];
  for (const [index, edge] of edges.entries()) {
    below += base[index] ?? 0;
    other += candidate[index] ?? 0;
    const distance = Math.abs(below / n - other / m);
    if (distance <= largest) continue;
    [largest, at, shares] = [distance, String(Number(edge.toPrecision(6))), [below / n, other / m]];
  }
  const what = at === "null" ? "null" : `at most ${at}`;
  return { p: kolmogorovTail(largest, n, m), effect: largest, floor: 0.1, found: `${what}: ${percent(shares[0])} → ${percent(shares[1])}` };
}

/** How many values occur how often: count → number of values. */
export type CountsOfCounts = ReadonlyMap<number, number>;

const rowsOf = (counts: CountsOfCounts): number => [...counts].reduce((sum, [count, values]) => sum + count * values, 0);
const valuesOf = (counts: CountsOfCounts): number => [...counts.values()].reduce((a, b) => a + b, 0);

/**
 * A change of the number of different values. A larger sample has more of them by itself, so it is first thinned to the size of the smaller one
 * (Hurlbert 1971). Floor: a fifth more or less.
 */
export function distinctDrift(base: CountsOfCounts, candidate: CountsOfCounts): DriftFinding {
  const [n, m] = [rowsOf(base), rowsOf(candidate)];
  const few = tooFew(n, m);
  if (few !== undefined) return few;
  const size = Math.min(n, m);
  const [before, after] = [thinned(base, n, size), thinned(candidate, m, size)];
  const spread = Math.sqrt(before.variance + after.variance + 1);
  const effect = Math.abs(after.expected - before.expected) / Math.max(1, Math.min(before.expected, after.expected));
  const found = `${valuesOf(base)} different values among ${n} → ${valuesOf(candidate)} among ${m}`;
  return { p: normalTail((after.expected - before.expected) / spread), effect, floor: 0.2, found };
}

/** Expected number of different values among `size` of the rows, and a bound of its variance: values that may be missing. */
function thinned(counts: CountsOfCounts, rows: number, size: number): { expected: number; variance: number } {
  let [expected, variance] = [0, 0];
  for (const [count, values] of counts) {
    const none = missing(rows, count, size);
    expected += values * (1 - none);
    // A value that occurs `count` times might as well not have been drawn at all.
    variance += values * Math.max(none * (1 - none), Math.exp(-count) * (1 - Math.exp(-count)));
  }
  return { expected, variance };
}

/** How likely none of `count` rows is among `size` of `rows`. */
function missing(rows: number, count: number, size: number): number {
  if (rows - count < size) return 0;
  let log = 0;
  if (count > 200) return Math.exp(count * Math.log(Math.max(1e-300, 1 - size / rows)));
  for (let index = 0; index < count; index += 1) log += Math.log((rows - size - index) / (rows - index));
  return Math.exp(log);
}

/** Quantiles read off a histogram: within a bin in proportion. Undefined outside of the edges. */
export function quantileOfBins(edges: readonly number[], bins: readonly number[], at: number): number | undefined {
  const total = bins.reduce((a, b) => a + b, 0);
  let below = 0;
  for (const [index, count] of bins.entries()) {
    if (count > 0 && below + count >= at * total) {
      const [low, high] = [edges[index - 1], edges[index]];
      if (high === undefined) return undefined;
      return low === undefined ? high : low + ((high - low) * (at * total - below)) / count;
    }
    below += count;
  }
  return undefined;
}

/** Whether the quantiles of one side are those of the other times one constant: a change of unit. */
export function scaleOf(base: readonly number[], candidate: readonly number[]): { factor: number; isScaled: boolean } | undefined {
  const pairs = base.map((value, at) => [value, candidate[at] ?? Number.NaN] as const).filter(([a, b]) => a !== 0 || b !== 0);
  // Too few quantiles apart from 0, or all the same one: any two numbers are multiples of each other.
  if (pairs.length < 3 || new Set(pairs.map(([a]) => a)).size < 3) return undefined;
  const ratios = pairs.map(([a, b]) => b / a);
  if (!ratios.every((ratio) => Number.isFinite(ratio) && ratio > 0)) return undefined;
  const factor = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  const isConstant = ratios.every((ratio) => Math.abs(ratio / factor - 1) <= 0.1);
  return { factor, isScaled: isConstant && Math.abs(Math.log(factor)) >= Math.log(1.5) };
}
