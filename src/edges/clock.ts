/** Where the time comes from. Nothing in Tidegate asks the system clock or the database for it. */
export interface Clock {
  /** The present moment, to the millisecond. */
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** A clock for tests and demos that stands still until it is told to move. */
export function manualClock(start: Date): Clock & { advance(milliseconds: number): void } {
  let at = start.getTime();
  return {
    now: () => new Date(at),
    advance: (milliseconds) => {
      at += milliseconds;
    },
  };
}
