import { byText } from "../lib/text.ts";

/** A version as commands show it. */
export interface ShownVersion {
  number: number;
  rows: number;
  files: number;
  bytes: number;
}

export interface Merged {
  change: { id: string };
  commit: string;
  previousCommit: string;
  datasets: { dataset: string; before: ShownVersion | null; after: ShownVersion | null }[];
  release: { id: string; state: string; reason: string };
}

/** `@7`, or a dash where there is no version. */
export function at(version: Pick<ShownVersion, "number"> | null): string {
  return version === null ? "–" : `@${version.number}`;
}

const shownMoves = 6;

/** What a merge did to main, and what readers have of it. */
export function mergedLines({ change, commit, previousCommit, datasets, release }: Merged): string[] {
  const sorted = datasets.toSorted((a, b) => byText(a.dataset, b.dataset));
  const moves = sorted.slice(0, shownMoves).map((item) => `${item.dataset} ${at(item.before)} → ${at(item.after)}`);
  const more = datasets.length > shownMoves ? ` and ${datasets.length - shownMoves} more` : "";
  const first = `${change.id} merged: main ${previousCommit.slice(0, 6)} → ${commit.slice(0, 6)}${["", ...moves].join(", ")}${more}.`;
  return [first, release.state === "completed" ? `${release.id}: readers have it now.` : `‖ ${release.id} is held: ${release.reason}.`];
}
