import { expect, test } from "vitest";
import { looksRenamed, renameText, type ColumnValues } from "./looks-renamed.ts";

const of = (name: string, values: readonly string[], more: Partial<ColumnValues> = {}): ColumnValues => ({
  name,
  kind: "text",
  values,
  isCut: false,
  ...more,
});
const pairs = (dropped: ColumnValues[], added: ColumnValues[]) => looksRenamed(dropped, added).map(renameText);

test("a dropped and a new column with the same values look like one column under two names", () => {
  expect(pairs([of("Country/Region", ["France", "Italy", "US"])], [of("Country_Region", ["France", "Italy", "US"])])).toEqual([
    "looks renamed: Country/Region → Country_Region (100 % of values equal)",
  ]);
  expect(pairs([of("land", ["France", "Italy", "US"])], [of("country", ["France", "Italy", "US"])])).toEqual([
    "looks renamed: land → country (100 % of values equal)",
  ]);
});

test("where names are not alike, nearly all values must be equal both ways, and there must be some", () => {
  const small = of("grade", ["1", "2", "3"]);
  expect(pairs([small], [of("visits", ["1", "2", "3", "4", "5", "6"])])).toEqual([]);
  expect(pairs([of("is_new", ["false", "true"])], [of("is_paid", ["false", "true"])])).toEqual([]);
  expect(pairs([of("a", [])], [of("b", [])])).toEqual([]);
});

test("where names are alike half of the values are enough; a share is rounded down", () => {
  expect(pairs([of("Latitude", ["1", "2", "3"])], [of("Lat", ["1", "2", "9"])])).toEqual([
    "looks renamed: Latitude → Lat (66 % of values equal)",
  ]);
  expect(pairs([of("Latitude", ["1", "2", "3"])], [of("Lat", ["1", "8", "9"])])).toEqual([]);
});

test("columns of two kinds are never one, and none stands in two pairs: the likeliest wins", () => {
  const values = ["1", "2", "3"];
  expect(pairs([of("n", values, { kind: "number" })], [of("m", values)])).toEqual([]);
  expect(pairs([of("from", values), of("goal", values)], [of("goal_place", values), of("start", values)])).toEqual([
    "looks renamed: from → start (100 % of values equal)",
    "looks renamed: goal → goal_place (100 % of values equal)",
  ]);
});

test("of columns with very many values only the part that both lists hold whole is compared", () => {
  const long = of("code", ["a", "b", "c"], { isCut: true });
  expect(pairs([long], [of("sku", ["a", "b", "c", "d", "e", "f"])])).toEqual(["looks renamed: code → sku (100 % of values equal)"]);
});
