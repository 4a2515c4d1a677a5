import { expect, test } from "vitest";
import type { Field, Schema } from "../lake/schema.ts";
import { firstContract, ownersOf, withSchema, type Contract } from "./contract.ts";

const field = (id: number, name: string, type: Field["type"], required = false): Field => ({ id, name, required, type });
const schema = (fields: Field[], key: number[] = []): Schema => ({ type: "struct", "schema-id": 0, fields, "identifier-field-ids": key });
const start = schema([field(1, "id", "long"), field(2, "fare", "double"), field(3, "day", "string")]);

function said(properties: Record<string, unknown>[]): Contract {
  const contract = firstContract({ datasetId: "ds_1", name: "a.t", schema: schema([]), owner: "ana" });
  return { ...contract, schema: [{ name: "a.t", logicalType: "object", physicalType: "table", properties: properties as never }] };
}
const columns = (contract: Contract) => contract.schema[0]?.properties ?? [];

test("what a document says of a column meets the data by name, once, and follows the field from then on", () => {
  const met = withSchema(
    said([
      { name: "FARE", logicalType: "number", physicalType: "numeric(9,2)", required: true, quality: [{ metric: "nullValues", mustBe: 0 }] },
    ]),
    start,
  );
  expect(columns(met)[1]).toMatchObject({
    name: "fare",
    physicalType: "numeric(9,2)",
    required: true,
    quality: [{ metric: "nullValues" }],
  });
  const renamed = withSchema(met, schema([field(1, "id", "long"), field(2, "price", "double"), field(3, "day", "string")]));
  expect(columns(renamed)[1]).toMatchObject({ name: "price", required: true, quality: [{ metric: "nullValues" }] });
});

test("a retyped column keeps what fits its new type; a dropped one leaves with its rules", () => {
  const met = withSchema(said([{ name: "fare", logicalType: "number", required: true, logicalTypeOptions: { minimum: 0 } }]), start);
  const retyped = columns(withSchema(met, schema([field(9, "fare", "string")])));
  expect(retyped).toHaveLength(1);
  expect(retyped[0]).toMatchObject({ name: "fare", logicalType: "string", required: true });
  expect(retyped[0]).not.toHaveProperty("logicalTypeOptions");
  expect(columns(withSchema(met, schema([field(1, "id", "long")])))).toHaveLength(1);
});

test("a column that the data does not have yet stays as it was written", () => {
  expect(columns(withSchema(said([{ name: "tip", logicalType: "number", required: true }]), start)).at(-1)).toEqual({
    name: "tip",
    logicalType: "number",
    required: true,
  });
});

test("names of its own beside the physical ones, dates in texts and a key that only the document claims stay", () => {
  const met = withSchema(
    said([
      { name: "Ride fare", physicalName: "fare", logicalType: "number" },
      { name: "day", logicalType: "date", logicalTypeOptions: { format: "yyyy-MM-dd" }, primaryKey: true, primaryKeyPosition: 1 },
    ]),
    start,
  );
  expect(columns(met)[1]).toMatchObject({ name: "Ride fare", physicalName: "fare" });
  expect(columns(met)[2]).toMatchObject({ logicalType: "date", logicalTypeOptions: { format: "yyyy-MM-dd" }, primaryKey: true });
  const keyed = withSchema(met, schema(start.fields, [1]));
  expect(columns(keyed).map((property) => property.primaryKey)).toEqual([true, undefined, undefined]);
});

test("owners are read from a team and from the older list, whatever the case of their role, until they left", () => {
  const members = [
    { username: "ana", role: "Owner" },
    { username: "bo", role: "reader" },
    { username: "cy", role: "owner", dateOut: "2026-01-01" },
  ];
  expect(ownersOf({ ...said([]), team: { members } })).toEqual(["ana"]);
  expect(ownersOf({ ...said([]), team: members })).toEqual(["ana"]);
});
