import type { Clock } from "../edges/clock.ts";
import { trySessionLock } from "./advisory.ts";
import type { Db } from "./db.ts";

export type OutboxHandlers = Readonly<Record<string, (payload: unknown) => Promise<void>>>;

/** A row that fails is tried again after 1 s, 2 s, 4 s … at most an hour; rows behind it go on. */
function retryAfter(attempts: number): number {
  return Math.min(1000 * 2 ** attempts, 3_600_000);
}

/**
 * Does what committed events ask for, in order, at least once. One process at a time: whoever does not get the lock returns at once.
 * Gives how many events were done and how many failed.
 */
export async function drainOutbox(deps: { db: Db; clock: Clock; handlers: OutboxHandlers }): Promise<{ done: number; failed: number }> {
  const total = { done: 0, failed: 0 };
  await trySessionLock(deps.db, "tidegate outbox", async () => {
    for (;;) {
      const worked = await drainOnce(deps);
      total.done += worked.done;
      total.failed += worked.failed;
      if (worked.done === 0) return;
    }
  });
  return total;
}

async function drainOnce(deps: { db: Db; clock: Clock; handlers: OutboxHandlers }): Promise<{ done: number; failed: number }> {
  const { db, clock, handlers } = deps;
  const rows = await db
    .selectFrom("outbox")
    .selectAll()
    .where("done_at", "is", null)
    .where((eb) => eb.or([eb("retry_at", "is", null), eb("retry_at", "<=", clock.now())]))
    .orderBy("seq")
    .limit(100)
    .execute();
  const worked = { done: 0, failed: 0 };
  for (const row of rows) {
    try {
      await handlers[row.topic]?.(row.payload);
      await db.updateTable("outbox").set({ done_at: clock.now() }).where("seq", "=", row.seq).execute();
      worked.done += 1;
    } catch (error) {
      worked.failed += 1;
      await db
        .updateTable("outbox")
        .set({
          attempts: row.attempts + 1,
          retry_at: new Date(clock.now().getTime() + retryAfter(row.attempts)),
          last_error: error instanceof Error ? error.message : String(error),
        })
        .where("seq", "=", row.seq)
        .execute();
    }
  }
  return worked;
}
