import type { Schema } from "../lake/schema.ts";
import { compareDecimals, isDecimal } from "../lib/decimal.ts";
import { documentNumber, movedBound, operatorText, scaleOf, type Measured, type Scale } from "./accept-bound.ts";
import { isObject } from "./contract-value.ts";
import { parseText } from "./contract-document.ts";
import { editText, type TextEdit } from "./contract-text.ts";
import { fieldIdOf, type Contract, type ContractProperty } from "./contract.ts";
import type { DocumentPath } from "./contract-problem.ts";
import { nullBand } from "./infer.ts";
import type { BatchProfile, ColumnProfile } from "./profile.ts";
import { operatorKeys } from "./rule-bounds.ts";
import { parseRuleText } from "./rule-text.ts";
import { ruleSettingNames } from "./rule-settings.ts";
import type { Rule, RuleTest } from "./rule.ts";

/*
 * Turns what a change's failing checks show into the new normal: an edit of the contract for its owner to approve. Only rules that fail are
 * touched, and each only as far as the rows of this change ask for. What the contract says relative to base needs no edit: base moves.
 */

/** A check that fails, as far as accepting it needs. */
export interface FailedCheck extends Measured {
  rule: Rule;
  /** What people read of it. */
  found: string | null;
}

/** One edit of the document; `path` leads from the column (or the table, where there is none). */
export interface AcceptEdit {
  column: string | undefined;
  path: DocumentPath;
  what: "set" | "add";
  value: unknown;
}

export interface Accepted {
  contract: Contract;
  edits: readonly AcceptEdit[];
  /** Rules that were edited, and those that no edit of a contract can settle. */
  rules: readonly { rule: string; to: string }[];
  left: readonly { rule: string; why: string }[];
}

type Item = Record<string, unknown>;

export function acceptChecks(contract: Contract, schema: Schema, failed: readonly FailedCheck[], batch: BatchProfile): Accepted {
  const edits: AcceptEdit[] = [];
  const rules: { rule: string; to: string }[] = [];
  const left: { rule: string; why: string }[] = [];
  let current = contract;
  for (const check of failed) {
    const place = placeOf(current, check.rule.source);
    const found =
      place === undefined ? "the rule stands in no part of the document that can be edited" : editsOf(check, place, schema, batch);
    if (typeof found === "string") left.push({ rule: check.rule.id, why: found });
    else {
      edits.push(...found.edits);
      rules.push({ rule: check.rule.id, to: found.to });
      current = found.edits.reduce(applied, current);
    }
  }
  return { contract: current, edits, rules, left };
}

interface Place {
  property: ContractProperty | undefined;
  /** From the column or the table on. */
  path: DocumentPath;
  item: unknown;
}

/** Where a rule stands, from its JSON path. */
function placeOf(contract: Contract, source: string): Place | undefined {
  const parts = [...source.matchAll(/\.([A-Za-z_]\w*)|\[(\d+)\]/g)].map((part) => part[1] ?? Number(part[2]));
  if (parts[0] !== "schema" || parts[1] !== 0) return undefined;
  const inColumn = parts[2] === "properties";
  const table = contract.schema[0];
  const property = inColumn ? table?.properties[parts[3] as number] : undefined;
  const path = parts.slice(inColumn ? 4 : 2);
  const start: unknown = inColumn ? property : table;
  return { property, path, item: path.reduce<unknown>((part, key) => (part as Item | undefined)?.[key], start) };
}

type Found = { edits: AcceptEdit[]; to: string } | string;

const byHand = "edit the contract by hand";

/** What of a rule an edit can move, or why none can. */
const movable: Readonly<Record<RuleTest["kind"], "bound" | "values" | { left: string }>> = {
  null_values: "bound",
  missing_values: "bound",
  invalid_values: "values",
  compare_columns: "bound",
  ordered: "bound",
  combinations: "bound",
  row_sum: "bound",
  duplicate_values: "bound",
  foreign_key: { left: "a relationship has no bound: bring the rows that it points at, or edit the contract by hand" },
  metric: "bound",
  distinct_set: { left: byHand },
  most_common: { left: byHand },
  freshness: { left: "it would fail again as time passes: bring newer data, or edit the contract by hand" },
  retention: { left: "it would fail again as time passes: take out what is too old, or edit the contract by hand" },
  sql: "bound",
  columns: { left: byHand },
  column_count: "bound",
  column_type: { left: byHand },
  row_count_change: comparing(),
  metric_change: comparing(),
  name_reused: comparing(),
  drift: comparing(),
  scaled: comparing(),
  duplicated_content: comparing(),
  suspicious_count: { left: "it is about this batch alone: approve it" },
  history: comparing(),
};

function comparing(): { left: string } {
  return { left: "it compares with what was before, which is as this change is once it is merged: approve it" };
}

function editsOf(check: FailedCheck, place: Place, schema: Schema, batch: BatchProfile): Found {
  const { rule } = check;
  const { property, path } = place;
  const how = movable[rule.test.kind];
  if (typeof how !== "string") return how.left;
  if (path[0] === "primaryKey") return "a key has no nulls and no duplicates: take the rows out, or edit the contract by hand";
  if (how === "values") {
    const id = property === undefined ? undefined : fieldIdOf(property);
    const profile = batch.columns.get(id ?? -1) ?? batch.columns.get(schema.fields.find(({ name }) => name === property?.name)?.id ?? -1);
    const found = profile === undefined ? undefined : validEdits(check, place, profile);
    if (found !== undefined) return found;
  }
  if (path[0] === "required" || path[0] === "unique") return promiseEdits(check, place);
  return path[0] === "quality" ? boundEdits(check, place) : byHand;
}

/** The same edits in the text of a file: what they do not name keeps its order, its comments and its form. */
export function acceptInText(text: string, edits: readonly AcceptEdit[]): string {
  const { value } = parseText(text);
  const tables = isObject(value) && Array.isArray(value["schema"]) ? (value["schema"] as Item[]) : [];
  const has = (table: Item, column: string): boolean => list(table["properties"]).some((item) => isColumn(item, column));
  const placed = edits.flatMap(({ column, path, what, value: next }): TextEdit[] => {
    const table = column === undefined ? 0 : tables.findIndex((item) => has(item, column));
    if (column === undefined) return [{ path: ["schema", table, ...path], what, value: next }];
    const property = list(tables[table]?.["properties"]).findIndex((item) => isColumn(item, column));
    return property < 0 ? [] : [{ path: ["schema", table, "properties", property, ...path], what, value: next }];
  });
  return editText(text, placed);
}

const list = (value: unknown): Item[] => (Array.isArray(value) ? (value as Item[]) : []);
const isColumn = (item: Item, column: string): boolean => String(item["name"]).toLowerCase() === column.toLowerCase();

const without = (item: Item, keys: readonly string[]): Item =>
  Object.fromEntries(Object.entries(item).filter(([key]) => !keys.includes(key)));

/** New values in a list, or the ends of a range; undefined where neither lets the rows pass. */
function validEdits({ rule }: FailedCheck, { property, path, item }: Place, profile: ColumnProfile): Found | undefined {
  const valid = rule.test.kind === "invalid_values" ? rule.test.valid : undefined;
  const set = (at: DocumentPath, value: unknown): AcceptEdit => ({ column: property?.name, path: at, what: "set", value });
  if (valid?.is === "in" && !profile.hasMoreValues) {
    const known = new Set(valid.values.map(({ value }) => value));
    const numbers = valid.values.every(({ type }) => type === "number");
    const fresh = profile.values.flatMap(({ value }) =>
      known.has(value) ? [] : [numbers && isDecimal(value) ? documentNumber(value) : value],
    );
    if (fresh.length === 0) return undefined;
    const to = `values ${fresh.slice(0, 6).map(String).join(", ")}`;
    if (path[0] === "enum") return { edits: [set(path, [...(item as Item[]), ...fresh.map((value) => ({ value }))])], to };
    const args = (item as Item)["arguments"] as Item | undefined;
    const { holder, at } = holderOf(path, item);
    if (Array.isArray(args?.["validValues"]))
      return { edits: [set([...path, "arguments", "validValues"], [...(args["validValues"] as unknown[]), ...fresh])], to };
    if (Array.isArray(holder["values"])) return { edits: [set([...at, "values"], [...(holder["values"] as unknown[]), ...fresh])], to };
  }
  // A range with a share of its own for what lies outside keeps its ends.
  const isWhole = rule.bound?.op === "=" && rule.bound.value === "0";
  if (valid?.is !== "range" || !isWhole || profile.min === null || profile.max === null) return undefined;
  const inOptions = path[0] === "logicalTypeOptions";
  const { holder, at } = inOptions ? { holder: property?.["logicalTypeOptions"] as Item, at: path.slice(0, 1) } : holderOf(path, item);
  const { min, max, exclusiveMin, exclusiveMax } = valid.range;
  const ends = [
    { key: "minimum", exclusive: "exclusiveMinimum", end: min, isOpen: exclusiveMin === true, to: profile.min, beyond: -1 },
    { key: "maximum", exclusive: "exclusiveMaximum", end: max, isOpen: exclusiveMax === true, to: profile.max, beyond: 1 },
  ].flatMap(({ end, to, isOpen, beyond, ...keys }) => {
    if (end === undefined || !isDecimal(end.value) || !isDecimal(to)) return [];
    const order = Math.sign(compareDecimals(to, end.value));
    return order === beyond || (isOpen && order === 0) ? [{ ...keys, to }] : [];
  });
  if (ends.length === 0) return undefined;
  // An end that is not in the range itself would leave out the very value that it is moved to.
  const kept = without(
    holder,
    ends.map(({ exclusive }) => exclusive),
  );
  const next = { ...kept, ...Object.fromEntries(ends.map(({ key, to }) => [key, documentNumber(to)])) };
  const text = ends.map(({ key, to }) => `${key} ${to}`).join(", ");
  const closed = ends.some(({ exclusive }) => holder[exclusive] !== undefined);
  const edits = closed ? [set(at, next)] : ends.map(({ key, to }) => set([...at, key], documentNumber(to)));
  return { edits, to: text };
}

/** Where the keys of a rule of our own stand; those of the library stand in the item itself. */
function holderOf(path: DocumentPath, item: unknown): { holder: Item; at: DocumentPath } {
  const own = (item as Item)["implementation"];
  const read = typeof own === "string" ? parseRuleText(own) : own;
  return isObject(read) ? { holder: read, at: [...path, "implementation"] } : { holder: item as Item, at: path };
}

/** `required` and `unique` know no number: a rule that does takes their place, with what the column says of its rules. */
function promiseEdits(check: FailedCheck, { property, path }: Place): Found {
  const isShare = path[0] === "required";
  const scale = roomyScale({ ...check.rule, unit: isShare ? "percent" : "rows" }, check);
  const operator = scale && movedBound({ op: "=", value: "0" }, scale);
  if (operator === undefined) return byHand;
  const settings = (property?.customProperties ?? []).filter((custom) => ruleSettingNames.has(String(custom.property)));
  const value = {
    metric: isShare ? "nullValues" : "duplicateValues",
    unit: isShare ? "percent" : "rows",
    ...operator,
    ...(settings.length === 0 ? {} : { customProperties: settings }),
  };
  const column = property?.name;
  return {
    edits: [
      { column, path, what: "set", value: false },
      { column, path: ["quality"], what: "add", value },
    ],
    to: `${value.metric} ${operatorText(operator)}${isShare ? " %" : ""}`,
  };
}

/** How a check measures; a share of nulls has room for chance, as where it is inferred: no two batches have the same one. */
function roomyScale(rule: Rule, check: FailedCheck): Scale | undefined {
  const scale = scaleOf(rule, check);
  if (scale === undefined || rule.test.kind !== "null_values" || rule.unit !== "percent") return scale;
  const [rows, nulls] = [check.evaluated ?? 0, check.bad ?? 0];
  const band = nullBand({ rows, profiles: [{ rows, nulls }] });
  const [least, most] = [String(band.least), String(band.most)];
  return {
    ...scale,
    least: compareDecimals(least, scale.least) < 0 ? least : scale.least,
    most: compareDecimals(most, scale.most) > 0 ? most : scale.most,
  };
}

/** Moves the bound that the measured number lies beyond, and the milder one. */
function boundEdits(check: FailedCheck, { property, path, item }: Place): Found {
  const { rule } = check;
  const isYesOrNo = rule.test.kind === "sql" && (check.found === "true" || check.found === "false");
  const scale = isYesOrNo ? undefined : roomyScale(rule, check);
  if (scale === undefined || !isObject(item)) return byHand;
  const hard = rule.bound && movedBound(rule.bound, scale);
  const mild = rule.warn && movedBound(rule.warn, scale);
  const column = property?.name;
  const edits: AcceptEdit[] = [];
  if (hard !== undefined) {
    const { holder, at } = holderOf(path, item);
    edits.push({ column, path: at, what: "set", value: { ...without(holder, operatorKeys), ...hard } });
  }
  const warns = list(item["customProperties"]).findIndex((custom) => custom["property"] === "tidegate.warn");
  if (mild !== undefined && warns >= 0)
    edits.push({ column, path: [...path, "customProperties", warns, "value"], what: "set", value: mild });
  const told = [hard && operatorText(hard), mild && `warning ${operatorText(mild)}`].filter((text) => text !== undefined);
  return edits.length === 0 ? byHand : { edits, to: `${told.join(", ")}${rule.unit === "percent" ? " %" : ""}` };
}

/** The contract with one edit. */
function applied(contract: Contract, { column, path, what, value }: AcceptEdit): Contract {
  const [table, ...others] = contract.schema;
  if (table === undefined) return contract;
  const edit = <T>(part: T): T => edited(part, path, what, value) as T;
  const next =
    column === undefined
      ? edit(table)
      : { ...table, properties: table.properties.map((property) => (property.name === column ? edit(property) : property)) };
  return { ...contract, schema: [next, ...others] };
}

function edited(part: unknown, [key, ...rest]: DocumentPath, what: "set" | "add", value: unknown): unknown {
  if (key === undefined) return what === "set" ? value : [...(Array.isArray(part) ? (part as unknown[]) : []), value];
  if (Array.isArray(part)) return part.map((item: unknown, index) => (index === key ? edited(item, rest, what, value) : item));
  return { ...(part as Item | undefined), [key]: edited((part as Item | undefined)?.[key], rest, what, value) };
}
