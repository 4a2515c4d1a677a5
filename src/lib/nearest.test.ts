import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

const verbs = ["merge", "change", "read", "revert", "restore", "query"];

test.each([
  ["mrege", "merge"],
  ["chnage", "change"],
  ["reed", "read"],
  ["revret", "revert"],
  ["frobnicate", undefined],
  ["x", undefined],
])("«%s» is near %s", (typed, word) => {
  expect(nearest(typed, verbs)).toBe(word);
});
