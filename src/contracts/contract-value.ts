import { LosslessNumber } from "lossless-json";
import type { RuleValue } from "./rule.ts";

/* Values of a contract's document: as JSON has them, numbers with all their digits. */

export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessNumber);
}

export function isNumeric(value: unknown): value is number | bigint | LosslessNumber {
  return typeof value === "number" || typeof value === "bigint" || value instanceof LosslessNumber;
}

const mostDigits = 400;

/** A number as exact decimal text; undefined for what is none, or has more than 400 digits. */
export function decimalText(value: unknown): string | undefined {
  if (!isNumeric(value)) return undefined;
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(String(value));
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const shift = Number(exponent);
  if (Math.abs(shift) + whole.length + fraction.length > mostDigits) return undefined;
  const digits = `${"0".repeat(Math.max(0, -shift))}${whole}${fraction}${"0".repeat(Math.max(0, shift))}`;
  const point = digits.length - fraction.length - Math.max(0, shift) + shift;
  const left = digits.slice(0, point).replace(/^0+(?=\d)/, "") || "0";
  const right = digits.slice(point).replace(/0+$/, "");
  const text = right === "" ? left : `${left}.${right}`;
  return text === "0" ? "0" : `${sign}${text}`;
}

/** A document's value as people read it in a message. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return "an object";
  const text = typeof value === "string" ? `«${value}»` : String(value as number);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** A literal of a rule: texts stand for times where the column holds times. Undefined for null, lists and objects. */
export function ruleValue(value: unknown, logicalType: string | undefined): RuleValue | undefined {
  if (typeof value === "boolean") return { type: "boolean", value: String(value) };
  const number = decimalText(value);
  if (number !== undefined) return { type: "number", value: number };
  if (typeof value !== "string") return undefined;
  return { type: isTimeType(logicalType) ? "time" : "text", value };
}

export const isTimeType = (logicalType: string | undefined): boolean =>
  logicalType === "date" || logicalType === "time" || logicalType === "timestamp";
