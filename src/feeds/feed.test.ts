import { describe, expect, test } from "vitest";
import { roughTime } from "../lib/text.ts";
import { feedName, flapOf, flapText, rhythmOf, stemOf } from "./feed.ts";

const batches = (letters: string) =>
  [...letters].map((letter) => ({ verdict: ({ g: "good", b: "bad", o: "open" } as const)[letter as "g" | "b" | "o"] }));

describe("a feed is what its source ids have in common before the first word with a digit", () => {
  test.each([
    ["2026-11-25T08", ""],
    ["orders-2026-11-25T08", "orders"],
    ["orders_eu/2026/11", "orders-eu"],
    ["Orders 2026-11", "orders"],
    ["s3://bucket/orders", ""],
    ["batch12", ""],
    ["0f8fad5b-d9cb-469f-a165-70867728950e", ""],
    ["features", "features"],
    ["données-2026", "données"],
    ["", ""],
    ["--", ""],
  ])("%s → «%s»", (id, stem) => {
    expect(stemOf(id)).toBe(stem);
  });

  test("its name is the dataset's, with the stem where there is one", () => {
    expect([feedName("t.orders", ""), feedName("t.orders", "eu")]).toEqual(["t.orders", "t.orders/eu"]);
  });
});

describe("a feed flaps when it has alternated four times in its last eight judged batches", () => {
  test.each([
    ["", 0, false],
    ["g", 0, false],
    ["gggggggg", 0, false],
    ["bbbbbbbb", 0, false],
    ["ggggbbbb", 1, false],
    ["ggbggggg", 2, false],
    ["gbgb", 3, false],
    ["gbgbg", 4, true],
    ["bgbgb", 4, true],
    ["gbgbgbgb", 7, true],
    // Two bad ones apart among eight are as much as four alternations.
    ["gbggbggg", 4, true],
    // What is longer ago no longer counts.
    ["gbgbgbgbgggggggg", 0, false],
    ["gbgbgggggg", 2, false],
    // Batches that nobody judged are no alternation, and take no place.
    ["gobogobogooo", 4, true],
    ["ooooooooo", 0, false],
  ])("%s: %i alternations", (letters, alternations, isFlapping) => {
    expect(flapOf(batches(letters))).toMatchObject({ alternations, isFlapping });
  });

  test("the sentence says how often, and among how many", () => {
    const flap = flapOf(batches("gggbgbgbg"));
    expect(flapText(flap)).toBe("this feed has alternated 6 times in its last 8 batches");
    expect(flap.bad).toBe(3);
  });
});

describe("a feed is silent when nothing came for more than twice its usual time", () => {
  const hour = 3_600_000;
  const at = (hours: number) => ({ at: new Date(hours * hour) });
  test.each([
    ["no batch at all", [], 5, null, false],
    ["one batch tells no rhythm", [0], 500, null, false],
    ["two neither", [0, 1], 500, null, false],
    ["hourly, on time", [0, 1, 2], 3, hour, false],
    ["hourly, twice the time is still fine", [0, 1, 2], 4, hour, false],
    ["hourly, and nothing for three hours", [0, 1, 2], 5, hour, true],
    ["one long gap does not hide the rhythm", [0, 1, 2, 50, 51, 52], 60, hour, true],
    ["in whatever order they are given", [2, 0, 1], 5, hour, true],
  ])("%s", (_name, hours, now, usualMs, isSilent) => {
    expect(rhythmOf(hours.map(at), new Date(now * hour))).toMatchObject({ usualMs, isSilent });
  });

  test.each([
    [0, "0 s"],
    [1999, "1 s"],
    [90_000, "90 s"],
    [120_000, "2 min"],
    [2 * hour, "2 h"],
    [47 * hour, "47 h"],
    [48 * hour, "2 days"],
  ])("%i ms are %s", (milliseconds, text) => {
    expect(roughTime(milliseconds)).toBe(text);
  });
});
