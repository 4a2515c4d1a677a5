import { expect, test } from "vitest";
import { madeCheck, madeDataset, madeTest } from "../../test/harness/made-assessment.ts";
import { headlineOf } from "./headline.ts";

const airports = madeDataset({
  dataset: "demo.airports",
  rows: { base: 3376, candidate: 3375, added: 0, removed: 1, modified: 2 },
  headline: "3 of 3 376 rows differ.",
  removedKeys: ["ORD"],
});
const summary = "flights 20 000 → 18 905";
const board = madeTest({
  consumer: "delay-board",
  outcome: "moved",
  verdict: "fail",
  summary,
  moves: [{ what: "flights", before: "20 000", after: "18 905" }],
});

function orphans(bad: number) {
  const { rule } = madeCheck();
  const to = { dataset: "demo.airports", columns: ["iata"] };
  const check = madeCheck({ rule: { ...rule, test: { kind: "foreign_key", columns: [], to } }, verdict: "fail", bad });
  return [{ datasetId: "ds_f", dataset: "demo.flights", owners: [], untested: false, checks: [check] }];
}

test("a removed row is named as the cause where a relationship loses as many rows as the consumer's number falls", () => {
  expect(headlineOf([airports], [board], orphans(1095))).toBe("Removing one row, ORD, takes 1 095 of 20 000 flights out of delay-board.");
});

test("without that proof the headline says what moves, and no cause", () => {
  expect(headlineOf([airports], [board], orphans(1094))).toBe(`delay-board moves: ${summary}.`);
  expect(headlineOf([airports], [board])).toBe(`delay-board moves: ${summary}.`);
  const other = { ...airports, dataset: "demo.carriers" };
  expect(headlineOf([other], [board], orphans(1095))).toBe(`delay-board moves: ${summary}.`);
  const partly = { ...airports, rows: { ...airports.rows, removed: 9 } };
  expect(headlineOf([partly], [board], orphans(1095))).toBe(`delay-board moves: ${summary}.`);
});

test("where no consumer is hit, the headline is what the data says", () => {
  expect(headlineOf([airports], [], orphans(1095))).toBe("3 of 3 376 rows differ.");
});
