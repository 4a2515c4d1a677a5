import type { Mutation } from "../audit/mutation.ts";
import { readTree } from "../catalog/commit-store.ts";
import { DoomedProjection } from "../catalog/projection-store.ts";
import { liveRef, lockRefs, standingRef, type Ref } from "../catalog/ref-store.ts";
import type { Reader } from "../db/db.ts";
import { misfitText } from "./fit.ts";
import { nextReleaseState, type ReleaseEvent } from "./release-machine.ts";
import { findRelease, getRelease, lockRelease, releaseEntries, type Release, type ReleaseEntry } from "./release-store.ts";
import { completeRelease } from "./release-end.ts";
import { behindLive, startStep } from "./step-commit.ts";
import { stepsOf } from "./step-store.ts";
import { lackingOf, olderOf, seenOf } from "./supersede.ts";
import { testRelease, type RolloutDeps, type StepTests } from "./step-tests.ts";

/* One turn of a release, whoever brings it about: a person (release-service.ts) or time (due-service.ts). */

export const minute = 60_000;

export interface Turn {
  event: ReleaseEvent;
  reason: string;
  dueAt: Date | null;
  /** When it is looked at again by itself, of what the judge or a missing end holds. */
  lookAt?: Date;
}

export async function setState(m: Mutation, release: Release, { event, reason, dueAt, lookAt }: Turn): Promise<Release> {
  const state = nextReleaseState(release, event);
  const row = { state, reason, due_at: dueAt, look_at: lookAt ?? null };
  await m.tx.updateTable("releases").set(row).where("id", "=", release.id).execute();
  m.record({ action: `release.${event}`, subject: release.id, payload: { reason } });
  if (state === "paused" || state === "held") m.enqueue("release.stopped", { release: release.id, reason });
  return { ...release, state, reason, dueAt, lookAt: lookAt ?? null };
}

/** A release and its environment's ref, locked in this order. */
export async function locked(m: Mutation, id: string): Promise<{ release: Release; live: Ref }> {
  const environment = (await findRelease(m.tx, id))?.environment ?? "";
  const live = standingRef(await lockRefs(m.tx, [liveRef(environment)]), liveRef(environment));
  return { release: await lockRelease(m.tx, id), live };
}

/** Starts the step after the one under way, or ends the bake. What would take something from readers is held instead. */
export async function startNext(m: Mutation, release: Release, live: Ref, tests: StepTests | undefined): Promise<Release> {
  const behind = await behindNames(m.tx, live, release);
  if (behind.length > 0) {
    const reason = `readers have what its candidates lack of ${behind.join(", ")}`;
    const lookAt = new Date(m.at.getTime() + minute);
    return setState(m, release, { event: "hold", reason, dueAt: null, lookAt });
  }
  const steps = await stepsOf(m.tx, release.id);
  const message = await titleOf(m, release);
  if (release.step === steps.length) return completeRelease(m, release, message);
  const entries = await releaseEntries(m.tx, release.id);
  const older = await olderOf(m.tx, release, entries);
  const isTested = tests?.liveGeneration === live.generation && sameEntries(tests.entries, entries) && tests.older === seenOf(older);
  if (!isTested) throw new Untested();
  const lacking = await lackingOf(m.tx, older, { liveTree: await readTree(m.tx, live.commitId), entries });
  if (lacking !== undefined) {
    const [name] = await namesOf(m.tx, [lacking.datasetId]);
    const reason = `readers of ${lacking.release} have what its candidates lack of ${name ?? lacking.datasetId}`;
    return setState(m, release, { event: "hold", reason, dueAt: null, lookAt: new Date(m.at.getTime() + minute) });
  }
  if (tests.misfits.length > 0) {
    const lookAt = new Date(m.at.getTime() + minute);
    return setState(m, release, { event: "hold", reason: misfitText(tests.misfits), dueAt: null, lookAt });
  }
  return startStep(m, { release, live, entries, steps, message, broken: tests.broken, projected: tests.projected });
}

const sameEntries = (a: readonly ReleaseEntry[], b: readonly ReleaseEntry[]): boolean =>
  a.length === b.length &&
  a.every((entry, index) => entry.datasetId === b[index]?.datasetId && entry.afterVersion === b[index]?.afterVersion);

async function titleOf(m: Mutation, release: Release): Promise<string> {
  if (release.changeId === null) return release.id;
  const row = await m.tx.selectFrom("changes").select("title").where("id", "=", release.changeId).executeTakeFirst();
  return row?.title ?? release.id;
}

/** Names of datasets of which a step would take something from readers. The bake takes nothing: readers have the candidates already. */
export async function behindNames(db: Reader, live: Ref, release: Release): Promise<string[]> {
  if (release.liveAt !== null) return [];
  const ids = await behindLive(db, live, await releaseEntries(db, release.id));
  return ids.length === 0 ? [] : namesOf(db, ids);
}

async function namesOf(db: Reader, ids: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom("datasets")
    .select("name")
    .where("id", "in", [...ids])
    .orderBy("name")
    .execute();
  return rows.map((row) => row.name);
}

/** Readers or candidates moved between the tests and the step: they are tested again. */
class Untested extends Error {}

const attempts = 10;

/** Runs work that starts a step, with the tests of the state on which it finds the release. */
export async function tested<T>(deps: RolloutDeps, id: string, work: (tests: StepTests | undefined) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const release = await getRelease(deps.db, id);
    const moves = release.state === "running" || release.lookAt !== null;
    const tests = moves && release.liveAt === null ? await testRelease(deps, release) : undefined;
    try {
      return await work(tests);
    } catch (error) {
      if (!(error instanceof Untested || error instanceof DoomedProjection) || attempt >= attempts) throw error;
    }
  }
}
