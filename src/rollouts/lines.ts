import { readSome } from "../catalog/commit-store.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { Reader } from "../db/db.ts";
import { activeReleases, releaseContents, type Release, type ReleaseEntry } from "./release-store.ts";

/** Something that readers are on: what everybody has, or the candidates of a release under way. */
export interface Line {
  /** Folder of the files that are written for it. */
  folder: "live" | "candidate";
  /** Whose candidates they are; undefined: everybody's. */
  release: Release | undefined;
  /** The candidates, in place of what live has. */
  entries: readonly ReleaseEntry[];
}

/** Live, and the candidates of each release under way that a batch on these datasets concerns. A bake has none any more. */
export async function linesFor(db: Reader, environment: string, datasetIds: readonly string[]): Promise<Line[]> {
  const releases = (await activeReleases(db, environment)).filter((release) => release.liveAt === null);
  const live: Line = { folder: "live", release: undefined, entries: [] };
  if (releases.length === 0) return [live];
  const reached = new Set([...datasetIds, ...(await everBuiltFrom(db, datasetIds))]);
  const contents = await releaseContents(
    db,
    releases.map((release) => release.id),
  );
  const candidates = releases.flatMap((release): Line[] => {
    const entries = contents.get(release.id)?.entries ?? [];
    return entries.some((entry) => reached.has(entry.datasetId)) ? [{ folder: "candidate", release, entries }] : [];
  });
  return [live, ...candidates];
}

/** Whether lines that were read at two moments offer the same. */
export function sameLines(a: readonly Line[], b: readonly Line[]): boolean {
  const key = (lines: readonly Line[]): string =>
    JSON.stringify(lines.map(({ release, entries }) => [release?.id, entries.map((entry) => [entry.datasetId, entry.afterVersion])]));
  return key(a) === key(b);
}

/** What a line has of some datasets. */
export async function versionsOnLine(
  db: Reader,
  tree: string,
  line: Pick<Line, "entries">,
  datasetIds: readonly string[],
): Promise<Map<string, Version>> {
  const ids = await readSome(db, tree, datasetIds);
  for (const { datasetId, afterVersion } of line.entries) {
    if (!datasetIds.includes(datasetId)) continue;
    if (afterVersion === null) ids.delete(datasetId);
    else ids.set(datasetId, afterVersion);
  }
  const versions = await getVersions(db, [...ids.values()]);
  return new Map([...versions.values()].map((version) => [version.datasetId, version]));
}
