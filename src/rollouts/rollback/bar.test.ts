import { expect, test } from "vitest";
import { emptyChangeSet, withMerged } from "../../catalog/change-set.ts";
import { barredIn } from "./bar.ts";

const setOf = (...seqs: number[]) => seqs.reduce(withMerged, emptyChangeSet);
const bars = [{ changeId: "bad", seq: 2 }];

test("a version with a barred change is barred, and one without it is not", () => {
  expect(barredIn(setOf(1, 2, 3), bars, new Map())).toEqual(["bad"]);
  expect(barredIn(setOf(1, 3), bars, new Map())).toEqual([]);
});

test("a revert lifts the bar where it is contained, and the revert of the revert brings it back", () => {
  const reverts = new Map([
    ["bad", [{ changeId: "revert", seq: 4 }]],
    ["revert", [{ changeId: "again", seq: 6 }]],
  ]);
  expect(barredIn(setOf(1, 2, 3), bars, reverts)).toEqual(["bad"]);
  expect(barredIn(setOf(1, 2, 3, 4), bars, reverts)).toEqual([]);
  expect(barredIn(setOf(1, 2, 3, 4, 5, 6), bars, reverts)).toEqual(["bad"]);
});
