import { decimalText } from "./contract-value.ts";

const second = 1000;
const day = 86_400 * second;
const units: readonly (readonly [pattern: RegExp, ms: number])[] = [
  [/^(?:ms|milliseconds?)$/i, 1],
  [/^(?:s|secs?|seconds?)$/i, second],
  [/^(?:m|mins?|minutes?)$/i, 60 * second],
  [/^(?:h|hrs?|hours?)$/i, 3600 * second],
  [/^(?:d|days?)$/i, day],
  [/^(?:w|wks?|weeks?)$/i, 7 * day],
  [/^(?:mo|mons?|months?)$/i, 30 * day],
  [/^(?:q|quarters?)$/i, 91 * day],
  [/^(?:y|yrs?|years?)$/i, 365 * day],
];

const unitMs = (unit: string): number | undefined => units.find(([pattern]) => pattern.test(unit.trim()))?.[1];

/** Milliseconds of `26` with a unit, of `26 h`, or of an ISO 8601 duration such as `P1DT2H`; months are 30 days, years 365. */
export function durationMs(value: unknown, unit?: unknown): number | undefined {
  const number = decimalText(value);
  if (number !== undefined) {
    const ms = typeof unit === "string" ? unitMs(unit) : undefined;
    return ms === undefined || Number(number) < 0 ? undefined : Math.round(Number(number) * ms);
  }
  if (typeof value !== "string") return undefined;
  const plain = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(value);
  if (plain !== null) {
    const ms = unitMs(plain[2] === "" && typeof unit === "string" ? unit : (plain[2] ?? ""));
    return ms === undefined ? undefined : Math.round(Number(plain[1]) * ms);
  }
  const iso = /^P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/i.exec(
    value.trim(),
  );
  if (iso === null) return undefined;
  const sizes = [365 * day, 30 * day, 7 * day, day, 3600 * second, 60 * second, second];
  return Math.round(sizes.reduce((sum, size, at) => sum + size * Number(iso[at + 1] ?? 0), 0));
}

/** Milliseconds as people read them: `26 h`, `3 d`. */
export function durationText(ms: number): string {
  const sizes: [number, string][] = [
    [day, "d"],
    [3600 * second, "h"],
    [60 * second, "min"],
    [second, "s"],
  ];
  const fit = sizes.find(([size]) => ms >= size && ms % size === 0);
  return fit === undefined ? `${ms} ms` : `${ms / fit[0]} ${fit[1]}`;
}
