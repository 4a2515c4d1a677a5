import fc from "fast-check";
import { expect, test } from "vitest";
import { oddVolume, overdueAfter, stoppedAfter } from "./rhythm.ts";

const hour = 3_600_000;
const day = 24 * hour;
// A Monday.
const start = Date.parse("2026-09-07T06:00:00Z");
const at = (ms: number): Date => new Date(start + ms);
const daily = (count: number): Date[] => Array.from({ length: count }, (_, n) => at(n * day));
/** The first so many weekdays, at six. */
const weekdays = (count: number): Date[] =>
  daily(count * 2)
    .filter((time) => time.getUTCDay() % 6 !== 0)
    .slice(0, count);

test("with fewer than eight arrivals nothing is usual; a daily one is overdue half a day late", () => {
  expect(overdueAfter(daily(7))).toBeUndefined();
  expect(overdueAfter(daily(8))).toEqual({ limitMs: 1.5 * day, usualMs: day, season: null });
});

test("a weekend is no delay of what comes on weekdays, neither when its season is known nor before", () => {
  const young = overdueAfter(weekdays(10));
  expect(weekdays(10).at(-1)?.getUTCDay()).toBe(5);
  expect(young?.season).toBeNull();
  expect(young?.limitMs).toBeGreaterThan(3 * day);
  const old = overdueAfter(weekdays(25));
  expect(old).toMatchObject({ season: "weekday", usualMs: 3 * day });
  const monday = overdueAfter(weekdays(26));
  expect(monday).toMatchObject({ season: "weekday", usualMs: day, limitMs: 1.5 * day });
});

test("an hourly feed that sleeps at night is late in the morning, not at night", () => {
  const awake = Array.from({ length: 20 * 24 }, (_, n) => at(n * hour)).filter((time) => time.getUTCHours() >= 6);
  const evening = awake.slice(0, awake.findLastIndex((time) => time.getUTCHours() === 23) + 1);
  expect(overdueAfter(evening)).toMatchObject({ season: "hour of day", usualMs: 7 * hour });
  const noon = awake.slice(0, awake.findLastIndex((time) => time.getUTCHours() === 12) + 1);
  expect(overdueAfter(noon)).toMatchObject({ season: "hour of day", usualMs: hour, limitMs: 1.5 * hour });
});

test("one outage in the past does not become what is usual", () => {
  const times = daily(60).filter((_, n) => n < 20 || n > 25);
  expect(overdueAfter(times)?.limitMs).toBe(1.5 * day);
});

const arrivals = (rows: readonly number[]): { at: Date; rows: number }[] => rows.map((count, n) => ({ at: at(n * day), rows: count }));

test("half the rows are odd and a few more are not; a small feed may wobble", () => {
  const usual = arrivals([1000, 1010, 990, 1005, 995, 1000, 1002, 998]);
  const next = (rows: number) => oddVolume(usual, { at: at(8 * day), rows });
  expect(next(500)).toMatchObject({ expected: 1000, low: 700, high: 1300 });
  expect(next(0)).toBeDefined();
  expect(next(1250)).toBeUndefined();
  expect(next(2000)).toBeDefined();
  expect(oddVolume(arrivals([3, 2, 4, 3, 3, 2, 4, 3]), { at: at(8 * day), rows: 12 })).toBeUndefined();
  expect(oddVolume(usual.slice(0, 6), { at: at(8 * day), rows: 0 })).toBeUndefined();
});

test("Sundays with few rows are compared with Sundays", () => {
  const usual = daily(35).map((time) => ({ at: time, rows: time.getUTCDay() === 0 ? 100 : 1000 }));
  expect(oddVolume(usual.slice(0, 34), { at: daily(35)[34] as Date, rows: 100 })).toBeUndefined();
  expect(oddVolume(usual.slice(0, 34), { at: daily(35)[34] as Date, rows: 1000 })).toMatchObject({ season: "weekday", expected: 100 });
});

test("noise of thirty in a thousand is never odd", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 970, max: 1030 }), { minLength: 8, maxLength: 60 }), (rows) => {
      const all = arrivals(rows);
      expect(oddVolume(all.slice(0, -1), all.at(-1) as { at: Date; rows: number })).toBeUndefined();
    }),
    { seed: 20261126, numRuns: 300 },
  );
});

test("a reader has stopped after half as long again as its longest silence, once two weeks of it are known", () => {
  expect(stoppedAfter(daily(14))).toBeUndefined();
  expect(stoppedAfter(daily(15))).toBe(1.5 * day);
  expect(stoppedAfter(weekdays(15))).toBe(4.5 * day);
});
