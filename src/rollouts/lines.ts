import { readSome, readTree } from "../catalog/commit-store.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { getRef, liveRef, mainRef } from "../catalog/ref-store.ts";
import { treeSide } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { readTogether } from "../consumers/stored-tests.ts";
import type { Reader } from "../db/db.ts";
import { bondsOf } from "./bonds.ts";
import { activeReleases, releaseContents, type Release, type ReleaseEntry } from "./release-store.ts";

/** Something that readers are on: what everybody has, or the candidates of a release under way. */
export interface Line {
  /** Folder of the files that are written for it. */
  folder: "live" | "candidate";
  /** Whose candidates they are; undefined: everybody's. */
  release: Release | undefined;
  /** The candidates, in place of what live has. */
  entries: readonly ReleaseEntry[];
  /** None of its candidates is among the datasets of the batch, but a foreign key, a rule in SQL or a consumer's test binds one to them. */
  isOnlyBound: boolean;
}

/** Live, and the candidates of each release under way that a batch on these datasets concerns. A bake has none any more. */
export async function linesFor(db: Reader, environment: string, datasetIds: readonly string[]): Promise<Line[]> {
  const releases = (await activeReleases(db, environment)).filter((release) => release.liveAt === null);
  const live: Line = { folder: "live", release: undefined, entries: [], isOnlyBound: false };
  if (releases.length === 0) return [live];
  const reached = new Set([...datasetIds, ...(await everBuiltFrom(db, datasetIds))]);
  const contents = await releaseContents(
    db,
    releases.map((release) => release.id),
  );
  const bound = await boundTo(
    db,
    environment,
    reached,
    [...contents.values()].flatMap(({ entries }) => entries),
  );
  const candidates = releases.flatMap((release): Line[] => {
    const entries = contents.get(release.id)?.entries ?? [];
    const isOnlyBound = !entries.some((entry) => reached.has(entry.datasetId));
    if (isOnlyBound && !entries.some((entry) => bound.has(entry.datasetId))) return [];
    return [{ folder: "candidate", release, entries, isOnlyBound }];
  });
  return [live, ...candidates];
}

/** Candidates that something binds to some datasets: a reader of both has them in one view. */
async function boundTo(
  db: Reader,
  environment: string,
  datasetIds: ReadonlySet<string>,
  candidates: readonly ReleaseEntry[],
): Promise<Set<string>> {
  const tree = await readTree(db, (await getRef(db, liveRef(environment))).commitId);
  const versions = new Map([...datasetIds].map((id) => [id, new Set<string>()]));
  for (const [id, version] of await readSome(db, tree, [...datasetIds])) versions.get(id)?.add(version);
  for (const { datasetId, beforeVersion, afterVersion } of candidates) {
    const known = versions.get(datasetId) ?? new Set();
    for (const id of [beforeVersion, afterVersion]) if (id !== null) known.add(id);
    versions.set(datasetId, known);
  }
  const main = treeSide(db, mainRef, await readTree(db, (await getRef(db, mainRef)).commitId));
  const bonds = await bondsOf(db, versions, await readTogether(main));
  return new Set([...datasetIds].flatMap((id) => [...(bonds.get(id) ?? [])]));
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
