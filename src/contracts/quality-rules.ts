import type { ContractProperty } from "./contract.ts";
import type { DocumentPath } from "./contract-problem.ts";
import { isObject, ruleValue, shown, type JsonObject } from "./contract-value.ts";
import { addOwnRule } from "./own-rules.ts";
import { commonParts, requiredBound, type QualityItem } from "./quality-item.ts";
import type { Bound, RuleColumn, RuleScope, RuleTest } from "./rule.ts";
import { boundText } from "./rule-bounds.ts";
import { quoted, type RuleReader } from "./rule-reader.ts";
import { listText, readPattern } from "./type-rules.ts";

/* Items of `quality`: the library of ODCS, SQL, and our own rules as `type: custom, engine: tidegate`. */

export function addQuality(reader: RuleReader, list: unknown, path: DocumentPath, property: ContractProperty | undefined): void {
  if (!Array.isArray(list)) return;
  for (const [index, item] of list.entries()) if (isObject(item)) addItem({ reader, item, property, at: [...path, index] });
}

function addItem(quality: QualityItem): void {
  const { reader, item, at } = quality;
  const metric = item["metric"] ?? item["rule"];
  const type = item["type"] ?? (item["query"] !== undefined ? "sql" : item["engine"] !== undefined ? "custom" : "library");
  if (type === "text") return;
  if (type === "sql") return addSql(quality);
  if (type === "custom" && item["engine"] === "tidegate") return addOwnRule(quality);
  if (type === "custom") {
    return reader.warn([...at, "engine"], "not_checked", `Rules of the engine ${shown(item["engine"])} are kept, and not checked.`, {
      hint: "see «Rules of our own» in docs/contracts.md",
    });
  }
  return addLibrary(quality, metric);
}

/** Names that older versions of the standard and other tools use. */
const olderMetrics: Readonly<Record<string, string>> = {
  nullCheck: "nullValues",
  duplicateCount: "duplicateValues",
  validValues: "invalidValues",
};

function addLibrary(quality: QualityItem, named: unknown): void {
  const { reader, item, property, at } = quality;
  const metric = typeof named === "string" ? (olderMetrics[named] ?? named) : undefined;
  const key = item["metric"] === undefined && item["rule"] !== undefined ? "rule" : "metric";
  const test = metric === undefined ? undefined : libraryTest(quality, metric);
  if (metric === undefined || test === undefined) return;
  if (test === "unknown") {
    const level = property === undefined ? "a table" : "a column";
    const known = property === undefined ? ["rowCount", "duplicateValues"] : columnMetrics;
    const facts = { expected: known.join(", "), found: shown(named), hint: "other rules: type sql, or type custom with engine tidegate" };
    // In v3.0 the names of rules were open: what is not known there is kept.
    if (key === "rule") return reader.warn([...at, key], "not_checked", `The rule ${shown(named)} is kept, and not checked.`, facts);
    return reader.refuse([...at, key], "wrong_value", `${shown(named)} is no metric of ${level}.`, facts);
  }
  const bound = requiredBound(quality);
  if (bound === undefined) return;
  const common = commonParts(quality);
  const { title, pathId } = libraryTitle(quality, metric, test, bound, common.unit);
  const scope: RuleScope = test.kind === "metric" || test.kind === "duplicate_values" ? "snapshot" : "added";
  const { name, unit, ...rest } = common;
  reader.add({ ...rest, pathId, title: name ?? title, test, bound, unit: unit ?? "rows", scope });
}

const columnMetrics = ["nullValues", "missingValues", "invalidValues", "duplicateValues"];

function libraryTest(quality: QualityItem, metric: string): RuleTest | "unknown" | undefined {
  const { reader, item, property, at } = quality;
  const args = isObject(item["arguments"]) ? item["arguments"] : {};
  if (metric === "rowCount") return { kind: "metric", metric: "row_count" };
  if (property === undefined) {
    if (metric !== "duplicateValues") return "unknown";
    return tableDuplicates(quality, args);
  }
  const column = reader.column(property.name);
  if (metric === "nullValues") return { kind: "null_values", column };
  if (metric === "duplicateValues") return { kind: "duplicate_values", columns: [column] };
  if (metric === "missingValues") {
    const list = args["missingValues"];
    const values: readonly unknown[] = Array.isArray(list) ? (list as unknown[]) : [];
    return { kind: "missing_values", column, values: values.flatMap((value) => ruleValue(value, undefined) ?? []) };
  }
  if (metric !== "invalidValues") return "unknown";
  return invalidValues(quality, column, args, at);
}

function tableDuplicates({ reader, at }: QualityItem, args: JsonObject): RuleTest | undefined {
  const list: unknown = args["properties"];
  const path = [...at, "arguments", "properties"];
  if (!Array.isArray(list) || list.length === 0) {
    reader.refuse([...at, "arguments"], "missing_key", "duplicateValues of a table names the columns that are unique together.", {
      expected: "arguments: { properties: [a, b] }",
      found: shown(list),
    });
    return undefined;
  }
  const columns = (list as unknown[]).map((name, index) => reader.namedColumn(name, [...path, index]));
  if (!columns.every((column) => column !== undefined)) return undefined;
  return { kind: "duplicate_values", columns };
}

function invalidValues(
  { reader, item, property }: QualityItem,
  column: RuleColumn,
  args: JsonObject,
  at: DocumentPath,
): RuleTest | undefined {
  // Before 3.1 the list stood beside the rule.
  const list = args["validValues"] ?? item["validValues"];
  const { pattern } = args;
  if (Array.isArray(list) && pattern === undefined) {
    const values = (list as unknown[]).flatMap((value) => ruleValue(value, property?.logicalType) ?? []);
    return { kind: "invalid_values", column, valid: { is: "in", values } };
  }
  if (pattern !== undefined && list === undefined) {
    const re2 = readPattern(reader, pattern, [...at, "arguments", "pattern"]);
    return re2 === undefined ? undefined : { kind: "invalid_values", column, valid: { is: "matches", patterns: [re2], how: "any" } };
  }
  reader.refuse([...at, "arguments"], list === undefined ? "missing_key" : "ambiguous", "invalidValues takes valid values or a pattern.", {
    expected: "arguments: { validValues: [...] } or { pattern: ... }; for both, two rules",
    found: list === undefined ? "neither" : "both",
  });
  return undefined;
}

function libraryTitle(quality: QualityItem, metric: string, test: RuleTest, bound: Bound, unit: "rows" | "percent" | undefined) {
  const own = quality.property?.name;
  const columns = test.kind === "duplicate_values" ? test.columns.map((column) => column.name) : [];
  const pathId = own === undefined ? (columns.length > 0 ? `${metric}/${columns.join("+")}` : metric) : `${own}/${metric}`;
  const must = bound.op === "=" && bound.value === "0" ? "no" : `${boundText(bound)}${unit === "percent" ? " %" : ""}`;
  const name = quoted(own ?? "");
  const words: Readonly<Record<string, string>> = {
    nullValues: `${must} nulls in ${name}`,
    missingValues: `${must} missing values in ${name}`,
    invalidValues: `${must} invalid values in ${name}${validText(test)}`,
    duplicateValues: `${must} duplicates in ${own === undefined ? columns.map(quoted).join(", ") : name}`,
    rowCount: `row count ${boundText(bound)}`,
  };
  return { title: words[metric] ?? metric, pathId };
}

function validText(test: RuleTest): string {
  if (test.kind !== "invalid_values") return "";
  return test.valid.is === "in" ? ` (valid: ${listText(test.valid.values)})` : "";
}

/** Names of the things that a query's placeholders stand for; with or without `$`. */
const placeholders: readonly (readonly [RegExp, (item: QualityItem) => string | undefined])[] = [
  [/\$?\{\s*(?:object|table|model)\s*\}/gi, ({ reader }) => reader.dataset.split(".").map(quoted).join(".")],
  [
    /\$?\{\s*(?:property|column|field)\s*\}/gi,
    ({ reader, property }) => (property === undefined ? undefined : `"${reader.column(property.name).name.replaceAll('"', '""')}"`),
  ],
  [
    /\$?\{\s*(?:schema|dataset|project|catalog|database)\s*\}/gi,
    ({ reader }) => reader.dataset.split(".").slice(0, -1).map(quoted).join(".") || undefined,
  ],
];

function addSql(quality: QualityItem): void {
  const { reader, item, property, at } = quality;
  const query = item["query"];
  if (typeof query !== "string") return;
  const path = [...at, "query"];
  let text = query;
  for (const [pattern, valueOf] of placeholders) {
    if (!new RegExp(pattern.source, "i").test(text)) continue;
    const value = valueOf(quality);
    if (value === undefined) {
      return reader.refuse(path, "wrong_value", "The query has a placeholder that stands for nothing here.", {
        expected: property === undefined ? "{object} in a rule of the table" : "{object} and {property}",
        found: pattern.exec(text)?.[0] ?? "a placeholder",
      });
    }
    text = text.replaceAll(pattern, () => value);
  }
  if (!/^\s*(?:--[^\n]*\n\s*|\/\*[\s\S]*?\*\/\s*|\()*(?:select|with|from|values)\b/i.test(text)) {
    return reader.refuse(path, "wrong_value", "A rule of type sql is one SELECT.", {
      expected: "SELECT … that gives one number or boolean",
      found: shown(query.trim().split(/\s+/, 1)[0]),
    });
  }
  const bound = requiredBound(quality);
  if (bound === undefined) return;
  const { name, unit: _unit, ...common } = commonParts(quality);
  const pathId = property === undefined ? "sql" : `${property.name}/sql`;
  const title = name ?? common.description ?? `${text.trim().split("\n")[0]?.slice(0, 60) ?? "the query"} ${boundText(bound)}`;
  reader.add({ ...common, pathId, title, test: { kind: "sql", query: text.trim() }, bound, scope: "snapshot" });
}
