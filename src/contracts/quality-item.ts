import type { ContractProperty } from "./contract.ts";
import type { DocumentPath } from "./contract-problem.ts";
import { shown, type JsonObject } from "./contract-value.ts";
import type { Bound, Dimension } from "./rule.ts";
import { readBound } from "./rule-bounds.ts";
import type { RuleDraft, RuleReader } from "./rule-reader.ts";
import { ownSettings, readSeverity } from "./rule-settings.ts";

/** One item of `quality`, of a column or of the table. */
export interface QualityItem {
  reader: RuleReader;
  item: JsonObject;
  property: ContractProperty | undefined;
  at: DocumentPath;
}

/** What every rule of a quality item has, whatever it measures. */
type CommonParts = Pick<RuleDraft, "givenId" | "description" | "dimension" | "settings" | "at"> & {
  unit: "rows" | "percent" | undefined;
  name: string | undefined;
};

const dimensions: readonly (readonly [Dimension, string])[] = [
  ["accuracy", "ac"],
  ["completeness", "cp"],
  ["conformity", "cf"],
  ["consistency", "cs"],
  ["coverage", "cv"],
  ["timeliness", "tm"],
  ["uniqueness", "uq"],
];

export function commonParts({ reader, item, at }: QualityItem): CommonParts {
  const text = (key: string): string | undefined => (typeof item[key] === "string" ? item[key] : undefined);
  const settings = ownSettings(reader, item, at);
  const severity = readSeverity(reader, item["severity"], [...at, "severity"]);
  return {
    givenId: text("id"),
    description: text("description"),
    dimension: dimensions.find(([name, short]) => [name, short].includes(text("dimension") ?? ""))?.[0],
    settings: { ...settings, severity: severity ?? settings.severity },
    unit: readUnit(reader, item["unit"], [...at, "unit"]),
    name: text("name"),
    at,
  };
}

function readUnit(reader: RuleReader, unit: unknown, path: DocumentPath): "rows" | "percent" | undefined {
  if (unit === undefined || unit === "rows") return "rows";
  if (unit === "percent" || unit === "%") return "percent";
  reader.warn(path, "wrong_value", "A rule counts rows or percent; another unit is a note.", {
    expected: "rows or percent",
    found: shown(unit),
  });
  return "rows";
}

/** The bound of a rule that must have one. */
export function requiredBound({ reader, item, at }: Pick<QualityItem, "reader" | "item" | "at">): Bound | undefined {
  const read = readBound(item, at);
  if ("problem" in read) {
    reader.problems.push(read.problem);
    return undefined;
  }
  if (read.bound !== undefined) return read.bound;
  reader.refuse(at, "missing_key", "The rule does not say what must be.", {
    expected: "an operator, such as mustBe: 0",
    found: "none",
  });
  return undefined;
}
