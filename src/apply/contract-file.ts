import type { Contract } from "../contracts/contract.ts";
import { parseText } from "../contracts/contract-document.ts";
import { isObject } from "../contracts/contract-value.ts";
import { derivedSqlOf, withDerivedSql } from "../contracts/derived.ts";

/** Names the dataset that a contract's file is about, where its table is called otherwise. */
export const datasetProperty = "tidegate.dataset";

/**
 * The dataset that a contract's text is about: its custom property `tidegate.dataset`, else the name of its first table. Undefined when it
 * names none; then the text has a mistake that reading it will tell.
 */
export function contractDataset(text: string): string | undefined {
  const { value } = parseText(text);
  if (!isObject(value)) return undefined;
  const named = customOf(value["customProperties"], datasetProperty);
  if (typeof named === "string") return named;
  const tables: unknown = value["schema"];
  const table: unknown = Array.isArray(tables) ? tables[0] : undefined;
  return isObject(table) && typeof table["name"] === "string" ? table["name"] : undefined;
}

function customOf(properties: unknown, name: string): unknown {
  if (!Array.isArray(properties)) return undefined;
  const found = (properties as unknown[]).find((item) => isObject(item) && item["property"] === name);
  return isObject(found) ? found["value"] : undefined;
}

/**
 * What the catalogue gets from a file. The file is the whole contract, but for two things that it may leave to the catalogue: without a `team`
 * the owners stay, and how a derived dataset is built stays with the dataset.
 */
export function completed(file: Contract, present: Contract | undefined): Contract {
  const team = file.team === undefined && present?.team !== undefined ? { team: present.team } : {};
  const sql = present === undefined ? undefined : derivedSqlOf(present);
  const whole = { ...file, ...team };
  return sql === undefined || derivedSqlOf(file) !== undefined ? whole : withDerivedSql(whole, sql);
}

/** The key that a contract claims, in its order; undefined when it claims none. */
export function claimedKey(contract: Contract): string[] | undefined {
  const keys = (contract.schema[0]?.properties ?? []).filter((property) => property.primaryKey === true);
  const sorted = keys.toSorted((a, b) => (a.primaryKeyPosition ?? 0) - (b.primaryKeyPosition ?? 0));
  return sorted.length === 0 ? undefined : sorted.map((property) => property.name);
}
