/** Suites run side by side, and each takes its share of the seeds. */
export interface Share {
  /** From 0. */
  part: number;
  of: number;
}

/**
 * The seeds of a share: `few` of all of them, in a soak `many`. `TIDEGATE_SEED` says where they begin and `TIDEGATE_SEEDS` how many there are;
 * `TIDEGATE_SIMULATE` names the one that is replayed, by the first share alone.
 */
export function seedsOf({ part, of }: Share, counts: { few: number; many: number }): { seeds: number[]; isReplay: boolean } {
  const replayed = process.env["TIDEGATE_SIMULATE"];
  if (replayed !== undefined) return { seeds: part === 0 ? [Number(replayed)] : [], isReplay: true };
  const first = Number(process.env["TIDEGATE_SEED"] ?? 1);
  const count = Number(process.env["TIDEGATE_SEEDS"] ?? (process.env["TIDEGATE_SOAK"] === "1" ? counts.many : counts.few));
  const all = Array.from({ length: count }, (_, index) => first + index);
  return { seeds: all.filter((_, index) => index % of === part), isReplay: false };
}
