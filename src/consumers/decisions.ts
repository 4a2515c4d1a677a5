import { cellWords, pairWords } from "./cell-words.ts";
import type { TestMove, Tolerance } from "./consumer-test.ts";

/** A score, or a label. */
export type Prediction = number | string;

export interface PredictionOptions {
  /** A score at or above it is a decision. */
  threshold?: number | undefined;
  /** What a row with that decision is called. */
  decision?: string | undefined;
  tolerance?: Tolerance | undefined;
  /** Parts that come out of columns whose values are shown to nobody. Shares over a threshold and counts are told all the same. */
  masked?: MaskedParts | undefined;
}

/** Scores stand for labels too. */
export interface MaskedParts {
  keys: boolean;
  segments: boolean;
  scores: boolean;
}

/** What is decided for a row: its label, or whether its score reaches the threshold; undefined where only the score counts. */
export function decisionOf(value: Prediction, { threshold }: PredictionOptions): string | boolean | undefined {
  if (threshold !== undefined) return Number(value) >= threshold;
  return typeof value === "string" ? value : undefined;
}

/** Shares of what is decided, the largest first, by what they are called; none for scores without a threshold. */
export function sharesOf(values: readonly Prediction[], options: PredictionOptions): Map<string, number> {
  if (values.length === 0) return new Map();
  if (options.threshold !== undefined) {
    const name = options.decision === undefined ? `share at or above ${options.threshold}` : `${options.decision} share`;
    return new Map([[name, values.filter((value) => decisionOf(value, options) === true).length / values.length]]);
  }
  const counts = new Map<string, number>();
  if (options.masked?.scores !== true)
    for (const value of values) if (typeof value === "string") counts.set(value, (counts.get(value) ?? 0) + 1);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return new Map(sorted.map(([label, count]) => [`share of ${label}`, count / values.length]));
}

/** What moves together: shares of decisions, the furthest first, or the mean score. */
export function togetherMoves(before: readonly Prediction[], after: readonly Prediction[], options: PredictionOptions): TestMove[] {
  // A side without rows has neither.
  if (before.length === 0 || after.length === 0) return [];
  const [was, is] = [sharesOf(before, options), sharesOf(after, options)];
  if (was.size > 0 || is.size > 0) {
    return [...new Set([...was.keys(), ...is.keys()])]
      .map((what) => ({ what, from: was.get(what) ?? 0, to: is.get(what) ?? 0 }))
      .filter(({ from, to }) => from !== to)
      .sort((a, b) => Math.abs(b.to - b.from) - Math.abs(a.to - a.from))
      .map(({ what, from, to }) => moveOf(what, percentWords(from, to)));
  }
  if (options.masked?.scores === true || typeof before[0] === "string") return [];
  const words = pairWords(meanOf(before), meanOf(after));
  return words[0] === words[1] ? [] : [moveOf("mean score", words)];
}

/** How many predictions, and what they say together. */
export function predictionsText(values: readonly Prediction[], options: PredictionOptions): string {
  const size = `${cellWords(values.length)} ${values.length === 1 ? "prediction" : "predictions"}`;
  const said = togetherText(values, options);
  return said === "" ? size : `${size}, ${said}`;
}

/** `blocked share 0.4 %`, `mean score 0.31`. */
export function togetherText(values: readonly Prediction[], options: PredictionOptions): string {
  if (values.length === 0) return "";
  const [share] = sharesOf(values, options);
  if (share !== undefined) return `${share[0]} ${percentWords(share[1], share[1])[0]}`;
  return options.masked?.scores === true || typeof values[0] === "string" ? "" : `mean score ${cellWords(meanOf(values))}`;
}

const moveOf = (what: string, [before, after]: [string, string]): TestMove => ({ what, before, after });

const meanOf = (values: readonly Prediction[]): number => values.reduce<number>((sum, value) => sum + Number(value), 0) / values.length;

/** Shares as percentages, with as many digits as it takes to see a difference. */
function percentWords(before: number, after: number): [string, string] {
  const [a, b] = pairWords(100 * before, 100 * after);
  return [`${a} %`, `${b} %`];
}
