import { contains, type ChangeSet } from "../../catalog/change-set.ts";

/** A barred change of one dataset, with its number in the dataset's merge order. */
export interface StandingBar {
  changeId: string;
  seq: number;
}

/** Merged changes that revert another, per reverted change. */
export type Reverts = ReadonlyMap<string, readonly StandingBar[]>;

/** Whether a change has its effect in a version: it is contained, and no revert of it is in effect there. */
export function inEffect(set: ChangeSet, change: StandingBar, reverts: Reverts): boolean {
  if (!contains(set, change.seq)) return false;
  return !(reverts.get(change.changeId) ?? []).some((revert) => inEffect(set, revert, reverts));
}

/** Barred changes that a version would bring to readers. Empty: it may be released. */
export function barredIn(set: ChangeSet, bars: readonly StandingBar[], reverts: Reverts): string[] {
  return bars.filter((bar) => inEffect(set, bar, reverts)).map((bar) => bar.changeId);
}
