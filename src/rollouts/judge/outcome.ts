import { errorsMetric, latencyMetric, metricPattern } from "./guardrail-document.ts";
import { momentsOf, momentsOfSums, type Moments } from "./moments.ts";

/* What a consumer reports of its work on what it read. */

export interface Outcome {
  /** The reporter's own id of the report: the same id again is the same report. */
  id: string;
  /** Of what it is the outcome: a dataset, or a release. */
  dataset?: string | undefined;
  release?: string | undefined;
  metric?: string | undefined;
  value?: number | undefined;
  values?: readonly number[] | undefined;
  sums?: { n: number; sum: number; sumSquares: number } | undefined;
  /** Whether the work could be done at all. */
  ok?: boolean | undefined;
  /** What went wrong. */
  reason?: string | undefined;
  latencyMs?: number | undefined;
  /** The run whose reads these were. */
  run?: string | undefined;
  /** What both sides are reported of: the same text on candidate and on current makes a pair. */
  pair?: string | undefined;
  /** When the reading was of which this is the outcome. */
  at?: Date | undefined;
}

/** Values of one metric in a report. */
export interface Measured {
  metric: string;
  moments: Moments;
  /** The only value, where there is one: pairs are made of such. */
  single: number | undefined;
}

const mostSums = 1e7;
/** Numbers beyond these are no measurement, and their squares would be no numbers any more. */
const [mostMean, mostSquares] = [1e100, 1e207];

/** The values of a report by metric; a text says what is wrong with it. */
export function measuredIn(outcome: Outcome): Measured[] | string {
  const { metric, value, values, sums, ok, latencyMs } = outcome;
  const given = [value, values, sums].filter((item) => item !== undefined).length;
  if (metric === undefined ? given > 0 : given !== 1) return "a metric with one of value, values and sums, or none of them";
  if (metric === undefined && ok === undefined && latencyMs === undefined) return "a metric, ok or latencyMs";
  if (metric !== undefined && !metricPattern.test(metric)) return "a metric named by letters, digits, blanks, _ . / or -";
  if (metric === errorsMetric && ok !== undefined) return "errors as a metric, or ok, not both";
  if (metric === latencyMetric && latencyMs !== undefined) return "latency as a metric, or latencyMs, not both";
  const found: Measured[] = [];
  if (metric !== undefined) {
    const all = value === undefined ? values : [value];
    if (all !== undefined && all.some((item) => !Number.isFinite(item))) return "values that are numbers";
    const moments = sums === undefined ? momentsOf(all ?? []) : sums.n > mostSums ? undefined : momentsOfSums(sums);
    if (moments === undefined || moments.n === 0) return `sums that values have, of 1 to ${mostSums} values`;
    found.push({ metric, moments, single: value ?? (values?.length === 1 ? values[0] : undefined) });
  }
  for (const [name, single] of [
    [errorsMetric, ok === undefined ? undefined : ok ? 0 : 1],
    [latencyMetric, latencyMs],
  ] as const)
    if (single !== undefined) found.push({ metric: name, moments: { n: 1, mean: single, squares: 0 }, single });
  const isMeasurement = ({ moments }: Measured): boolean => Math.abs(moments.mean) <= mostMean && moments.squares <= mostSquares;
  if (!found.every(isMeasurement)) return "values that are numbers";
  return found.some((item) => item.metric === latencyMetric && item.moments.mean < 0) ? "a latency of 0 or more" : found;
}

/** What is wrong with values that are to be a rate: each is 0 or 1, or a share between; undefined when nothing is. */
export function notARate({ metric, moments }: Measured): string | undefined {
  const { n, mean, squares } = moments;
  // Of values from 0 to 1 no square is larger than its value.
  const spread = squares / n + mean * mean - mean;
  return mean < 0 || mean > 1 || spread > 1e-9 ? `${metric} as values from 0 to 1` : undefined;
}

/** Requests of one reporter in a minute. */
export const reportsPerMinute = 240;

/** How many reports came from whom in the minute under way. */
export class ReportRate {
  readonly #counts = new Map<string, { minute: number; count: number }>();

  /** Seconds until the reporter may send again; undefined when it may send this one. */
  take(reporter: string, at: Date): number | undefined {
    const minute = Math.floor(at.getTime() / 60_000);
    const known = this.#counts.get(reporter);
    const count = known?.minute === minute ? known.count + 1 : 1;
    if (count > reportsPerMinute) return Math.max(1, Math.ceil(((minute + 1) * 60_000 - at.getTime()) / 1000));
    this.#counts.set(reporter, { minute, count });
    return undefined;
  }
}
