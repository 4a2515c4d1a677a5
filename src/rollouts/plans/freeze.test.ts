import { expect, test } from "vitest";
import { freezeDocument, freezeShape, freezesShape } from "./freeze-document.ts";
import { frozenAt, frozenText, type Freeze } from "./freeze.ts";

const read = (...written: Record<string, unknown>[]): Freeze[] => freezesShape.parse(written.map((item) => ({ reason: "r", ...item })));
const until = (freezes: readonly Freeze[], at: string): string | undefined => frozenAt(freezes, new Date(at))?.until.toISOString();
const berlin = "Europe/Berlin";
const weekend = read({ zone: berlin, days: ["sat", "sun"] }, { zone: berlin, days: "mon", hours: "00:00-06:00" });

test.each([
  ["the Friday before", "2026-11-27T22:59:59Z", undefined],
  ["Saturday's first moment, in Berlin", "2026-11-27T23:00:00Z", "2026-11-30T05:00:00.000Z"],
  ["Monday morning", "2026-11-30T04:59:59Z", "2026-11-30T05:00:00.000Z"],
  ["Monday at six, in Berlin", "2026-11-30T05:00:00Z", undefined],
  // On 2027-03-28 the clock is set forward, on 2026-10-25 back: six o'clock stays six o'clock.
  ["a weekend an hour shorter", "2027-03-27T12:00:00Z", "2027-03-29T04:00:00.000Z"],
  ["a weekend an hour longer", "2026-10-24T12:00:00Z", "2026-10-26T05:00:00.000Z"],
])("windows that follow upon one another are one: %s", (_when, at, end) => {
  expect(until(weekend, at)).toBe(end);
});

test("a night reaches into the next day; an hour that comes twice is frozen both times, and one that does not come ends nothing early", () => {
  const night = read({ zone: berlin, hours: "22:00-02:30" });
  expect(until(night, "2026-11-26T21:00:00Z")).toBe("2026-11-27T01:30:00.000Z");
  expect(until(night, "2026-11-26T01:29:59Z")).toBe("2026-11-26T01:30:00.000Z");
  expect(until(night, "2026-11-26T01:30:00Z")).toBeUndefined();
  // 02:30 summer time is 00:30Z, 02:30 winter time 01:30Z.
  for (const at of ["2026-10-25T00:20:00Z", "2026-10-25T00:40:00Z", "2026-10-25T01:20:00Z"])
    expect(until(night, at)).toBe("2026-10-25T01:30:00.000Z");
  expect(Date.parse(until(night, "2027-03-28T00:15:00Z") ?? "")).toBeGreaterThanOrEqual(Date.parse("2027-03-28T01:00:00Z"));
});

test("dates: the last day is frozen whole, a time is frozen to its minute", () => {
  const days = read({ zone: "America/New_York", from: "2026-12-20", to: "2027-01-02" });
  expect(until(days, "2026-12-20T04:59:59Z")).toBeUndefined();
  expect(until(days, "2026-12-20T05:00:00Z")).toBe("2027-01-03T05:00:00.000Z");
  const [told] = read({ from: "2026-12-20 18:00", to: "2026-12-20 18:30" });
  expect(until([told as Freeze], "2026-12-20T18:29:59Z")).toBe("2026-12-20T18:30:00.000Z");
  const frozen = frozenAt(weekend, new Date("2026-11-28T12:00:00Z"));
  expect(frozen && frozenText(frozen)).toBe("waits until Mon 2026-11-30 06:00 Europe/Berlin (freeze: r)");
});

test("a freeze that says nothing, both kinds, no zone, no date or no end is refused; a good one is written as it is read", () => {
  for (const bad of [
    {},
    { days: ["sat"], from: "2026-12-20", to: "2026-12-21" },
    { from: "2026-12-20" },
    { from: "2026-12-21", to: "2026-12-20" },
    { from: "2026-02-30", to: "2026-03-01" },
    { days: ["sat"], zone: "Mars/Olympus" },
    { hours: "25:00-26:00" },
    { hours: "06:00-06:00" },
    { days: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
  ])
    expect(freezeShape.safeParse({ reason: "r", ...bad }).success, JSON.stringify(bad)).toBe(false);
  for (const freeze of [...weekend, ...read({ hours: "22:00-02:30" }, { from: "2026-12-20 18:00", to: "2026-12-24" })])
    expect(freezeShape.parse(freezeDocument(freeze))).toEqual(freeze);
});
