import { mutate, type MutationDeps } from "../audit/mutation.ts";
import { AppError } from "../lib/errors.ts";
import { frozenNow } from "./plans/freeze-reads.ts";
import { frozenText, type Frozen } from "./plans/freeze.ts";
import { judge, takeBack } from "./judge/judge-service.ts";
import { nextReleaseState } from "./release-machine.ts";
import { getRelease, type Release } from "./release-store.ts";
import { locked, setState, startNext, tested } from "./release-turn.ts";
import type { RolloutDeps } from "./step-tests.ts";
import { stepsOf, type ReleaseStep } from "./step-store.ts";
import { tookBackOlder } from "./supersede-service.ts";

/* What persons make of a release. */

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
  // What comes of it stands in the state of this one, which contains it.
  await tookBackOlder(deps, found);
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
      return startNext(m, release, live, tests);
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
