import { mutate } from "../audit/mutation.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";
import { carryOntoLive } from "../rollouts/live-carry.ts";
import { openRevert } from "./revert-service.ts";

/** What follows from committed events. Each handler is safe to run again: events are delivered at least once. */
export function outboxHandlers(deps: LakeDeps): Record<string, (payload: unknown) => Promise<void>> {
  const nothing = async (): Promise<void> => {};
  return {
    "change.written": nothing,
    "change.merged": nothing,
    "release.completed": nothing,
    "release.waiting": async (payload) => carryOntoLive(deps, (payload as { release: string }).release),
    "change.barred": async (payload) => revertBarred(deps, payload as { change: string; actor: string }),
  };
}

/** Opens the revert of a barred change. Where later changes touched the same rows a person must decide: that is recorded, not retried. */
async function revertBarred(deps: LakeDeps, event: { change: string; actor: string }): Promise<void> {
  const merged = await deps.db
    .selectFrom("changes")
    .select("id")
    .where("reverts", "=", event.change)
    .where("state", "=", "merged")
    .executeTakeFirst();
  if (merged !== undefined) return;
  try {
    await openRevert(deps, { changeId: event.change, actor: event.actor });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "revert.conflict") throw error;
    await mutate(deps, event.actor, async (m) => {
      m.record({ action: "revert.conflict", subject: event.change, payload: { message: error.message } });
    });
  }
}
