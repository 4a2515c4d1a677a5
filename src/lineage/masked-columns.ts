import type { ColumnsUsed, Derivation } from "../engine/sandbox.ts";

/** A dataset that a query reads, with the columns whose values are shown to nobody. */
export interface MaskedTable {
  name: string;
  masked: readonly string[];
}

/**
 * Columns of a result that show values of masked columns, by name; undefined where that cannot be told. A column that is computed without the
 * masked ones is shown, also where these choose rows: by a condition or a group of the masked column alone. What else chooses rows by them (a join,
 * a comparison with another column) may carry the value into any column.
 */
export function maskedOf(derivation: Derivation, tables: readonly MaskedTable[]): ReadonlySet<string> | undefined {
  const reads = (used: ColumnsUsed): boolean =>
    used.some(({ table, columns }) => {
      const hidden = tables.filter(({ name }) => name === table).flatMap(({ masked }) => masked);
      return columns === "all" ? hidden.length > 0 : columns.some((column) => hidden.includes(column));
    });
  if (!reads(derivation.rows)) return new Set(derivation.from.filter(({ used }) => reads(used)).map(({ column }) => column));
  const { plain, columns } = derivation;
  const hidden = new Set(tables.flatMap(({ masked }) => masked.map((column) => column.toLowerCase())));
  const isHidden = (names: readonly string[]): boolean => names.some((name) => hidden.has(name));
  if (plain === undefined || plain.columns.length !== columns.length || isHidden(plain.choosing)) return undefined;
  return new Set(columns.filter((_, at) => isHidden(plain.columns[at] ?? [])).map(({ name }) => name));
}
