import fc from "fast-check";
import { expect, test } from "vitest";
import { halfWidth, valuesNeeded } from "./confidence-sequence.ts";
import { judgeExact, judgeReported, reportsForSafe, worst, type Guardrail, type MovedConsumer, type Reported } from "./judge.ts";
import { momentsOf, momentsOfSums, together, variance } from "./moments.ts";
import { measuredIn } from "./outcome.ts";
import { sampleRatio } from "./sample-ratio.ts";

const rail: Guardrail = {
  metric: "failed loads",
  worse: "higher",
  kind: "rate",
  margin: { value: 0.01, by: "unit" },
  alpha: 0.05,
  minimum: 100,
};
/** So many values, of which the first are 1. */
const rate = (bad: number, n: number) => momentsOf(Array.from({ length: n }, (_, index) => (index < bad ? 1 : 0)));
const reported = (candidate: [number, number], current: [number, number]): Reported => ({
  strata: [{ candidate: rate(...candidate), current: rate(...current) }],
});

test("moments keep the spread of large values that differ little, and parts add up to the whole in any order", () => {
  expect(variance(momentsOf([1e9 + 1, 1e9 + 3, 1e9 + 2]))).toBeCloseTo(1, 9);
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 40 }), fc.nat(), (values, cut) => {
      const at = cut % values.length;
      const whole = momentsOf(values);
      const parts = together(momentsOf(values.slice(at)), momentsOf(values.slice(0, at)));
      expect(parts.n).toBe(whole.n);
      expect(parts.mean).toBeCloseTo(whole.mean, 5);
      expect(Math.abs(parts.squares - whole.squares)).toBeLessThanOrEqual(1e-9 * Math.max(1, whole.squares));
    }),
  );
});

test.each([
  ["no values", { n: 0, sum: 0, sumSquares: 0 }],
  ["part of a value", { n: 1.5, sum: 1, sumSquares: 1 }],
  ["a sum that is no number", { n: 2, sum: Number.NaN, sumSquares: 1 }],
  ["an endless sum", { n: 2, sum: 1, sumSquares: Number.POSITIVE_INFINITY }],
  ["squares that no values have", { n: 2, sum: 10, sumSquares: 1 }],
  ["one value with a spread", { n: 1, sum: 1, sumSquares: 2 }],
])("sums of %s are refused", (_, sums) => {
  expect(momentsOfSums(sums)).toBeUndefined();
});

test("the bounds are those of the paper: about 300 reports at half a standard deviation, 720 at a quarter", () => {
  expect(halfWidth({ n: 300, se: Math.sqrt(4 / 300), alpha: 0.05 })).toBeCloseTo(0.4966, 3);
  expect(valuesNeeded({ spread: 2, room: 0.5, alpha: 0.05 })).toBe(298);
  expect(reportsForSafe({ ...rail, margin: { value: 0.25, by: "sd" } })).toBe(723);
  expect(valuesNeeded({ spread: 2, room: 0, alpha: 0.05 })).toBe(Number.POSITIVE_INFINITY);
});

test("harm is told with its numbers, and in which direction depends on the metric", () => {
  const bad = reported([300, 1000], [20, 1000]);
  const judged = judgeReported(rail, bad, 1);
  expect(judged).toMatchObject({ verdict: "HARM", candidate: 1000, current: 1000, needed: null });
  expect(judged.reason).toMatch(
    /^failed loads 0\.3 against 0\.02 \(1 000 reports on the candidate, 1 000 on current\): worse by 0\.28 ± 0\.0\d+, and 0\.01 is tolerated$/,
  );
  expect(judgeReported({ ...rail, worse: "lower" }, bad, 1).verdict).toBe("SAFE");
});

test("what is not proved is inconclusive, and says how many more reports like these make it safe; so many then do", () => {
  const judged = judgeReported(rail, reported([20, 1000], [20, 1000]), 1);
  expect(judged.verdict).toBe("INCONCLUSIVE");
  expect(judged.reason).toContain(`about`);
  const each = Math.ceil((2000 + (judged.needed ?? 0)) / 2 / 50) * 50 + 50;
  expect(judgeReported(rail, reported([each / 50, each], [each / 50, each]), 1).verdict).toBe("SAFE");
  expect(judgeReported({ ...rail, margin: { value: 0, by: "unit" } }, reported([20, 1000], [20, 1000]), 1).needed).toBeNull();
});

test("too few reports say nothing, none of one side are no data, and the alpha of harm is shared by all guardrails", () => {
  expect(judgeReported(rail, reported([99, 99], [0, 500]), 1)).toMatchObject({ verdict: "INCONCLUSIVE", needed: null });
  expect(judgeReported(rail, reported([0, 0], [0, 500]), 1).verdict).toBe("NO_DATA");
  expect(judgeReported(rail, { strata: [] }, 1).verdict).toBe("NO_DATA");
  const one = judgeReported(rail, reported([42, 1000], [5, 1000]), 1);
  const many = judgeReported(rail, reported([42, 1000], [5, 1000]), 1000);
  expect([one.verdict, many.verdict]).toEqual(["HARM", "INCONCLUSIVE"]);
});

test("values that never differ prove harm when the sides do, and nothing when they are alike", () => {
  const constant = (value: number) => momentsOf(Array.from({ length: 200 }, () => value));
  const judged = (candidate: number, current: number) =>
    judgeReported({ ...rail, kind: "mean" }, { strata: [{ candidate: constant(candidate), current: constant(current) }] }, 1).verdict;
  expect([judged(7, 5), judged(5, 5), judged(3, 5)]).toEqual(["HARM", "INCONCLUSIVE", "INCONCLUSIVE"]);
  // No failure among 200 is not the proof that there is none in a hundred.
  expect(judgeReported(rail, reported([0, 200], [0, 200]), 1).verdict).toBe("INCONCLUSIVE");
});

test("only reports of the same step are compared: a shift that all see between two steps is no harm", () => {
  const [low, high] = [bell(10), bell(20)];
  // Most of current reported before the shift, most of the candidate after it.
  const strata = [
    { candidate: low(150), current: low(2000) },
    { candidate: high(2000), current: high(150) },
  ];
  const mean: Guardrail = { ...rail, kind: "mean", margin: { value: 0.5, by: "unit" } };
  expect(judgeReported(mean, { strata }, 1).verdict).toBe("SAFE");
  const mixed = { candidate: together(low(150), high(2000)), current: together(low(2000), high(150)) };
  expect(judgeReported(mean, { strata: [mixed] }, 1).verdict).toBe("HARM");

  function bell(mean: number) {
    return (n: number) => momentsOf(Array.from({ length: n }, (_, index) => mean + (index % 2 === 0 ? 1 : -1)));
  }
});

test("pairs see what separate reports cannot", () => {
  const base = Array.from({ length: 400 }, (_, index) => 50 * Math.sin(index));
  const current = momentsOf(base);
  const candidate = momentsOf(base.map((value) => value + 1));
  const pairs = momentsOf(base.map((_, index) => 1 + 0.1 * Math.cos(index)));
  const mean: Guardrail = { ...rail, kind: "mean" };
  expect(judgeReported(mean, { strata: [{ candidate, current }] }, 1).verdict).toBe("INCONCLUSIVE");
  const judged = judgeReported(mean, { strata: [{ candidate, current }], pairs }, 1);
  expect(judged).toMatchObject({ verdict: "HARM", candidate: 400 });
  expect(judged.reason).toContain("400 pairs");
});

test("readers that fall silent on the candidate are told as a mismatch, and few of them as nothing", () => {
  const assigned = { candidate: 200, current: 200 };
  expect(sampleRatio({ candidate: 150, current: 195 }, assigned)?.isMismatch).toBe(true);
  expect(sampleRatio({ candidate: 190, current: 195 }, assigned)?.isMismatch).toBe(false);
  expect(sampleRatio({ candidate: 0, current: 7 }, { candidate: 7, current: 200 })).toBeUndefined();
  const silence = { assigned, reporting: { candidate: 150, current: 195 } };
  expect(judgeReported(rail, { ...reported([20, 1000], [20, 1000]), silence }, 1)).toMatchObject({ verdict: "SRM" });
  expect(judgeReported(rail, { ...reported([900, 1000], [20, 1000]), silence }, 1)).toMatchObject({ verdict: "HARM" });
});

test("one consumer that fails where it worked is harm at once; safe needs a read of each that reads", () => {
  const fine: MovedConsumer = { consumer: "board", hasRead: true, isReader: true, failure: undefined, failedBefore: false };
  const quiet = { ...fine, consumer: "nightly", hasRead: false };
  const other = { ...quiet, consumer: "other", isReader: false };
  const failing = { ...fine, consumer: "model", failure: "no rows" };
  expect(judgeExact([fine, other])).toMatchObject({ verdict: "SAFE", candidate: 1 });
  expect(judgeExact([fine, quiet])).toMatchObject({ verdict: "NO_DATA", reason: "nightly has not read the candidate yet" });
  expect(judgeExact([other]).verdict).toBe("NO_DATA");
  expect(judgeExact([])).toMatchObject({ verdict: "NO_DATA", reason: "no consumer has read the candidate yet" });
  expect(judgeExact([fine, quiet, failing])).toMatchObject({
    verdict: "HARM",
    reason: "model fails on the candidate and did not before: no rows",
  });
  expect(judgeExact([{ ...failing, failedBefore: true }]).verdict).toBe("SAFE");
});

test("several guardrails say what the worst of them says: harm before a mismatch, before no data, before what is open", () => {
  const of = (verdict: "SAFE" | "HARM" | "SRM" | "NO_DATA" | "INCONCLUSIVE") => ({ ...judgeExact([]), verdict });
  expect(worst([of("SAFE"), of("INCONCLUSIVE")])?.verdict).toBe("INCONCLUSIVE");
  expect(worst([of("NO_DATA"), of("SRM"), of("INCONCLUSIVE")])?.verdict).toBe("SRM");
  expect(worst([of("HARM"), of("SRM")])?.verdict).toBe("HARM");
  expect(worst([])).toBeUndefined();
});

test("numbers that are no measurement are refused at the door: their squares would stop the judge", () => {
  const wrong = "values that are numbers";
  expect(measuredIn({ id: "a", latencyMs: 1e200 })).toBe(wrong);
  expect(measuredIn({ id: "a", metric: "m", values: [1, 1e101] })).toBe(wrong);
  expect(measuredIn({ id: "a", metric: "m", sums: { n: 1, sum: 1e154, sumSquares: 1e308 } })).not.toBeInstanceOf(Array);
  expect(measuredIn({ id: "a", latencyMs: 1e6 })).toMatchObject([{ metric: "latency", single: 1e6 }]);
});
