/**
 * Which changes a version contains, in the dataset's own merge order: all numbers up to the watermark, which is the highest that it
 * holds, but `minus`. `open` are changes that were not merged when the version was written; once merged they count by their number.
 */
export interface ChangeSet {
  watermark: number;
  minus: readonly number[];
  open: readonly string[];
}

export const emptyChangeSet: ChangeSet = { watermark: 0, minus: [], open: [] };

/** The set with merged changes of `open` replaced by their numbers. Equal sets come out equal. */
export function normalise(set: ChangeSet, merged: ReadonlyMap<string, number>): ChangeSet {
  const settled = set.open.flatMap((id) => merged.get(id) ?? []);
  const open = set.open.filter((id) => !merged.has(id)).sort();
  return settled.reduce(withMerged, { ...set, open });
}

/** Whether a set holds the change with this merge number. */
export function contains(set: ChangeSet, seq: number): boolean {
  return seq <= set.watermark && !set.minus.includes(seq);
}

/** Whether a set holds all merged changes of another. */
export function containsAll(set: ChangeSet, other: ChangeSet): boolean {
  const missing = set.minus.some((seq) => contains(other, seq));
  if (missing) return false;
  for (let seq = set.watermark + 1; seq <= other.watermark; seq += 1) if (contains(other, seq)) return false;
  return true;
}

/** The set with one more change that is merged under `seq`. */
export function withMerged(set: ChangeSet, seq: number): ChangeSet {
  if (seq <= set.watermark) return { ...set, minus: set.minus.filter((other) => other !== seq) };
  const skipped = Array.from({ length: seq - set.watermark - 1 }, (_, i) => set.watermark + 1 + i);
  return { ...set, watermark: seq, minus: [...set.minus, ...skipped] };
}

/** The set with one more change that is not merged yet. */
export function withOpen(set: ChangeSet, changeId: string): ChangeSet {
  return set.open.includes(changeId) ? set : { ...set, open: [...set.open, changeId].sort() };
}

/** The set without one merged change. */
export function without(set: ChangeSet, seq: number): ChangeSet {
  if (!contains(set, seq)) return set;
  const minus = [...set.minus, seq].sort((a, b) => a - b);
  let watermark = set.watermark;
  while (minus.at(-1) === watermark && watermark > 0) {
    minus.pop();
    watermark -= 1;
  }
  return { ...set, watermark, minus };
}

/** Whether two sets that were normalised at the same moment hold the same changes. */
export function equalSets(a: ChangeSet, b: ChangeSet): boolean {
  const same = (x: readonly unknown[], y: readonly unknown[]) => x.length === y.length && x.every((item, i) => item === y[i]);
  return a.watermark === b.watermark && same(a.minus, b.minus) && same(a.open, b.open);
}
