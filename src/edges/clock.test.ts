import { expect, test } from "vitest";
import { manualClock, systemClock, type Clock } from "./clock.ts";

const start = new Date("2026-11-01T08:00:00Z");

interface Case {
  clock: Clock;
  /** Lets the clock's time pass until the work has been called so often. */
  until(count: () => number, wanted: number): Promise<void>;
}

const manual = (): Case => {
  const clock = manualClock(start);
  return {
    clock,
    until: async (count, wanted) => {
      for (let tries = 0; count() < wanted && tries < 100; tries += 1) {
        clock.advance(10);
        await clock.idle();
      }
    },
  };
};

const system = (): Case => ({
  clock: systemClock,
  until: async (count, wanted) => {
    while (count() < wanted) await new Promise((resolve) => setImmediate(resolve));
  },
});

test.each([
  ["the system's clock", system],
  ["the manual clock", manual],
])("%s calls work once after a time, again and again at an interval, and not when it was stopped", async (_name, make) => {
  const { clock, until } = make();
  const called: string[] = [];
  const note = (name: string) => async () => void called.push(name);
  const stopped = clock.every(1, note("stopped"));
  stopped.stop();
  clock.after(10, note("once"));
  const often = clock.every(10, note("often"));
  const count = (name: string) => called.filter((item) => item === name).length;
  await until(() => count("often"), 3);
  often.stop();
  expect(count("once")).toBe(1);
  expect(count("often")).toBe(3);
  expect(count("stopped")).toBe(0);
});

test("what falls due on the way is begun in order, each at its own moment", async () => {
  const clock = manualClock(start);
  const seen: string[] = [];
  const note = (name: string) => async () => void seen.push(`${name} ${clock.now().toISOString().slice(11, 19)}`);
  clock.after(90_000, note("late"));
  clock.every(60_000, note("minute"));
  clock.after(30_000, note("early"));
  clock.advance(120_000);
  await clock.idle();
  // The second minute fell due while the first was not done: it follows it, at the time that is reached by then.
  expect(seen).toEqual(["early 08:00:30", "minute 08:01:00", "late 08:01:30", "minute 08:02:00"]);
  expect(clock.now()).toEqual(new Date("2026-11-01T08:02:00Z"));
});

test("work at an interval never runs beside itself; a week of what fell due meanwhile is done once", async () => {
  const clock = manualClock(start);
  const open: (() => void)[] = [];
  let [running, most, begun] = [0, 0, 0];
  clock.every(1000, async () => {
    begun += 1;
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => open.push(resolve));
    running -= 1;
  });
  clock.advance(7 * 86_400_000);
  expect(begun).toBe(1);
  open.shift()?.();
  await expect.poll(() => begun).toBe(2);
  open.shift()?.();
  await clock.idle();
  expect({ most, begun }).toEqual({ most: 1, begun: 2 });
});
