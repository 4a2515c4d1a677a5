import { canonicalJson } from "../lib/json.ts";
import type { Schema } from "../lake/schema.ts";
import { fieldIdOf, isMasked, ownersOf, tagsOf, type Contract, type ContractProperty, type ContractTable } from "./contract.ts";
import { rulesOf } from "./contract-rules.ts";
import { withoutFieldIds } from "./contract-text.ts";
import { boundText } from "./rule-bounds.ts";
import { compareRules, textOf } from "./rule-compare.ts";
import { builtIn, type Rule } from "./rule.ts";
import { derivedSqlProperty } from "./derived.ts";

/* What a change does to a contract, item by item. What makes it weaker needs an owner as base names them, whatever the policy says. */

export interface ContractItem {
  /** `rule fare/minimum`, `owner ana`, `classification of email`, `description`. */
  item: string;
  what: "added" | "removed" | "loosened" | "tightened" | "changed";
  before: string | null;
  after: string | null;
  /** An owner of the dataset, as base has them, must approve it. */
  needsOwner: boolean;
}

export interface ContractDiff {
  items: readonly ContractItem[];
  /** Owners as base has them. */
  owners: readonly string[];
  /** Rules of base that the candidate lacks, loosens or changes: the data must satisfy them too. */
  judgedToo: readonly Rule[];
}

/** One side: a contract with the columns of its data. */
export interface ContractSide {
  contract: Contract;
  schema: Schema | undefined;
}

export function diffContracts(base: ContractSide, candidate: ContractSide): ContractDiff {
  const rules = diffRules(rulesOf(base.contract, base.schema), rulesOf(candidate.contract, candidate.schema));
  const items = [
    ...rules.items,
    ...diffOwners(base.contract, candidate.contract),
    ...diffColumns(base.contract, candidate.contract),
    ...diffParts(base.contract, candidate.contract),
  ];
  return { items, owners: ownersOf(base.contract), judgedToo: rules.judgedToo };
}

/** The items that make a contract weaker, as an assessment lists them. */
export function loosenedItems(dataset: string, { items, owners }: ContractDiff) {
  return items
    .filter((item) => item.needsOwner)
    .map(({ item, what, before, after }) => ({
      item: `${dataset}: ${item}`,
      what: what === "removed" || what === "loosened" ? what : ("changed" as const),
      before: before ?? "",
      after,
      owners,
    }));
}

const words = { same: undefined, looser: "loosened", tighter: "tightened", other: "changed" } as const;

/** A rule in one line: what it says, how severe, what it must be. */
export function ruleText(rule: Rule): string {
  const bound = rule.bound === undefined ? "" : ` (${boundText(rule.bound)}${rule.unit === "percent" ? " %" : ""})`;
  const extras = [
    rule.severity,
    ...(rule.noWorseThanBase === true ? ["no worse than base"] : []),
    ...rule.where.map((condition) =>
      `where ${condition.column.name} ${condition.op.replaceAll("_", " ")} ${condition.value?.value ?? ""}`.trim(),
    ),
  ];
  return `${rule.title}${bound}, ${extras.join(", ")}`;
}

function diffRules(before: readonly Rule[], after: readonly Rule[]): { items: ContractItem[]; judgedToo: Rule[] } {
  const pairs = matchRules(before, after);
  const items: ContractItem[] = [];
  const judgedToo: Rule[] = [];
  for (const { old, next } of pairs) {
    const what = old === undefined ? "added" : next === undefined ? "removed" : words[compareRules(old, next)];
    if (what === undefined) continue;
    const rule = (next ?? old) as Rule;
    const needsOwner = what !== "added" && what !== "tightened";
    const text = (side: Rule | undefined): string | null => (side === undefined ? null : ruleText(side));
    items.push({ item: `rule ${rule.id}`, what, before: text(old), after: text(next), needsOwner });
    if (needsOwner && old !== undefined) judgedToo.push(old);
  }
  return { items, judgedToo };
}

interface Pair {
  old?: Rule;
  next?: Rule;
}

/** Rules belong together by id, else by what they test: a renamed column changes the path that names a rule, and not the rule. */
function matchRules(before: readonly Rule[], after: readonly Rule[]): Pair[] {
  const open = new Map(after.map((rule) => [rule.id, rule]));
  const pairs: Pair[] = [];
  const left: Rule[] = [];
  for (const old of before) {
    const next = open.get(old.id);
    if (next === undefined || next.test.kind !== old.test.kind) left.push(old);
    else {
      pairs.push({ old, next });
      open.delete(old.id);
    }
  }
  for (const old of left) {
    const alike = (rule: Rule): boolean =>
      textOf(rule.test) === textOf(old.test) || (rule.test.kind === old.test.kind && (old.source === builtIn || rule.source === builtIn));
    const next = [...open.values()].find(alike);
    pairs.push(next === undefined ? { old } : { old, next });
    if (next !== undefined) open.delete(next.id);
  }
  return [...pairs, ...[...open.values()].map((next) => ({ next }))];
}

function diffOwners(before: Contract, after: Contract): ContractItem[] {
  const [old, next] = [ownersOf(before), ownersOf(after)];
  const item = (owner: string, what: "added" | "removed"): ContractItem => ({
    item: `owner ${owner}`,
    what,
    before: what === "removed" ? owner : null,
    after: what === "added" ? owner : null,
    needsOwner: true,
  });
  return [
    ...old.filter((owner) => !next.includes(owner)).map((owner) => item(owner, "removed")),
    ...next.filter((owner) => !old.includes(owner)).map((owner) => item(owner, "added")),
  ];
}

const propertiesOf = (contract: Contract): readonly ContractProperty[] => contract.schema[0]?.properties ?? [];

function diffColumns(before: Contract, after: Contract): ContractItem[] {
  const items: ContractItem[] = [];
  const columns = propertiesOf(after);
  const known = new Set(propertiesOf(before).map(fieldIdOf));
  // A retyped column has another field id, and so has one that is dropped and added again: what has its name stands in its place.
  const isInPlaceOf = (next: ContractProperty, old: ContractProperty): boolean =>
    next.name.toLowerCase() === old.name.toLowerCase() && (fieldIdOf(next) === undefined || !known.has(fieldIdOf(next)));
  for (const old of propertiesOf(before)) {
    const id = fieldIdOf(old);
    const next =
      columns.find((property) => id !== undefined && fieldIdOf(property) === id) ?? columns.find((property) => isInPlaceOf(property, old));
    if (next === undefined || next.classification === old.classification) continue;
    const [was, is] = [isMasked(old), isMasked(next)];
    items.push({
      item: `classification of ${next.name}`,
      what: was === is ? "changed" : was ? "loosened" : "tightened",
      before: old.classification ?? null,
      after: next.classification ?? null,
      needsOwner: was && !is,
    });
  }
  return items;
}

/** Parts whose change needs an owner, beside rules, owners and classification. By its tags policy knows a dataset. */
const guarded = new Set(["service levels", "derived SQL", "roles", "tags"]);

function diffParts(before: Contract, after: Contract): ContractItem[] {
  const [old, next] = [partsOf(before), partsOf(after)];
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((item): ContractItem[] => {
    const [was, is] = [old.get(item) ?? null, next.get(item) ?? null];
    if (was === is) return [];
    const what = was === null ? "added" : is === null ? "removed" : "changed";
    return [{ item, what, before: was, after: is, needsOwner: guarded.has(item) && was !== null }];
  });
}

function partsOf(contract: Contract): Map<string, string> {
  const { team, schema, slaProperties, roles, tags: _tags, ...top } = withoutFieldIds(contract);
  const tags = tagsOf(contract).sort();
  const [table] = schema;
  const {
    properties = [],
    quality: _quality,
    relationships: _relationships,
    customProperties,
    tags: _labels,
    ...rest
  }: Partial<ContractTable> = table ?? {};
  const derived = list(customProperties).filter((custom) => custom["property"] === derivedSqlProperty);
  const others = list(customProperties).filter((custom) => custom["property"] !== derivedSqlProperty);
  const parts: [string, unknown][] = [
    ["service levels", slaProperties],
    ["roles", roles],
    ["derived SQL", derived[0]?.["value"]],
    ["tags", tags.length === 0 ? undefined : tags],
    ["table", { ...rest, customProperties: others }],
    ["team", team],
    ...Object.entries(top),
    ...properties.map((property): [string, unknown] => [`text of ${property.name}`, described(property)]),
  ];
  return new Map(
    parts.flatMap(([name, value]) => (value === undefined ? [] : [[name, typeof value === "string" ? value : canonicalJson(value)]])),
  );
}

const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? (value as Record<string, unknown>[]) : []);

/** What a column says to people: neither its rules nor what follows the data. */
function described(property: ContractProperty): unknown {
  const { description, businessName, tags, examples, synonyms, deprecated, authoritativeDefinitions } = property;
  const text = { description, businessName, tags, examples, synonyms, deprecated, authoritativeDefinitions };
  return Object.values(text).every((value) => value === undefined) ? undefined : text;
}
