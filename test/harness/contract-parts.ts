import type { Contract } from "../../src/contracts/contract.ts";
import { readRules, rulesOf } from "../../src/contracts/contract-rules.ts";
import type { Rule } from "../../src/contracts/rule.ts";
import type { Schema } from "../../src/lake/schema.ts";

/** Columns of the dataset that the contracts below are of. */
export const schema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 1, name: "id", required: true, type: "long" },
    { id: 2, name: "fare", required: false, type: "decimal(9, 2)" },
    { id: 3, name: "Country/Region", required: false, type: "string" },
    { id: 4, name: "at", required: false, type: "timestamp" },
    { id: 5, name: "day", required: false, type: "string" },
    { id: 6, name: "tags", required: false, type: { type: "list", "element-id": 7, element: "string", "element-required": false } },
  ],
};

/** Parts of a contract, as ODCS writes them. */
export interface Parts {
  properties?: Record<string, unknown>[];
  table?: Record<string, unknown>;
  top?: Record<string, unknown>;
}

/** A contract with those parts. */
export function contract({ properties = [], table = {}, top = {} }: Parts): Contract {
  const full = properties.map((item) => ({ logicalType: "string", physicalType: "string", required: false, ...item }));
  return {
    apiVersion: "v3.2.0",
    kind: "DataContract",
    id: "ds_1",
    version: "1.0.0",
    schema: [{ name: "sales.orders", logicalType: "object", physicalType: "table", properties: full as never, ...table }],
    ...top,
  };
}

/** Rules of the document itself, without the built-in ones. */
export const ownRules = (parts: Parts): Rule[] => rulesOf(contract(parts), schema).filter((rule) => rule.source !== "built-in");
export const problems = (parts: Parts) => readRules(contract(parts), schema).problems;
export const brief = (rules: readonly Rule[]) =>
  rules.map(({ id, test, bound, scope, severity }) => ({ id, test, bound, scope, severity }));
