import type { Mutation } from "../audit/mutation.ts";
import { containsAll } from "../catalog/change-set.ts";
import { readSome } from "../catalog/commit-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import type { Reader } from "../db/db.ts";
import { endHolds, putHolds, standingHolds, stayingBack } from "./pins/hold-store.ts";
import { keepPinned, movingOf } from "./pins/pin-moves.ts";
import { completeRelease } from "./release-end.ts";
import { isActive, nextReleaseState } from "./release-machine.ts";
import {
  activeReleases,
  finishRelease,
  lockRelease,
  putChanges,
  releaseContents,
  type Release,
  type ReleaseEntry,
} from "./release-store.ts";
import { addShares, sharesOfRelease, type Share } from "./share-store.ts";
import { membersOfRelease } from "./step-store.ts";

/*
 * A release in the place of an older one of its datasets (`queue: supersede` in its plan). With its first step the older one ends, and whoever
 * was on the older candidates is in that step: all in one transaction, so that nobody goes back to what all have in between.
 */

/** A release in whose place another comes, with what its readers have. */
export interface Older {
  release: Release;
  entries: readonly ReleaseEntry[];
  members: readonly string[];
  /** Percentages of the runs of others that it has moved. */
  shares: readonly Share[];
}

/** All of whom an older release has moved something. */
export const readersOf = ({ members, shares }: Older): string[] => [...new Set([...members, ...shares.map(({ consumer }) => consumer)])];

/** Whether a release that is under way may be ended by a newer one. Of a bake that somebody or the judge stopped, that is decided first. */
export function canEnd(release: Release): boolean {
  return isActive(release.state) && (release.liveAt === null || release.state === "running");
}

/** In whose place a release comes with its first step: the older ones of its datasets under way. None once it has begun. */
export async function olderOf(db: Reader, release: Release, entries: readonly ReleaseEntry[]): Promise<Older[]> {
  if (release.queue !== "supersede" || release.step > 0 || !isActive(release.state)) return [];
  const own = new Set(entries.map((entry) => entry.datasetId));
  const others = (await activeReleases(db, release.environment)).filter((other) => isBefore(other, release) && canEnd(other));
  const contents = await releaseContents(
    db,
    others.map(({ id }) => id),
  );
  const found: Older[] = [];
  for (const other of others) {
    const theirs = contents.get(other.id)?.entries ?? [];
    if (!theirs.some((entry) => own.has(entry.datasetId))) continue;
    const members = (await membersOfRelease(db, other.id)).map(({ consumer }) => consumer);
    const isLive = other.liveAt !== null;
    const shares = isLive ? [] : await sharesOfRelease(db, other.id);
    found.push({ release: other, entries: theirs, members: isLive ? [] : members, shares });
  }
  return found;
}

const isBefore = (other: Release, release: Release): boolean =>
  other.id !== release.id && (other.step > 0 || other.createdAt < release.createdAt);

/** What a look at older releases has seen: what they have moved since is another question. */
export function seenOf(older: readonly Older[]): string {
  const had = ({ entries }: Older) => entries.map(({ datasetId, afterVersion }) => [datasetId, afterVersion]);
  return JSON.stringify(older.map((item) => [item.release.id, had(item), readersOf(item)]));
}

/** Datasets of which readers of an older release have something that a newer one would not give them. */
export async function lackingOf(
  db: Reader,
  older: readonly Older[],
  next: { liveTree: string; entries: readonly ReleaseEntry[] },
): Promise<{ release: string; datasetId: string } | undefined> {
  const candidates = new Map(next.entries.map((entry) => [entry.datasetId, entry.afterVersion]));
  for (const { release, entries } of older.filter((item) => readersOf(item).length > 0)) {
    const live = await readSome(
      db,
      next.liveTree,
      entries.map((entry) => entry.datasetId),
    );
    const toVersion = (id: string): string | null => (candidates.has(id) ? (candidates.get(id) ?? null) : (live.get(id) ?? null));
    const versions = await getVersions(
      db,
      entries.flatMap((entry) => [entry.afterVersion ?? [], toVersion(entry.datasetId) ?? []].flat()),
    );
    for (const { datasetId, afterVersion } of entries) {
      const [has, gets] = [versions.get(afterVersion ?? ""), versions.get(toVersion(datasetId) ?? "")];
      // What is built follows its inputs, and what the newer one drops was dropped after the older one.
      if (has === undefined || has.inputs !== null || (gets === undefined && candidates.has(datasetId))) continue;
      const isContained = gets !== undefined && containsAll(await settledChangeSet(db, gets), await settledChangeSet(db, has));
      if (!isContained) return { release: release.id, datasetId };
    }
  }
  return undefined;
}

/**
 * Ends the older ones in the transaction in which the first step of a release starts; gives whom they had moved. Who was held back from them is
 * held back from it, what they bring is brought by it, and who pinned something beside their candidates keeps it. A bake is over: all have it.
 */
export async function endOlder(
  m: Mutation,
  next: { release: Release; entries: readonly ReleaseEntry[]; liveTree: string },
): Promise<string[]> {
  const { release, entries, liveTree } = next;
  const moved = new Set<string>();
  for (const found of await olderOf(m.tx, release, entries)) {
    const older = await lockRelease(m.tx, found.release.id);
    if (older.liveAt !== null) {
      await completeRelease(m, older, `all readers have it; ${release.id} comes after it`);
      continue;
    }
    const pinned = { moving: movingOf(found.entries), liveTree, only: readersOf(found) };
    await keepPinned(m, release.environment, pinned);
    await takeHolds(m, { from: older.id, to: release.id, entries, liveTree });
    // The same runs stay in: they are chosen by the older one's hash.
    await addShares(
      m.tx,
      release.id,
      found.shares.map((share) => ({ ...share, ordinal: 1, since: m.at })),
    );
    const changes = (await releaseContents(m.tx, [older.id])).get(older.id)?.changes ?? [];
    await putChanges(m.tx, release.id, changes);
    await finishRelease(m.tx, older.id, { state: nextReleaseState(older, "supersede"), at: m.at, reason: `superseded by ${release.id}` });
    m.record({ action: "release.supersede", subject: older.id, payload: { by: release.id, moved: found.members, changes } });
    m.enqueue("release.ended", { release: older.id });
    for (const consumer of found.members) moved.add(consumer);
  }
  return [...moved].sort();
}

async function takeHolds(m: Mutation, of: { from: string; to: string; entries: readonly ReleaseEntry[]; liveTree: string }): Promise<void> {
  const own = new Set((await standingHolds(m.tx, of.to, m.at)).map(({ consumer }) => consumer));
  // Who is served a projection of the older candidates is served one of the new, by the tests of the step.
  const holds = stayingBack(await standingHolds(m.tx, of.from, m.at)).filter(({ consumer }) => !own.has(consumer));
  const ids = of.entries.map((entry) => entry.datasetId);
  const now = await readSome(m.tx, of.liveTree, ids);
  await putHolds(m.tx, of.to, holds, { versions: new Map(ids.map((id) => [id, now.get(id) ?? null])), at: m.at });
  await endHolds(m.tx, of.from, { at: m.at });
}
