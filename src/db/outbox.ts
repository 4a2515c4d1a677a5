import { setTimeout as sleep } from "node:timers/promises";
import type { Selectable } from "kysely";
import type { Clock } from "../edges/clock.ts";
import { trySessionLock } from "./advisory.ts";
import type { Db } from "./db.ts";
import type { OutboxRow } from "./events.ts";
import type { OutboxTable } from "./tables.ts";

/** What follows from an event, by topic (`EventHandlers`). It may run again for the same event, so it must be safe to repeat. */
export type OutboxHandlers = Readonly<Record<string, (event: never, row: OutboxRow) => Promise<void>>>;

export interface OutboxDeps {
  db: Db;
  clock: Clock;
  handlers: OutboxHandlers;
}

export interface Drained {
  done: number;
  failed: number;
  failures: { seq: bigint; topic: string; message: string }[];
}

const lockName = "tidegate outbox";
const batch = 100;
const pause = 50;
const patience = 200;

/**
 * Does what committed events ask for, in order, at least once; an event without a handler asks for nothing. One process works at a time:
 * whoever does not get the lock waits, bounded, until the other one has done what was due. A row that fails is tried again after 1 s, 2 s,
 * 4 s … at most an hour, and the rows behind it go on.
 */
export async function drainOutbox(deps: OutboxDeps): Promise<Drained> {
  const drained: Drained = { done: 0, failed: 0, failures: [] };
  for (let tries = 0; tries < patience; tries += 1) {
    const { held } = await trySessionLock(deps.db, lockName, (lost) => drainLocked(deps, drained, lost));
    if (held || (await due(deps, 1)).length === 0) return drained;
    await sleep(pause);
  }
  return drained;
}

async function drainLocked(deps: OutboxDeps, drained: Drained, lost: AbortSignal): Promise<void> {
  for (;;) {
    const rows = await due(deps, batch);
    if (rows.length === 0) return;
    for (const row of rows) {
      lost.throwIfAborted();
      const message = await runRow(deps, row);
      if (message === undefined) drained.done += 1;
      else {
        drained.failed += 1;
        drained.failures.push({ seq: row.seq, topic: row.topic, message });
      }
    }
  }
}

/** Of the outbox: what is to be done by now. */
export function ofOutbox(db: Db, now: Date) {
  return db
    .selectFrom("outbox")
    .where("done_at", "is", null)
    .where((eb) => eb.or([eb("retry_at", "is", null), eb("retry_at", "<=", now)]));
}

function due({ db, clock }: OutboxDeps, limit: number): Promise<Selectable<OutboxTable>[]> {
  return ofOutbox(db, clock.now()).selectAll().orderBy("seq").limit(limit).execute();
}

/** Runs what a row asks for; gives what went wrong. */
async function runRow({ db, clock, handlers }: OutboxDeps, row: Selectable<OutboxTable>): Promise<string | undefined> {
  const update = db.updateTable("outbox").where("seq", "=", row.seq);
  const attempts = row.attempts + 1;
  try {
    await handlers[row.topic]?.(row.payload as never, { seq: row.seq, at: row.at });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const retryAt = new Date(clock.now().getTime() + retryAfter(row.attempts));
    await update.set({ attempts, retry_at: retryAt, last_error: message }).execute();
    return message;
  }
  await update.set({ attempts, done_at: clock.now(), retry_at: null, last_error: null }).execute();
  return undefined;
}

function retryAfter(failures: number): number {
  return Math.min(1000 * 2 ** Math.min(failures, 20), 3_600_000);
}
