import { createHash } from "node:crypto";
import { isInteger, isSafeNumber, LosslessNumber, parse, stringify } from "lossless-json";

/** A JSON value that keeps every digit: integers beyond 2^53 are bigints, other unsafe numbers are `LosslessNumber`. */
export type Json = null | boolean | number | bigint | string | LosslessNumber | readonly Json[] | { readonly [key: string]: Json };

function exactNumber(text: string): number | bigint | LosslessNumber {
  if (isSafeNumber(text)) return Number(text);
  return isInteger(text) ? BigInt(text) : new LosslessNumber(text);
}

/** Parses JSON without losing a digit (`JSON.parse` changes the 63-bit ids that Iceberg writers use). */
export function parseJson(text: string): Json {
  return parse(text, undefined, exactNumber) as Json;
}

/** Writes JSON; bigints and lossless numbers keep their digits. */
export function toJson(value: unknown, indent?: number): string {
  return stringify(value, undefined, indent) ?? "null";
}

/** JSON with sorted keys and no `undefined`: the same value always gives the same text, so it can be hashed. */
export function canonicalJson(value: unknown): string {
  return toJson(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object" || value instanceof LosslessNumber || value instanceof Date) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

/** SHA-256 of text (UTF-8) or bytes, as 64 hexadecimal digits. */
export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Content hash of a JSON value, independent of the order of keys. */
export function hashOf(value: unknown): string {
  return sha256(canonicalJson(value));
}
