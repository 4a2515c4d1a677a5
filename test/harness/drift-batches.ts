import { categoryDrift, distinctDrift, nullDrift, quantileDrift, standing, type DriftFinding } from "../../src/checks/drift.ts";

/* Batches with and without a shift, for the pure part of the drift rules. */

/** Uniform numbers in 0 … 1 from a seed (Marsaglia's xorshift on 32 bits). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

const normal = (next: () => number): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

/** One column: a distribution from which base and candidate are drawn. */
interface Column {
  kind: "numbers" | "categories";
  by: "quantiles" | "categories" | "nulls" | "distinct";
  draw(next: () => number, shift: number): string | number | null;
}

function columnOf(index: number, next: () => number): Column {
  const nulls = index % 3 === 0 ? 0.05 : 0;
  if (index % 2 === 0) {
    const shape = index % 3;
    const draw = (random: () => number, shift: number): number => {
      const value = normal(random) + shift;
      // Bell, long tail, and whole numbers with many ties.
      return shape === 0 ? value : shape === 1 ? Math.exp(value) : Math.round(value * 3);
    };
    const by = index % 10 === 0 ? "nulls" : index % 10 === 2 ? "distinct" : "quantiles";
    return { kind: "numbers", by, draw: (random, shift) => (random() < nulls ? null : draw(random, shift)) };
  }
  const count = 2 + Math.floor(next() * 49);
  // Shares fall as those of words do.
  const weights = Array.from({ length: count }, (_, at) => 1 / (at + 1));
  const total = weights.reduce((a, b) => a + b, 0);
  const by = index % 10 === 1 ? "nulls" : index % 10 === 3 ? "distinct" : "categories";
  const draw = (random: () => number, shift: number): string => {
    // A shift moves a share of the rows to the last category.
    if (random() < shift) return `c${count - 1}`;
    let left = random() * total;
    for (const [at, weight] of weights.entries()) if ((left -= weight) <= 0) return `c${at}`;
    return `c${count - 1}`;
  };
  return { kind: "categories", by, draw: (random, shift) => (random() < nulls ? null : draw(random, shift)) };
}

function countsOf(values: readonly (string | number | null)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== null) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  return counts;
}

function countsOfCounts(counts: ReadonlyMap<string, number>): Map<number, number> {
  const found = new Map<number, number>();
  for (const count of counts.values()) found.set(count, (found.get(count) ?? 0) + 1);
  return found;
}

function binsOf(edges: readonly number[], values: readonly (string | number | null)[]): number[] {
  const bins = Array.from({ length: edges.length + 1 }, () => 0);
  for (const value of values) {
    if (value === null) continue;
    let [low, high] = [0, edges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Number(value) <= (edges[middle] as number)) high = middle;
      else low = middle + 1;
    }
    bins[low] = (bins[low] ?? 0) + 1;
  }
  return bins;
}

function findingOf(column: Column, base: (string | number | null)[], candidate: (string | number | null)[]): DriftFinding {
  const nulls = { base: base.filter((value) => value === null).length, candidate: candidate.filter((value) => value === null).length };
  if (column.by === "nulls") return nullDrift({ base: base.length, candidate: candidate.length }, nulls);
  if (column.by === "categories") return categoryDrift(countsOf(base), countsOf(candidate), nulls);
  if (column.by === "distinct") return distinctDrift(countsOfCounts(countsOf(base)), countsOfCounts(countsOf(candidate)));
  const sorted = base
    .filter((value) => value !== null)
    .map(Number)
    .sort((a, b) => a - b);
  const edges = [...new Set(Array.from({ length: 49 }, (_, at) => sorted[Math.floor(((at + 1) / 50) * (sorted.length - 1))] as number))];
  return quantileDrift(edges, binsOf(edges, base), binsOf(edges, candidate), nulls);
}

/** Whether any of 60 drift rules stands, in one batch of `rows` rows against a base of `baseRows`, when `shifted` columns move by `shift`. */
export function batch(
  seed: number,
  rows: number,
  baseRows: number,
  shifted: { column: "numbers" | "categories"; by: number } | undefined,
): boolean {
  const next = uniform(seed);
  for (let warm = 0; warm < 10; warm += 1) next();
  const columns = Array.from({ length: 60 }, (_, index) => columnOf(index, next));
  const target =
    shifted === undefined
      ? -1
      : columns.findIndex(({ kind, by }) => kind === shifted.column && (by === "quantiles" || by === "categories"));
  const findings = columns.map((column, at) => {
    const shift = at === target ? (shifted?.by ?? 0) : 0;
    const base = Array.from({ length: baseRows }, () => column.draw(next, 0));
    return findingOf(
      column,
      base,
      Array.from({ length: rows }, () => column.draw(next, shift)),
    );
  });
  const stands = standing(findings.map(({ p, effect, floor }) => ({ p: p ?? 1, isLarge: effect > floor })));
  return target < 0 ? stands.includes(true) : stands[target] === true;
}
