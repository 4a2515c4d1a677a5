import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { comparePredictions, type SidePredictions } from "./compare-predictions.ts";
import type { Prediction, PredictionOptions } from "./decisions.ts";

/** Rows by key: `{ a: 0.1 }`; a segment stands behind a slash of the key. */
function side(rows: Record<string, Prediction>): SidePredictions {
  const keys = Object.keys(rows);
  const segments = keys.some((key) => key.includes("/")) ? keys.map((key) => key.split("/")[1] ?? "") : undefined;
  return { keys, names: keys, segments, values: Object.values(rows) };
}

const said = (before: Record<string, Prediction>, after: Record<string, Prediction>, options?: PredictionOptions) =>
  comparePredictions(side(before), side(after), options);
const blocked: PredictionOptions = { threshold: 0.5, decision: "blocked" };

test("rows are paired by their key, whatever their order", () => {
  expect(said({ a: 0.1, b: 0.9 }, { b: 0.9, a: 0.1 })).toEqual({ same: true, summary: "2 predictions, mean score 0.5", moves: [] });
  expect(said({ a: 0.1, b: 0.9 }, { b: 0.1, a: 0.9 }, blocked)).toMatchObject({
    same: false,
    summary: "blocked share 50 % on both sides; 2 of 2 rows flip: 1 to blocked, 1 from blocked",
  });
});

test("what a number of 32 bits cannot hold is no move, and no flip", () => {
  expect(said({ a: 0.49999999 }, { a: 0.50000001 }, blocked).same).toBe(true);
  expect(said({ a: 1000 }, { a: 1000.0004 }).same).toBe(true);
  expect(said({ a: 0.4999 }, { a: 0.5 }, blocked)).toMatchObject({
    same: false,
    summary: "blocked share 0 % → 100 %; 1 of 1 row flip: 1 to blocked",
  });
});

test("a score at the threshold is over it", () => {
  expect(said({ a: 0.5 }, { a: 0.4 }, blocked).summary).toContain("blocked share 100 % → 0 %");
});

test("a tolerance is for scores; a decision that flips within it counts; a share of rows may differ", () => {
  expect(said({ a: 0.1, b: 0.2 }, { a: 0.12, b: 0.2 }, { tolerance: { absolute: 0.05 } }).same).toBe(true);
  expect(said({ a: 0.48 }, { a: 0.52 }, { ...blocked, tolerance: { absolute: 0.05 } }).same).toBe(false);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`r${at}`, 0.1]));
  expect(said(many, { ...many, r7: 0.9 }, { ...blocked, tolerance: { rows: 0.01 } })).toEqual({
    same: true,
    summary: "100 predictions, blocked share 1 %; 1 differ, as the tolerance allows",
    moves: [],
  });
});

test("rows that only one side has are told, and count as moves", () => {
  expect(said({ a: 0.1, b: 0.2, c: 0.3 }, { b: 0.2, d: 0.4 })).toMatchObject({
    same: false,
    summary: "mean score 0.2 → 0.3; 1 new row; 2 rows gone",
    moves: [{ what: "mean score" }, { what: "rows", before: "3", after: "2" }],
  });
  expect(said({ a: 0.1 }, {}, blocked)).toMatchObject({ same: false, summary: "blocked share 0 % on both sides; 1 row gone" });
  expect(said({}, {}, blocked)).toEqual({ same: true, summary: "0 predictions", moves: [] });
});

test("labels are told by their shares and by what became what", () => {
  expect(said({ a: "ham", b: "ham", c: "spam" }, { a: "ham", b: "spam", c: "spam" })).toMatchObject({
    summary: "share of ham 67 % → 33 %; 1 of 3 rows flip: 1 ham to spam",
    moves: [
      { what: "share of ham" },
      { what: "share of spam" },
      { what: "flips ham to spam", after: "1" },
      { what: "label of b", before: "ham", after: "spam" },
    ],
  });
});

test("segments are told apart, the one that moves furthest first; those that only one side has come last", () => {
  const found = said(
    { "a/AT": 0.1, "b/AT": 0.2, "c/DE": 0.1, "d/DE": 0.1 },
    { "a/AT": 0.9, "b/AT": 0.9, "c/DE": 0.9, "d/DE": 0.1, "e/CH": 0.1 },
    blocked,
  );
  expect(found.summary).toContain("most in AT: blocked share 0 % → 100 %");
  expect(found.moves.map(({ what }) => what).filter((what) => /^(AT|DE|CH|rows of)/.test(what))).toEqual([
    "AT: blocked share",
    "DE: blocked share",
    "rows of CH",
  ]);
});

describe("what comes from masked columns is not told", () => {
  const before = { "ana@x.org/Wien": 0.12345, "bob@x.org/Graz": 0.2 };
  const after = { "ana@x.org/Wien": 0.98765, "bob@x.org/Graz": 0.2 };
  const told = (masked: PredictionOptions["masked"], options: PredictionOptions = {}) =>
    JSON.stringify(said(before, after, { ...options, masked }));
  test("keys, segments, scores, each by itself", () => {
    expect(told({ keys: true, segments: false, scores: false })).not.toMatch(/ana|bob/);
    expect(told({ keys: true, segments: false, scores: false })).toContain("Wien");
    expect(told({ keys: true, segments: true, scores: false })).not.toMatch(/Wien|Graz/);
    const scores = told({ keys: true, segments: true, scores: true }, blocked);
    expect(scores).not.toMatch(/0\.1|0\.9|12345|98765/);
    expect(scores).toContain("blocked share 0 % → 50 %");
  });

  test("labels of masked columns are no values that may be told", () => {
    const labels = JSON.stringify(said({ a: "ana@x.org" }, { a: "bob@x.org" }, { masked: { keys: false, segments: false, scores: true } }));
    expect(labels).not.toMatch(/ana|bob/);
    expect(labels).toContain("1 to another label");
  });
});

test("two sides are the same exactly when no pair differs and no row is alone, for any scores", () => {
  const rows = fc.dictionary(fc.constantFrom("a", "b", "c", "d", "e"), fc.constantFrom(0, 0.25, 0.5, 0.75, 1));
  fc.assert(
    fc.property(rows, rows, (before, after) => {
      const equal =
        Object.keys(before).length === Object.keys(after).length && Object.entries(before).every(([key, value]) => after[key] === value);
      const found = said(before, after, blocked);
      expect(found.same).toBe(equal);
      const yes = (values: Record<string, number>, key: string) => (values[key] ?? 0) >= 0.5;
      const flips = Object.keys(before).filter((key) => key in after && yes(before, key) !== yes(after, key)).length;
      const counted = /(\d+) of \d+ rows? flip/.exec(found.summary)?.[1] ?? "0";
      expect(Number(counted)).toBe(flips);
    }),
  );
});
