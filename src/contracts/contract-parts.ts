import { canonicalJson } from "../lib/json.ts";
import { isObject } from "./contract-value.ts";

/* What the parts of a contract are called: which key tells the items of a list apart, and how people name a place. */

const listKeys: Readonly<Record<string, readonly string[]>> = {
  schema: ["name"],
  properties: ["name"],
  quality: ["id", "metric", "rule", "type"],
  relationships: ["id", "to"],
  slaProperties: ["id", "property"],
  customProperties: ["property"],
  members: ["username"],
  team: ["username"],
  roles: ["role"],
  servers: ["server"],
  support: ["channel"],
  enum: ["value"],
  synonyms: ["synonym"],
  authoritativeDefinitions: ["url"],
  tags: [],
};

/** The keys by which items of this list are told apart, the first that an item has; none for plain values; undefined for lists that are one thing. */
export function listKeyOf(list: string): readonly string[] | undefined {
  return Object.hasOwn(listKeys, list) ? listKeys[list] : undefined;
}

/** What tells one item of a list from the others. */
export function itemKey(list: string, item: unknown): string {
  if (!isObject(item)) return canonicalJson(item);
  const implementation = item["implementation"];
  if (list === "quality" && item["id"] === undefined && isObject(implementation) && typeof implementation["rule"] === "string") {
    return implementation["rule"];
  }
  const key = (listKeyOf(list) ?? []).find((candidate) => item[candidate] !== undefined);
  const value = key === undefined ? item : item[key];
  return typeof value === "string" ? value : canonicalJson(value);
}

/** A place as people name it, from the keys that lead there: `rule fare/minimum`, `owner ana`, `status`. */
export function partName(trail: readonly string[], value: unknown): string {
  const [top, table, part, column, key, ...rest] = trail;
  if (top !== "schema" || table === undefined) return topName(trail, value);
  if (part !== "properties") {
    if (part === "quality" || part === "relationships") return `rule ${column ?? part}`;
    return column === undefined ? (part ?? "schema") : `${part ?? ""} ${column}`;
  }
  if (column === undefined) return "columns";
  if (key === undefined) return `column ${column}`;
  if (key === "quality" || key === "relationships" || key === "logicalTypeOptions") return `rule ${column}/${rest[0] ?? key}`;
  if (key === "required" || key === "unique" || key === "enum") return `rule ${column}/${key}`;
  return `column ${column}: ${rest[0] ?? key}`;
}

function topName([top, key, item]: readonly string[], value: unknown): string {
  if (top === "slaProperties") return `service level ${key ?? ""}`.trim();
  const member = top === "team" ? (key === "members" ? item : key) : undefined;
  if (member !== undefined) return isObject(value) && value["role"] === "owner" ? `owner ${member}` : `member ${member}`;
  return [top, key].filter((part) => part !== undefined).join(" ") || "contract";
}
