import { toJson } from "./json.ts";

/** The one form of every JSON answer. Dates are RFC 3339 with Z, big integers keep their digits, maps become objects. */
export function envelope(body: { ok: true; data: unknown } | { ok: false; error: unknown }): string {
  return toJson(plain(body));
}

function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
  if (value instanceof Set) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object" || value.constructor !== Object) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, plain(item)]])));
}
