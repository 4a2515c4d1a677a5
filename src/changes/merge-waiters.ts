import type { Db } from "../db/db.ts";
import type { Merged } from "./merge-commit.ts";

const waitersOf = new WeakMap<Db, Map<string, (merged: Merged) => void>>();

/** Lets a runner of this process tell who waits for an entry that it is merged, with no look at the queue. Call `forget` in the end. */
export function awaitEntry(db: Db, queueId: string): { merged: Promise<{ merged: Merged }>; forget(): void } {
  const waiters = waitersOf.get(db) ?? new Map<string, (merged: Merged) => void>();
  waitersOf.set(db, waiters);
  const merged = new Promise<{ merged: Merged }>((resolve) => waiters.set(queueId, (value) => resolve({ merged: value })));
  return { merged, forget: () => void waiters.delete(queueId) };
}

export function tellMerged(db: Db, queueId: string, merged: Merged): void {
  waitersOf.get(db)?.get(queueId)?.(merged);
}
