import { sql } from "kysely";
import { mutate, type Mutation, type MutationDeps } from "../../audit/mutation.ts";
import { readSome, readTree } from "../../catalog/commit-store.ts";
import { getRef, mainRef } from "../../catalog/ref-store.ts";
import { treeSide } from "../../catalog/side.ts";
import { getVersions, holdVersions } from "../../catalog/version-store.ts";
import { testsOfSide, testWords } from "../../consumers/stored-tests.ts";
import type { Reader } from "../../db/db.ts";
import { barsInView, barsOn } from "../rollback/bar-store.ts";
import { bondsOf } from "../bonds.ts";
import { standingHolds } from "./hold-store.ts";
import { addPinVersions, endPin, standingPins, type KeptPin } from "./pin-store.ts";
import { readerState } from "../views/reader-state.ts";
import { nextReleaseState } from "../release-machine.ts";
import { lockRelease, releaseEntries, releasesIn, type Release, type ReleaseEntry } from "../release-store.ts";

/** Versions to which datasets move, by dataset id; null where a dataset goes. */
export type Moving = ReadonlyMap<string, string | null>;

export const movingOf = (entries: readonly ReleaseEntry[]): Moving =>
  new Map(entries.map(({ datasetId, afterVersion }) => [datasetId, afterVersion]));

/**
 * The pins that a move concerns: it would give a pinned consumer another version of what is kept, or something that is bound to what is kept,
 * so that the consumer would have both as they were never tested together.
 */
export async function pinsConcerned(db: Reader, of: { environment: string; at: Date }, moving: Moving): Promise<KeptPin[]> {
  const pins = await standingPins(db, of);
  const partial = pins.filter((pin) => pin.commitId === null);
  if (partial.length === 0) return pins;
  const versions = new Map<string, Set<string>>();
  for (const [datasetId, id] of [...moving, ...partial.flatMap((pin) => [...pin.versions])]) {
    const known = versions.get(datasetId) ?? new Set<string>();
    versions.set(datasetId, id === null ? known : known.add(id));
  }
  const bonds = await bondsOf(db, versions, []);
  const found = new Set(pins.filter((pin) => pin.commitId !== null));
  for (const pin of partial) {
    const kept = [...pin.versions.keys()];
    const isBound = kept.some((id) => moving.has(id) || [...(bonds.get(id) ?? [])].some((other) => moving.has(other)));
    if (isBound || (await readTogether(db, pin, moving))) found.add(pin);
  }
  return pins.filter((pin) => found.has(pin));
}

/** Whether a test of the pinned consumer reads something of both. */
async function readTogether(db: Reader, pin: KeptPin, moving: Moving): Promise<boolean> {
  const words = await testsWords(db, pin.consumer);
  if (words.length === 0) return false;
  const versions = new Map([...moving.keys(), ...pin.versions.keys()].map((id) => [id, new Set<string>()]));
  const bonds = await bondsOf(db, versions, words);
  return [...pin.versions.keys()].some((id) => [...(bonds.get(id) ?? [])].some((other) => moving.has(other)));
}

/** The words of each test of a consumer, as main has them. */
export async function testsWords(db: Reader, consumer: string): Promise<ReadonlySet<string>[]> {
  const main = treeSide(db, mainRef, await readTree(db, (await getRef(db, mainRef)).commitId));
  return (await testsOfSide(main, { consumer })).map(({ test }) => testWords(test));
}

/**
 * Before readers move: whoever is pinned on something that moves, or on something bound to it, keeps all of it as it has it now. Gives the
 * pins that stay behind; `only` of these consumers. The caller has locked the environment's ref and moved nothing yet.
 */
export async function keepPinned(
  m: Mutation,
  environment: string,
  move: { moving: Moving; liveTree: string; only?: readonly string[] },
): Promise<KeptPin[]> {
  const behind: KeptPin[] = [];
  for (const pin of await pinsConcerned(m.tx, { environment, at: m.at }, move.moving)) {
    if (move.only?.includes(pin.consumer) === false) continue;
    const more = [...move.moving.keys()].filter((id) => !pin.versions.has(id));
    if (pin.commitId === null && more.length > 0) await extend(m, pin, { datasetIds: more, liveTree: move.liveTree });
    if (pin.commitId !== null || [...move.moving].some(([id, version]) => pin.versions.get(id) !== version)) behind.push(pin);
  }
  return behind;
}

async function extend(m: Mutation, pin: KeptPin, more: { datasetIds: readonly string[]; liveTree: string }): Promise<void> {
  const { view } = await readerState(m.tx, { environment: pin.environment, consumer: pin.consumer, at: m.at });
  const live = await readSome(m.tx, more.liveTree, more.datasetIds);
  const versions = new Map(
    more.datasetIds.map((id) => {
      const own = view.overlay[id];
      return [id, own === undefined ? (live.get(id) ?? null) : own] as const;
    }),
  );
  await holdVersions(
    m.tx,
    [...versions.values()].flatMap((id) => id ?? []),
  );
  await addPinVersions(m.tx, pin.id, versions, m.at);
  m.record({ action: "pin.extend", subject: pin.consumer, payload: { pin: pin.id, versions: Object.fromEntries(versions) } });
}

/** Pins that keep their consumers from what a release gives all others. */
export async function pinsBeside(db: Reader, release: Release, entries: readonly ReleaseEntry[], at: Date): Promise<KeptPin[]> {
  const pins = await standingPins(db, { environment: release.environment, at });
  const found: KeptPin[] = [];
  for (const pin of pins) {
    if (release.liveAt !== null && pin.createdAt > release.liveAt) continue;
    const others = entries.filter((entry) => !pin.versions.has(entry.datasetId)).map((entry) => entry.datasetId);
    const whole = pin.commitId === null ? undefined : await readSome(db, await readTree(db, pin.commitId), others);
    const isBehind = entries.some(({ datasetId, afterVersion }) => {
      const kept = pin.versions.get(datasetId);
      if (kept !== undefined) return kept !== afterVersion;
      return whole !== undefined && (whole.get(datasetId) ?? null) !== afterVersion;
    });
    if (isBehind) found.push(pin);
  }
  return found;
}

/** Whether some consumer does not have what a release gives all others. */
export async function keepsSomebodyBack(db: Reader, release: Release, at: Date): Promise<boolean> {
  if ((await standingHolds(db, release.id, at)).length > 0) return true;
  return (await pinsBeside(db, release, await releaseEntries(db, release.id), at)).length > 0;
}

/** Completes the releases that held somebody back and do so no longer; gives how many. */
export async function settleHeld(m: Mutation, environment: string): Promise<number> {
  let settled = 0;
  for (const { id } of await releasesIn(m.tx, environment, ["completed_with_holds"])) {
    const release = await lockRelease(m.tx, id);
    if (release.state !== "completed_with_holds" || (await keepsSomebodyBack(m.tx, release, m.at))) continue;
    const state = nextReleaseState(release, "complete");
    await m.tx.updateTable("releases").set({ state }).where("id", "=", id).execute();
    m.record({ action: "release.complete", subject: id, payload: { change: release.changeId, state } });
    settled += 1;
  }
  return settled;
}

/** Of releases: those that held somebody back until a hold or pin came to its end by itself. */
export function ofExpired(db: Reader, at: Date) {
  return db
    .selectFrom("releases")
    .where("state", "=", "completed_with_holds")
    .where(
      sql<boolean>`(exists (select from holds where holds.release_id = releases.id and ended_at is null and expires_at <= ${at})
        or exists (select from pins where pins.environment = releases.environment and ended_at is null and expires_at between finished_at and ${at}))`,
    );
}

/** Completes releases whose last hold or pin has come to its end by itself: its consumer has what all have since then. */
export async function settleExpired(deps: MutationDeps): Promise<void> {
  const at = deps.clock.now();
  const rows = await ofExpired(deps.db, at).select("environment").distinct().execute();
  for (const { environment } of rows) {
    const held = await releasesIn(deps.db, environment, ["completed_with_holds"]);
    const keeping = await Promise.all(held.map((release) => keepsSomebodyBack(deps.db, release, at)));
    if (keeping.every(Boolean)) continue;
    await mutate(deps, "tidegate", async (m) => {
      if ((await settleHeld(m, environment)) === 0) m.record({ action: "release.not_due", subject: environment, payload: {} });
    });
  }
}

/** A pin on what has just been barred ends in the same transaction: its consumer has what all have then, and is told so. */
export async function endBarredPins(m: Mutation, environment: string): Promise<void> {
  for (const pin of await standingPins(m.tx, { environment, at: m.at })) {
    const barred = await barredIn(m.tx, pin);
    if (barred.length === 0) continue;
    await endPin(m.tx, pin.id, { at: m.at, barred });
    m.record({ action: "pin.end", subject: pin.consumer, payload: { pin: pin.id, barred } });
  }
}

async function barredIn(db: Reader, pin: KeptPin): Promise<string[]> {
  if (pin.commitId !== null) return [...(await barsInView(db, await readTree(db, pin.commitId), Object.fromEntries(pin.versions)))].sort();
  const ids = [...pin.versions.values()].flatMap((id) => id ?? []);
  return [...(await barsOn(db, [...(await getVersions(db, ids)).values()]))].sort();
}
