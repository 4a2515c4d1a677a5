import type { ColumnsUsed } from "../engine/sandbox.ts";
import type { TestResult } from "./consumer-test.ts";

/** Datasets and columns that a test reads; without a plan, all columns of what it mentions. */
export function readsOf(used: ColumnsUsed | undefined, tables: readonly { name: string }[]): TestResult["reads"] {
  if (used === undefined) return tables.map(({ name }) => ({ dataset: name, columns: "all" as const }));
  return used.map(({ table, columns }) => ({ dataset: table, columns }));
}
