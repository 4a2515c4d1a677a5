import { counted } from "../lib/text.ts";
import type { TestMove } from "./consumer-test.ts";
import { togetherMoves, type Prediction, type PredictionOptions } from "./decisions.ts";

interface Segmented {
  segments: readonly string[] | undefined;
  values: readonly Prediction[];
}

/** What moves in which segment, the furthest first. Segments that only one side has come last. */
export function segmentMoves(before: Segmented, after: Segmented, options: PredictionOptions): TestMove[] {
  if (options.masked?.segments === true) return [];
  const [was, is] = [bySegment(before), bySegment(after)];
  const both = [...was.keys()].filter((name) => is.has(name));
  const moved = both.flatMap((name) => {
    const [move] = togetherMoves(was.get(name) ?? [], is.get(name) ?? [], options);
    return move === undefined ? [] : [{ ...move, what: `${name}: ${move.what}` }];
  });
  const size = (values: readonly Prediction[] | undefined): string | null => (values === undefined ? null : counted(values.length, "row"));
  const alone = [...new Set([...was.keys(), ...is.keys()])]
    .filter((name) => !was.has(name) || !is.has(name))
    .map((name) => ({ what: `rows of ${name}`, before: size(was.get(name)), after: size(is.get(name)) }));
  return [...moved.sort((a, b) => distance(b) - distance(a)), ...alone];
}

function bySegment({ segments = [], values }: Segmented): Map<string, Prediction[]> {
  const found = new Map<string, Prediction[]>();
  for (const [at, name] of segments.entries()) {
    const own = found.get(name) ?? [];
    found.set(name, own);
    own.push(values[at] ?? 0);
  }
  return found;
}

const distance = ({ before, after }: TestMove): number => Math.abs(numberIn(after) - numberIn(before));
const numberIn = (text: string | null): number => Number.parseFloat((text ?? "0").replaceAll(/\s/g, ""));
