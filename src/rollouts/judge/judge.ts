import { counted, grouped } from "../../lib/text.ts";
import { halfWidth, valuesNeeded } from "./confidence-sequence.ts";
import { noMoments, together, variance, type Moments } from "./moments.ts";
import { sampleRatio, type ArmCounts } from "./sample-ratio.ts";

/*
 * The judge: whether a step does harm, from numbers that consumers report on the candidates and on what all others have. Pure; what it is
 * asked about is gathered by `judge-service.ts`.
 */

export const verdicts = ["SAFE", "INCONCLUSIVE", "NO_DATA", "SRM", "HARM"] as const;
export type Verdict = (typeof verdicts)[number];

/** How much worse is still good enough: in units of the metric, in percent of what current has, or in standard deviations. */
export interface Margin {
  value: number;
  by: "unit" | "percent" | "sd";
}

/** What a release must not make worse. */
export interface Guardrail {
  metric: string;
  worse: "higher" | "lower";
  /** Of a rate each value is 0 or 1. */
  kind: "mean" | "rate";
  margin: Margin;
  /** The chance that it calls harm where there is none, over all looks. */
  alpha: number;
  /** Values in each arm before it says anything. */
  minimum: number;
}

/** Values of both arms that were reported in the same step: only such are compared. */
export interface Stratum {
  candidate: Moments;
  current: Moments;
}

/** The sides that are compared: what a release offers, and what all others have. */
export type Arm = keyof Stratum;

export interface Reported {
  strata: readonly Stratum[];
  /** Candidate less current of the same pair, where reporters name pairs. */
  pairs?: Moments | undefined;
  /** Consumers that were put into each arm, and those of them that report; where chance put them there. */
  silence?: { assigned: ArmCounts; reporting: ArmCounts } | undefined;
}

export interface Judgement {
  guardrail: string;
  verdict: Verdict;
  /** A sentence with the numbers. */
  reason: string;
  candidate: number;
  current: number;
  /** How much worse the candidate is; below 0: better. Null without values. */
  difference: number | null;
  /** How far the truth may be from it. */
  halfWidth: number | null;
  margin: number | null;
  /** So many more values make it SAFE, if they come as those before; null: none, or not known. */
  needed: number | null;
}

interface Estimate {
  n: number;
  candidate: { n: number; mean: number };
  current: { n: number; mean: number };
  /** Oriented: more is worse. */
  difference: number;
  se: number;
  deviation: number;
  paired: boolean;
}

/** Judges one guardrail; `guardrails` is how many are judged beside it, among which the chance of a false alarm is divided. */
export function judgeReported(guardrail: Guardrail, reported: Reported, guardrails: number): Judgement {
  const { metric, alpha } = guardrail;
  const strata = reported.strata.filter(({ candidate, current }) => candidate.n > 0 && current.n > 0);
  const [all, told] = [sums(reported.strata), sums(strata)];
  const none = { guardrail: metric, candidate: all.candidate.n, current: all.current.n, difference: null, halfWidth: null, margin: null };
  const estimate = estimateOf(guardrail, told, strata, reported.pairs);
  const ratio = reported.silence && sampleRatio(reported.silence.reporting, reported.silence.assigned);
  if (estimate === undefined) {
    if (ratio?.isMismatch) return { ...none, verdict: "SRM", reason: silenceText(metric, reported, ratio.chiSquare), needed: null };
    const { verdict, reason } = tooFew(guardrail, all, told, reported.pairs);
    return { ...none, verdict, reason, needed: null };
  }
  const { n, se, difference } = estimate;
  const margin = marginOf(guardrail.margin, estimate);
  const harmWidth = halfWidth({ n, se, alpha: alpha / Math.max(1, guardrails) });
  const safeWidth = halfWidth({ n, se, alpha });
  const room = margin - difference;
  const total = valuesNeeded({ spread: se * Math.sqrt(n), room, alpha });
  const needed = Number.isFinite(total) ? Math.max(0, total - n) : null;
  const judged = { ...none, candidate: estimate.candidate.n, current: estimate.current.n, difference, margin };
  const facts = factsText(guardrail, estimate);
  if (difference - harmWidth > margin) {
    const reason = `${facts}: worse by ${short(difference)} ± ${short(harmWidth)}, and ${short(margin)} is tolerated`;
    return { ...judged, halfWidth: harmWidth, verdict: "HARM", reason, needed: null };
  }
  if (ratio?.isMismatch) {
    return { ...judged, halfWidth: safeWidth, verdict: "SRM", reason: silenceText(metric, reported, ratio.chiSquare), needed: null };
  }
  if (se > 0 && difference + safeWidth < margin) {
    const reason = `${facts}: at most ${short(difference + safeWidth)} worse, and ${short(margin)} is tolerated`;
    return { ...judged, halfWidth: safeWidth, verdict: "SAFE", reason, needed: 0 };
  }
  const more =
    se === 0
      ? "no value differs from the others, which proves nothing"
      : needed === null
        ? "no number of reports like these makes it SAFE"
        : `about ${counted(roundUp(needed), "more report")} like these make it SAFE`;
  const reason = `${facts}: ${sideText(difference)} ± ${short(safeWidth)}, and ${short(margin)} is tolerated; ${more}`;
  return { ...judged, halfWidth: safeWidth, verdict: "INCONCLUSIVE", reason, needed: se === 0 ? null : needed };
}

function tooFew(rail: Guardrail, all: Stratum, told: Stratum, pairs: Moments | undefined): { verdict: Verdict; reason: string } {
  const found = `${rail.metric}: ${counted(all.candidate.n, "report")} on the candidate, ${grouped(all.current.n)} on current`;
  const both = pairs === undefined || pairs.n === 0 ? "" : `, ${counted(pairs.n, "pair")}`;
  const isNone = all.candidate.n === 0 || all.current.n === 0;
  const apart = !isNone && told.candidate.n === 0 ? ", none of both in one step" : "";
  return { verdict: isNone ? "NO_DATA" : "INCONCLUSIVE", reason: `${found}${both}${apart}; it needs ${rail.minimum} of each` };
}

/** What the reports of one step against those of the same step say, or the pairs: whichever knows more; undefined with too few of both. */
function estimateOf(rail: Guardrail, told: Stratum, strata: readonly Stratum[], pairs: Moments | undefined): Estimate | undefined {
  const { minimum } = rail;
  const paired = pairs !== undefined && pairs.n >= minimum ? pairedEstimate(rail, pairs, told) : undefined;
  const apart = told.candidate.n >= minimum && told.current.n >= minimum ? unpairedEstimate(rail, strata) : undefined;
  return paired !== undefined && (apart === undefined || paired.se < apart.se) ? paired : apart;
}

function pairedEstimate({ worse }: Guardrail, pairs: Moments, arms: Stratum): Estimate {
  const spread = variance(pairs);
  return {
    n: pairs.n,
    candidate: { n: pairs.n, mean: arms.candidate.mean },
    current: { n: pairs.n, mean: arms.current.mean },
    difference: worse === "higher" ? pairs.mean : -pairs.mean,
    se: Math.sqrt(spread / pairs.n),
    deviation: Math.sqrt(variance(arms.current)),
    paired: true,
  };
}

/** The differences of the steps, each weighed by what it can tell. */
function unpairedEstimate({ worse, kind }: Guardrail, strata: readonly Stratum[]): Estimate {
  const spread = spreads(kind, strata);
  let [weights, weighed, uncertain] = [0, 0, 0];
  for (const { candidate, current } of strata) {
    const weight = (candidate.n * current.n) / (candidate.n + current.n);
    weights += weight;
    weighed += weight * (candidate.mean - current.mean);
    uncertain += weight * weight * (spread.candidate / candidate.n + spread.current / current.n);
  }
  const arms = sums(strata);
  const difference = weighed / weights;
  return {
    n: arms.candidate.n + arms.current.n,
    candidate: arms.candidate,
    current: arms.current,
    difference: worse === "higher" ? difference : -difference,
    se: Math.sqrt(uncertain) / weights,
    deviation: Math.sqrt(spread.current),
    paired: false,
  };
}

/**
 * The variance of a value in each arm: within the steps, and never less than that of both arms together. A small arm that has not met a rare
 * large value yet believes that it knows its mean.
 */
function spreads(kind: Guardrail["kind"], strata: readonly Stratum[]): { candidate: number; current: number } {
  const of = (arm: keyof Stratum): { n: number; squares: number; degrees: number } => ({
    n: strata.reduce((sum, stratum) => sum + stratum[arm].n, 0),
    squares: strata.reduce((sum, stratum) => sum + stratum[arm].squares, 0),
    degrees: strata.reduce((sum, stratum) => sum + Math.max(0, stratum[arm].n - 1), 0),
  });
  const [candidate, current] = [of("candidate"), of("current")];
  const pooled = (candidate.squares + current.squares) / Math.max(1, candidate.degrees + current.degrees);
  const least = Math.max(pooled, kind === "rate" ? rateSpread(sums(strata)) : 0);
  return {
    candidate: Math.max(candidate.squares / Math.max(1, candidate.degrees), least),
    current: Math.max(current.squares / Math.max(1, current.degrees), least),
  };
}

/** Of a rate of which nothing has been seen yet one of each is imagined: none among a hundred is not none. */
function rateSpread({ candidate, current }: Stratum): number {
  const { n, mean } = together(candidate, current);
  const rate = (n * mean + 1) / (n + 2);
  return rate * (1 - rate);
}

function sums(strata: readonly Stratum[]): Stratum {
  return {
    candidate: strata.map((stratum) => stratum.candidate).reduce(together, noMoments),
    current: strata.map((stratum) => stratum.current).reduce(together, noMoments),
  };
}

function marginOf({ value, by }: Margin, { current, deviation }: Estimate): number {
  if (by === "unit") return value;
  return by === "percent" ? (Math.abs(current.mean) * value) / 100 : deviation * value;
}

/** Reports in all that make a guardrail SAFE when candidate and current are alike, evenly divided; undefined when the spread is not known. */
export function reportsForSafe({ margin, alpha, minimum }: Guardrail, known?: { mean: number; deviation: number }): number | undefined {
  const room = margin.by === "sd" ? margin.value : margin.by === "unit" ? margin.value : (Math.abs(known?.mean ?? 0) * margin.value) / 100;
  const deviation = margin.by === "sd" ? 1 : known?.deviation;
  if (deviation === undefined || room <= 0) return undefined;
  const total = valuesNeeded({ spread: 2 * deviation, room, alpha });
  return Number.isFinite(total) ? Math.max(2 * minimum, total) : undefined;
}

function factsText({ metric }: Guardrail, { candidate, current, paired }: Estimate): string {
  const counts = paired
    ? counted(candidate.n, "pair")
    : `${counted(candidate.n, "report")} on the candidate, ${grouped(current.n)} on current`;
  return `${metric} ${short(candidate.mean)} against ${short(current.mean)} (${counts})`;
}

const sideText = (difference: number): string =>
  difference > 0 ? `worse by ${short(difference)}` : difference < 0 ? `better by ${short(-difference)}` : "no difference";

function silenceText(metric: string, { silence }: Reported, chiSquare: number): string {
  if (silence === undefined) return metric;
  const { assigned, reporting } = silence;
  const of = (arm: keyof ArmCounts): string => `${reporting[arm]} of ${assigned[arm]}`;
  return `${metric}: ${of("candidate")} consumers on the candidate report, ${of("current")} on current; chance does that less than once in 1 000 times (chi-square ${short(chiSquare)})`;
}

/** A number with three digits that count. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "∞";
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) >= 1e6 || (rounded !== 0 && Math.abs(rounded) < 1e-4) ? rounded.toExponential() : grouped(rounded);
}

/** A count that is only about right, with two digits that count. */
function roundUp(count: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, count))) - 1);
  return Math.ceil(count / step) * step;
}

/** What is known of one moved consumer. */
export interface MovedConsumer {
  consumer: string;
  /** It has read the candidate since it was moved. */
  hasRead: boolean;
  /** It is one that reads these datasets: it did so before it was moved, or the plan names it. */
  isReader: boolean;
  /** What it says went wrong on the candidate. */
  failure: string | undefined;
  /** It said that of current as well. */
  failedBefore: boolean;
}

export const exactName = "consumers";

/** Judges a step by its consumers alone: one that fails where it worked is harm, and SAFE needs a read of each. */
export function judgeExact(moved: readonly MovedConsumer[]): Judgement {
  const base = { guardrail: exactName, current: 0, difference: null, halfWidth: null, margin: null, needed: null };
  const readers = moved.filter((item) => item.hasRead);
  const judged = { ...base, candidate: readers.length };
  const failing = moved.filter((item) => item.failure !== undefined && !item.failedBefore);
  const [first] = failing;
  if (first !== undefined) {
    const others = failing.length === 1 ? "" : `, and ${counted(failing.length - 1, "other")}`;
    return { ...judged, verdict: "HARM", reason: `${first.consumer} fails on the candidate and did not before${others}: ${first.failure}` };
  }
  const missing = moved.filter((item) => item.isReader && !item.hasRead).map((item) => item.consumer);
  if (missing.length > 0) {
    const names = missing.length > 3 ? `${missing.slice(0, 3).join(", ")} and ${missing.length - 3} more` : missing.join(", ");
    const verb = missing.length === 1 ? "has" : "have";
    return { ...judged, verdict: "NO_DATA", reason: `${names} ${verb} not read the candidate yet` };
  }
  if (readers.length === 0) return { ...judged, verdict: "NO_DATA", reason: "no consumer has read the candidate yet" };
  return { ...judged, verdict: "SAFE", reason: `${counted(readers.length, "consumer")} read the candidate, and none says that it fails` };
}

/** What several guardrails say together: the worst of them. */
export function worst<T extends Pick<Judgement, "verdict">>(judgements: readonly T[]): T | undefined {
  return judgements.toSorted((a, b) => verdicts.indexOf(b.verdict) - verdicts.indexOf(a.verdict))[0];
}
