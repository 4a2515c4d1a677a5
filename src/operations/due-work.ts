import type { ImpactDeps } from "../consumers/impact-service.ts";
import type { MergeDeps } from "../changes/merge-service.ts";
import { outboxHandlers } from "../changes/outbox-handlers.ts";
import { drainOutbox, type Drained } from "../db/outbox.ts";
import { eachInTurn } from "../lib/each.ts";
import { settleExpired } from "../rollouts/pins/pin-moves.ts";
import { advanceDue, takeBackHarm } from "../rollouts/due-service.ts";
import type { RolloutDeps } from "../rollouts/step-tests.ts";

/**
 * Does what is due by now: takes back harm that nobody took back yet, starts the steps whose time has come, ends what holds and pins kept open,
 * and does what committed events ask for. Each is done whatever becomes of the others; what failed first is thrown in the end.
 */
export async function doWhatIsDue(deps: MergeDeps & RolloutDeps & ImpactDeps): Promise<Drained> {
  const { db, clock } = deps;
  let drained: Drained = { done: 0, failed: 0, failures: [] };
  const drain = async (): Promise<void> => {
    drained = await drainOutbox({ db, clock, handlers: outboxHandlers(deps) });
  };
  // What waited for a release that has ended is due at once: so steps are looked at again after the outbox.
  await eachInTurn([takeBackHarm, advanceDue, settleExpired, drain, advanceDue], (work) => work(deps));
  return drained;
}
