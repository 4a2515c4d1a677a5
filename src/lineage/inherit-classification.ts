import { fieldIdOf, isMasked, withSchema, type Contract } from "../contracts/contract.ts";
import type { Derivation } from "../engine/sandbox.ts";
import type { Schema } from "../lake/schema.ts";

/** A dataset that SQL reads, with what its contract says of its columns. */
export interface ClassifiedInput {
  name: string;
  contract: Contract;
}

const isText = (type: unknown): boolean => type === "string" || type === "binary" || typeof type !== "string";

/**
 * Which columns of a SELECT show what its datasets classify, by name: those that come from a classified column. A number that only the
 * choice of rows connects with it (a count of rows grouped by it) is none, nor is another column that keeps its name. In doubt a column is
 * classified: its owner can say otherwise.
 */
export function inheritedClassifications(
  derivation: Pick<Derivation, "columns" | "from" | "rows">,
  inputs: readonly ClassifiedInput[],
): Map<string, string> {
  const classified = new Map<string, string>();
  for (const { name, contract } of inputs) {
    for (const property of contract.schema[0]?.properties ?? []) {
      if (isMasked(property)) classified.set(placeOf(name, property.name), String(property.classification));
    }
  }
  const places = (used: Derivation["rows"]): string[] =>
    used.flatMap(({ table, columns }) =>
      columns === "all"
        ? [...classified.keys()].filter((place) => place.startsWith(placeOf(table, "")))
        : columns.map((column) => placeOf(table, column)),
    );
  const deciding = new Set(places(derivation.rows));
  const types = new Map(derivation.columns.map(({ name, type }) => [name, type]));
  const found = new Map<string, string>();
  for (const { column, used } of derivation.from) {
    const all = places(used);
    // It bears the name of a column that is not classified: it is that column, and the classified one only chooses its rows.
    const isPassed = all.some((place) => !classified.has(place) && place.endsWith(`\n${column.toLowerCase()}`));
    const source = all.find((place) => classified.has(place) && (!deciding.has(place) || (isText(types.get(column)) && !isPassed)));
    if (source !== undefined) found.set(column, classified.get(source) ?? "pii");
  }
  return found;
}

const placeOf = (table: string, column: string): string => `${table.toLowerCase()}\n${column.toLowerCase()}`;

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
