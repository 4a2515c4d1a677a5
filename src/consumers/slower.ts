import { grouped } from "../lib/text.ts";

/** Milliseconds of both sides, the shortest of their runs. */
export interface Times {
  before: number;
  after: number;
}

/** Slower is more than this many times as long … */
export const slowerFactor = 1.5;
/** … and more than this much longer. */
const slowerMs = 100;
/** Pairs of runs, in turns, of which the shortest of each side count; as many of the last must each say slower. */
const timedRounds = 3;
/** Pairs after which the shortest runs decide, however much the pairs differ: on a machine that busy others' work is in every run. */
const mostRounds = 9;

export const isSlower = ({ before, after }: Times): boolean => after > slowerFactor * before && after - before > slowerMs;

/**
 * Times are measured again, in turns, as long as they look slower and the pairs do not agree: a busy machine slows now one side, now the other.
 * A run that fails tells no time.
 */
export async function measureAgain(
  first: Times,
  current: () => Promise<number | undefined>,
  candidate: () => Promise<number | undefined>,
): Promise<Times> {
  let times = first;
  let agreeing = 0;
  for (let round = 0; round < mostRounds && isSlower(times) && agreeing < timedRounds; round += 1) {
    const [before, after] = [await current(), await candidate()];
    if (before === undefined || after === undefined) continue;
    times = { before: Math.min(times.before, before), after: Math.min(times.after, after) };
    agreeing = isSlower({ before, after }) ? agreeing + 1 : 0;
  }
  return { before: Math.round(times.before), after: Math.round(times.after) };
}

export function slownessWords({ before, after }: Times): string {
  return `${(after / Math.max(1, before)).toPrecision(2)} × slower, ${grouped(before)} → ${grouped(after)} ms`;
}
