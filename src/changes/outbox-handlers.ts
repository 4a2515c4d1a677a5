import { mutate } from "../audit/mutation.ts";
import type { EventHandlers, Events } from "../db/events.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";
import { carryOntoLive } from "../rollouts/live-carry.ts";
import { startQueued } from "../rollouts/queue-service.ts";
import { openRevert } from "./revert-service.ts";

/** What follows from what was committed. */
export function outboxHandlers(deps: LakeDeps): EventHandlers {
  const nothing = async (): Promise<void> => {};
  return {
    "change.written": nothing,
    "change.reviewed": nothing,
    "change.overridden": nothing,
    "change.merged": nothing,
    "change.barred": (event) => revertBarred(deps, event),
    "release.waiting": (event) => carryOntoLive(deps, event.release),
    "release.step_started": nothing,
    "release.stopped": nothing,
    "release.ended": (event) => startQueued(deps, event.release),
    "release.completed": (event) => startQueued(deps, event.release),
  };
}

/** Opens the revert of a barred change. Where later changes touched the same rows a person must decide: that is recorded, not retried. */
async function revertBarred(deps: LakeDeps, event: Events["change.barred"]): Promise<void> {
  try {
    await openRevert(deps, { changeId: event.change, actor: event.actor });
  } catch (error) {
    if (error instanceof AppError && error.code === "change.empty") return;
    if (!(error instanceof AppError) || error.code !== "revert.conflict") throw error;
    await mutate(deps, event.actor, async (m) => {
      m.record({ action: "revert.conflict", subject: event.change, payload: { message: error.message, hint: error.hint ?? null } });
    });
  }
}
