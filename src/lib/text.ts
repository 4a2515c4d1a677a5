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
