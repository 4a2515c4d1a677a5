import { isNumeric, isObject, shown, type JsonObject } from "./contract-value.ts";
import type { ContractProblem, DocumentPath, ProblemReason } from "./contract-problem.ts";
import { shapes, typeOptions, type ObjectShape, type Shape, type ShapeName } from "./odcs-shape.ts";

/* Compares a document with the shape of the standard, and says everything that differs at once. */

const versions = ["v3.2.0", "v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0"];

interface Walk {
  problems: ContractProblem[];
  /** 30, 31 or 32. */
  version: number;
}

/** All that a document says otherwise than the standard. */
export function checkShape(document: unknown): ContractProblem[] {
  const walk: Walk = { problems: [], version: 32 };
  if (!isObject(document)) {
    say(walk, [], "wrong_type", "A contract is an object.", {
      expected: "apiVersion, kind, id, version, schema …",
      found: shown(document),
    });
    return walk.problems;
  }
  walk.version = checkVersion(walk, document);
  checkObject(walk, document, "Contract", []);
  if (walk.version < 32 && document["status"] === undefined) {
    say(walk, [], "missing_key", "The contract has no status.", { expected: "status: active (draft, deprecated …)", found: "none" });
  }
  return walk.problems;
}

function checkVersion(walk: Walk, document: JsonObject): number {
  const version = document["apiVersion"];
  if (typeof version !== "string") return 32;
  const match = /^v3\.([0-2])\.\d+$/.exec(version);
  if (match !== null) return 30 + Number(match[1]);
  say(walk, ["apiVersion"], "wrong_value", "Contracts of this version of the standard are not read.", {
    expected: versions.join(", "),
    found: shown(version),
  });
  return 32;
}

function say(
  walk: Walk,
  path: DocumentPath,
  reason: ProblemReason,
  message: string,
  facts: Partial<Pick<ContractProblem, "expected" | "found" | "hint" | "level">> = {},
): void {
  walk.problems.push({ path, level: "error", reason, message, ...facts });
}

function checkObject(walk: Walk, value: JsonObject, name: ShapeName, path: DocumentPath): void {
  const shape = shapes[name];
  for (const [key, item] of Object.entries(value)) checkKey(walk, shape, name, key, item, [...path, key]);
  for (const key of shape.required) {
    if (value[key] === undefined) {
      say(walk, path, "missing_key", `${nameOf(name)} has no ${key}.`, { expected: `${key}: …`, found: Object.keys(value).join(", ") });
    }
  }
  if (name === "Property" || name === "Item") checkProperty(walk, value, path);
  if (name === "Quality") checkQuality(walk, value, path);
  if (name === "Relationship" && path.at(-4) === "properties" && value["from"] !== undefined) {
    say(walk, [...path, "from"], "unknown_key", "A relationship of a column starts from that column.", {
      expected: "no key from",
      found: "from",
    });
  }
  if (name === "Relationship" && path.at(-4) === "schema" && value["from"] === undefined) {
    say(walk, path, "missing_key", "A relationship of a table names its columns.", { expected: "from: table.column", found: "none" });
  }
}

const nameOf = (name: ShapeName): string => (name === "Contract" ? "The contract" : `The ${name.toLowerCase()}`);

function checkKey(walk: Walk, shape: ObjectShape, name: ShapeName, key: string, item: unknown, path: DocumentPath): void {
  const wanted = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined;
  if (wanted === undefined) return unknownKey(walk, shape, name, key, path);
  if (walk.version < 32 && shape.since32?.includes(key) === true) {
    say(walk, path, "unknown_key", `${key} came with version 3.2 of the standard.`, {
      expected: "apiVersion: v3.2.0",
      found: `v3.${walk.version - 30}`,
      hint: "set apiVersion to v3.2.0",
    });
  }
  checkValue(walk, wanted, item, path);
}

function unknownKey(walk: Walk, shape: ObjectShape, name: ShapeName, key: string, path: DocumentPath): void {
  if (name === "Quality" && key === "validValues") return;
  // Version 3.0 closed only the top of a document.
  const level = walk.version === 30 && name !== "Contract" ? "warning" : "error";
  say(walk, path, "unknown_key", `${nameOf(name)} has no key ${key} in the standard.`, {
    level,
    expected: nearestKey(key, Object.keys(shape.keys)) ?? Object.keys(shape.keys).join(", "),
    found: key,
    hint: key === "$ref" ? "references are not followed: write out what it names" : "keys of your own belong in customProperties",
  });
}

/** The key that was meant, when exactly one is at most two letters away. */
function nearestKey(key: string, keys: readonly string[]): string | undefined {
  const near = keys.filter((candidate) => Math.abs(candidate.length - key.length) <= 2 && distance(candidate, key) <= 2);
  return near.length === 1 ? near[0] : undefined;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function checkValue(walk: Walk, shape: Shape, value: unknown, path: DocumentPath): void {
  const expected = expectation(shape);
  const wrong = (): void => say(walk, path, "wrong_type", `${String(path.at(-1))} is not ${expected}.`, { expected, found: shown(value) });
  if (typeof shape !== "string") {
    if ("oneOf" in shape) {
      if (typeof value !== "string" || !shape.oneOf.includes(value)) {
        say(walk, path, "wrong_value", `${String(path.at(-1))} cannot be ${shown(value)}.`, { expected, found: shown(value) });
      }
      return;
    }
    if ("either" in shape) return checkValue(walk, fits(shape.either[1], value) ? shape.either[1] : shape.either[0], value, path);
    return Array.isArray(value) ? checkList(walk, shape.list, shape.min ?? 0, value, path) : wrong();
  }
  if (shape in shapes) return isObject(value) ? checkObject(walk, value, shape as ShapeName, path) : wrong();
  if (!fits(shape, value)) wrong();
}

function fits(shape: Shape, value: unknown): boolean {
  if (typeof shape !== "string") return "list" in shape ? Array.isArray(value) : true;
  switch (shape) {
    case "any":
      return true;
    case "text":
      return typeof value === "string";
    case "id":
      return typeof value === "string" && /^[A-Za-z0-9_-]+$/.test(value);
    case "number":
      return isNumeric(value);
    case "count":
      return (typeof value === "number" && Number.isInteger(value) && value >= 0) || (typeof value === "bigint" && value >= 0n);
    case "boolean":
      return typeof value === "boolean";
    case "scalar":
      return value === null || typeof value === "string" || typeof value === "boolean" || isNumeric(value);
    default:
      return isObject(value);
  }
}

function expectation(shape: Shape): string {
  if (typeof shape !== "string") {
    if ("oneOf" in shape) return `one of ${shape.oneOf.join(", ")}`;
    return "either" in shape ? expectation(shape.either[0]) : "a list";
  }
  const words: Readonly<Record<string, string>> = {
    text: "a text",
    number: "a number",
    count: "a whole number from 0",
    boolean: "true or false",
    scalar: "a text, number, true, false or null",
    id: "an id of letters, digits, _ and -",
  };
  return words[shape] ?? "an object";
}

function checkList(walk: Walk, shape: Shape, min: number, list: readonly unknown[], path: DocumentPath): void {
  if (list.length < min) say(walk, path, "wrong_value", `${String(path.at(-1))} is empty.`, { expected: `at least ${min}`, found: "none" });
  const ids = new Map<string, number>();
  for (const [index, item] of list.entries()) {
    checkValue(walk, shape, item, [...path, index]);
    for (const [key, reason] of identifying(shape, item)) {
      const first = ids.get(key);
      if (first === undefined) ids.set(key, index);
      else {
        say(walk, [...path, index, reason], "duplicate_id", `Two items of ${String(path.at(-1))} have this ${reason}.`, {
          expected: "each once",
          found: `${shown((item as JsonObject)[reason])}, as item ${first + 1} has`,
        });
      }
    }
  }
}

/** What tells an item of a list from its neighbours: its id; of columns and tables also the name. */
function identifying(shape: Shape, item: unknown): [key: string, reason: string][] {
  if (!isObject(item)) return [];
  const found: [string, string][] = [];
  if (typeof item["id"] === "string") found.push([`id ${item["id"]}`, "id"]);
  if ((shape === "Property" || shape === "Object") && typeof item["name"] === "string") {
    found.push([`name ${item["name"].toLowerCase()}`, "name"]);
  }
  return found;
}

function checkProperty(walk: Walk, value: JsonObject, path: DocumentPath): void {
  const type = value["logicalType"];
  if (walk.version < 32 && (type === "map" || type === "vector")) {
    say(walk, [...path, "logicalType"], "wrong_value", `The logical type ${type} came with version 3.2 of the standard.`, {
      expected: "apiVersion: v3.2.0",
      found: `v3.${walk.version - 30}`,
      hint: "set apiVersion to v3.2.0",
    });
  }
  const options = value["logicalTypeOptions"];
  if (!isObject(options)) return;
  const known = typeof type === "string" ? typeOptions[type] : undefined;
  const all = known ?? Object.assign({}, ...Object.values(typeOptions).map((keys) => keys));
  for (const [key, item] of Object.entries(options)) {
    const at = [...path, "logicalTypeOptions", key];
    const wanted = Object.hasOwn(all, key) ? (all as Record<string, Shape>)[key] : undefined;
    if (wanted !== undefined && known !== undefined) checkOption(walk, key, wanted, item, at);
    if (wanted !== undefined) continue;
    say(walk, at, "unknown_key", `${known === undefined ? "No type" : `The type ${String(type)}`} has no option ${key}.`, {
      expected: Object.keys(all as object).join(", ") || "no options",
      found: key,
    });
  }
  if (type === "vector" && options["dimensions"] === undefined) {
    say(walk, [...path, "logicalTypeOptions"], "missing_key", "A vector has dimensions.", { expected: "dimensions: 384", found: "none" });
  }
}

function checkOption(walk: Walk, key: string, wanted: Shape, item: unknown, at: DocumentPath): void {
  // Before 3.1 numbers were written as texts as well; YAML writes dates without quotes.
  checkValue(walk, wanted, item, at);
  if (key === "multipleOf" && isNumeric(item) && Number(item) <= 0) {
    say(walk, at, "wrong_value", "multipleOf is greater than 0.", { expected: "> 0", found: shown(item) });
  }
}

function checkQuality(walk: Walk, value: JsonObject, path: DocumentPath): void {
  const type = value["type"];
  const needs = (key: string): void => {
    if (value[key] === undefined)
      say(walk, path, "missing_key", `A rule of type ${String(type)} has ${key}.`, { expected: `${key}: …`, found: "none" });
  };
  if (type === "sql") needs("query");
  if (type === "custom") {
    needs("engine");
    needs("implementation");
  }
  const isLibrary = type === "library" || (type === undefined && value["query"] === undefined && value["engine"] === undefined);
  if (isLibrary && value["metric"] === undefined && value["rule"] === undefined) {
    say(walk, path, "missing_key", "A rule of the library names its metric.", {
      expected: "metric: nullValues, missingValues, invalidValues, duplicateValues or rowCount",
      found: Object.keys(value).join(", "),
    });
  }
}
