import type { ImpactDeps } from "../consumers/impact-service.ts";
import type { MergeDeps } from "../changes/merge-service.ts";
import { outboxHandlers } from "../changes/outbox-handlers.ts";
import { drainOutbox, ofOutbox, type Drained } from "../db/outbox.ts";
import { eachInTurn } from "../lib/each.ts";
import { ofExpired, settleExpired } from "../rollouts/pins/pin-moves.ts";
import { followProjections } from "../rollouts/projections/follow-service.ts";
import { ofProjected } from "../rollouts/projections/projected-hold-store.ts";
import { advanceDue, takeBackHarm } from "../rollouts/due-service.ts";
import { ofDue, ofReported } from "../rollouts/release-store.ts";
import type { RolloutDeps } from "../rollouts/step-tests.ts";

/**
 * Does what is due by now: takes back harm that nobody took back yet, starts the steps whose time has come, ends what holds and pins kept open,
 * does what committed events ask for, and gives consumers that are served projections what all others have. Each is done whatever becomes of
 * the others; what failed first is thrown in the end.
 */
export async function doWhatIsDue(deps: MergeDeps & RolloutDeps & ImpactDeps): Promise<Drained> {
  const { db, clock } = deps;
  let drained: Drained = { done: 0, failed: 0, failures: [] };
  const drain = async (): Promise<void> => {
    drained = await drainOutbox({ db, clock, handlers: outboxHandlers(deps) });
  };
  const due = await whatIsDue(deps);
  if (!due.harm && !due.steps && !due.ends && !due.events && !due.projections) return drained;
  const first = [...(due.harm ? [takeBackHarm] : []), ...(due.steps ? [advanceDue] : []), ...(due.ends ? [settleExpired] : [])];
  // What waited for a release that has ended is due at once: so steps are looked at again after the outbox.
  const isBusy = first.length > 0 || due.events;
  await eachInTurn([...first, ...(isBusy ? [drain, advanceDue] : []), followProjections], (work) => work(deps));
  return drained;
}

/** Asks all at once, since it is asked every few seconds and after each change, and mostly nothing is due. */
function whatIsDue({ db, clock }: Pick<MergeDeps, "db" | "clock">) {
  const now = clock.now();
  return db
    .selectNoFrom((eb) => [
      eb.exists(ofReported(db)).as("harm"),
      eb.exists(ofDue(db, now)).as("steps"),
      eb.exists(ofExpired(db, now)).as("ends"),
      eb.exists(ofOutbox(db, now)).as("events"),
      eb.exists(ofProjected(db, now)).as("projections"),
    ])
    .executeTakeFirstOrThrow();
}
