import { counted, grouped } from "../lib/text.ts";
import { pairWords } from "./cell-words.ts";
import type { Comparison } from "./compare-results.ts";
import type { TestMove, Tolerance } from "./consumer-test.ts";
import { decisionOf, predictionsText, togetherMoves, togetherText, type Prediction, type PredictionOptions } from "./decisions.ts";
import { segmentMoves } from "./segment-moves.ts";

/** One prediction for each row of one side. */
export interface SidePredictions {
  keys: readonly string[];
  /** The keys as people read them. */
  names: readonly string[];
  segments: readonly string[] | undefined;
  values: readonly Prediction[];
}

/** Scores that differ by less are the same: most models compute in 32 bits, in another order when there are other rows around. */
const noise = { relative: 1e-6, absolute: 1e-7 };
const shownMoves = 20;
const shownSegments = 8;
const shownRows = 5;
const shownWays = 3;

interface Pair {
  name: string;
  before: Prediction;
  after: Prediction;
}

/** Compares the predictions of both sides, row by row of the key. */
export function comparePredictions(before: SidePredictions, after: SidePredictions, options: PredictionOptions = {}): Comparison {
  const { pairs, gone, come } = pairsOf(before, after);
  const flips = pairs.filter((pair) => isFlip(pair, options));
  const changed = pairs.filter((pair) => isFlip(pair, options) || !isClose(pair, options.tolerance ?? {}));
  const differing = changed.length + Math.max(gone, come);
  const allowed = (options.tolerance?.rows ?? 0) * Math.max(before.keys.length, after.keys.length);
  if (differing === 0 || differing <= allowed) {
    const within = differing === 0 ? "" : `; ${grouped(differing)} differ, as the tolerance allows`;
    return { same: true, summary: `${predictionsText(after.values, options)}${within}`, moves: [] };
  }
  const together = togetherMoves(before.values, after.values, options);
  const segments = segmentMoves(before, after, options);
  const [lead] = together;
  const [furthest] = segments;
  const words = [
    lead === undefined ? steadyText(before.values, options) : moveText(lead),
    flips.length > 0 ? `${grouped(flips.length)} of ${counted(pairs.length, "row")} flip: ${waysText(flips, options)}` : "",
    flips.length === 0 && changed.length > 0 ? `${grouped(changed.length)} of ${counted(pairs.length, "score")} move` : "",
    come === 0 ? "" : counted(come, "new row"),
    gone === 0 ? "" : `${counted(gone, "row")} gone`,
    furthest === undefined || segments.length < 2 ? "" : `most in ${moveText(furthest)}`,
  ];
  const size: TestMove[] =
    gone === 0 && come === 0 ? [] : [{ what: "rows", before: grouped(before.keys.length), after: grouped(after.keys.length) }];
  const moves = [
    ...together.slice(0, shownRows),
    ...ways(flips, options).map(([way, count]) => ({ what: `flips ${way}`, before: null, after: grouped(count) })),
    ...size,
    ...segments.slice(0, shownSegments),
    ...rowMoves(changed, options),
  ];
  return { same: false, summary: words.filter((text) => text !== "").join("; "), moves: moves.slice(0, shownMoves) };
}

function pairsOf(before: SidePredictions, after: SidePredictions): { pairs: Pair[]; gone: number; come: number } {
  const now = new Map(after.keys.map((key, at) => [key, at]));
  const pairs = before.keys.flatMap((key, at): Pair[] => {
    const other = now.get(key);
    return other === undefined ? [] : [{ name: before.names[at] ?? key, before: before.values[at] ?? 0, after: after.values[other] ?? 0 }];
  });
  return { pairs, gone: before.keys.length - pairs.length, come: after.keys.length - pairs.length };
}

function isClose({ before, after }: Pair, tolerance: Tolerance): boolean {
  if (typeof before !== "number" || typeof after !== "number" || before === after) return before === after;
  const gap = Math.abs(before - after);
  const largest = Math.max(Math.abs(before), Math.abs(after));
  return gap <= Math.max(noise.absolute, tolerance.absolute ?? 0) || gap <= Math.max(noise.relative, tolerance.relative ?? 0) * largest;
}

/** A decision that changes counts, however little the scores may differ by, unless they are the same. */
function isFlip(pair: Pair, options: PredictionOptions): boolean {
  return decisionOf(pair.before, options) !== decisionOf(pair.after, options) && !isClose(pair, {});
}

const moveText = ({ what, before, after }: TestMove): string => `${what} ${before ?? "none"} → ${after ?? "none"}`;

function steadyText(values: readonly Prediction[], options: PredictionOptions): string {
  const said = togetherText(values, options);
  return said === "" ? "" : `${said} on both sides`;
}

/** In which directions decisions flip, most often first. */
function ways(flips: readonly Pair[], options: PredictionOptions): [string, number][] {
  const counts = new Map<string, number>();
  for (const { before, after } of flips) {
    const way = wayOf(decisionOf(before, options), decisionOf(after, options), options);
    counts.set(way, (counts.get(way) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, shownWays);
}

function wayOf(was: unknown, is: unknown, { threshold, decision, masked }: PredictionOptions): string {
  if (threshold !== undefined) return `${is === true ? "to" : "from"} ${decision ?? `at or above ${threshold}`}`;
  return masked?.scores === true ? "to another label" : `${String(was)} to ${String(is)}`;
}

function waysText(flips: readonly Pair[], options: PredictionOptions): string {
  const shown = ways(flips, options);
  const rest = flips.length - shown.reduce((sum, [, count]) => sum + count, 0);
  const words = shown.map(([way, count]) => `${grouped(count)} ${way}`);
  return [...words, ...(rest > 0 ? [`${grouped(rest)} otherwise`] : [])].join(", ");
}

/** The rows whose prediction moves furthest. */
function rowMoves(changed: readonly Pair[], { masked }: PredictionOptions): TestMove[] {
  if (masked?.scores === true) return [];
  const far = ({ before, after }: Pair): number => (typeof before === "number" ? Math.abs(Number(after) - before) : 1);
  return changed
    .toSorted((a, b) => far(b) - far(a))
    .slice(0, shownRows)
    .map(({ name, before, after }) => {
      const [was, is] = pairWords(before, after);
      return {
        what: `${typeof before === "number" ? "score" : "label"} of ${masked?.keys === true ? "•••" : name}`,
        before: was,
        after: is,
      };
    });
}
