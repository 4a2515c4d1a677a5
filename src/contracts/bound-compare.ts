import { compareDecimals } from "../lib/decimal.ts";
import type { Bound, Range, RuleValue } from "./rule.ts";

/* Which of two bounds lets more through: what a change of a rule needs to be called loosened or tightened. */

/** How the second of two things compares with the first: it allows the same, more, less, or neither more nor less. */
export type Compared = "same" | "looser" | "tighter" | "other";

export function compareBounds(before: Bound | undefined, after: Bound | undefined): Compared {
  if (before === undefined || after === undefined) {
    if (before === after) return "same";
    // No bound lets everything through.
    return after === undefined ? "looser" : "tighter";
  }
  return compareSets(contains(intervals(after), intervals(before)), contains(intervals(before), intervals(after)));
}

/** From whether the second holds all of the first, and the first all of the second. */
export function compareSets(afterHoldsBefore: boolean, beforeHoldsAfter: boolean): Compared {
  if (afterHoldsBefore && beforeHoldsAfter) return "same";
  return afterHoldsBefore ? "looser" : beforeHoldsAfter ? "tighter" : "other";
}

/** What two comparisons of parts say of the whole. */
export function together(parts: readonly Compared[]): Compared {
  const found = new Set(parts.filter((part) => part !== "same"));
  if (found.size === 0) return "same";
  return found.size === 1 ? ([...found][0] as Compared) : "other";
}

interface End {
  /** Undefined: without end. */
  value: string | undefined;
  open: boolean;
}

interface Interval {
  low: End;
  high: End;
}

const endless: End = { value: undefined, open: true };

function intervals(bound: Bound): Interval[] {
  if ("low" in bound) {
    const within = { low: { value: bound.low, open: false }, high: { value: bound.high, open: false } };
    return bound.op === "between" ? [within] : outside(bound.low, bound.high);
  }
  const at = (open: boolean): End => ({ value: bound.value, open });
  switch (bound.op) {
    case "=":
      return [{ low: at(false), high: at(false) }];
    case "!=":
      return outside(bound.value, bound.value);
    case ">":
    case ">=":
      return [{ low: at(bound.op === ">"), high: endless }];
    case "<":
    case "<=":
      return [{ low: endless, high: at(bound.op === "<") }];
  }
}

function outside(low: string, high: string): Interval[] {
  return [
    { low: endless, high: { value: low, open: true } },
    { low: { value: high, open: true }, high: endless },
  ];
}

/** Whether every number in `inner` lies in one of `outer`. */
function contains(outer: readonly Interval[], inner: readonly Interval[]): boolean {
  return inner.every((part) => outer.some((whole) => beginsBefore(whole.low, part.low, compareDecimals) && endsAfter(whole, part)));
}

function beginsBefore(outer: End, inner: End, compare: (a: string, b: string) => number): boolean {
  if (outer.value === undefined) return true;
  if (inner.value === undefined) return false;
  const order = compare(outer.value, inner.value);
  return order < 0 || (order === 0 && (!outer.open || inner.open));
}

function endsAfter(whole: Interval, part: Interval): boolean {
  return beginsBefore(whole.high, part.high, (a, b) => compareDecimals(b, a));
}

/** Ranges of values: numbers by their size, times by their text, which sorts. */
export function compareRanges(before: Range, after: Range): Compared {
  const order = (a: RuleValue, b: RuleValue): number => {
    if (a.type === "number" && b.type === "number") return compareDecimals(a.value, b.value);
    return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
  };
  const low = (range: Range): [RuleValue | undefined, boolean] => [range.min, range.exclusiveMin === true];
  const high = (range: Range): [RuleValue | undefined, boolean] => [range.max, range.exclusiveMax === true];
  return together([compareEnds(low(before), low(after), order), compareEnds(high(before), high(after), (a, b) => order(b, a))]);
}

/** Compares lower ends; upper ones with the order turned round. */
function compareEnds(
  [before, wasOpen]: [RuleValue | undefined, boolean],
  [after, isOpen]: [RuleValue | undefined, boolean],
  order: (a: RuleValue, b: RuleValue) => number,
): Compared {
  if (before === undefined || after === undefined) return before === after ? "same" : after === undefined ? "looser" : "tighter";
  if (before.type !== after.type) return "other";
  const found = order(after, before);
  if (found === 0) return wasOpen === isOpen ? "same" : isOpen ? "tighter" : "looser";
  return found < 0 ? "looser" : "tighter";
}
