import { grouped } from "../../lib/text.ts";

export interface VersionData {
  number: number;
  rows: number;
  files: number;
  bytes: number;
}
export interface ProposedData {
  dataset: string;
  base: VersionData | null;
  candidate: VersionData | null;
  inserted: number;
  updated: number;
  deleted: number;
  unchanged: number;
  notFound: number;
  notes: string[];
}
export interface MergedData {
  change: { id: string };
  commit: string;
  previousCommit: string;
  datasets: { dataset: string; before: VersionData | null; after: VersionData | null }[];
  release: { id: string; state: string; reason: string };
}
export interface ProposeAnswer {
  change: { id: string; state: string; title: string } | null;
  known: boolean;
  datasets: ProposedData[];
  merged: MergedData | null;
}

export function at(version: VersionData | null): string {
  return version === null ? "–" : `@${version.number}`;
}

export function doings(item: ProposedData): string {
  const parts = [
    item.inserted > 0 ? `${grouped(item.inserted)} added` : "",
    item.deleted > 0 ? `${grouped(item.deleted)} removed` : "",
    item.updated > 0 ? `${grouped(item.updated)} modified` : "",
    item.unchanged > 0 ? `${grouped(item.unchanged)} as they were` : "",
    item.notFound > 0 ? `${grouped(item.notFound)} not found` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "columns only" : parts.join(", ");
}

export function mergedLines(merged: MergedData): string[] {
  const moves = merged.datasets.map((item) => `${item.dataset} ${at(item.before)} → ${at(item.after)}`).join(", ");
  const first = `${merged.change.id} merged: main ${merged.previousCommit.slice(0, 6)} → ${merged.commit.slice(0, 6)}, ${moves}.`;
  const { release } = merged;
  return [first, release.state === "completed" ? `${release.id}: readers have it now.` : `‖ ${release.id} is held: ${release.reason}.`];
}
