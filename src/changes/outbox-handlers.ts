import { mutate } from "../audit/mutation.ts";
import type { ImpactDeps } from "../consumers/impact-service.ts";
import type { EventHandlers, Events, OutboxRow, Topic } from "../db/events.ts";
import { AppError } from "../lib/errors.ts";
import { startQueued, startWaiting, tryBatches, tryBeside } from "../rollouts/queue-service.ts";
import { tellWebhooks } from "../webhooks/tell-service.ts";
import type { Happened } from "../webhooks/notice-reads.ts";
import { mergeRevertAlone } from "./auto-merge-service.ts";
import type { MergeDeps } from "./merge-service.ts";
import { planMoved } from "./plan-ahead.ts";
import { openRevert } from "./revert-service.ts";

type OutboxDeps = MergeDeps & ImpactDeps;

/** What follows from what was committed: webhooks are told first, since that only writes down what is to be sent. */
export function outboxHandlers(deps: OutboxDeps): EventHandlers {
  const told =
    <T extends Topic>(topic: T, follow?: (event: Events[T]) => Promise<void>) =>
    async (event: Events[T], row: OutboxRow): Promise<void> => {
      await tellWebhooks(deps, { topic, event } as Happened, row);
      await follow?.(event);
    };
  return {
    "change.written": told("change.written"),
    "change.reviewed": told("change.reviewed"),
    "change.overridden": told("change.overridden"),
    "change.waits": told("change.waits"),
    "change.merged": told("change.merged", async (event) => {
      // What waits because it breaks a consumer waits no longer than the consumer's test does.
      if (await planMoved(deps, event.commit)) await tryBatches(deps, deps.environment);
    }),
    "change.barred": told("change.barred", (event) => revertBarred(deps, event)),
    "incident.opened": told("incident.opened"),
    "incident.closed": told("incident.closed"),
    "release.waiting": told("release.waiting", (event) => startWaiting(deps, event.release)),
    "release.step_started": told("release.step_started", (event) => tryBeside(deps, event.release)),
    "release.stopped": told("release.stopped"),
    "release.ended": told("release.ended", (event) => startQueued(deps, event.release)),
    "release.completed": told("release.completed", (event) => startQueued(deps, event.release)),
  };
}

/**
 * Opens the revert of a barred change, and merges it where policy lets it merge alone. Where later changes touched the same rows a person must
 * decide: that is recorded, not retried.
 */
async function revertBarred(deps: MergeDeps, event: Events["change.barred"]): Promise<void> {
  try {
    const revert = await openRevert(deps, { changeId: event.change, actor: event.actor });
    await mergeRevertAlone(deps, revert, event.actor);
  } catch (error) {
    if (error instanceof AppError && error.code === "change.empty") return;
    if (!(error instanceof AppError) || error.code !== "revert.conflict") throw error;
    await mutate(deps, event.actor, async (m) => {
      m.record({ action: "revert.conflict", subject: event.change, payload: { message: error.message, hint: error.hint ?? null } });
    });
  }
}
