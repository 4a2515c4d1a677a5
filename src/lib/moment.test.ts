import { expect, test } from "vitest";
import { momentOf } from "./moment.ts";

const now = new Date("2026-11-24T08:00:00Z");

test("a moment is so long ago, or a date with or without a time", () => {
  expect(momentOf("6h", now)?.toISOString()).toBe("2026-11-24T02:00:00.000Z");
  expect(momentOf("2d", now)?.toISOString()).toBe("2026-11-22T08:00:00.000Z");
  expect(momentOf("2026-11-23", now)?.toISOString()).toBe("2026-11-23T00:00:00.000Z");
  expect(momentOf("2026-11-23T07:30:00Z", now)?.toISOString()).toBe("2026-11-23T07:30:00.000Z");
});

test.each(["", "v1", "1", "yesterday", "2026-13-45", "-271821-04-20", "+275760-09-13", "9999999d"])("%j is no moment", (text) => {
  expect(momentOf(text, now)).toBeUndefined();
});
