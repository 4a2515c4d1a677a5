import type { Schema } from "../lake/schema.ts";
import { compareDecimals } from "../lib/decimal.ts";
import { isObject } from "./contract-value.ts";
import { parseText } from "./contract-document.ts";
import { editText, type TextEdit } from "./contract-text.ts";
import { fieldIdOf, type Contract, type ContractProperty } from "./contract.ts";
import type { DocumentPath } from "./contract-problem.ts";
import { nullBand } from "./infer.ts";
import type { BatchProfile, ColumnProfile } from "./profile.ts";
import { operatorKeys } from "./rule-bounds.ts";
import type { Rule } from "./rule.ts";

/*
 * Turns what a change's failing checks show into the new normal: an edit of the contract for its owner to approve. Only rules that fail are
 * touched, and each only as far as the rows of this change ask for. What the contract says relative to base needs no edit: base moves.
 */

/** A check that fails, as far as accepting it needs. */
export interface FailedCheck {
  rule: Rule;
  /** The measured number, exact. */
  measured: string | null;
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
  for (const check of failed) {
    const place = placeOf(contract, check.rule.source);
    const found =
      place === undefined ? "the rule stands in no part of the document that can be edited" : editsOf(check, place, schema, batch);
    if (typeof found === "string") left.push({ rule: check.rule.id, why: found });
    else {
      edits.push(...found.edits);
      rules.push({ rule: check.rule.id, to: found.to });
    }
  }
  return { contract: edits.reduce(applied, contract), edits, rules, left };
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

function editsOf(check: FailedCheck, place: Place, schema: Schema, batch: BatchProfile): Found {
  const { rule } = check;
  const { property, path, item } = place;
  const column = property?.name;
  const id = property === undefined ? undefined : fieldIdOf(property);
  const profile = batch.columns.get(id ?? -1) ?? batch.columns.get(schema.fields.find((field) => field.name === column)?.id ?? -1);
  const set = (at: DocumentPath, value: unknown): AcceptEdit => ({ column, path: at, what: "set", value });
  if (rule.test.kind === "null_values" && profile !== undefined) {
    const { operator, most, text } = nullBand({ rows: profile.rows, profiles: [profile] });
    if (path[0] === "required") {
      // Nulls that go away again break no promise.
      const value = { metric: "nullValues", unit: "percent", mustBeLessOrEqualTo: most };
      return { edits: [set(path, false), { column, path: ["quality"], what: "add", value }], to: `nullValues ≤ ${most} %` };
    }
    return { edits: [set(path, { ...without(item as Item, operatorKeys), unit: "percent", ...operator })], to: `nullValues ${text}` };
  }
  if (rule.test.kind === "invalid_values" && profile !== undefined) return validEdits(check, place, profile, set);
  if (check.measured !== null && rule.bound !== undefined && !rule.source.includes(".logicalTypeOptions")) {
    return boundEdits(check, place, set);
  }
  if (["drift", "scaled", "duplicated_content", "suspicious_count", "row_count_change", "metric_change"].includes(rule.test.kind)) {
    return "it compares with base, which is as this change is once it is merged: approve it";
  }
  return "edit the contract by hand";
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

function validEdits(
  { rule }: FailedCheck,
  { path, item }: Place,
  profile: ColumnProfile,
  set: (at: DocumentPath, value: unknown) => AcceptEdit,
): Found {
  const valid = rule.test.kind === "invalid_values" ? rule.test.valid : undefined;
  if (valid?.is === "in" && !profile.hasMoreValues) {
    const known = new Set(valid.values.map(({ value }) => value));
    const numbers = valid.values.every(({ type }) => type === "number");
    const fresh = profile.values.flatMap(({ value }) =>
      known.has(value) ? [] : [numbers && !Number.isNaN(Number(value)) ? Number(value) : value],
    );
    if (fresh.length === 0) return "no new value was found";
    const text = `values ${fresh.slice(0, 6).map(String).join(", ")}`;
    if (path[0] === "enum") return { edits: [set(path, [...(item as Item[]), ...fresh.map((value) => ({ value }))])], to: text };
    const args = (item as Item)["arguments"] as Item | undefined;
    const own = (item as Item)["implementation"] as Item | undefined;
    if (Array.isArray(args?.["validValues"])) {
      return { edits: [set([...path, "arguments", "validValues"], [...(args["validValues"] as unknown[]), ...fresh])], to: text };
    }
    if (Array.isArray(own?.["values"])) {
      return { edits: [set([...path, "implementation", "values"], [...(own["values"] as unknown[]), ...fresh])], to: text };
    }
  }
  if (valid?.is === "range" && profile.min !== null && profile.max !== null) {
    const base = path[0] === "logicalTypeOptions" ? path.slice(0, 1) : [...path, "implementation"];
    const edits: AcceptEdit[] = [];
    if (valid.range.min !== undefined && below(profile.min, valid.range.min.value))
      edits.push(set([...base, lowKey(valid.range)], Number(profile.min)));
    if (valid.range.max !== undefined && below(valid.range.max.value, profile.max))
      edits.push(set([...base, highKey(valid.range)], Number(profile.max)));
    if (edits.length > 0) return { edits, to: `range ${profile.min} … ${profile.max}` };
  }
  return "edit the contract by hand";
}

const lowKey = (range: { exclusiveMin?: boolean | undefined }): string => (range.exclusiveMin === true ? "exclusiveMinimum" : "minimum");
const highKey = (range: { exclusiveMax?: boolean | undefined }): string => (range.exclusiveMax === true ? "exclusiveMaximum" : "maximum");
const below = (a: string, b: string): boolean => Number(a) < Number(b);

/** Moves the end of a bound that the measured number lies beyond. */
function boundEdits({ rule, measured }: FailedCheck, { path, item }: Place, set: (at: DocumentPath, value: unknown) => AcceptEdit): Found {
  const bound = rule.bound;
  if (bound === undefined || measured === null || item === undefined) return "edit the contract by hand";
  const own = (item as Item)["implementation"];
  const at = typeof own === "object" ? [...path, "implementation"] : path;
  const holder = (typeof own === "object" ? own : item) as Item;
  const value = Number(measured);
  const operator =
    "low" in bound
      ? bound.op === "between"
        ? { mustBeBetween: compareDecimals(measured, bound.low) < 0 ? [value, Number(bound.high)] : [Number(bound.low), value] }
        : undefined
      : bound.op === "!="
        ? undefined
        : bound.op === "="
          ? { mustBe: value }
          : bound.op.startsWith(">")
            ? { mustBeGreaterOrEqualTo: value }
            : { mustBeLessOrEqualTo: value };
  if (operator === undefined || !Number.isFinite(value)) return "edit the contract by hand";
  return { edits: [set(at, { ...without(holder, operatorKeys), ...operator })], to: Object.entries(operator).flat().map(String).join(" ") };
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
