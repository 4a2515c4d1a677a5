import { describe, expect, test } from "vitest";
import type { Field, Schema } from "../lake/schema.ts";
import { firstContract } from "./contract.ts";
import { readContract } from "./contract-document.ts";
import { contractYaml } from "./contract-text.ts";
import { inferContract, nullBand } from "./infer.ts";
import { shapeOf } from "./infer-pattern.ts";
import type { BatchProfile, ColumnProfile } from "./profile.ts";

const profile = (rows: number, more: Partial<ColumnProfile> = {}): ColumnProfile => ({
  rows,
  nulls: 0,
  unique: false,
  min: null,
  max: null,
  values: [],
  hasMoreValues: true,
  ...more,
});
const schemaOf = (type: Field["type"]): Schema => ({
  type: "struct",
  "schema-id": 0,
  fields: [{ id: 1, name: "x", required: false, type }],
});
const codes = (...values: string[]) => values.map((value) => ({ value, count: 100 }));

function inferred(type: Field["type"], profiles: ColumnProfile[]) {
  const schema = schemaOf(type);
  const contract = firstContract({ datasetId: "ds_1", name: "a.t", schema, owner: "ana" });
  const batches = profiles.map((item): BatchProfile => ({ rows: item.rows, isAppend: true, columns: new Map([[1, item]]) }));
  return inferContract(contract, schema, batches);
}
const said = (type: Field["type"], ...profiles: ColumnProfile[]) =>
  inferred(type, profiles)
    .proposals.filter((item) => item.column === "x")
    .map((item) => item.rule);

describe("what never varied becomes a rule, what varies gets room", () => {
  test("no null in enough rows is required; in a handful of rows nothing is said", () => {
    expect(said("boolean", profile(100))).toEqual(["required"]);
    expect(said("boolean", profile(99))).toEqual([]);
  });

  test("all null stays all null, and gets no other rule", () => {
    expect(said("double", profile(10_000, { nulls: 10_000 }))).toEqual(["nullValues ≥ 99.5 %"]);
  });

  test.each([
    [[59], 10_000, { mustBeLessOrEqualTo: 1.09 }],
    [[6300], 10_000, { mustBeBetween: [58, 68] }],
    [[100, 900], 1000, { mustBeBetween: [0, 100] }],
    [[1], 100, { mustBeLessOrEqualTo: 4.98 }],
  ])("bounds of nulls follow what was seen, chance and spread: %j of %d", (nulls, rows, operator) => {
    const band = nullBand({ rows: rows * nulls.length, profiles: nulls.map((count) => profile(rows, { nulls: count })) });
    if (nulls.length === 2) expect([band.low, band.high]).toEqual([0.1, 0.9]);
    else expect(band.operator).toEqual(operator);
  });

  test("few values, each often, are codes; a measure with few values is none", () => {
    const values = { values: codes("N", "Y"), hasMoreValues: false };
    expect(said("string", profile(200, values))).toEqual(["required", "invalidValues < 5 %, warning from 2 %", "drift of categories"]);
    expect(said("double", profile(200, { ...values, min: "0", max: "10" }))).toEqual([
      "required",
      "range 0 … 15",
      "drift of quantiles",
      "scaled",
    ]);
  });

  test("a column of different values is unique, in every batch", () => {
    expect(said("long", profile(200, { unique: true }), profile(200, { unique: true }))).toContain("unique");
    expect(said("long", profile(200, { unique: true }), profile(200))).not.toContain("unique");
  });

  test("what nobody may see does not stand in the contract", () => {
    const schema = schemaOf("string");
    const first = firstContract({ datasetId: "ds_1", name: "a.t", schema, owner: "ana" });
    const [table] = first.schema;
    const properties = (table?.properties ?? []).map((property) => ({ ...property, classification: "pii" }));
    const contract = { ...first, schema: [{ ...(table as NonNullable<typeof table>), properties }] };
    const column = profile(200, { values: codes("secret", "other"), hasMoreValues: false });
    const found = inferContract(contract, schema, [{ rows: 200, isAppend: true, columns: new Map([[1, column]]) }]);
    expect(JSON.stringify(found)).not.toContain("secret");
  });

  test("the proposal is a valid contract, and inferring again adds nothing", () => {
    const batches = [
      profile(200, { min: "-3", max: "250" }),
      profile(300, { min: "0", max: "9", nulls: 20 }),
      profile(250, { min: "1", max: "7" }),
    ];
    const { contract, proposals } = inferred("double", batches);
    expect(proposals.length).toBeGreaterThan(4);
    expect(readContract(contractYaml(contract), { schema: schemaOf("double") }).problems).toEqual([]);
    const again = inferContract(
      contract,
      schemaOf("double"),
      batches.map((item) => ({ rows: item.rows, isAppend: true, columns: new Map([[1, item]]) })),
    );
    expect(again.proposals).toEqual([]);
    expect(again.contract).toEqual(contract);
  });
});

test.each([
  [Array.from({ length: 30 }, (_, at) => String(10_000 + at)), "^\\d{5}$"],
  [Array.from({ length: 30 }, (_, at) => `AB-${100 + at}`), "^[A-Z]{2}-\\d{3}$"],
  [Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? `A${10 + at}` : `${100 + at}.B`)), "^(?:[A-Z]\\d{2}|\\d{3}\\.[A-Z])$"],
  [["a", "b"], undefined],
  [Array.from({ length: 30 }, (_, at) => "word".repeat(1 + (at % 3)) + "x".repeat(at)), undefined],
])("the form of %j", (values, shape) => {
  expect(shapeOf(values)).toBe(shape);
});
