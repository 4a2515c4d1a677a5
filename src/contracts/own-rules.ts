import type { DocumentPath } from "./contract-problem.ts";
import { decimalText, isObject, ruleValue, shown, type JsonObject } from "./contract-value.ts";
import { durationMs } from "./duration.ts";
import { ownRuleSpecs, type ArgKind, type OwnRuleSpec } from "./own-rule-specs.ts";
import { toRe2 } from "./pattern.ts";
import { commonParts, type QualityItem } from "./quality-item.ts";
import type { Bound, RuleColumn, RuleValue } from "./rule.ts";
import { boundText, operatorKeys, readBound } from "./rule-bounds.ts";
import { quoted } from "./rule-reader.ts";
import { parseRuleText } from "./rule-text.ts";

/*
 * Rules that ODCS has no metric for: `type: custom, engine: tidegate, implementation: { rule: …, … }`. The keys of each rule are in
 * own-rule-specs.ts; an operator (mustBe …) stands beside them, because the standard keeps operators out of custom items.
 */

/** Reads the item of our own engine, and adds its rule; what is wrong with it is said key by key. */
export function addOwnRule(quality: QualityItem): void {
  const { reader, item, property } = quality;
  const at = [...quality.at, "implementation"];
  const implementation = typeof item["implementation"] === "string" ? parseRuleText(item["implementation"]) : item["implementation"];
  if (!isObject(implementation)) {
    return reader.refuse(at, "wrong_type", "A rule of the engine tidegate is an object.", {
      expected: "{ rule: <name>, … }",
      found: shown(implementation),
    });
  }
  const name = implementation["rule"];
  const spec = typeof name === "string" ? ownRuleSpecs[name] : undefined;
  if (typeof name !== "string" || spec === undefined) {
    return reader.refuse(name === undefined ? at : [...at, "rule"], "wrong_value", "There is no such rule.", {
      expected: Object.entries(ownRuleSpecs)
        .filter(([, known]) => known.on !== (property === undefined ? "column" : "table"))
        .map(([known]) => known)
        .join(", "),
      found: shown(name),
    });
  }
  if ((spec.on === "column") !== (property !== undefined) && spec.on !== "both") {
    const level = spec.on === "column" ? "a column" : "the table (quality beside properties)";
    return reader.refuse([...at, "rule"], "wrong_value", `${name} is a rule of ${level}.`, { expected: level, found: shown(name) });
  }
  const args = readArgs(quality, spec, implementation, at);
  const bound = readOwnBound(quality, spec, implementation, at);
  if (args === undefined || bound === "wrong") return;
  const column = property === undefined ? undefined : reader.column(property.name);
  const built = spec.build(args, column);
  if ("wrong" in built) return reader.refuse(at, "wrong_value", built.wrong, { expected: built.expected, found: "neither" });
  const { name: title, unit, ...common } = commonParts(quality);
  reader.add({
    ...common,
    pathId: property === undefined ? name : `${property.name}/${name}`,
    title: title ?? common.description ?? titleOf(name, implementation, bound, property?.name),
    test: built.test,
    ...(bound === undefined ? {} : { bound }),
    unit: built.unit ?? unit ?? "rows",
    scope: spec.scope,
  });
}

function titleOf(name: string, implementation: JsonObject, bound: Bound | undefined, own: string | undefined): string {
  const args = Object.entries(implementation).filter(([key]) => key !== "rule" && !operatorKeys.includes(key));
  const shownArgs = args.map(([key, value]) => `${key} ${Array.isArray(value) ? value.map(String).join(", ") : String(value as string)}`);
  const text = [own === undefined ? name : `${quoted(own)}: ${name}`, ...shownArgs].join(" ");
  const must = bound === undefined || (bound.op === "=" && bound.value === "0") ? "" : ` ${boundText(bound)}`;
  return `${text.length > 80 ? `${text.slice(0, 79)}…` : text}${must}`;
}

/** Values of a rule's own keys, as their spec says. */
export type OwnArgs = Readonly<Record<string, OwnArg | undefined>>;
type OwnArg =
  | string
  | number
  | boolean
  | RuleColumn
  | readonly RuleColumn[]
  | readonly RuleValue[]
  | readonly (readonly (RuleValue | null)[])[]
  | readonly string[]
  | RuleValue;

function readArgs(quality: QualityItem, spec: OwnRuleSpec, implementation: JsonObject, at: DocumentPath): OwnArgs | undefined {
  const { reader } = quality;
  const before = reader.problems.length;
  const args: Record<string, OwnArg | undefined> = {};
  const known = ["rule", ...Object.keys(spec.args), ...(spec.bound === "none" ? [] : operatorKeys)];
  for (const key of Object.keys(implementation)) {
    if (known.includes(key)) continue;
    reader.refuse([...at, key], "unknown_key", `${String(implementation["rule"])} has no key ${key}.`, {
      expected: known.slice(1).join(", ") || "no other key",
      found: key,
    });
  }
  for (const [key, arg] of Object.entries(spec.args)) {
    const value = implementation[key];
    if (value === undefined) {
      if (arg.required === true)
        reader.refuse(at, "missing_key", `${String(implementation["rule"])} needs ${key}.`, { expected: `${key}: ${words(arg.kind)}` });
      continue;
    }
    args[key] = readArg(quality, arg.kind, value, [...at, key]);
  }
  return reader.problems.slice(before).some((problem) => problem.level === "error") ? undefined : args;
}

function words(kind: ArgKind): string {
  return typeof kind === "string" ? kind : kind.join(", ");
}

function readArg(quality: QualityItem, kind: ArgKind, value: unknown, at: DocumentPath): OwnArg | undefined {
  const { reader, property } = quality;
  const wrong = (expected: string): undefined => {
    reader.refuse(at, "wrong_value", `${String(at.at(-1))} takes ${expected}.`, { expected, found: shown(value) });
    return undefined;
  };
  if (typeof kind !== "string") return typeof value === "string" && kind.includes(value) ? value : wrong(kind.join(" or "));
  const list: readonly unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
  switch (kind) {
    case "a number":
      return decimalText(value) ?? wrong(kind);
    case "a share from 0 to 1": {
      const share = Number(decimalText(value) ?? Number.NaN);
      return share >= 0 && share <= 1 ? share : wrong(kind);
    }
    case "a count":
      return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : wrong(kind);
    case "true or false":
      return typeof value === "boolean" ? value : wrong(kind);
    case "a text":
      return typeof value === "string" && value !== "" ? value : wrong(kind);
    case "a column":
      return reader.namedColumn(value, at);
    case "columns": {
      const columns = list.map((item, index) => reader.namedColumn(item, Array.isArray(value) ? [...at, index] : at));
      return columns.every((item) => item !== undefined) ? columns : undefined;
    }
    case "combinations": {
      const rows = list.map((item) =>
        Array.isArray(item) ? (item as unknown[]).map((cell) => (cell === null ? null : ruleValue(cell, undefined))) : undefined,
      );
      const isWhole = rows.every((row) => row !== undefined && row.every((cell) => cell !== undefined));
      return isWhole ? (rows as (RuleValue | null)[][]) : wrong("a list of lists, one value per column");
    }
    case "a value":
      return ruleValue(value, property?.logicalType) ?? wrong("a number, a text or a time");
    case "a list of values": {
      const values = list.map((item) => ruleValue(item, property?.logicalType));
      return values.every((item) => item !== undefined) ? values : wrong("a list of numbers, texts, times or booleans, without null");
    }
    case "a list of texts":
      return list.every((item) => typeof item === "string") ? list : wrong(kind);
    case "patterns":
      return patterns(quality, list, Array.isArray(value) ? at : at.slice(0, -1), String(at.at(-1)), Array.isArray(value));
    case "a length of time": {
      const ms = durationMs(value);
      return ms === undefined ? wrong("such as 26 h, 3 d or P1D") : ms;
    }
  }
}

function patterns(
  { reader }: QualityItem,
  list: readonly unknown[],
  base: DocumentPath,
  key: string,
  indexed: boolean,
): readonly string[] | undefined {
  const found = list.map((item) => (typeof item === "string" ? toRe2(item) : { refused: "it is not a text" }));
  for (const [index, item] of found.entries()) {
    if (!("refused" in item)) continue;
    reader.refuse([...base, indexed ? index : key], "pattern", `The pattern cannot be checked: ${item.refused}.`, {
      expected: "a regular expression without lookaround and backreferences",
      found: shown(list[index]),
    });
  }
  return found.every((item) => "re2" in item) ? found.map((item) => item.re2) : undefined;
}

function readOwnBound(quality: QualityItem, spec: OwnRuleSpec, implementation: JsonObject, at: DocumentPath): Bound | undefined | "wrong" {
  const { reader } = quality;
  if (spec.bound === "none") return undefined;
  const within = implementation["within"];
  if (spec.bound === "within") {
    const ms = durationMs(within);
    return ms === undefined ? undefined : { op: "<=", value: String(ms) };
  }
  const read = readBound(implementation, at);
  if ("problem" in read) {
    reader.problems.push(read.problem);
    return "wrong";
  }
  if (read.bound !== undefined) return read.bound;
  if (spec.bound !== "required") return spec.bound;
  reader.refuse(at, "missing_key", "The rule does not say what must be.", {
    expected: "an operator, such as mustBeLessThan: 5",
    found: "none",
  });
  return "wrong";
}
