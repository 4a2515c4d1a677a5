import { expect, test } from "vitest";
import { bucketOf, murmur3 } from "./bucket.ts";

test.each([
  ["fractional-flagjack", 2682799072, 2],
  ["fractional-flagqueen", 4278517551, 3],
  ["fractional-flagten", 801845258, 0],
  ["fractional-flagnine", 1406129861, 1],
  ["fractional-flag3", 604371928, 0],
])("the hash of %s is flagd's, and it falls into the same one of four parts", (text, hash, part) => {
  expect(murmur3(text)).toBe(hash);
  expect(Math.floor(bucketOf(hash, 100) / 25)).toBe(part);
});

test.each([
  ["fractional-flag-shorthandjon@company.com", 618039204, 0],
  ["fractional-flag-shorthandjane@company.com", 2316038310, 1],
  ["ejOoVL", 0, 0],
  ["bY9fO-", 1, 0],
  ["SI7p-", 2147483647, 0],
  ["6LvT0", 2147483648, 1],
  ["ceQdGm", 4294967295, 1],
])("the hash of %s is %d, in half %d", (text, hash, half) => {
  expect(murmur3(text)).toBe(hash);
  expect(bucketOf(hash, 2)).toBe(half);
});

test("the part is the same as with whole numbers of any size, up to the largest weight", () => {
  for (const weight of [1, 2, 100, 100_000, 2 ** 31 - 1]) {
    for (const text of ["a", "ä", "東京", "🌊 tide", ""]) {
      const hash = murmur3(text);
      expect(bucketOf(hash, weight)).toBe(Number((BigInt(hash) * BigInt(weight)) >> 32n));
    }
  }
});
