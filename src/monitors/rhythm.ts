/*
 * What is usual for something that comes again and again, told from its own history: robust (median and MAD, so that an outage does not become
 * what is usual), by season where enough of it has been seen, and with a floor below which a difference is none.
 */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** With fewer there is no history to tell from. */
export const leastHistory = 7;
const leastOfSeason = { weekday: 4, hour: 7, week: 4 };
/** Makes the median absolute deviation of normal noise its standard deviation. */
const madToSd = 1.4826;

export type Season = "hour of week" | "hour of day" | "weekday" | null;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

function spread(values: readonly number[], around: number): number {
  return madToSd * median(values.map((value) => Math.abs(value - around)));
}

/** Of past items those that fall into the season of a moment; the finest season of which enough was seen, else all. */
export function inSeason<T extends { at: Date }>(
  items: readonly T[],
  moment: Date,
  usualGapMs: number,
): { items: readonly T[]; season: Season } {
  const sameHour = (at: Date): boolean => at.getUTCHours() === moment.getUTCHours();
  const sameDay = (at: Date): boolean => at.getUTCDay() === moment.getUTCDay();
  const pick = (season: Season, least: number, fits: (at: Date) => boolean) => {
    const found = items.filter(({ at }) => fits(at));
    return found.length >= least ? { items: found, season } : undefined;
  };
  const found =
    usualGapMs >= dayMs / 2
      ? pick("weekday", leastOfSeason.weekday, sameDay)
      : (pick("hour of week", leastOfSeason.week, (at) => sameHour(at) && sameDay(at)) ??
        pick("hour of day", leastOfSeason.hour, sameHour));
  return found ?? { items, season: null };
}

export interface Overdue {
  /** After so long without another it is overdue. */
  limitMs: number;
  usualMs: number;
  season: Season;
}

/**
 * After which silence the next of something is overdue; undefined where there is too little history. Where its season is not known yet, nothing is
 * overdue that was silent as long before: the first weekends are no incident.
 */
export function overdueAfter(times: readonly Date[]): Overdue | undefined {
  const sorted = times.toSorted((a, b) => a.getTime() - b.getTime());
  const gaps = sorted.slice(1).map((at, index) => {
    const from = sorted[index] as Date;
    return { at: from, ms: at.getTime() - from.getTime() };
  });
  const last = sorted.at(-1);
  if (last === undefined || gaps.length < leastHistory) return undefined;
  const all = gaps.map(({ ms }) => ms);
  const { items, season } = inSeason(gaps, last, median(all));
  const sample = items.map(({ ms }) => ms);
  const usualMs = median(sample);
  const limit = usualMs + Math.max(3 * spread(sample, usualMs), usualMs / 2);
  return { limitMs: season === null ? Math.max(limit, 1.1 * Math.max(...all)) : limit, usualMs, season };
}

export interface Arrival {
  at: Date;
  rows: number;
}

export interface OddVolume {
  expected: number;
  low: number;
  high: number;
  season: Season;
}

/** Differences below are none: a share of what is usual, and so many rows. */
const deadBand = { share: 0.3, rows: 10 };

/** In what way the newest arrival's rows are unlike those before it; undefined when they are not, or nothing can be told. */
export function oddVolume(before: readonly Arrival[], newest: Arrival): OddVolume | undefined {
  if (before.length < leastHistory) return undefined;
  const gaps = before.slice(1).map(({ at }, index) => at.getTime() - (before[index] as Arrival).at.getTime());
  const { items, season } = inSeason(before, newest.at, median(gaps));
  const sample = items.map(({ rows }) => rows);
  const expected = median(sample);
  const band = Math.max(3 * spread(sample, expected), deadBand.share * Math.abs(expected), deadBand.rows);
  if (Math.abs(newest.rows - expected) <= band) return undefined;
  return { expected, low: Math.max(0, Math.floor(expected - band)), high: Math.ceil(expected + band), season };
}

/** How long a reader must have been seen, and how long it must be silent, before it can have stopped. */
export const stopped = { seenMs: 14 * dayMs, silentMs: dayMs } as const;

/** After so long a reader that came regularly has stopped: half as long again as its longest silence. Undefined: it was not seen for two weeks. */
export function stoppedAfter(times: readonly Date[]): number | undefined {
  const sorted = times.map((at) => at.getTime()).toSorted((a, b) => a - b);
  const [first, last] = [sorted[0], sorted.at(-1)];
  const gaps = sorted.slice(1).map((at, index) => at - (sorted[index] as number));
  if (first === undefined || last === undefined || gaps.length < leastHistory || last - first < stopped.seenMs) return undefined;
  return Math.max(stopped.silentMs, 1.5 * Math.max(...gaps));
}
