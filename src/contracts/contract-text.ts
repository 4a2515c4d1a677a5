import { LosslessNumber } from "lossless-json";
import { Document, isScalar, parseDocument } from "yaml";
import { toJson } from "../lib/json.ts";
import { fieldIdProperty, type Contract, type ContractProperty } from "./contract.ts";
import type { DocumentPath } from "./contract-problem.ts";
import { isObject } from "./contract-value.ts";

/* Contracts as YAML for people: written in the order in which one reads them, edited in place so that comments stay. */

/** Keys that come first, in this order; the others follow as they are. */
const order: readonly string[] = (
  "apiVersion kind id name property channel username role version status domain tenant dataProduct physicalName logicalType physicalType " +
  "value type metric rule engine description required unique primaryKey primaryKeyPosition classification logicalTypeOptions enum " +
  "arguments query implementation mustBe mustNotBe mustBeGreaterThan mustBeGreaterOrEqualTo mustBeLessThan mustBeLessOrEqualTo " +
  "mustBeBetween mustNotBeBetween unit severity dimension relationships quality properties items schema team roles slaProperties"
).split(" ");

const rank = (key: string): number => {
  const place = order.indexOf(key);
  return place < 0 ? order.length : place;
};

// Numbers that JavaScript cannot hold are written as a mark, and the mark replaced by their digits.
const mark = "tidegate-digits-";

function readable(value: unknown): unknown {
  if (value instanceof LosslessNumber) return `${mark}${value.value}`;
  if (Array.isArray(value)) return value.map(readable);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const sorted = entries.toSorted(([a], [b]) => rank(a) - rank(b));
  return Object.fromEntries(sorted.map(([key, item]) => [key, readable(item)]));
}

/** The contract as people keep it in a file: without the ids of fields, which belong to the data. */
export function withoutFieldIds(contract: Contract): Contract {
  const schema = contract.schema.map((table) =>
    Array.isArray(table.properties) ? { ...table, properties: table.properties.map(withoutFieldId) } : table,
  );
  return { ...contract, schema };
}

function withoutFieldId(property: ContractProperty): ContractProperty {
  const { customProperties, ...rest } = property;
  if (customProperties?.some((custom) => custom.property === fieldIdProperty) !== true) return property;
  const kept = customProperties.filter((custom) => custom.property !== fieldIdProperty);
  return kept.length === 0 ? (rest as ContractProperty) : { ...property, customProperties: kept };
}

/** The contract as YAML. */
export function contractYaml(contract: Contract): string {
  const document = new Document(readable(withoutFieldIds(contract)));
  return textOf(document);
}

const textOf = (document: Document): string =>
  document.toString({ lineWidth: 0 }).replaceAll(new RegExp(`${mark}([-+0-9.eE]+)`, "g"), "$1");

/** A single value is changed where it stands, with the comment beside it; anything else is put in its place. */
function setInPlace(document: Document, path: DocumentPath, value: unknown): void {
  const node: unknown = document.getIn(path, true);
  if (isScalar(node) && !isObject(value) && !Array.isArray(value)) {
    node.value = value;
    if (typeof value !== "string" && node.type !== undefined) node.type = "PLAIN";
    delete node.source;
  } else document.setIn(path, document.createNode(value));
}

/** One edit of a document: sets the value at a path, adds to the list there, or takes out what stands there. */
export interface TextEdit {
  path: DocumentPath;
  what: "set" | "add" | "remove";
  value?: unknown;
}

/** Edits a contract's text in place: what is not named keeps its order, its comments and its form. JSON stays JSON. */
export function editText(text: string, edits: readonly TextEdit[]): string {
  const document = parseDocument(text, { schema: "core", keepSourceTokens: false, logLevel: "silent" });
  for (const { path, what, value } of edits) {
    if (what === "remove") document.deleteIn(path);
    else if (what === "set") setInPlace(document, path, readable(value));
    else {
      const list = document.getIn(path);
      if (list === undefined || list === null) document.setIn(path, document.createNode([readable(value)]));
      else document.addIn(path, document.createNode(readable(value)));
    }
  }
  if (/^\s*\{/.test(text)) return `${toJson(document.toJS(), 2)}\n`;
  return textOf(document);
}
