import type { Contract } from "./contract.ts";

export const derivedSqlProperty = "tidegate.derivedSql";

/** The SELECT from which a dataset is built; undefined when it is written to directly. */
export function derivedSqlOf(contract: Contract): string | undefined {
  const value = contract.schema[0]?.customProperties?.find((item) => item.property === derivedSqlProperty)?.value;
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

/** The contract of a dataset that is built by this SELECT. */
export function withDerivedSql(contract: Contract, sql: string): Contract {
  const [table, ...others] = contract.schema;
  if (table === undefined || derivedSqlOf(contract) === sql) return contract;
  const rest = (table.customProperties ?? []).filter((item) => item.property !== derivedSqlProperty);
  return { ...contract, schema: [{ ...table, customProperties: [...rest, { property: derivedSqlProperty, value: sql }] }, ...others] };
}
