import { canonicalJson } from "../lib/json.ts";
import { compareBounds, compareRanges, compareSets, together, type Compared } from "./bound-compare.ts";
import type { Rule, RuleTest, RuleValue, Severity, Validity } from "./rule.ts";

/* Compares two states of one rule. What cannot be decided is `other`: it counts as a change that the owner must see. */

const strength: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };

/** How the rule's second state compares with its first. */
export function compareRules(before: Rule, after: Rule): Compared {
  const severity = strength[after.severity] - strength[before.severity];
  return together([
    severity === 0 ? "same" : severity < 0 ? "looser" : "tighter",
    before.unit === after.unit || isNone(before.bound) || isNone(after.bound) ? compareBounds(before.bound, after.bound) : "other",
    compareBounds(before.warn, after.warn),
    before.scope === after.scope ? "same" : "other",
    compareFlags(before.noWorseThanBase === true, after.noWorseThanBase === true),
    // Every condition more leaves rows out.
    compareLists(before.where.map(textOf), after.where.map(textOf)),
    compareTests(before.test, after.test),
  ]);
}

/** None at all is none in rows as in percent. */
const isNone = (bound: Rule["bound"]): boolean => bound?.op === "=" && bound.value === "0";

const compareFlags = (before: boolean, after: boolean): Compared => (before === after ? "same" : after ? "looser" : "tighter");

/** A part without the names of columns, which a rename changes and which say nothing beside the field id. */
export function textOf(part: unknown): string {
  return canonicalJson(unnamed(part));
}

function unnamed(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(unnamed);
  if (typeof part !== "object" || part === null) return part;
  const { fieldId, name, ...rest } = part as Record<string, unknown>;
  if ("fieldId" in part && fieldId !== undefined) return { fieldId };
  const kept = name === undefined ? rest : { ...rest, name };
  return Object.fromEntries(Object.entries(kept).map(([key, value]) => [key, unnamed(value)]));
}

/** The second list holds all of the first and more: looser. */
function compareLists(before: readonly string[], after: readonly string[]): Compared {
  const [old, next] = [new Set(before), new Set(after)];
  return compareSets(
    [...old].every((item) => next.has(item)),
    [...next].every((item) => old.has(item)),
  );
}

const opposite = (compared: Compared): Compared => (compared === "looser" ? "tighter" : compared === "tighter" ? "looser" : compared);
const values = (list: readonly RuleValue[]): string[] => list.map(({ type, value }) => `${type} ${value}`);

function compareTests(before: RuleTest, after: RuleTest): Compared {
  if (textOf(before) === textOf(after)) return "same";
  if (before.kind === "invalid_values" && after.kind === "invalid_values" && textOf(before.column) === textOf(after.column)) {
    return compareValidity(before.valid, after.valid);
  }
  if (before.kind === "missing_values" && after.kind === "missing_values" && textOf(before.column) === textOf(after.column)) {
    return opposite(compareLists(values(before.values), values(after.values)));
  }
  if (before.kind === "distinct_set" && after.kind === "distinct_set" && before.relation === after.relation) {
    const found = compareLists(values(before.values), values(after.values));
    if (textOf(before.column) !== textOf(after.column) || before.relation === "equal") return "other";
    return before.relation === "within" ? found : opposite(found);
  }
  if (before.kind === "column_type" && after.kind === "column_type" && textOf(before.column) === textOf(after.column)) {
    return compareLists(before.types, after.types);
  }
  return "other";
}

function compareValidity(before: Validity, after: Validity): Compared {
  if (before.is === "range" && after.is === "range") return compareRanges(before.range, after.range);
  if (before.is === "in" && after.is === "in") return compareLists(values(before.values), values(after.values));
  if (before.is === "not_in" && after.is === "not_in") return opposite(compareLists(values(before.values), values(after.values)));
  if ((before.is === "length" && after.is === "length") || (before.is === "items" && after.is === "items")) {
    const number = (value: number | undefined): RuleValue | undefined =>
      value === undefined ? undefined : { type: "number", value: String(value) };
    const range = ({ min, max }: { min?: number | undefined; max?: number | undefined }) => ({ min: number(min), max: number(max) });
    const unique = (valid: Validity): boolean => valid.is === "items" && valid.unique === true;
    return together([compareRanges(range(before), range(after)), opposite(compareFlags(unique(before), unique(after)))]);
  }
  if ((before.is === "matches" || before.is === "like") && after.is === before.is && before.how === "any" && after.how === "any") {
    return compareLists(before.patterns, after.patterns);
  }
  return "other";
}
