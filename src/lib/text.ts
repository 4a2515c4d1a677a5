/** A count with its thousands parted: `3 376`. */
export function grouped(count: number | bigint, separator = " "): string {
  const [whole, fraction] = String(count).split(".");
  const parted = (whole ?? "").replaceAll(/\B(?=(\d{3})+(?!\d))/g, separator);
  return fraction === undefined ? parted : `${parted}.${fraction}`;
}

/** `1 row`, `2 rows`. */
export function counted(count: number | bigint, noun: string, plural = `${noun}s`): string {
  return `${grouped(count)} ${Number(count) === 1 ? noun : plural}`;
}

/** The order of texts by their code units, the same on every machine. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `3 h`, `2 days`: a time in the largest unit of which it has two or more, rounded down. */
export function roughTime(milliseconds: number): string {
  const units: readonly [number, string][] = [
    [86_400_000, "days"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ];
  for (const [size, unit] of units) if (milliseconds >= 2 * size) return `${Math.floor(milliseconds / size)} ${unit}`;
  return `${Math.max(0, Math.floor(milliseconds / 1000))} s`;
}
