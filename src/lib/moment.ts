/** The years that people mean; Postgres knows some more, but not all that JavaScript does. */
const [earliest, latest] = [Date.parse("0001-01-01T00:00:00Z"), Date.parse("9999-12-31T23:59:59Z")];
const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What people may write for a moment. */
export const momentForms = "6h, 2d, or 2026-11-24T08:00:00Z";

/** A moment as people write it: `6h`, `2d`, `30m` before now, or a date with or without a time. Undefined for anything else. */
export function momentOf(text: string, now: Date): Date | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (match === null && !/^[+-]?\d{4,6}-\d{2}/.test(text)) return undefined;
  const date = match === null ? new Date(text) : new Date(now.getTime() - Number(match[1]) * (units[match[2] ?? ""] ?? 0));
  return date.getTime() >= earliest && date.getTime() <= latest ? date : undefined;
}

/** A moment to come as people write it: `6h`, `2d` from now, or a date with or without a time. Undefined for anything else, and for the past. */
export function laterMomentOf(text: string, now: Date): Date | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const ahead = match === null ? undefined : Number(match[1]) * (units[match[2] ?? ""] ?? 0);
  const date = ahead === undefined ? momentOf(text, now) : new Date(now.getTime() + ahead);
  return date !== undefined && date > now && date.getTime() <= latest ? date : undefined;
}
