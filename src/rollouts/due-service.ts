import { mutate, type Mutation } from "../audit/mutation.ts";
import { trySessionLock } from "../db/advisory.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { eachInTurn } from "../lib/each.ts";
import { catchUp } from "./catch-up.ts";
import { misfitText } from "./fit.ts";
import { frozenNow } from "./plans/freeze-reads.ts";
import { frozenText, type Frozen } from "./plans/freeze.ts";
import { judge, judgeActor, judgeReports, takeBack } from "./judge/judge-service.ts";
import { dueReleases, getRelease, reportedReleases, type Release } from "./release-store.ts";
import { locked, minute, setState, startNext, tested } from "./release-turn.ts";
import { stepsOf } from "./step-store.ts";
import { tookBackOlder } from "./supersede-service.ts";
import { testRelease, type RolloutDeps, type StepTests } from "./step-tests.ts";

/* What happens to releases by itself. */

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
  const lacks = await catchUp(deps, release);
  if (await stoppedByJudge(deps, release)) return;
  if (await tookBackOlder(deps, release)) return;
  if (lacks !== undefined) {
    await holdAgain(deps, release, { reason: lacks, as: lacks, by: "tidegate", lookAt: new Date(deps.clock.now().getTime() + minute) });
    return;
  }
  if (release.state === "held" && !((await fitsNow(deps, release)) && (await letGo(deps, id)))) return;
  await tested(deps, id, (tests) => startDueWith(deps, id, tests));
}

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
    if (frozen === undefined) await startNext(m, release, live, tests);
    else await waitOut(m, release, frozen);
  });
}

/** The step is due when the freeze ends. */
async function waitOut(m: Mutation, release: Release, frozen: Frozen): Promise<void> {
  const reason = frozenText(frozen);
  await m.tx.updateTable("releases").set({ reason, due_at: frozen.until }).where("id", "=", release.id).execute();
  m.record({ action: "release.wait", subject: release.id, payload: { reason, until: frozen.until } });
}

/**
 * Takes back every release whose reports show harm, whatever step it is in: a process that dies between a report and what follows from it
 * leaves that to the next one.
 */
export async function takeBackHarm(deps: LakeDeps): Promise<void> {
  await eachInTurn(await reportedReleases(deps.db), async (release) => {
    const judged = await judgeReports(deps, release);
    if (judged?.verdict === "HARM") await takeBack(deps, release, judged);
  });
}
