import type { Field, FieldType, Schema } from "../lake/schema.ts";
import { isNumber, isWhole } from "../lake/types.ts";
import { fieldIdOf, isMasked, type Contract, type ContractProperty } from "./contract.ts";
import { shapeOf } from "./infer-pattern.ts";
import type { BatchProfile, ColumnProfile } from "./profile.ts";

/*
 * Proposes a contract from what the data looked like, batch by batch, for a person to edit. Two kinds of rules come out. What never varied
 * (nulls that never or always were there, a share of nulls, a closed set of codes) becomes an error with a margin that follows the size of
 * the sample. What varies by nature (ranges, sizes of batches) becomes a warning with room for outliers; distributions are recorded.
 */

export interface Proposal {
  /** The column, or undefined for the table. */
  column: string | undefined;
  /** What is proposed, and what was seen. */
  rule: string;
  why: string;
}

export interface Inferred {
  contract: Contract;
  proposals: readonly Proposal[];
}

/** Fewer rows say too little about what a column always is. */
const enoughRows = 100;
const mostCodes = 50;
const mostWholeCodes = 20;

export function inferContract(contract: Contract, schema: Schema, batches: readonly BatchProfile[]): Inferred {
  const proposals: Proposal[] = [];
  const [table, ...others] = contract.schema;
  if (table === undefined) return { contract, proposals };
  const keys = new Set(schema["identifier-field-ids"] ?? []);
  const properties = table.properties.map((property) => {
    const field = schema.fields.find((candidate) => candidate.id === fieldIdOf(property));
    return field === undefined ? property : inferColumn(property, field, { batches, isKey: keys.has(field.id), proposals });
  });
  const quality = [...list(table["quality"]), ...inferTable(list(table["quality"]), batches, proposals)];
  const inferred = { ...table, properties, ...(quality.length === 0 ? {} : { quality }) };
  return { contract: { ...contract, schema: [inferred, ...others] }, proposals };
}

type Item = Record<string, unknown>;

const list = (value: unknown): Item[] => (Array.isArray(value) ? (value as Item[]) : []);
const own = (implementation: Item, severity: "error" | "warning" | "info"): Item => ({
  type: "custom",
  engine: "tidegate",
  implementation,
  severity,
});

interface Seen {
  batches: readonly BatchProfile[];
  isKey: boolean;
  proposals: Proposal[];
}

/** A column over all batches. */
interface Whole {
  rows: number;
  nulls: number;
  profiles: ColumnProfile[];
}

function wholeOf(field: Field, batches: readonly BatchProfile[]): Whole {
  const profiles = batches.flatMap((batch) => batch.columns.get(field.id) ?? []);
  const sum = (of: (profile: ColumnProfile) => number): number => profiles.reduce((total, profile) => total + of(profile), 0);
  return { rows: sum((profile) => profile.rows), nulls: sum((profile) => profile.nulls), profiles };
}

function inferColumn(property: ContractProperty, field: Field, seen: Seen): ContractProperty {
  const whole = wholeOf(field, seen.batches);
  if (whole.rows < enoughRows || typeof field.type !== "string") return property;
  const quality: Item[] = [];
  const say = (rule: string, why: string): void => void seen.proposals.push({ column: field.name, rule, why });
  let next = property;
  if (!property.required && !seen.isKey && !has(property, "nullValues")) {
    if (whole.nulls === 0) {
      next = { ...next, required: true };
      say("required", `no null in ${whole.rows} rows`);
    } else {
      const band = nullBand(whole);
      quality.push({ metric: "nullValues", unit: "percent", ...band.operator });
      say(`nullValues ${band.text}`, `${percent(band.low)} to ${percent(band.high)} % null`);
    }
  }
  if (whole.nulls < whole.rows && !seen.isKey) {
    if (whole.profiles.every((profile) => profile.unique) && next["unique"] === undefined && canBeKey(field.type)) {
      next = { ...next, unique: true };
      say("unique", `${whole.rows - whole.nulls} different values`);
    }
    // Values that are shown to nobody do not stand in a contract either.
    if (!isMasked(property)) quality.push(...inferValues(next, field.type, whole, say));
  }
  const all = [...list(property["quality"]), ...quality];
  return all.length === 0 ? next : { ...next, quality: all };
}

/** Whether the column has a rule of this metric, or of this name among our own. */
function has(property: Item, name: string): boolean {
  return list(property["quality"]).some(
    (item) => item["metric"] === name || item["rule"] === name || (item["implementation"] as Item | undefined)?.["rule"] === name,
  );
}

const canBeKey = (type: FieldType): boolean => type === "int" || type === "long" || type === "string" || type === "uuid";

/** Bounds of the share of nulls: what was seen, with room for chance (four standard errors), for how it varied, and a floor for the effect. */
export function nullBand({ rows, profiles }: { rows: number; profiles: readonly Pick<ColumnProfile, "rows" | "nulls">[] }) {
  const shares = profiles.filter((profile) => profile.rows > 0).map((profile) => profile.nulls / profile.rows);
  const [low, high] = [Math.min(...shares), Math.max(...shares)];
  const size = Math.max(enoughRows, Math.min(rows, ...profiles.filter((profile) => profile.rows > 0).map((profile) => profile.rows)));
  const margin = (share: number): number => {
    const chance = 4 * Math.sqrt((share * (1 - share)) / size);
    const rare = Math.min(share, 1 - share);
    return Math.max(chance, high - low, Math.min(0.05, Math.max(0.005, rare / 2)));
  };
  // Where nulls are rare, fewer of them are no news.
  const [from, to] = [low < 0.1 ? 0 : Math.max(0, low - margin(low)), Math.min(1, high + margin(high))];
  const operator =
    from === 0
      ? { mustBeLessOrEqualTo: percent(to) }
      : to === 1
        ? { mustBeGreaterOrEqualTo: percent(from) }
        : { mustBeBetween: [percent(from), percent(to)] };
  const text = from === 0 ? `≤ ${percent(to)} %` : to === 1 ? `≥ ${percent(from)} %` : `${percent(from)} … ${percent(to)} %`;
  return { low, high, operator, least: percent(from), most: percent(to), text };
}

const percent = (share: number): number => Math.round(share * 10_000) / 100;

function inferValues(property: ContractProperty, type: FieldType, whole: Whole, say: (rule: string, why: string) => void): Item[] {
  const codes = has(property, "invalidValues") || property["enum"] !== undefined ? undefined : codesOf(type, whole);
  if (codes !== undefined) {
    say("invalidValues < 5 %, warning from 2 %", `${codes.length} values: ${codes.slice(0, 6).map(String).join(", ")}`);
    return [
      {
        metric: "invalidValues",
        arguments: { validValues: codes },
        unit: "percent",
        mustBeLessThan: 5,
        customProperties: [{ property: "tidegate.warn", value: { mustBeLessThan: 2 } }],
      },
      ...drift(property, "categories", say),
    ];
  }
  if (type === "string") {
    const shape = has(property, "invalidValues")
      ? undefined
      : shapeOf(whole.profiles.flatMap((profile) => profile.values.map(({ value }) => value)));
    if (shape === undefined) return [];
    say(`pattern ${shape}`, "all values seen have this form");
    return [{ metric: "invalidValues", arguments: { pattern: shape }, unit: "percent", mustBeLessThan: 5, severity: "warning" }];
  }
  if (!isNumber(type)) return [];
  return [...range(property, whole, say), ...drift(property, "quantiles", say), ...scaled(property, type, say)];
}

/** The values of a column that holds codes: few, each often. Measures with few values (a surcharge) are no codes. */
function codesOf(type: FieldType, { rows, nulls, profiles }: Whole): (string | number)[] | undefined {
  const hasWhole = isWhole(type);
  if (type !== "string" && !hasWhole) return undefined;
  const values = new Set<string>();
  for (const profile of profiles) {
    if (profile.hasMoreValues) return undefined;
    for (const { value } of profile.values) values.add(value);
  }
  const most = hasWhole ? mostWholeCodes : mostCodes;
  if (values.size === 0 || values.size > most || (rows - nulls) / values.size < 20) return undefined;
  const sorted = [...values].toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return hasWhole ? sorted.map(Number) : sorted;
}

function drift(property: Item, by: "quantiles" | "categories", say: (rule: string, why: string) => void): Item[] {
  if (has(property, "drift")) return [];
  say(`drift of ${by}`, "compared with base, as large as the sample can tell");
  return [own({ rule: "drift", by }, "info")];
}

function scaled(property: Item, type: FieldType, say: (rule: string, why: string) => void): Item[] {
  if (has(property, "scaled") || isWhole(type)) return [];
  say("scaled", "a constant factor is a change of unit");
  return [own({ rule: "scaled" }, "error")];
}

/** The range seen with half of it as room; what was never negative may not become so. */
function range(property: Item, { profiles }: Whole, say: (rule: string, why: string) => void): Item[] {
  if (has(property, "range") || property["logicalTypeOptions"] !== undefined) return [];
  const numbers = profiles
    .flatMap((profile) => [profile.min, profile.max])
    .filter((value) => value !== null)
    .map(Number);
  if (numbers.length === 0 || !numbers.every(Number.isFinite)) return [];
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const room = (high - low) / 2;
  const from = low >= 0 && low - room < 0 ? 0 : floorNice(low - room);
  const to = high <= 0 && high + room > 0 ? 0 : -floorNice(-(high + room));
  if (from >= to) return [];
  say(`range ${from} … ${to}`, `${low} to ${high} seen`);
  return [{ ...own({ rule: "range", minimum: from, maximum: to, mustBeLessThan: 1 }, "warning"), unit: "percent" }];
}

/** The next number below with two digits that count. */
function floorNice(value: number): number {
  if (value === 0) return 0;
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 1);
  const rounded = Math.floor(value / unit) * unit;
  return Number(rounded.toPrecision(3));
}

function inferTable(known: readonly Item[], batches: readonly BatchProfile[], proposals: Proposal[]): Item[] {
  const found: Item[] = [];
  const hasRule = (name: string): boolean => has({ quality: known }, name);
  const sizes = batches.map((batch) => batch.rows).filter((rows) => rows > 0);
  if (batches.every((batch) => batch.isAppend) && sizes.length >= 3 && !hasRule("rowCount")) {
    const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
    const [from, to] = [Math.floor(low / 2), Math.ceil(high * 2)];
    found.push({
      metric: "rowCount",
      mustBeBetween: [from, to],
      severity: "warning",
      customProperties: [{ property: "tidegate.scope", value: "added" }],
    });
    proposals.push({
      column: undefined,
      rule: `rowCount ${from} … ${to} per batch`,
      why: `${low} to ${high} rows in ${sizes.length} batches`,
    });
  }
  if (!hasRule("duplicatedContent") && sizes.length > 0) {
    found.push(own({ rule: "duplicatedContent" }, "error"));
    proposals.push({ column: undefined, rule: "duplicatedContent", why: "a batch that comes twice" });
  }
  if (!hasRule("suspiciousCount") && sizes.length > 0) {
    found.push(own({ rule: "suspiciousCount" }, "warning"));
    proposals.push({ column: undefined, rule: "suspiciousCount", why: "counts at which tools cut off" });
  }
  return found;
}
