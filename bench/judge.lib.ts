import { judgeExact, judgeReported, type Guardrail, type MovedConsumer } from "../src/rollouts/judge/judge.ts";
import { momentsOf, noMoments, together, variance, type Moments } from "../src/rollouts/judge/moments.ts";

/* Streams of made reports with a known truth, and what the judge, a threshold and a naive z test say of them. Seeded: the same on every run. */

type Draw = (random: () => number) => number;

export interface Cell {
  name: string;
  /** What the truth is, in words. */
  truth: string;
  rail: Guardrail;
  current: Draw;
  candidate: Draw;
  /** Reports of each arm at a look. */
  each: { candidate: number; current: number };
  /** A report that is bad comes so many looks later, at most. */
  late?: number;
  /** Reports come in pairs whose sides share this part of their variance, and the candidate's are larger by `shift`; in place of the draws. */
  pairs?: { correlation: number; shift: number };
  /** A look of the candidate that is worse than this is a failure of the threshold rule, which stops at the fourth. */
  threshold: number;
  /** What must hold: shares of runs. */
  bar?: { harm?: (share: number) => boolean; safe?: (share: number) => boolean; says: string };
}

export interface Found {
  harm: number;
  /** Median of the reports in both arms when it stopped; null when it never did. */
  reports: number | null;
  safe: number;
  threshold: number;
  naive: number;
}

export const looks = 20;

/** Numbers from a seed, in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random: () => number): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const rate =
  (chance: number): Draw =>
  (random) =>
    random() < chance ? 1 : 0;
const bell =
  (mean: number, deviation = 1): Draw =>
  (random) =>
    mean + deviation * normal(random);
/** Lognormal with mean 1, times a factor. */
const skewed =
  (sigma: number, factor = 1): Draw =>
  (random) =>
    factor * Math.exp(sigma * normal(random) - (sigma * sigma) / 2);
const mostlyZero =
  (chance: number, factor = 1): Draw =>
  (random) =>
    random() < chance ? skewed(1, factor / chance)(random) : 0;

const even = { candidate: 250, current: 250 };
/** A first ring is small. */
const ring = { candidate: 25, current: 475 };

const rail = (worse: Guardrail["worse"], kind: Guardrail["kind"], margin: Guardrail["margin"]): Guardrail => ({
  metric: "outcome",
  worse,
  kind,
  margin,
  alpha: 0.05,
  minimum: 100,
});

const fewFalse = { harm: (share: number) => share <= 0.02, says: "harm ≤ 2 %" };
const none = { value: 0, by: "unit" } as const;

function rates(): Cell[] {
  const cell = (truth: string, chance: number, more: Partial<Cell> = {}): Cell => ({
    name: "rate of 2 %",
    truth,
    rail: rail("higher", "rate", none),
    current: rate(0.02),
    candidate: rate(chance),
    each: even,
    threshold: 0.03,
    ...more,
  });
  const safe = { rail: rail("higher", "rate", { value: 0.01, by: "unit" }) };
  return [
    cell("no effect", 0.02, { bar: fewFalse }),
    cell("+25 %", 0.025),
    cell("+50 %", 0.03, { bar: { harm: (share) => share >= 0.6, says: "harm ≥ 60 %" } }),
    cell("+100 %", 0.04, { bar: { harm: (share) => share >= 0.95, says: "harm ≥ 95 %" } }),
    cell("no effect, one point tolerated", 0.02, { ...safe, bar: fewFalse }),
    cell("worse by just what is tolerated", 0.03, { ...safe, bar: { safe: (share) => share <= 0.05, says: "safe ≤ 5 %" } }),
    cell("no effect, small first ring", 0.02, { each: ring, bar: fewFalse }),
    cell("+100 %, small first ring", 0.04, { each: ring }),
    cell("no effect, bad reports up to 5 looks late", 0.02, { late: 5, bar: fewFalse }),
    cell("+50 %, bad reports up to 5 looks late", 0.03, { late: 5 }),
  ];
}

function means(): Cell[] {
  const margin = { value: 0.25, by: "sd" } as const;
  const bellCell = (truth: string, mean: number, more: Partial<Cell> = {}): Cell => ({
    name: "bell-shaped",
    truth,
    rail: rail("higher", "mean", none),
    current: bell(10),
    candidate: bell(mean),
    each: even,
    threshold: 10.1,
    ...more,
  });
  const pairs = { name: "bell-shaped, paired, r = 0.9", each: { candidate: 50, current: 50 } };
  const shifted = (shift: number): Pick<Cell, "pairs"> => ({ pairs: { correlation: 0.9, shift } });
  return [
    bellCell("no effect", 10, { bar: fewFalse }),
    bellCell("worse by 0.05 sd", 10.05),
    bellCell("worse by 0.1 sd", 10.1),
    bellCell("worse by 0.25 sd", 10.25),
    bellCell("no effect, 0.25 sd tolerated", 10, {
      rail: rail("higher", "mean", margin),
      bar: { safe: (share) => share >= 0.95, says: "safe ≥ 95 %" },
    }),
    bellCell("worse by just what is tolerated", 10.25, {
      rail: rail("higher", "mean", margin),
      bar: { safe: (share) => share <= 0.05, says: "safe ≤ 5 %" },
    }),
    bellCell("no effect", 10, { ...pairs, ...shifted(0), bar: fewFalse }),
    bellCell("worse by 0.1 sd", 10.1, { ...pairs, ...shifted(0.1) }),
  ];
}

function tails(): Cell[] {
  const cell = (name: string, truth: string, draws: readonly [Draw, Draw], more: Partial<Cell> = {}): Cell => ({
    name,
    truth,
    rail: rail("higher", "mean", none),
    current: draws[0],
    candidate: draws[1],
    each: even,
    threshold: 1.1,
    ...more,
  });
  const lower = { rail: rail("lower", "mean", none), threshold: 0.9 };
  const fewer = { ...lower, each: ring, bar: fewFalse };
  const long = "lognormal, σ 1";
  const longer = "lognormal, σ 2";
  const zeros = "9 of 10 are zero, others lognormal";
  return [
    cell(long, "no effect, higher is worse", [skewed(1), skewed(1)], { bar: fewFalse }),
    cell(long, "no effect, lower is worse", [skewed(1), skewed(1)], { ...lower, bar: fewFalse }),
    cell(long, "+10 %", [skewed(1), skewed(1, 1.1)]),
    cell(long, "+30 %", [skewed(1), skewed(1, 1.3)]),
    cell(long, "no effect, lower is worse, small first ring", [skewed(1), skewed(1)], fewer),
    cell(longer, "no effect, higher is worse", [skewed(2), skewed(2)], { bar: fewFalse }),
    cell(longer, "no effect, lower is worse, small first ring", [skewed(2), skewed(2)], fewer),
    cell(longer, "no effect, higher is worse, small first ring", [skewed(2), skewed(2)], { each: ring, bar: fewFalse }),
    cell(zeros, "no effect, higher is worse", [mostlyZero(0.1), mostlyZero(0.1)], { bar: fewFalse }),
    cell(zeros, "no effect, lower is worse, small first ring", [mostlyZero(0.1), mostlyZero(0.1)], fewer),
    cell(zeros, "−30 %, lower is worse", [mostlyZero(0.1), mostlyZero(0.1, 0.7)], lower),
  ];
}

export const cells: readonly Cell[] = [...rates(), ...means(), ...tails()];

/** One look's reports of an arm, some of which come later. */
function report(
  draw: Draw,
  count: number,
  random: () => number,
  at: { look: number; late: number | undefined; arrivals: Moments[] },
): void {
  const { look, late, arrivals } = at;
  const now: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const value = draw(random);
    const delay = late === undefined || value === 0 ? 0 : Math.floor(random() * (late + 1));
    if (delay === 0) now.push(value);
    else arrivals[look + delay] = together(arrivals[look + delay] ?? noMoments, { n: 1, mean: value, squares: 0 });
  }
  arrivals[look] = together(arrivals[look] ?? noMoments, momentsOf(now));
}

interface Run {
  harmAt: number | undefined;
  reports: number;
  safe: boolean;
  threshold: boolean;
  naive: boolean;
}

function simulateRun(cell: Cell, random: () => number): Run {
  const arrivals = { candidate: [] as Moments[], current: [] as Moments[] };
  let [candidate, current, pairs] = [noMoments, noMoments, noMoments];
  const run: Run = { harmAt: undefined, reports: 0, safe: false, threshold: false, naive: false };
  let failures = 0;
  for (let look = 1; look <= looks; look += 1) {
    if (cell.pairs === undefined) {
      for (const arm of ["candidate", "current"] as const)
        report(cell[arm], cell.each[arm], random, { look, late: cell.late, arrivals: arrivals[arm] });
    } else {
      const { correlation, shift } = cell.pairs;
      const [a, b, differences]: [number[], number[], number[]] = [[], [], []];
      for (let index = 0; index < cell.each.candidate; index += 1) {
        const common = Math.sqrt(correlation) * normal(random);
        const side = (): number => 10 + common + Math.sqrt(1 - correlation) * normal(random);
        a.push(side() + shift);
        b.push(side());
        differences.push((a[index] ?? 0) - (b[index] ?? 0));
      }
      arrivals.candidate[look] = momentsOf(a);
      arrivals.current[look] = momentsOf(b);
      pairs = together(pairs, momentsOf(differences));
    }
    const latest = arrivals.candidate[look] ?? noMoments;
    candidate = together(candidate, latest);
    current = together(current, arrivals.current[look] ?? noMoments);
    const bad = cell.rail.worse === "higher" ? latest.mean > cell.threshold : latest.mean < cell.threshold;
    failures += bad ? 1 : 0;
    run.threshold ||= failures > 3;
    const se = Math.sqrt(variance(candidate) / candidate.n + variance(current) / current.n);
    const difference = (candidate.mean - current.mean) * (cell.rail.worse === "higher" ? 1 : -1);
    run.naive ||= se > 0 && difference / se > 1.645;
    if (run.harmAt !== undefined) continue;
    const judged = judgeReported(cell.rail, { strata: [{ candidate, current }], pairs: pairs.n === 0 ? undefined : pairs }, 1);
    if (judged.verdict === "HARM") {
      run.harmAt = look;
      run.reports = candidate.n + current.n;
    }
    run.safe ||= judged.verdict === "SAFE";
  }
  return run;
}

/** What the three rules say of so many streams of a cell. */
export function simulate(cell: Cell, runs: number, seed: number): Found {
  const found: Run[] = [];
  for (let index = 0; index < runs; index += 1) found.push(simulateRun(cell, randomOf(seed * 1_000_003 + index)));
  const share = (of: (run: Run) => boolean): number => found.filter(of).length / runs;
  const stopped = found.filter((run) => run.harmAt !== undefined).map((run) => run.reports);
  return {
    harm: share((run) => run.harmAt !== undefined),
    reports: stopped.sort((a, b) => a - b)[Math.floor(stopped.length / 2)] ?? null,
    safe: share((run) => run.safe),
    threshold: share((run) => run.threshold),
    naive: share((run) => run.naive),
  };
}

/** Consumers that fall silent: the share of runs that are called SRM, when of those moved and of those not moved such a part reports. */
export function simulateSilence(reporting: { candidate: number; current: number }, runs: number, seed: number): number {
  const [consumers, guardrail] = [200, rail("higher", "rate", none)];
  let mismatches = 0;
  for (let index = 0; index < runs; index += 1) {
    const random = randomOf(seed * 1_000_003 + index);
    const count = (chance: number): number => Array.from({ length: consumers }, () => random()).filter((drawn) => drawn < chance).length;
    const counts = { candidate: count(reporting.candidate), current: count(reporting.current) };
    const moments = (n: number): Moments => momentsOf(Array.from({ length: n }, () => rate(0.02)(random)));
    const strata = [{ candidate: moments(counts.candidate), current: moments(counts.current) }];
    const silence = { assigned: { candidate: consumers, current: consumers }, reporting: counts };
    if (judgeReported(guardrail, { strata, silence }, 1).verdict === "SRM") mismatches += 1;
  }
  return mismatches / runs;
}

/** One consumer of `moved` fails where it worked: the share of runs that are called harm. */
export function simulateExact(moved: number, runs: number, seed: number): number {
  let harms = 0;
  for (let index = 0; index < runs; index += 1) {
    const random = randomOf(seed * 1_000_003 + index);
    const failing = Math.floor(random() * moved);
    const consumers = Array.from({ length: moved }, (_, at): MovedConsumer => ({
      consumer: `consumer-${at}`,
      hasRead: at === failing || random() < 0.5,
      isReader: true,
      failure: at === failing ? "no rows for 2026-11" : undefined,
      failedBefore: false,
    }));
    if (judgeExact(consumers).verdict === "HARM") harms += 1;
  }
  return harms / runs;
}
