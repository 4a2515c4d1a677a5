import type { Db } from "../db/db.ts";
import { eventsAfter, lastEvent, type LoggedEvent } from "./event-reads.ts";
import type { Clock, Timer } from "../edges/clock.ts";

/** What somebody who listens is told. */
export interface Listener {
  /** Comes first: where the telling begins. `missed`: more has happened since than is worth telling, look at everything again. */
  onBegin(seq: bigint, missed: boolean): void;
  /** Events in order, none twice and none left out. */
  onEvents(events: readonly LoggedEvent[]): void;
  /** A breath of silence. */
  onBeat(): void;
  /** Nothing more will come. */
  onEnd(): void;
}

/** The event log as it grows, read once for all who listen. */
export interface EventTail {
  /** Tells what happened after `after` (by default: from now on), then what happens, until what is given back is called. */
  listen(listener: Listener, after?: bigint): Promise<() => void>;
  /** Something may have been committed. */
  wake(): void;
  /** Ends all who listen. */
  close(): void;
}

/** A listener that was away for longer looks at everything again instead. */
const mostBehind = 1000;
/** What other processes commit is seen so late at most. */
const lookMs = 1000;
const beatMs = 15_000;

interface Entry {
  listener: Listener;
  /** What came while it was told what it had missed; undefined from then on. */
  early: LoggedEvent[] | undefined;
}

/** Follows the log while anybody listens; else it costs nothing. */
export function eventTail({ db, clock }: { db: Db; clock: Clock }): EventTail {
  const listeners = new Set<Entry>();
  let latest = 0n;
  let timers: Timer[] = [];
  let looking: Promise<void> | undefined;
  let again = false;

  const tell = (events: readonly LoggedEvent[]): void => {
    for (const entry of listeners) {
      if (entry.early === undefined) entry.listener.onEvents(events);
      else entry.early.push(...events);
    }
  };
  const look = async (): Promise<void> => {
    while (listeners.size > 0 && (await lastEvent(db)) > latest) {
      const events = await eventsAfter(db, latest, mostBehind);
      const last = events.at(-1);
      if (last === undefined) return;
      latest = last.seq;
      tell(events);
    }
  };
  const wake = (): void => {
    if (looking !== undefined) {
      again = true;
      return;
    }
    // A database that does not answer is asked again by the timer; who listens goes on listening.
    looking = look()
      .catch(() => {})
      .finally(() => {
        looking = undefined;
        if (again) {
          again = false;
          wake();
        }
      });
  };
  const begin = (): void => {
    if (timers.length > 0) return;
    timers = [
      clock.every(lookMs, async () => wake()),
      clock.every(beatMs, async () => {
        for (const { listener } of listeners) listener.onBeat();
      }),
    ];
  };
  const drop = (entry: Entry): void => {
    listeners.delete(entry);
    if (listeners.size > 0) return;
    for (const timer of timers) timer.stop();
    timers = [];
  };
  return {
    listen: async (listener, after) => {
      if (listeners.size === 0) latest = await lastEvent(db);
      const entry: Entry = { listener, early: [] };
      listeners.add(entry);
      begin();
      try {
        await catchUp(db, entry, { from: after ?? latest, until: latest });
      } catch (error) {
        drop(entry);
        throw error;
      }
      wake();
      return () => drop(entry);
    },
    wake,
    close: () => {
      for (const entry of listeners) {
        drop(entry);
        entry.listener.onEnd();
      }
    },
  };
}

/** What was committed before the listener came, then what came meanwhile; from there on it is told at once. */
async function catchUp(db: Db, entry: Entry, { from, until }: { from: bigint; until: bigint }): Promise<void> {
  const { listener } = entry;
  // A number that the log never gave is of another installation.
  const missed = from > until || until - from > BigInt(mostBehind);
  listener.onBegin(missed ? until : from, missed);
  if (!missed && from < until) {
    const events = await eventsAfter(db, from, mostBehind);
    listener.onEvents(events.filter(({ seq }) => seq <= until));
  }
  const early = (entry.early ?? []).filter(({ seq }) => seq > until);
  entry.early = undefined;
  if (early.length > 0) listener.onEvents(early);
}
