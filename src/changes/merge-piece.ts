import type { Dataset } from "../catalog/dataset.ts";
import type { VersionContent } from "../catalog/side.ts";
import type { Version } from "../catalog/version.ts";
import type { Conflicts } from "../effects/carry.ts";
import type { LineResult } from "../effects/line-writer.ts";
import type { ChangeDataset } from "./change.ts";

/** One dataset of a change, before its result on main is built. */
export interface MergeSides {
  dataset: Dataset;
  item: ChangeDataset;
  base: Version | undefined;
  candidate: Version | undefined;
  /** What main has now; undefined when it has none. */
  onto: Version | undefined;
}

/** One dataset of a merge, built on today's main. */
export interface MergePiece {
  dataset: Dataset;
  item: ChangeDataset;
  /** What main has now; undefined when it has none. */
  onto: Version | undefined;
  /** Undefined: the dataset leaves main. */
  result: Exclude<LineResult, { kind: "conflicts" }> | undefined;
}

/** What main is to have of the dataset, before any transaction has named it; null when it leaves. */
export function contentOf(result: MergePiece["result"]): VersionContent | null {
  if (result === undefined) return null;
  return result.kind === "draft" ? result.draft.version : result.version;
}

export interface MergeConflict extends Conflicts {
  datasetId: string;
  dataset: string;
  base: number | undefined;
  theirs: number | undefined;
  /** Set when the conflict is about the dataset as a whole. */
  reason: string | undefined;
}

/** A conflict on a dataset; what is not said is not in conflict. */
export function conflictOn({ dataset, base, onto }: MergeSides, found: Partial<Conflicts> & { reason?: string }): MergeConflict {
  const nothing = { keyCount: 0, keys: [], schema: [], contract: [], missingRows: 0, reason: undefined };
  return { datasetId: dataset.id, dataset: dataset.name, base: base?.number, theirs: onto?.number, ...nothing, ...found };
}
