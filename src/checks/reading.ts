import type { Bound, Rule } from "../contracts/rule.ts";
import type { Verdict } from "../evidence/evidence.ts";
import { grouped } from "../lib/text.ts";
import type { CheckReason } from "./check.ts";
import type { Failed } from "./failure.ts";
import { compareDecimals, isDecimal, percentOf, plainDecimal, subtractDecimals, timesCount } from "../lib/decimal.ts";

/** What a rule measured on one set of rows, before anybody says whether that is good. */
export interface Reading {
  /** The number, exact; of the smallest or largest date or text, that value. */
  value: string | null;
  /** Rows looked at and bad ones among them; null for rules that count no rows. */
  evaluated: bigint | null;
  bad: bigint | null;
  reason: CheckReason | null;
  /** More about the reason or about what was found. */
  detail?: string | undefined;
  /** What people read instead of the number. */
  found?: string | undefined;
  /** The test decides by itself; no bound is looked at. */
  verdict?: Verdict | undefined;
  /** A limit or a failure of the machine stood in the way: asked again, it may be told. */
  untold?: boolean | undefined;
}

export const noReading = (reason: CheckReason, detail?: string): Reading => ({ value: null, evaluated: null, bad: null, reason, detail });

/** Why a rule or one of its measures failed. */
export const failedReading = ({ failed, untold }: Failed): Reading => ({
  ...noReading("rule_error", failed),
  ...(untold === true ? { untold } : {}),
});

/** Bad rows among those that were looked at; vacuous when there was none to look at. */
export function rowReading(evaluated: bigint, bad: bigint): Reading {
  return { value: String(bad), evaluated, bad, reason: evaluated === 0n ? "vacuous" : null };
}

export const countsRows = (rule: Rule): boolean =>
  [
    "null_values",
    "missing_values",
    "invalid_values",
    "compare_columns",
    "combinations",
    "row_sum",
    "ordered",
    "duplicate_values",
    "foreign_key",
  ].includes(rule.test.kind);

const none: Bound = { op: "=", value: "0" };

/** The bound that a rule stands by: row rules without one allow no bad row. */
export function boundOf(rule: Rule): Bound | undefined {
  return rule.bound ?? (countsRows(rule) || rule.test.kind === "sql" ? none : undefined);
}

export interface Judgement {
  verdict: Verdict;
  /** A fail outside only the milder bound. */
  isMild: boolean;
  reason: CheckReason | null;
}

/** What a reading means under the rule. */
export function judge(rule: Rule, reading: Reading): Judgement {
  if (reading.verdict !== undefined) return { verdict: reading.verdict, isMild: false, reason: reading.reason };
  if (reading.reason === "vacuous") return { verdict: "pass", isMild: false, reason: "vacuous" };
  const bound = boundOf(rule);
  if (reading.value === null) return { verdict: "inconclusive", isMild: false, reason: reading.reason ?? "rule_error" };
  if (bound === undefined) return { verdict: "inconclusive", isMild: false, reason: "rule_error" };
  const holds = isWithin(rule, reading, bound);
  if (holds === undefined) return { verdict: "inconclusive", isMild: false, reason: "rule_error" };
  if (!holds) return { verdict: "fail", isMild: false, reason: reading.reason };
  const isMild = rule.warn !== undefined && isWithin(rule, reading, rule.warn) === false;
  return { verdict: isMild ? "fail" : "pass", isMild, reason: reading.reason };
}

/** Whether what was measured lies within a bound; undefined when the two cannot be compared. */
function isWithin(rule: Rule, reading: Reading, bound: Bound): boolean | undefined {
  const ends = "value" in bound ? [bound.value] : [bound.low, bound.high];
  const orders = ends.map((end) => orderOf(rule, reading, end));
  const [first, second] = orders;
  if (first === undefined || (orders.length > 1 && second === undefined)) return undefined;
  switch (bound.op) {
    case "=":
      return first === 0;
    case "!=":
      return first !== 0;
    case ">":
      return first > 0;
    case ">=":
      return first >= 0;
    case "<":
      return first < 0;
    case "<=":
      return first <= 0;
    case "between":
      return first >= 0 && (second as number) <= 0;
    case "not_between":
      return !(first >= 0 && (second as number) <= 0);
  }
}

function orderOf(rule: Rule, reading: Reading, end: string): number | undefined {
  const value = reading.value as string;
  if (rule.unit === "percent" && reading.bad !== null && reading.evaluated !== null) {
    if (!isDecimal(end)) return undefined;
    // 100 × bad against bound × rows: no digit is lost in a division.
    return compareDecimals(String(reading.bad * 100n), timesCount(end, reading.evaluated));
  }
  if (isDecimal(value) && isDecimal(end)) return compareDecimals(value, end);
  if (isDecimal(value) !== isDecimal(end) && !/^\d{4}-/.test(value)) return undefined;
  const plain = (text: string): string =>
    text
      .trim()
      .replace(" ", "T")
      .replace(/(T00:00:00)?Z?$/, "");
  const isTime = /^\d{4}-\d{2}-\d{2}/.test(value) && /^\d{4}-\d{2}-\d{2}/.test(end);
  const [a, b] = isTime ? [plain(value), plain(end)] : [value, end];
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Whether the candidate is no worse than base under the same rule: not more bad rows, not farther outside of the bound. */
export function isNoWorse(rule: Rule, candidate: Reading, base: Reading): boolean {
  if (candidate.bad !== null && base.bad !== null) {
    if (rule.unit === "rows" && rule.scope === "snapshot") return candidate.bad <= base.bad;
    return candidate.bad * (base.evaluated ?? 0n) <= base.bad * (candidate.evaluated ?? 0n);
  }
  const bound = boundOf(rule);
  if (bound === undefined || candidate.value === null || base.value === null) return false;
  if (!isDecimal(candidate.value) || !isDecimal(base.value)) return candidate.value === base.value;
  const [now, before] = [distance(candidate.value, bound), distance(base.value, bound)];
  return now !== undefined && before !== undefined && compareDecimals(now, before) <= 0;
}

/**
 * Whether a number that lay outside of its bound lies no farther outside of it now, on the same side. Undefined where the answer does not tell
 * how far: a yes or no, or a bound without a direction.
 */
export function isNoFarther(rule: Rule, now: Reading, before: Reading): boolean | undefined {
  const bound = boundOf(rule);
  if (now.verdict !== undefined || before.verdict !== undefined || bound === undefined) return undefined;
  if (now.value === null || before.value === null || !isDecimal(now.value) || !isDecimal(before.value)) return undefined;
  const [is, was] = [distance(now.value, bound), distance(before.value, bound)];
  if (is === undefined || was === undefined) return undefined;
  const way = subtractDecimals(before.value, now.value);
  const nearer = subtractDecimals(was, is);
  // On the way back to its bound it is nearer by as much as it moved.
  return (
    compareDecimals(nearer, "0") >= 0 && (compareDecimals(way, nearer) === 0 || compareDecimals(subtractDecimals("0", way), nearer) === 0)
  );
}

/** How far a number lies outside of a bound; undefined where farther is not worse. */
function distance(value: string, bound: Bound): string | undefined {
  const positive = (text: string): string => (compareDecimals(text, "0") < 0 ? "0" : text);
  const absolute = (text: string): string => (compareDecimals(text, "0") < 0 ? subtractDecimals("0", text) : text);
  switch (bound.op) {
    case "=":
      return absolute(subtractDecimals(value, bound.value));
    case ">":
    case ">=":
      return positive(subtractDecimals(bound.value, value));
    case "<":
    case "<=":
      return positive(subtractDecimals(value, bound.value));
    case "between": {
      const [low, high] = [positive(subtractDecimals(bound.low, value)), positive(subtractDecimals(value, bound.high))];
      return compareDecimals(low, high) > 0 ? low : high;
    }
    default:
      return undefined;
  }
}

/** A number as people read it: thousands parted, at most six digits of a fraction. */
export function numberText(value: string): string {
  const plain = plainDecimal(value);
  if (plain === undefined) return value;
  const [whole = "", fraction = ""] = plain.split(".");
  const sign = whole.startsWith("-") ? "-" : "";
  const short = fraction === "" ? "" : shortFraction(whole.replace("-", ""), fraction);
  return `${sign}${grouped(BigInt(whole.replace("-", "")))}${short === "" ? "" : `.${short}`}`;
}

function shortFraction(whole: string, fraction: string): string {
  // 0.00000123 keeps its first digits, 41.23456789 six.
  const zeros = whole === "0" ? (/^0*/.exec(fraction)?.[0].length ?? 0) : 0;
  return fraction.slice(0, zeros + 6).replace(/0+$/, "");
}

/** What was measured, in the words of the rule. */
export function foundText(rule: Rule, reading: Reading): string | null {
  if (reading.found !== undefined) return reading.found;
  if (reading.value === null) return reading.detail ?? null;
  if (reading.bad !== null && reading.evaluated !== null) {
    const share = percentOf(reading.bad, reading.evaluated);
    return rule.unit === "percent" ? `${percentText(share)} %` : rowsText(String(reading.bad));
  }
  return numberText(reading.value);
}

export const percentText = (share: string): string => {
  const [whole = "", fraction = ""] = share.split(".");
  return numberText(`${whole}.${shortFraction(whole, fraction).slice(0, whole === "0" ? undefined : 2)}`);
};

const rowsText = (count: string): string => `${numberText(count)} ${count === "1" ? "row" : "rows"}`;

/** The bound in words: `at most 1 %`, `between 3 and 5`. */
export function expectedText(rule: Rule): string {
  const bound = boundOf(rule);
  if (bound === undefined) return rule.title;
  const counts = countsRows(rule);
  const unit = (text: string): string => (!counts ? numberText(text) : rule.unit === "percent" ? `${numberText(text)} %` : rowsText(text));
  switch (bound.op) {
    case "=":
      return unit(bound.value);
    case "!=":
      return `not ${unit(bound.value)}`;
    case ">":
      return `more than ${unit(bound.value)}`;
    case ">=":
      return `at least ${unit(bound.value)}`;
    case "<":
      return `less than ${unit(bound.value)}`;
    case "<=":
      return `at most ${unit(bound.value)}`;
    case "between":
      return bound.low === bound.high ? unit(bound.low) : `${numberText(bound.low)} to ${unit(bound.high)}`;
    case "not_between":
      return `not ${numberText(bound.low)} to ${unit(bound.high)}`;
  }
}
