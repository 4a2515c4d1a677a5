import type { Rule, RuleColumn } from "../contracts/rule.ts";
import { hashOf } from "../lib/json.ts";

/** Hash of what a rule asks: over field ids, without names, titles and severity, so that renaming a column or the rule asks nothing again. */
export function ruleHash(rule: Rule): string {
  const { test, where, scope, bound, unit, warn, noWorseThanBase } = rule;
  return hashOf(byId({ test, where, scope, bound, unit, warn, noWorseThanBase }));
}

/** Whether two rules ask the same with the same consequences: a change whose contract keeps a rule has it once. */
export function isSameRule(a: Rule, b: Rule): boolean {
  return a.id === b.id && a.severity === b.severity && ruleHash(a) === ruleHash(b);
}

function byId(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(byId);
  if (value === null || typeof value !== "object") return value;
  if (isColumn(value)) return value.fieldId === undefined ? { missing: value.name } : { fieldId: value.fieldId };
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, byId(item)]));
}

function isColumn(value: object): value is RuleColumn {
  return "fieldId" in value && "name" in value;
}
