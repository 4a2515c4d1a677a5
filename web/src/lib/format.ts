const noBreak = "\u00a0";

/** A count with its thousands parted by a space that does not break: `3 376`; a minus that is one. */
export function grouped(value: number): string {
  const [whole = "", fraction] = String(Math.abs(value)).split(".");
  const parted = whole.replaceAll(/\B(?=(\d{3})+(?!\d))/g, noBreak);
  return `${value < 0 ? "−" : ""}${parted}${fraction === undefined ? "" : `.${fraction}`}`;
}

/** `1 row`, `2 rows`. */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(value)}${noBreak}${value === 1 ? noun : plural}`;
}

/** Numbers in a sentence of the server keep together: its thousands are parted by a space that may break. */
export function unbroken(text: string): string {
  return text.replaceAll(/(?<=\d) (?=\d{3}\b)/g, noBreak);
}

/** A share as people read it: `5.5 %`; what is above nothing is never shown as nothing. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return `< 0.1${noBreak}%`;
  return `${value >= 99.95 && value < 100 ? "99.9" : value.toFixed(value === 0 || value === 100 || value >= 10 ? 0 : 1)}${noBreak}%`;
}

/** How long ago, in the largest unit of which there are two or more. */
export function ago(at: string, now: number): string {
  const milliseconds = Math.max(0, now - Date.parse(at));
  const units: readonly [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
  ];
  for (const [size, unit] of units) if (milliseconds >= 2 * size) return `${Math.floor(milliseconds / size)}${noBreak}${unit}`;
  return milliseconds < 60_000 ? "now" : `1${noBreak}min`;
}

/** A moment in the reader's own zone: the time alone where it is of today. */
export function moment(at: string, now: number): string {
  const date = new Date(at);
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (new Date(now).toDateString() === date.toDateString()) return time;
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}

/** A moment to the second, in the zone that records and logs are in. */
export function exactMoment(at: string): string {
  return at.replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

/** A value as a cell shows it: nothing is `null`, blanks at the ends are made visible. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return value === "" ? "“”" : value.replaceAll(/^ +| +$/g, (blanks) => "␣".repeat(blanks.length));
  if (typeof value === "number" || typeof value === "bigint") return String(value).replace("-", "−");
  return typeof value === "boolean"
    ? String(value)
    : JSON.stringify(value, (_key, item: unknown) => (typeof item === "bigint" ? String(item) : item));
}

/** A measured number with the digits that matter; anything else as it is. */
export function rounded(value: unknown): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? grouped(value) : grouped(Number(value.toPrecision(7)));
  return typeof value === "string" && /^-?\d+\.\d{8,}$/.test(value) ? grouped(Number(Number(value).toPrecision(7))) : value;
}

/** `@4`, or a dash where there is no version. */
export function versionText(version: { number: number } | null): string {
  return version === null ? "–" : `@${version.number}`;
}

/** The part of a dataset's name that people say, where they have seen the whole name. */
export function shortName(dataset: string): string {
  return dataset.slice(dataset.lastIndexOf(".") + 1);
}
