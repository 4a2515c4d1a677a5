import type { DocumentPath } from "./contract-problem.ts";
import { decimalText, isObject, isTimeType, shown, type JsonObject } from "./contract-value.ts";
import type { RowCondition, RuleColumn, RuleValue, Severity } from "./rule.ts";
import { readBound } from "./rule-bounds.ts";
import { noSettings, type RuleReader, type RuleSettings } from "./rule-reader.ts";

const severities: readonly (readonly [Severity, readonly string[]])[] = [
  ["error", ["error", "critical", "fatal", "blocker", "high", "major", "severe"]],
  ["warning", ["warning", "warn", "medium", "moderate", "minor"]],
  ["info", ["info", "information", "informational", "notice", "low", "trivial"]],
];

/** ODCS leaves the words of a severity open; those in use are known, others are taken for `error` and said so. */
export function readSeverity(reader: RuleReader, value: unknown, path: DocumentPath): Severity | undefined {
  if (value === undefined) return undefined;
  const found = severities.find(([, words]) => typeof value === "string" && words.includes(value.toLowerCase().trim()));
  if (found !== undefined) return found[0];
  reader.warn(path, "wrong_value", "This severity is none that we know, so it counts as error.", {
    expected: "error, warning or info",
    found: shown(value),
  });
  return "error";
}

/** Reads `tidegate.severity`, `.scope`, `.warn`, `.noWorseThanBase` and `.where`; custom properties of others are left alone. */
export function ownSettings(reader: RuleReader, part: JsonObject, path: DocumentPath): RuleSettings {
  const list = part["customProperties"];
  let settings = noSettings;
  if (!Array.isArray(list)) return settings;
  for (const [index, item] of list.entries()) {
    if (!isObject(item) || typeof item["property"] !== "string") continue;
    const at = [...path, "customProperties", index, "value"];
    settings = { ...settings, ...oneSetting(reader, item["property"], item["value"], at) };
  }
  return settings;
}

function oneSetting(reader: RuleReader, property: string, value: unknown, at: DocumentPath): Partial<RuleSettings> {
  const wrong = (expected: string): Partial<RuleSettings> => {
    reader.refuse(at, "wrong_value", `${property} takes ${expected}.`, { expected, found: shown(value) });
    return {};
  };
  switch (property) {
    case "tidegate.severity":
      return { severity: readSeverity(reader, value, at) };
    case "tidegate.scope":
      return value === "added" || value === "snapshot" ? { scope: value } : wrong("added or snapshot");
    case "tidegate.noWorseThanBase":
      return typeof value === "boolean" ? { noWorseThanBase: value } : wrong("true or false");
    case "tidegate.warn": {
      if (!isObject(value)) return wrong("an operator, such as { mustBeLessThan: 5 }");
      const read = readBound(value, at);
      if ("problem" in read) {
        reader.problems.push(read.problem);
        return {};
      }
      return read.bound === undefined ? wrong("an operator, such as { mustBeLessThan: 5 }") : { warn: read.bound };
    }
    case "tidegate.where": {
      const texts: readonly unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
      return { where: texts.flatMap((text, index) => readCondition(reader, text, Array.isArray(value) ? [...at, index] : at) ?? []) };
    }
    default:
      if (property.startsWith("tidegate.") && !documentSettings.has(property)) {
        reader.warn(at, "unknown_key", `${property} is no setting that we know.`, {
          expected: `one of ${[...ruleSettingNames, ...documentSettings].join(", ")}`,
          found: property,
        });
      }
      return {};
  }
}

/** Settings of rules; on a column they hold of the rules that stand in its own keys. */
export const ruleSettingNames: ReadonlySet<string> = new Set([
  "tidegate.severity",
  "tidegate.scope",
  "tidegate.warn",
  "tidegate.noWorseThanBase",
  "tidegate.where",
]);

/** Settings of columns and datasets, read elsewhere. */
const documentSettings = new Set(["tidegate.fieldId", "tidegate.derivedSql", "tidegate.tags"]);

const conditionPattern = /^\s*(?:"((?:[^"]|"")+)"|([A-Za-z_][\w.]*))\s*(?:(is\s+(?:not\s+)?null)|(=|==|!=|<>|<=|>=|<|>)\s*(.+?))\s*$/i;

/** One condition, such as `status = 'paid'`, `amount > 0` or `"Country/Region" is not null`. */
function readCondition(reader: RuleReader, text: unknown, path: DocumentPath): RowCondition | undefined {
  const match = typeof text === "string" && text.length <= 500 ? conditionPattern.exec(text) : null;
  const wrong = (found: unknown): undefined => {
    reader.refuse(path, "wrong_value", "A condition compares one column with one value.", {
      expected: "such as: status = 'paid', amount > 0, shipped_at is not null",
      found: shown(found),
    });
    return undefined;
  };
  if (match === null) return wrong(text);
  const column = reader.namedColumn(match[1]?.replaceAll('""', '"') ?? match[2], path);
  if (column === undefined) return undefined;
  if (match[3] !== undefined) return { column, op: /not/i.test(match[3]) ? "is_not_null" : "is_null" };
  const value = literalValue(reader, column, match[5] as string);
  if (value === undefined) return wrong(text);
  const op = match[4] === "==" ? "=" : match[4] === "<>" ? "!=" : (match[4] as RowCondition["op"]);
  return { column, op, value };
}

function literalValue(reader: RuleReader, column: RuleColumn, text: string): RuleValue | undefined {
  if (/^(?:true|false)$/i.test(text)) return { type: "boolean", value: text.toLowerCase() };
  const inner = /^'((?:[^']|'')*)'$/.exec(text)?.[1]?.replaceAll("''", "'");
  if (inner !== undefined) return { type: isTimeType(reader.property(column.name)?.logicalType) ? "time" : "text", value: inner };
  if (!/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return undefined;
  const value = /[eE]/.test(text) ? decimalText(Number(text)) : text.replace(/^(-?)0+(?=\d)/, "$1");
  return value === undefined ? undefined : { type: "number", value };
}
