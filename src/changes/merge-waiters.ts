import type { Db } from "../db/db.ts";
import type { Merged } from "./merge-commit.ts";

/** What a runner tells who waits for an entry: what was merged, or only that something happened to it. */
export type EntryNews = { merged: Merged | undefined };

const waitersOf = new WeakMap<Db, Map<string, (news: EntryNews) => void>>();

/** The next news of an entry from a runner of this process. Call `forgetEntry` in the end. */
export function newsOfEntry(db: Db, queueId: string): Promise<EntryNews> {
  const waiters = waitersOf.get(db) ?? new Map<string, (news: EntryNews) => void>();
  waitersOf.set(db, waiters);
  return new Promise((resolve) => waiters.set(queueId, resolve));
}

export function tellEntry(db: Db, queueId: string, merged: Merged | undefined): void {
  waitersOf.get(db)?.get(queueId)?.({ merged });
}

export function forgetEntry(db: Db, queueId: string): void {
  waitersOf.get(db)?.delete(queueId);
}
