import type { Schema } from "../lake/schema.ts";
import type { Contract } from "./contract.ts";
import type { ContractProblem } from "./contract-problem.ts";
import { addQuality } from "./quality-rules.ts";
import { addRelationships } from "./relationship-rules.ts";
import { builtIn, type Rule } from "./rule.ts";
import { RuleReader } from "./rule-reader.ts";
import { addSlaRules } from "./sla-rules.ts";
import { addColumnRules, addKeyRules } from "./type-rules.ts";

/** The rules of a contract, and what is wrong with those that cannot be one. */
export interface ContractRules {
  rules: readonly Rule[];
  problems: readonly ContractProblem[];
}

/** Rules that are on for every dataset, unless its contract says the same thing otherwise. */
const builtInRules: readonly Rule[] = [
  {
    id: "built-in/rowCountChange",
    title: "the row count is more than half of what it was",
    severity: "error",
    scope: "snapshot",
    dimension: "completeness",
    test: { kind: "row_count_change" },
    where: [],
    bound: { op: ">", value: "50" },
    unit: "percent",
    source: builtIn,
  },
  {
    id: "built-in/nameReused",
    title: "no column bears a name that another column had",
    severity: "warning",
    scope: "snapshot",
    dimension: "consistency",
    test: { kind: "name_reused" },
    where: [],
    bound: { op: "=", value: "0" },
    unit: "rows",
    source: builtIn,
  },
];

/** Reads all rules of a contract. `schema` is the data's; without it columns are known by what the contract kept of them.
 * `dataset` is its name, where the document may call it otherwise. */
export function readRules(contract: Contract, schema: Schema | undefined, dataset?: string): ContractRules {
  const reader = new RuleReader(contract, schema, dataset);
  const table = contract.schema[0];
  if (table !== undefined) {
    const properties = table.properties;
    const path = ["schema", 0] as const;
    addKeyRules(reader, properties, [...path, "properties"]);
    for (const [index, property] of properties.entries()) {
      const at = [...path, "properties", index];
      addColumnRules(reader, property, at);
      addRelationships(reader, property["relationships"], [...at, "relationships"], property.name);
      addQuality(reader, property["quality"], [...at, "quality"], property);
    }
    addRelationships(reader, table["relationships"], [...path, "relationships"], undefined);
    addQuality(reader, table["quality"], [...path, "quality"], undefined);
  }
  addSlaRules(reader, contract["slaProperties"], ["slaProperties"]);
  const kinds = new Set(reader.rules.map((rule) => rule.test.kind));
  return { rules: [...reader.rules, ...builtInRules.filter((rule) => !kinds.has(rule.test.kind))], problems: reader.problems };
}

/** All rules of a contract, those that are on by default with them. A contract is linted before it is kept, so none is left out. */
export function rulesOf(contract: Contract, schema: Schema | undefined, dataset?: string): readonly Rule[] {
  return readRules(contract, schema, dataset).rules;
}
