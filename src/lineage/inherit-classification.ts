import { fieldIdOf, isMasked, withSchema, type Contract } from "../contracts/contract.ts";
import type { ColumnsUsed, Derivation } from "../engine/sandbox.ts";
import type { Schema } from "../lake/schema.ts";
import { maskedOf } from "./masked-columns.ts";

/** A dataset that SQL reads, with what its contract says of its columns. */
export interface ClassifiedInput {
  name: string;
  contract: Contract;
}

/**
 * Which columns of a SELECT show what its datasets classify, by name, with the classification that they inherit. A column that only the choice
 * of rows connects with a classified one (a count of rows grouped by it) is none; where that cannot be told, each column that depends on a
 * classified one in any way is. In doubt a column is classified: its owner can say otherwise.
 */
export function inheritedClassifications(derivation: Derivation, inputs: readonly ClassifiedInput[]): Map<string, string> {
  const classified = inputs.map(({ name, contract }) => ({
    name,
    properties: (contract.schema[0]?.properties ?? []).filter((property) => isMasked(property)),
  }));
  const shown = maskedOf(
    derivation,
    classified.map(({ name, properties }) => ({ name, masked: properties.map((property) => property.name) })),
  );
  const found = new Map<string, string>();
  for (const { column, used } of derivation.from) {
    if (shown !== undefined && !shown.has(column)) continue;
    const source = classified
      .flatMap(({ name, properties }) => properties.filter((property) => reads(used, name, property.name)))
      .find((property) => property.classification !== undefined);
    if (source !== undefined) found.set(column, String(source.classification));
  }
  return found;
}

const reads = (used: ColumnsUsed, table: string, column: string): boolean =>
  used.some((item) => item.table === table && (item.columns === "all" || item.columns.includes(column)));

/** A contract whose columns that it did not know yet are classified as what they are built from; what it says of others stays as people set it. */
export function withInherited(
  contract: Contract,
  known: ReadonlySet<number>,
  schema: Schema,
  inherited: ReadonlyMap<string, string>,
): Contract {
  const full = withSchema(contract, schema);
  const tables = full.schema.map((table) => ({
    ...table,
    properties: table.properties.map((property) => {
      const classification = inherited.get(property.name);
      const id = fieldIdOf(property);
      if (classification === undefined || (id !== undefined && known.has(id)) || property.classification !== undefined) return property;
      return { ...property, classification };
    }),
  }));
  return { ...full, schema: tables };
}
