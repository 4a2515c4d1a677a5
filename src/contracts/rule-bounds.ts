import type { ContractProblem, DocumentPath } from "./contract-problem.ts";
import { compareDecimals } from "../lib/decimal.ts";
import { decimalText, shown, type JsonObject } from "./contract-value.ts";
import type { Bound } from "./rule.ts";

const single = {
  mustBe: "=",
  mustNotBe: "!=",
  mustBeGreaterThan: ">",
  mustBeGreaterOrEqualTo: ">=",
  mustBeLessThan: "<",
  mustBeLessOrEqualTo: "<=",
} as const;
const double = { mustBeBetween: "between", mustNotBeBetween: "not_between" } as const;

export const operatorKeys: readonly string[] = [...Object.keys(single), ...Object.keys(double)];

/** A bound, or what is wrong with it; undefined where there is none. */
export type ReadBound = { bound: Bound | undefined } | { problem: ContractProblem };

/** The one operator among an object's keys. Booleans are 1 and 0, as results of SQL are. */
export function readBound(object: JsonObject, path: DocumentPath): ReadBound {
  const found = operatorKeys.filter((key) => object[key] !== undefined);
  const [key] = found;
  if (key === undefined) return { bound: undefined };
  if (found.length > 1) {
    const problem: ContractProblem = {
      path: [...path, found[1] as string],
      level: "error",
      reason: "ambiguous",
      message: "A rule has one operator.",
      expected: `one of ${operatorKeys.join(", ")}`,
      found: found.join(" and "),
      hint: "write two rules, or a milder bound as the custom property tidegate.warn",
    };
    return { problem };
  }
  const value = object[key];
  if (key in double) return readPair(key as keyof typeof double, value, [...path, key]);
  const text = typeof value === "boolean" ? (value ? "1" : "0") : decimalText(value);
  if (text === undefined) return { problem: notNumber(key, "a number", value, [...path, key]) };
  return { bound: { op: single[key as keyof typeof single], value: text } };
}

function readPair(key: keyof typeof double, value: unknown, path: DocumentPath): ReadBound {
  const texts = Array.isArray(value) ? value.map(decimalText) : [];
  const [low, high] = texts;
  if (texts.length !== 2 || low === undefined || high === undefined)
    return { problem: notNumber(key, "a list of two numbers", value, path) };
  if (compareDecimals(low, high) > 0) return { problem: notNumber(key, "the smaller number first", [low, high].join(", "), path) };
  return { bound: { op: double[key], low, high } };
}

function notNumber(key: string, expected: string, value: unknown, path: DocumentPath): ContractProblem {
  return { path, level: "error", reason: "wrong_type", message: `${key} takes ${expected}.`, expected, found: shown(value) };
}

/** A bound as people read it: `≤ 5`, `between 1 and 10`. */
export function boundText(bound: Bound): string {
  if ("low" in bound) return `${bound.op === "between" ? "" : "not "}between ${bound.low} and ${bound.high}`;
  const signs: Readonly<Record<string, string>> = { "!=": "≠", ">=": "≥", "<=": "≤" };
  return `${signs[bound.op] ?? bound.op} ${bound.value}`;
}
