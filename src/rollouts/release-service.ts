import { mutate, type Mutation, type MutationDeps } from "../audit/mutation.ts";
import { liveRef, lockRefs, type Ref } from "../catalog/ref-store.ts";
import { trySessionLock } from "../db/advisory.ts";
import { AppError } from "../lib/errors.ts";
import { frozenNow } from "./freeze-reads.ts";
import { frozenText, type Frozen } from "./freeze.ts";
import { nextReleaseState, type ReleaseEvent } from "./release-machine.ts";
import { misfitText } from "./fit.ts";
import { judge, judgeActor, takeBack } from "./judge-service.ts";
import { dueReleases, findRelease, getRelease, lockRelease, releaseEntries, type Release, type ReleaseEntry } from "./release-store.ts";
import { behindLive, completeRelease, startStep } from "./step-commit.ts";
import { testRelease, type RolloutDeps, type StepTests } from "./step-tests.ts";
import { stepsOf, type ReleaseStep } from "./step-store.ts";

export interface ReleaseRequest {
  /** Its id, which may be cut to what is unique. */
  release: string;
  actor: string;
  reason?: string | undefined;
  /** Why a step starts in a freeze all the same. */
  override?: string | undefined;
}

/**
 * Starts a release's next step now: what an approval waits for, and what ends a wait early. In the bake it ends the bake. A person may go on
 * over what the judge has not proved yet, on record; over harm nobody may: the release is taken back instead.
 */
export async function advance(deps: RolloutDeps, request: ReleaseRequest): Promise<Release> {
  const found = await getRelease(deps.db, request.release);
  const { id } = found;
  const judged = await judge(deps, found);
  if (judged?.verdict === "HARM") {
    await takeBack(deps, found, judged);
    throw new AppError("judge.harm", `${id} does harm, and has been taken back instead: ${judged.reason}.`, {
      expected: "a step that does no harm",
      found: judged.reason,
      hint: `tidegate release show ${id}`,
    });
  }
  return tested(deps, id, (tests) =>
    mutate(deps, request.actor, async (m) => {
      const { release: now, live } = await locked(m, id);
      // Whoever advances what the judge holds takes the judge's word back.
      const release =
        now.lookAt === null ? now : await setState(m, now, { event: "resume", reason: `advanced by ${m.actor}`, dueAt: null });
      nextReleaseState(release, "advance");
      if (judged !== undefined && judged.verdict !== "SAFE") {
        const { verdict, reason } = judged;
        m.record({ action: "release.advance_unproved", subject: id, payload: { verdict, reason, why: request.reason ?? null } });
      }
      const frozen = release.liveAt === null ? await frozenNow(m.tx, m.at) : undefined;
      if (frozen !== undefined && request.override === undefined) throw frozenError(release, frozen);
      if (frozen !== undefined)
        m.record({ action: "release.override", subject: id, payload: { reason: request.override, freeze: frozen.freeze.reason } });
      return next(m, release, live, tests);
    }),
  );
}

function frozenError(release: Release, frozen: Frozen): AppError {
  return new AppError("release.frozen", `${release.id} ${frozenText(frozen)}.`, {
    expected: "a moment outside of the policy's freezes, or a reason to override them",
    found: frozen.freeze.reason,
    hint: `tidegate release advance ${release.id} --override "why it cannot wait"`,
  });
}

/** Readers or candidates moved between the tests and the step: they are tested again. */
class Untested extends Error {}

const attempts = 10;

/** Runs work that starts a step, with the tests of the state on which it finds the release. */
async function tested<T>(deps: RolloutDeps, id: string, work: (tests: StepTests | undefined) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const release = await getRelease(deps.db, id);
    const moves = release.state === "running" || release.lookAt !== null;
    const tests = moves && release.liveAt === null ? await testRelease(deps, release) : undefined;
    try {
      return await work(tests);
    } catch (error) {
      if (!(error instanceof Untested) || attempt >= attempts) throw error;
    }
  }
}

/** Stops a release where it is: nobody more is moved, and whoever has the candidates keeps them. */
export async function pause(deps: MutationDeps, request: ReleaseRequest): Promise<Release> {
  const { id } = await getRelease(deps.db, request.release);
  return mutate(deps, request.actor, async (m) => {
    const { release } = await locked(m, id);
    const reason = request.reason ?? `paused by ${m.actor}`;
    return setState(m, release, { event: "pause", reason, dueAt: null });
  });
}

/** Lets a release go on. A wait that has passed meanwhile is over. */
export async function resume(deps: MutationDeps, request: ReleaseRequest): Promise<Release> {
  const { id } = await getRelease(deps.db, request.release);
  return mutate(deps, request.actor, async (m) => {
    const { release } = await locked(m, id);
    const steps = await stepsOf(m.tx, release.id);
    const first = steps[0]?.step.approval === true ? "its first step waits for somebody to advance it" : "its first step is due";
    const reason = release.step === 0 ? first : `step ${release.step} of ${steps.length}`;
    return setState(m, release, { event: "resume", reason, dueAt: dueOf(release, steps, m.at) });
  });
}

/** When the step under way ends by itself, now at the earliest; null when somebody must say so. */
function dueOf(release: Release, steps: readonly ReleaseStep[], at: Date): Date | null {
  const [now, after] = [steps[release.step - 1], steps[release.step]];
  if (release.step === 0) return after?.step.approval === true ? null : at;
  if (now?.startedAt == null || now.step.waitMs === null || after?.step.approval === true) return null;
  return new Date(Math.max(at.getTime(), now.startedAt.getTime() + now.step.waitMs));
}

interface Turn {
  event: ReleaseEvent;
  reason: string;
  dueAt: Date | null;
  /** When it is looked at again by itself, of what the judge or a missing end holds. */
  lookAt?: Date;
}

async function setState(m: Mutation, release: Release, { event, reason, dueAt, lookAt }: Turn): Promise<Release> {
  const state = nextReleaseState(release, event);
  const row = { state, reason, due_at: dueAt, look_at: lookAt ?? null };
  await m.tx.updateTable("releases").set(row).where("id", "=", release.id).execute();
  m.record({ action: `release.${event}`, subject: release.id, payload: { reason } });
  if (state === "paused" || state === "held") m.enqueue("release.stopped", { release: release.id, reason });
  return { ...release, state, reason, dueAt, lookAt: lookAt ?? null };
}

/** A release and its environment's ref, locked in this order. */
async function locked(m: Mutation, id: string): Promise<{ release: Release; live: Ref }> {
  const environment = (await findRelease(m.tx, id))?.environment ?? "";
  const live = (await lockRefs(m.tx, [liveRef(environment)])).get(liveRef(environment));
  if (live === undefined) throw new AppError("branch.not_found", "live is missing.", { hint: "tidegate doctor" });
  return { release: await lockRelease(m.tx, id), live };
}

/** Starts the step after the one under way, or ends the bake. What would take something from readers is held instead. */
async function next(m: Mutation, release: Release, live: Ref, tests: StepTests | undefined): Promise<Release> {
  const behind = await behindNames(m, live, release);
  if (behind.length > 0) {
    const reason = `readers have what its candidates lack of ${behind.join(", ")}`;
    return setState(m, release, { event: "hold", reason, dueAt: null });
  }
  const steps = await stepsOf(m.tx, release.id);
  const message = await titleOf(m, release);
  if (release.step === steps.length) return completeRelease(m, release, message);
  const entries = await releaseEntries(m.tx, release.id);
  if (tests?.liveGeneration !== live.generation || !sameEntries(tests.entries, entries)) throw new Untested();
  if (tests.misfits.length > 0) {
    const lookAt = new Date(m.at.getTime() + minute);
    return setState(m, release, { event: "hold", reason: misfitText(tests.misfits), dueAt: null, lookAt });
  }
  return startStep(m, { release, live, entries, steps, message, broken: tests.broken });
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
async function behindNames(m: Mutation, live: Ref, release: Release): Promise<string[]> {
  if (release.liveAt !== null) return [];
  const ids = await behindLive(m, live, await releaseEntries(m.tx, release.id));
  if (ids.length === 0) return [];
  const rows = await m.tx.selectFrom("datasets").select("name").where("id", "in", ids).orderBy("name").execute();
  return rows.map((row) => row.name);
}

const lockName = "tidegate rollouts";

/**
 * Starts every step that is due, in one process at a time; gives how many. A step lasts its whole wait from when it really started, so a server
 * that was down for a week moves one ring, not all. Each is one transaction that looks again at the release under lock, so a step starts once,
 * whoever asks, and a process that dies leaves it wholly begun or wholly due. A release that fails is tried again the next time and keeps no
 * other waiting; what failed first is thrown in the end.
 */
export async function advanceDue(deps: RolloutDeps): Promise<number> {
  const failed = new Map<string, unknown>();
  const due = async (): Promise<Release[]> => (await dueReleases(deps.db, deps.clock.now())).filter(({ id }) => !failed.has(id));
  if ((await due()).length === 0) return 0;
  const worked = await trySessionLock(deps.db, lockName, async (lost) => {
    let started = 0;
    for (let releases = await due(); releases.length > 0; releases = await due()) {
      for (const { id } of releases) {
        lost.throwIfAborted();
        try {
          await startDue(deps, id);
          started += 1;
        } catch (error) {
          failed.set(id, error);
        }
      }
    }
    return started;
  });
  const [first] = failed.values();
  if (first !== undefined) throw first;
  return worked.held ? worked.value : 0;
}

async function startDue(deps: RolloutDeps, id: string): Promise<void> {
  const release = await getRelease(deps.db, id);
  if (await stoppedByJudge(deps, release)) return;
  if (release.state === "held" && !((await fitsNow(deps, release)) && (await letGo(deps, id)))) return;
  await tested(deps, id, (tests) => startDueWith(deps, id, tests));
}

const minute = 60_000;
/** A wait that ended longer ago than this ended while nobody was there to look. */
const unwatched = 10 * minute;

/** Asks the judge before a step that is due: harm is taken back, and all but SAFE is held until the judge, which looks again, finds it so. */
async function stoppedByJudge(deps: RolloutDeps, release: Release): Promise<boolean> {
  const now = deps.clock.now().getTime();
  const judged = await judge(deps, release);
  if (judged === undefined) return false;
  if (judged.verdict === "HARM") {
    await takeBack(deps, release, judged);
    return true;
  }
  const isLate = release.state === "running" && release.dueAt !== null && now - release.dueAt.getTime() > unwatched;
  const verdict = isLate ? "NO_DATA" : judged.verdict;
  if (verdict === "SAFE") return false;
  const reason = `${verdict}: ${isLate ? "its wait ended while nobody was there to look" : judged.reason}`;
  await holdAgain(deps, release, { reason, as: `${verdict}:`, by: judgeActor, lookAt: new Date(now + (isLate ? 5 * minute : minute)) });
  return true;
}

/** Looks again at a release that is held: whether what its step gives would fit together now. */
async function fitsNow(deps: RolloutDeps, release: Release): Promise<boolean> {
  const { misfits } = await testRelease(deps, release);
  if (release.liveAt !== null || misfits.length === 0) return true;
  const reason = misfitText(misfits);
  await holdAgain(deps, release, { reason, as: reason, by: "tidegate", lookAt: new Date(deps.clock.now().getTime() + minute) });
  return false;
}

/** Holds a release that is due, and looks again later by itself. What is held for the same (`as`: how its reason begins) stays so untold. */
async function holdAgain(
  deps: RolloutDeps,
  { id }: Release,
  hold: { reason: string; as: string; by: string; lookAt: Date },
): Promise<void> {
  const { reason, lookAt } = hold;
  const found = await getRelease(deps.db, id);
  if (found.state === "held" && found.lookAt !== null && found.reason.startsWith(hold.as)) {
    // Nothing has happened but that it looked: the numbers are told when somebody asks.
    await deps.db.updateTable("releases").set({ look_at: lookAt }).where("id", "=", id).where("look_at", "=", found.lookAt).execute();
    return;
  }
  await mutate(deps, hold.by, async (m) => {
    const { release } = await locked(m, id);
    const isDue = release.state === "running" && release.dueAt !== null && release.dueAt <= m.at;
    if (isDue || release.lookAt !== null) await setState(m, release, { event: "hold", reason, dueAt: null, lookAt });
    else m.record({ action: "release.not_due", subject: id, payload: {} });
  });
}

/** Lets a release go on that was held until it is safe and fits; false when somebody else has turned it meanwhile. */
async function letGo(deps: RolloutDeps, id: string): Promise<boolean> {
  return mutate(deps, judgeActor, async (m) => {
    const { release } = await locked(m, id);
    if (release.state !== "held" || release.lookAt === null) {
      m.record({ action: "release.not_due", subject: id, payload: {} });
      return false;
    }
    const steps = await stepsOf(m.tx, id);
    const reason = release.step === 0 ? "its first step is due" : `step ${release.step} of ${steps.length}`;
    await setState(m, release, { event: "resume", reason, dueAt: m.at });
    return true;
  });
}

async function startDueWith(deps: RolloutDeps, id: string, tests: StepTests | undefined): Promise<void> {
  await mutate(deps, "tidegate", async (m) => {
    const { release, live } = await locked(m, id);
    if (release.state !== "running" || release.dueAt === null || release.dueAt > m.at) {
      m.record({ action: "release.not_due", subject: id, payload: {} });
      return;
    }
    const frozen = release.liveAt === null ? await frozenNow(m.tx, m.at) : undefined;
    if (frozen === undefined) await next(m, release, live, tests);
    else await waitOut(m, release, frozen);
  });
}

/** The step is due when the freeze ends. */
async function waitOut(m: Mutation, release: Release, frozen: Frozen): Promise<void> {
  const reason = frozenText(frozen);
  await m.tx.updateTable("releases").set({ reason, due_at: frozen.until }).where("id", "=", release.id).execute();
  m.record({ action: "release.wait", subject: release.id, payload: { reason, until: frozen.until } });
}
