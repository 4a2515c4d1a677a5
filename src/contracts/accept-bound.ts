import { LosslessNumber } from "lossless-json";
import { compareDecimals, isDecimal, plainDecimal, timesCount } from "../lib/decimal.ts";
import { decimalText } from "./contract-value.ts";
import type { Bound, Rule } from "./rule.ts";

/** What a failing check measured. */
export interface Measured {
  /** The number, exact; undefined where it is shown to nobody. */
  measured: string | null;
  /** Rows looked at and bad ones among them, of rules that count rows. */
  evaluated: number | null;
  bad: number | null;
}

/** An operator of a document, such as `{ mustBe: 0 }`. */
export type Operator = Readonly<Record<string, unknown>>;

/** The numbers of a check against the ends of its rule's bounds. */
export interface Scale {
  /** Below zero when what was measured is smaller. */
  order(end: string): number;
  /** What was measured, as the smallest or the largest number of a document that does not lie beyond it. */
  least: string;
  most: string;
}

/** How a check measures against a bound; undefined where it has no number to set one by. */
export function scaleOf(rule: Pick<Rule, "unit">, { measured, evaluated, bad }: Measured): Scale | undefined {
  if (measured === null) return undefined;
  if (rule.unit === "percent" && bad !== null && evaluated !== null) {
    const [part, rows] = [BigInt(bad) * 100n, BigInt(evaluated)];
    if (rows === 0n) return undefined;
    return {
      order: (end) => compareDecimals(String(part), timesCount(end, rows)),
      least: shareText(part, rows, 0n),
      most: shareText(part, rows, rows - 1n),
    };
  }
  const text = plainDecimal(measured);
  return text === undefined ? undefined : { order: (end) => compareDecimals(text, end), least: text, most: text };
}

/** A share in percent with as few digits as tell one row more or less apart. */
function shareText(part: bigint, rows: bigint, round: bigint): string {
  const digits = Math.max(0, String(rows).length - 2);
  const scaled = (part * 10n ** BigInt(digits) + round) / rows;
  const text = String(scaled).padStart(digits + 1, "0");
  return plainDecimal(digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`) as string;
}

/** The bound moved so far that what was measured lies just within it; undefined where it does already, or no end can be moved. */
export function movedBound(bound: Bound, scale: Scale): Operator | undefined {
  if (!("value" in bound)) {
    if (bound.op === "not_between" || !isDecimal(bound.low) || !isDecimal(bound.high)) return undefined;
    if (scale.order(bound.low) < 0) return { mustBeBetween: [documentNumber(scale.least), documentNumber(bound.high)] };
    return scale.order(bound.high) > 0 ? { mustBeBetween: [documentNumber(bound.low), documentNumber(scale.most)] } : undefined;
  }
  if (!isDecimal(bound.value)) return undefined;
  const order = scale.order(bound.value);
  switch (bound.op) {
    case "!=":
      return undefined;
    case "=":
      if (order === 0) return undefined;
      // What had to be nothing is still allowed to be nothing.
      if (bound.value === "0" && order > 0) return { mustBeLessOrEqualTo: documentNumber(scale.most) };
      if (scale.least === scale.most) return { mustBe: documentNumber(scale.most) };
      return { mustBeBetween: [documentNumber(scale.least), documentNumber(scale.most)] };
    case ">":
      return order > 0 ? undefined : { mustBeGreaterOrEqualTo: documentNumber(scale.least) };
    case ">=":
      return order >= 0 ? undefined : { mustBeGreaterOrEqualTo: documentNumber(scale.least) };
    case "<":
      return order < 0 ? undefined : { mustBeLessOrEqualTo: documentNumber(scale.most) };
    case "<=":
      return order <= 0 ? undefined : { mustBeLessOrEqualTo: documentNumber(scale.most) };
  }
}

/** A number as a document has it, with all its digits. */
export function documentNumber(text: string): number | LosslessNumber {
  const number = Number(text);
  return Number.isFinite(number) && decimalText(number) === decimalText(new LosslessNumber(text)) ? number : new LosslessNumber(text);
}

/** An operator as people read it: `≤ 5`. */
export function operatorText(operator: Operator): string {
  return Object.entries(operator)
    .map(([key, value]) => `${words[key] ?? key} ${Array.isArray(value) ? value.map(String).join(" … ") : String(value as number)}`)
    .join(" ");
}

const words: Readonly<Record<string, string>> = {
  mustBe: "=",
  mustBeLessOrEqualTo: "≤",
  mustBeGreaterOrEqualTo: "≥",
  mustBeBetween: "between",
};
