import { describe, expect, test } from "vitest";
import type { Schema } from "../lake/schema.ts";
import type { Contract } from "./contract.ts";
import { diffContracts, loosenedItems } from "./contract-diff.ts";

const schema = (name = "fare"): Schema => ({
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 1, name, required: false, type: "double" },
    { id: 2, name: "email", required: false, type: "string" },
  ],
});

type Loose = Record<string, unknown>;

function contract(fare: Loose = {}, more: { top?: Loose; table?: Loose; email?: Loose } = {}): Contract {
  const column = (name: string, id: number, said: Loose) => ({
    name,
    logicalType: id === 1 ? "number" : "string",
    physicalType: id === 1 ? "double" : "string",
    required: false,
    customProperties: [{ property: "tidegate.fieldId", value: id }],
    ...said,
  });
  return {
    apiVersion: "v3.1.0",
    kind: "DataContract",
    id: "ds_1",
    version: "1.0.0",
    status: "active",
    schema: [
      {
        name: "taxi.rides",
        logicalType: "object",
        physicalType: "table",
        properties: [column("fare", 1, fare), column("email", 2, more.email ?? {})],
        ...more.table,
      },
    ],
    team: { members: [{ username: "ana", role: "owner" }] },
    ...more.top,
  };
}

const diff = (before: Contract, after: Contract) =>
  diffContracts({ contract: before, schema: schema() }, { contract: after, schema: schema() });
const found = (before: Contract, after: Contract) =>
  diff(before, after).items.map(({ item, what, needsOwner }) => [item, what, needsOwner]);

const nulls = (more: Loose): Loose => ({ quality: [{ id: "n", metric: "nullValues", ...more }] });
const setting = (property: string, value: unknown): Loose => ({ customProperties: [{ property, value }] });
const own = (implementation: Loose): Loose => ({ quality: [{ id: "n", type: "custom", engine: "tidegate", implementation }] });
const valid = (...validValues: unknown[]): Loose => ({
  quality: [{ id: "n", metric: "invalidValues", arguments: { validValues }, mustBe: 0 }],
});

describe("a rule that says something else is loosened, tightened, or changed where that cannot be told", () => {
  test.each<[string, Loose, Loose, string]>([
    ["a wider bound", nulls({ mustBeLessThan: 5 }), nulls({ mustBeLessThan: 9 }), "loosened"],
    ["the end let in", nulls({ mustBeLessThan: 5 }), nulls({ mustBeLessOrEqualTo: 5 }), "loosened"],
    ["a narrower bound", nulls({ mustBeBetween: [0, 9] }), nulls({ mustBe: 3 }), "tightened"],
    ["a bound moved", nulls({ mustBeBetween: [0, 5] }), nulls({ mustBeBetween: [3, 9] }), "changed"],
    ["any number but one, instead of that one", nulls({ mustBe: 0 }), nulls({ mustNotBe: 0 }), "changed"],
    ["outside, instead of above", nulls({ mustBeGreaterThan: 9 }), nulls({ mustNotBeBetween: [0, 9] }), "loosened"],
    ["a milder severity", nulls({ mustBe: 0 }), nulls({ mustBe: 0, severity: "warning" }), "loosened"],
    ["a sharper severity", nulls({ mustBe: 0, severity: "info" }), nulls({ mustBe: 0 }), "tightened"],
    ["a wider bound with a sharper severity", nulls({ mustBe: 0, severity: "info" }), nulls({ mustBeLessThan: 5 }), "changed"],
    ["percent instead of rows", nulls({ mustBeLessThan: 5 }), nulls({ mustBeLessThan: 5, unit: "percent" }), "changed"],
    ["another scope", nulls({ mustBe: 0 }), nulls({ mustBe: 0, ...setting("tidegate.scope", "snapshot") }), "changed"],
    ["no worse than base", nulls({ mustBe: 0 }), nulls({ mustBe: 0, ...setting("tidegate.noWorseThanBase", true) }), "loosened"],
    ["a condition more", nulls({ mustBe: 0 }), nulls({ mustBe: 0, ...setting("tidegate.where", "email is not null") }), "loosened"],
    ["a condition less", nulls({ mustBe: 0, ...setting("tidegate.where", "email is null") }), nulls({ mustBe: 0 }), "tightened"],
    [
      "another condition",
      nulls({ mustBe: 0, ...setting("tidegate.where", "email is null") }),
      nulls({ mustBe: 0, ...setting("tidegate.where", "email = 'a'") }),
      "changed",
    ],
    ["a value more", valid(1, 2), valid(1, 2, 3), "loosened"],
    ["a value less", valid(1, 2), valid(1), "tightened"],
    ["other values", valid(1, 2), valid(1, 3), "changed"],
    ["a range less one end", own({ rule: "range", minimum: 0, maximum: 9 }), own({ rule: "range", minimum: 0 }), "loosened"],
    ["a forbidden value less", own({ rule: "notIn", values: [1, 2] }), own({ rule: "notIn", values: [1] }), "loosened"],
    ["another pattern", own({ rule: "matches", patterns: "a" }), own({ rule: "matches", patterns: "b" }), "changed"],
    ["another metric", own({ rule: "mean", mustBe: 1 }), own({ rule: "median", mustBe: 1 }), "changed"],
  ])("%s", (_name, before, after, what) => {
    expect(found(contract(before), contract(after))).toEqual([["rule n", what, what !== "tightened"]]);
  });

  test("rules come and go; who removes one needs an owner, who adds one does not", () => {
    expect(found(contract(), contract({ required: true }))).toEqual([["rule fare/required", "added", false]]);
    expect(found(contract({ required: true }), contract())).toEqual([["rule fare/required", "removed", true]]);
  });

  test("a built-in rule that the contract says otherwise is that rule, loosened", () => {
    const table = { quality: [{ type: "custom", engine: "tidegate", implementation: { rule: "rowCountChange", mustBeGreaterThan: 10 } }] };
    expect(found(contract(), contract({}, { table }))).toEqual([["rule rowCountChange", "loosened", true]]);
  });

  test("a renamed column keeps its rules: nothing is said of them", () => {
    const before = { contract: contract({ required: true, logicalTypeOptions: { minimum: 0 } }), schema: schema() };
    const after = { contract: contract({ name: "price", required: true, logicalTypeOptions: { minimum: 0 } }), schema: schema("price") };
    expect(diffContracts(before, after).items).toEqual([]);
  });
});

test("what a change loosens, removes or changes is judged under the rules of base too", () => {
  const quality = (bound: Loose): Loose => ({ required: true, quality: [{ id: "n", metric: "nullValues", ...bound }] });
  const { judgedToo } = diff(
    contract(quality({ mustBe: 0 })),
    contract({ quality: [{ id: "n", metric: "nullValues", mustBeLessThan: 5 }] }),
  );
  expect(judgedToo.map((rule) => [rule.id, rule.bound])).toEqual([
    ["n", { op: "=", value: "0" }],
    ["fare/required", { op: "=", value: "0" }],
  ]);
});

test("owners, classification, service levels and derived SQL are named; words for people are no matter of owners", () => {
  const derived = (sql: string): Loose => ({ customProperties: [{ property: "tidegate.derivedSql", value: sql }] });
  const before = contract(
    {},
    { email: { classification: "pii" }, table: derived("SELECT 1"), top: { slaProperties: [{ property: "availability", value: 99 }] } },
  );
  const after = contract(
    { description: "the fare" },
    {
      email: { classification: "public" },
      table: derived("SELECT 2"),
      top: { slaProperties: [{ property: "availability", value: 9 }], team: { members: [{ username: "bo", role: "owner" }] } },
    },
  );
  expect(found(before, after)).toEqual([
    ["owner ana", "removed", true],
    ["owner bo", "added", true],
    ["classification of email", "loosened", true],
    ["service levels", "changed", true],
    ["derived SQL", "changed", true],
    ["team", "changed", false],
    ["text of fare", "added", false],
  ]);
  expect(loosenedItems("taxi.rides", diff(before, after))[2]).toEqual({
    item: "taxi.rides: classification of email",
    what: "loosened",
    before: "pii",
    after: "public",
    owners: ["ana"],
  });
});
