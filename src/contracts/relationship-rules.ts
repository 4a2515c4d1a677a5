import type { DocumentPath } from "./contract-problem.ts";
import { isObject, shown, type JsonObject } from "./contract-value.ts";
import type { RuleColumn } from "./rule.ts";
import { quoted, type RuleReader } from "./rule-reader.ts";
import { ownSettings } from "./rule-settings.ts";

/* Relationships: foreign keys to other datasets, in the two notations of ODCS. Other documents and URLs are never fetched. */

interface Reference {
  dataset: string;
  column: string;
}

/** A reference, or why it is none. */
type ReadReference = Reference | { refused: string };

/** `table.column` (the table may have a namespace), or `schema/<id>/properties/<id>`, ids being those of this document where it has them. */
function readReference(reader: RuleReader, value: unknown): ReadReference {
  if (typeof value !== "string") return { refused: "it is not a text" };
  if (value.includes("#") || value.includes("://")) return { refused: "it points into another document, and nothing is fetched" };
  const parts = value.replace(/^\//, "").split("/");
  if (parts.length > 1) {
    const [section, object, properties, property, ...more] = parts;
    if (section !== "schema" || properties !== "properties" || object === undefined || property === undefined || more.length > 0) {
      return { refused: "it does not name a column of a dataset" };
    }
    return byIds(reader, object, property);
  }
  const dot = value.lastIndexOf(".");
  if (dot <= 0 || dot === value.length - 1) return { refused: "it does not name a dataset and a column" };
  return { dataset: value.slice(0, dot), column: value.slice(dot + 1) };
}

function byIds(reader: RuleReader, objectId: string, propertyId: string): Reference {
  const objects: readonly unknown[] = reader.contract.schema;
  const object = objects.find((item) => isObject(item) && (item["id"] === objectId || item["name"] === objectId)) as JsonObject | undefined;
  const properties: readonly unknown[] = Array.isArray(object?.["properties"]) ? (object["properties"] as unknown[]) : [];
  const property = properties.find((item) => isObject(item) && (item["id"] === propertyId || item["name"] === propertyId));
  const nameOf = (item: unknown, id: string): string => (isObject(item) && typeof item["name"] === "string" ? item["name"] : id);
  return { dataset: nameOf(object, objectId), column: nameOf(property, propertyId) };
}

/** Relationships of a column (`own` is its name) or of the table (`own` undefined). */
export function addRelationships(reader: RuleReader, list: unknown, path: DocumentPath, own: string | undefined): void {
  if (!Array.isArray(list)) return;
  for (const [index, item] of list.entries()) if (isObject(item)) addRelationship(reader, item, [...path, index], own);
}

function addRelationship(reader: RuleReader, item: JsonObject, at: DocumentPath, own: string | undefined): void {
  const to = references(reader, item["to"], [...at, "to"]);
  const from = own === undefined ? fromColumns(reader, item["from"], [...at, "from"]) : [reader.column(own)];
  if (to === undefined || from === undefined) return;
  if (to.length !== from.length) {
    reader.refuse([...at, "to"], "reference", "Both sides of a relationship name as many columns.", {
      expected: `${from.length} columns`,
      found: `${to.length}`,
    });
    return;
  }
  const datasets = [...new Set(to.map((reference) => reference.dataset))];
  const [dataset] = datasets;
  if (dataset === undefined || datasets.length > 1) {
    reader.refuse([...at, "to"], "reference", "A relationship leads to one dataset.", {
      expected: "one dataset",
      found: datasets.join(" and "),
    });
    return;
  }
  const target = to.map((reference) => reference.column);
  const names = from.map((column) => quoted(column.name)).join(", ");
  const givenId = typeof item["id"] === "string" ? item["id"] : undefined;
  reader.add({
    ...(givenId === undefined ? {} : { givenId }),
    pathId: own === undefined ? `relationships/${from.map((column) => column.name).join("+")}` : `${own}/relationships`,
    title: `${names} is in ${dataset} (${target.map(quoted).join(", ")})`,
    dimension: "consistency",
    test: { kind: "foreign_key", columns: from, to: { dataset, columns: target } },
    bound: { op: "=", value: "0" },
    settings: ownSettings(reader, item, at),
    scope: "snapshot",
    at,
  });
}

function references(reader: RuleReader, value: unknown, path: DocumentPath): Reference[] | undefined {
  const list: readonly unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
  const found = list.map((item) => readReference(reader, item));
  for (const [index, item] of found.entries()) {
    if (!("refused" in item)) continue;
    reader.refuse(Array.isArray(value) ? [...path, index] : path, "reference", `The reference cannot be followed: ${item.refused}.`, {
      expected: "table.column, or schema/<id>/properties/<id>",
      found: shown(list[index]),
    });
  }
  const good = found.flatMap((item) => ("refused" in item ? [] : [item]));
  return good.length === found.length && good.length > 0 ? good : undefined;
}

function fromColumns(reader: RuleReader, value: unknown, path: DocumentPath): RuleColumn[] | undefined {
  const found = references(reader, value, path);
  if (found === undefined) return undefined;
  const columns = found.map((reference, index) => reader.namedColumn(reference.column, Array.isArray(value) ? [...path, index] : path));
  return columns.every((column) => column !== undefined) ? columns : undefined;
}
