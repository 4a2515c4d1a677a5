import type { ContractProperty } from "./contract.ts";
import type { DocumentPath } from "./contract-problem.ts";
import { decimalText, isObject, isTimeType, ruleValue, shown, type JsonObject } from "./contract-value.ts";
import { toRe2, toStrptime } from "./pattern.ts";
import type { Dimension, RuleColumn, RuleTest, RuleValue, Validity } from "./rule.ts";
import { quoted, type RuleReader, type RuleSettings } from "./rule-reader.ts";
import { ownSettings } from "./rule-settings.ts";

/* Rules that stand in a column's own keys: required, unique, enum, logicalTypeOptions; and the primary key of the table. */

interface ColumnPart {
  reader: RuleReader;
  property: ContractProperty;
  column: RuleColumn;
  settings: RuleSettings;
  path: DocumentPath;
}

const none = { op: "=", value: "0" } as const;

/** Rules of one column's own keys. */
export function addColumnRules(reader: RuleReader, property: ContractProperty, path: DocumentPath): void {
  const part: ColumnPart = { reader, property, column: reader.column(property.name), settings: ownSettings(reader, property, path), path };
  const name = quoted(property.name);
  const { column } = part;
  if (property.required && property.primaryKey !== true) {
    addRowRule(part, "required", `${name} is never null`, { kind: "null_values", column }, "completeness");
  }
  if (property["unique"] === true) {
    addRowRule(part, "unique", `${name} is unique`, { kind: "duplicate_values", columns: [column] }, "uniqueness", "snapshot");
  }
  const values = property["enum"];
  if (Array.isArray(values)) addEnum(part, values);
  const options = property["logicalTypeOptions"];
  if (isObject(options)) for (const key of Object.keys(options)) addOption(part, options, key);
  warnOfNested(part);
}

function addRowRule(
  part: ColumnPart,
  key: string,
  title: string,
  test: RuleTest,
  dimension: Dimension,
  scope: "added" | "snapshot" = "added",
  at: DocumentPath = [key],
): void {
  const { reader, property, settings, path } = part;
  const pathId = `${property.name}/${key}`;
  reader.add({ pathId, title, dimension, test, bound: none, settings, scope, at: [...path, ...at] });
}

function addValid(part: ColumnPart, key: string, title: string, valid: Validity, at: DocumentPath): void {
  addRowRule(part, key, title, { kind: "invalid_values", column: part.column, valid }, "conformity", "added", at);
}

function addEnum(part: ColumnPart, items: readonly unknown[]): void {
  const values = items.flatMap((item) => (isObject(item) ? (ruleValue(item["value"], part.property.logicalType) ?? []) : []));
  const title = `${quoted(part.property.name)} is ${listText(values)}`;
  addValid(part, "enum", title, { is: "in", values }, ["enum"]);
}

/** At most five values of a list, for a title. */
export function listText(values: readonly RuleValue[]): string {
  const names = values.slice(0, 5).map(({ value }) => value);
  return values.length > 5 ? `one of ${names.join(", ")} and ${values.length - 5} more` : `one of ${names.join(", ")}`;
}

const limits = { minimum: "≥", maximum: "≤", exclusiveMinimum: ">", exclusiveMaximum: "<" } as const;

function addOption(part: ColumnPart, options: JsonObject, key: string): void {
  const { reader, property } = part;
  const name = quoted(property.name);
  const at: DocumentPath = ["logicalTypeOptions", key];
  const value = options[key];
  const add = (title: string, valid: Validity): void => addValid(part, key, `${name} ${title}`, valid, at);
  switch (key) {
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum": {
      const bound = ruleValue(value, property.logicalType);
      if (bound === undefined) return;
      const range = key.endsWith("inimum") ? { min: bound } : { max: bound };
      const open = key === "exclusiveMinimum" ? { exclusiveMin: true } : key === "exclusiveMaximum" ? { exclusiveMax: true } : {};
      return add(`${limits[key]} ${bound.value}`, { is: "range", range: { ...range, ...open } });
    }
    case "minLength":
      return add(`has at least ${String(value)} characters`, { is: "length", min: Number(value) });
    case "maxLength":
      return add(`has at most ${String(value)} characters`, { is: "length", max: Number(value) });
    case "pattern":
      return addPattern(part, value, at);
    case "format":
      return addFormat(part, value, at);
    case "multipleOf": {
      const of = decimalText(value);
      return of === undefined ? undefined : add(`is a multiple of ${of}`, { is: "multiple_of", of });
    }
    case "minItems":
      return add(`has at least ${String(value)} items`, { is: "items", min: Number(value) });
    case "maxItems":
      return add(`has at most ${String(value)} items`, { is: "items", max: Number(value) });
    case "dimensions":
      return add(`has ${String(value)} items`, { is: "items", min: Number(value), max: Number(value) });
    case "uniqueItems":
      return value === true ? add("has no item twice", { is: "items", unique: true }) : undefined;
    case "minProperties":
    case "maxProperties":
    case "required":
      return reader.warn([...part.path, ...at], "not_checked", `${key} of ${property.name} is kept, and not checked.`);
    default:
      return undefined;
  }
}

function addPattern(part: ColumnPart, value: unknown, at: DocumentPath): void {
  const pattern = readPattern(part.reader, value, [...part.path, ...at]);
  if (pattern === undefined) return;
  addValid(
    part,
    "pattern",
    `${quoted(part.property.name)} matches ${String(value)}`,
    { is: "matches", patterns: [pattern], how: "any" },
    at,
  );
}

/** A pattern in RE2's syntax; what RE2 cannot say is refused with the reason. */
export function readPattern(reader: RuleReader, value: unknown, path: DocumentPath): string | undefined {
  const translated = typeof value === "string" ? toRe2(value) : { refused: "it is not a text" };
  if ("re2" in translated) return translated.re2;
  reader.refuse(path, "pattern", `The pattern cannot be checked: ${translated.refused}.`, {
    expected: "a regular expression without lookaround and backreferences",
    found: shown(value),
    hint: "say it as several patterns, or as a rule of type sql",
  });
  return undefined;
}

const textFormats = new Set(["email", "uuid", "uri", "hostname", "ipv4", "ipv6"]);
const uncheckedFormats = new Set(["password", "byte", "binary", "f32", "f64"]);

function addFormat(part: ColumnPart, value: unknown, at: DocumentPath): void {
  const { reader, property, column } = part;
  const name = quoted(property.name);
  if (typeof value !== "string" || uncheckedFormats.has(value)) return;
  if (property.logicalType === "integer") {
    const bits = /^([iu])(8|16|32|64|128)$/.exec(value);
    if (bits === null) return;
    const signed = bits[1] === "i";
    const size = 1n << BigInt(Number(bits[2]) - (signed ? 1 : 0));
    const range = {
      min: { type: "number", value: signed ? String(-size) : "0" },
      max: { type: "number", value: String(size - 1n) },
    } as const;
    return addValid(part, "format", `${name} is an ${value}`, { is: "range", range }, at);
  }
  if (isTimeType(property.logicalType)) {
    // A column that holds times has them in no format; one that holds texts must follow it.
    const field = reader.schema?.fields.find((candidate) => candidate.id === column.fieldId);
    if (field !== undefined && field.type !== "string") return;
    const format = toStrptime(value);
    if (format !== undefined) return addValid(part, "format", `${name} is written as ${value}`, { is: "time_format", format }, at);
    return reader.warn([...part.path, ...at], "not_checked", `The format ${value} is kept, and not checked.`);
  }
  if (textFormats.has(value)) return addValid(part, "format", `${name} is written as ${value}`, { is: "format", name: value }, at);
  return reader.warn([...part.path, ...at], "not_checked", `The format ${value} is kept, and not checked.`, {
    expected: [...textFormats].join(", "),
    found: value,
  });
}

const ruleKeys = ["quality", "enum", "relationships", "logicalTypeOptions"] as const;

/** Rules inside nested columns are kept, and said not to be checked: never silently passed over. */
function warnOfNested({ reader, property, path }: ColumnPart): void {
  const visit = (part: unknown, at: DocumentPath): void => {
    if (!isObject(part)) return;
    const found = ruleKeys.filter((key) => part[key] !== undefined);
    if (part["required"] === true) found.push("required" as never);
    if (found.length > 0) {
      reader.warn(at, "not_checked", `What stands inside ${property.name} is kept, and not checked: ${found.join(", ")}.`, {
        hint: "say it in a rule of type sql",
      });
    }
    descend(part, at);
  };
  const descend = (part: JsonObject, at: DocumentPath): void => {
    if (Array.isArray(part["properties"])) {
      for (const [index, item] of (part["properties"] as unknown[]).entries()) visit(item, [...at, "properties", index]);
    }
    visit(part["items"], [...at, "items"]);
    if (isObject(part["map"])) for (const side of ["key", "value"]) visit(part["map"][side], [...at, "map", side]);
  };
  descend(property, path);
}

/** The primary key: unique over all its columns, none of them null. */
export function addKeyRules(reader: RuleReader, properties: readonly ContractProperty[], path: DocumentPath): void {
  const keyed = properties
    .map((property, index) => ({ property, index, position: property.primaryKeyPosition ?? 0 }))
    .filter(({ property }) => property.primaryKey === true)
    .sort((a, b) => a.position - b.position);
  const [first] = keyed;
  if (first === undefined) return;
  for (const { property, index } of keyed) {
    reader.add({
      pathId: `${property.name}/primaryKey`,
      title: `${quoted(property.name)} is never null, as part of the key`,
      dimension: "completeness",
      test: { kind: "null_values", column: reader.column(property.name) },
      bound: none,
      settings: ownSettings(reader, property, [...path, index]),
      scope: "added",
      at: [...path, index, "primaryKey"],
    });
  }
  reader.add({
    pathId: "primaryKey",
    title: `${keyed.map(({ property }) => quoted(property.name)).join(", ")} ${keyed.length > 1 ? "together are" : "is"} the key`,
    dimension: "uniqueness",
    test: { kind: "duplicate_values", columns: keyed.map(({ property }) => reader.column(property.name)) },
    bound: none,
    settings: ownSettings(reader, first.property, [...path, first.index]),
    scope: "snapshot",
    at: [...path, first.index, "primaryKey"],
  });
}
