import type { Cell } from "../engine/plan.ts";
import { grouped } from "../lib/text.ts";

/* Values of results as people read them: short, and with as many digits as it takes to see a difference. */

const longest = 60;

/** A value on its own. */
export function cellWords(cell: Cell): string {
  if (typeof cell === "number") return numberWords(cell, ownDecimals(cell, 6));
  if (typeof cell === "bigint") return grouped(cell);
  return plainWords(cell);
}

/** Two values of one thing, before and after. */
export function pairWords(before: Cell, after: Cell): [string, string] {
  const [a, b] = [numberOf(before), numberOf(after)];
  if (a === undefined || b === undefined) return [cellWords(before), cellWords(after)];
  if (isExact(before) && isExact(after)) return [exactWords(before), exactWords(after)];
  const gap = Math.abs(b - a);
  if (!Number.isFinite(gap)) return [cellWords(a), cellWords(b)];
  const needed = gap === 0 ? 0 : 1 - Math.floor(Math.log10(gap));
  const [left, right] = [numberWords(a, Math.max(needed, ownDecimals(a))), numberWords(b, Math.max(needed, ownDecimals(b)))];
  return left === right && a !== b ? [String(a), String(b)] : [left, right];
}

/** The number that a value is: decimals are text. */
export function numberOf(cell: Cell): number | undefined {
  if (typeof cell === "number") return cell;
  if (typeof cell === "bigint") return Number(cell);
  return typeof cell === "string" && /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : undefined;
}

const isExact = (cell: Cell): boolean => typeof cell !== "number" || Number.isInteger(cell);

function exactWords(cell: Cell): string {
  const text = String(cell);
  return /e/i.test(text) ? text : grouped(trimmed(text) as unknown as number);
}

/** Decimals with which a number shows so many of its digits. */
function ownDecimals(value: number, digits = 2): number {
  if (value === 0 || !Number.isFinite(value) || Number.isInteger(value)) return 0;
  return Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
}

function numberWords(value: number, decimals: number): string {
  if (Object.is(value, -0)) return "0";
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1e15 || (value !== 0 && Math.abs(value) < 1e-9) || decimals > 15) return String(value);
  return grouped(trimmed(value.toFixed(decimals)) as unknown as number);
}

const trimmed = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

function plainWords(cell: Cell): string {
  if (cell === null) return "null";
  const text = typeof cell === "string" ? cell : typeof cell === "object" ? JSON.stringify(cell, bigText) : String(cell);
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}

const bigText = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
