/** Ends what a clock was asked to do later. */
export interface Timer {
  stop(): void;
}

/**
 * Where the time comes from, and what calls work when it is due. Nothing in Tidegate asks the system clock or the database for the time, and
 * nothing that belongs to its world (a lease's heartbeat, a step that waits, a chore) counts real seconds: with another clock, a week passes in
 * a moment. Timers keep no process alive. Work deals with its own failures.
 */
export interface Clock {
  /** The present moment, to the millisecond. */
  now(): Date;
  /** Calls `work` once, when so much time has passed. */
  after(milliseconds: number, work: () => Promise<void>): Timer;
  /** Calls `work` each time that so much has passed, never twice at once: what falls due while it runs is done once, when it has ended. */
  every(milliseconds: number, work: () => Promise<void>): Timer;
}

/** Work that never runs beside itself. */
function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again = false;
  const run = async (): Promise<void> => {
    try {
      do {
        again = false;
        await work();
      } while (again);
    } finally {
      running = undefined;
    }
  };
  return () => {
    if (running === undefined) running = run();
    else again = true;
    return running;
  };
}

export const systemClock: Clock = {
  now: () => new Date(),
  after: (milliseconds, work) => {
    const timer = setTimeout(() => void work(), milliseconds).unref();
    return { stop: () => clearTimeout(timer) };
  },
  every: (milliseconds, work) => {
    const due = oneAtATime(work);
    const timer = setInterval(() => void due(), milliseconds).unref();
    return { stop: () => clearInterval(timer) };
  },
};

interface ManualClock extends Clock {
  /** Moves the time on, and begins what falls due on the way, in order, each at its own moment. */
  advance(milliseconds: number): void;
  /** Waits until all that has begun has ended. */
  idle(): Promise<void>;
}

/** A clock for tests and demos that stands still until it is told to move. */
export function manualClock(start: Date): ManualClock {
  let at = start.getTime();
  const waiting = new Set<{ due: number; interval: number | undefined; work: () => Promise<void> }>();
  const begun = new Set<Promise<void>>();
  const add = (milliseconds: number, interval: number | undefined, work: () => Promise<void>): Timer => {
    const timer = { due: at + milliseconds, interval, work };
    waiting.add(timer);
    return { stop: () => void waiting.delete(timer) };
  };
  const begin = (work: () => Promise<void>): void => {
    const done = work();
    if (begun.has(done)) return;
    begun.add(done);
    void done.finally(() => begun.delete(done));
  };
  return {
    now: () => new Date(at),
    after: (milliseconds, work) => add(milliseconds, undefined, work),
    every: (milliseconds, work) => add(milliseconds, milliseconds, oneAtATime(work)),
    advance: (milliseconds) => {
      const until = at + milliseconds;
      for (;;) {
        const [next] = [...waiting].filter((timer) => timer.due <= until).sort((a, b) => a.due - b.due);
        if (next === undefined) break;
        at = Math.max(at, next.due);
        if (next.interval === undefined) waiting.delete(next);
        else next.due += next.interval;
        begin(next.work);
      }
      at = until;
    },
    idle: async () => {
      while (begun.size > 0) await Promise.all(begun);
    },
  };
}
