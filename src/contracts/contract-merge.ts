import { canonicalJson } from "../lib/json.ts";
import { fieldIdOf, type Contract, type ContractProperty } from "./contract.ts";
import { isObject, type JsonObject } from "./contract-value.ts";
import { itemKey, listKeyOf, partName } from "./contract-parts.ts";

/*
 * Three-way merge of contracts. What one side alone changed is taken over; items of lists are told apart by id or name, so that two people
 * who edit different rules meet nowhere. One thing changed differently on both sides is a conflict, named as people name it.
 */

/** One thing that both sides changed differently: `rule fare/minimum`, `owner ana`, `status`. */
export interface ContractConflict {
  item: string;
  reason: string;
}

export type MergedContract = { kind: "contract"; contract: Contract } | { kind: "conflicts"; conflicts: ContractConflict[] };

/** `ours` is the change, `theirs` the line that it is carried onto; `base` is where the change started. */
export function mergeContracts(base: Contract, ours: Contract, theirs: Contract): MergedContract {
  const conflicts: ContractConflict[] = [];
  const merged = mergeValue({ base, ours, theirs }, [], conflicts);
  return conflicts.length > 0 ? { kind: "conflicts", conflicts } : { kind: "contract", contract: merged as Contract };
}

interface Sides {
  base: unknown;
  ours: unknown;
  theirs: unknown;
}

type Trail = readonly string[];

const same = (a: unknown, b: unknown): boolean =>
  canonicalJson(a ?? null) === canonicalJson(b ?? null) && (a === undefined) === (b === undefined);

/** Keys of a column that follow the data: the merged schema decides on them (`withSchema`), so they never conflict. */
const followsData = new Set(["name", "physicalName", "logicalType", "physicalType", "primaryKey", "primaryKeyPosition"]);

/** Items that are one thing as a whole: a rule is not put together from two halves. */
const wholeLists = new Set(["quality", "relationships", "slaProperties", "customProperties"]);

function mergeValue(sides: Sides, trail: Trail, conflicts: ContractConflict[]): unknown {
  const { base, ours, theirs } = sides;
  if (same(ours, theirs) || same(base, theirs)) return ours;
  if (same(base, ours)) return theirs;
  const list = trail.at(-1) ?? "";
  const isWhole = wholeLists.has(trail.at(-2) ?? "");
  if (list === "logicalTypeOptions" && [base, ours, theirs].every((side) => side === undefined || isObject(side))) {
    return filled(mergeObject(base ?? {}, ours ?? {}, theirs ?? {}, trail, conflicts));
  }
  if (listKeyOf(list) !== undefined && [base, ours, theirs].every((side) => side === undefined || Array.isArray(side))) {
    return filled(mergeList({ base: listOf(base), ours: listOf(ours), theirs: listOf(theirs) }, trail, conflicts));
  }
  if (isObject(ours) && isObject(theirs) && !isWhole && (isObject(base) || base === undefined)) {
    return mergeObject(base ?? {}, ours, theirs, trail, conflicts);
  }
  if (trail.includes("properties") && followsData.has(list) && trail.length === 5) return theirs;
  if (list === "version" && trail.length === 1) return newer(ours, theirs);
  conflicts.push({ item: partName(trail, theirs ?? ours ?? base), reason: reasonOf(sides) });
  return theirs;
}

const listOf = (side: unknown): readonly unknown[] => (Array.isArray(side) ? side : []);

/** A side may lack a list as a whole: what is left with nothing is not there. */
const filled = (part: object): unknown => (Object.keys(part).length === 0 ? undefined : part);

function reasonOf({ base, ours, theirs }: Sides): string {
  if (base === undefined) return "added differently on both sides";
  if (ours === undefined) return "removed by the change, changed on the other side";
  return theirs === undefined ? "changed by the change, removed on the other side" : "changed differently on both sides";
}

function mergeObject(base: object, ours: object, theirs: object, trail: Trail, conflicts: ContractConflict[]): JsonObject {
  const keys = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])];
  const entries = keys.map((key): [string, unknown] => [
    key,
    mergeValue({ base: own(base, key), ours: own(ours, key), theirs: own(theirs, key) }, [...trail, key], conflicts),
  ]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

const own = (object: object, key: string): unknown => (Object.hasOwn(object, key) ? (object as JsonObject)[key] : undefined);

interface Lists {
  base: readonly unknown[];
  ours: readonly unknown[];
  theirs: readonly unknown[];
}

/** In the order of theirs; what ours added comes behind. */
function mergeList(lists: Lists, trail: Trail, conflicts: ContractConflict[]): unknown[] {
  const name = trail.at(-1) ?? "";
  const [base, ours, theirs] = [keyed(lists.base, name), keyed(lists.ours, name), keyed(lists.theirs, name)];
  const keys = [...new Set([...theirs.keys(), ...ours.keys()])];
  const merged = keys.map((key) => {
    const sides = { base: base.get(key), ours: ours.get(key), theirs: theirs.get(key) };
    if (name === "properties") return mergeProperty(sides, [...trail, columnName(sides)], conflicts);
    return mergeValue(sides, [...trail, key], conflicts);
  });
  return merged.filter((item) => item !== undefined);
}

/** Columns are told apart by field id; people know them by name. */
const columnName = ({ base, ours, theirs }: Sides): string => ((theirs ?? ours ?? base) as ContractProperty).name;

/** A column that left the data on one side leaves the contract, unless the other side changed what is said of it. */
function mergeProperty(sides: Sides, trail: Trail, conflicts: ContractConflict[]): unknown {
  const { base, ours, theirs } = sides;
  const kept = ours === undefined ? theirs : theirs === undefined ? ours : undefined;
  if (kept === undefined || base === undefined) return mergeValue(sides, trail, conflicts);
  const said = (property: unknown): unknown =>
    Object.fromEntries(Object.entries(property as ContractProperty).filter(([key]) => !followsData.has(key)));
  return same(said(base), said(kept)) ? undefined : mergeValue(sides, trail, conflicts);
}

/** Items by what tells them apart; items of one kind without an id by their order. */
function keyed(list: readonly unknown[], name: string): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [index, item] of list.entries()) {
    const fieldId = name === "properties" && isObject(item) ? fieldIdOf(item as ContractProperty) : undefined;
    // The dataset's own table comes first, whatever it is called.
    const key = name === "schema" && index === 0 ? "dataset" : fieldId === undefined ? itemKey(name, item) : `field ${fieldId}`;
    let unique = key;
    for (let count = 2; found.has(unique); count += 1) unique = `${key}-${count}`;
    found.set(unique, item);
  }
  return found;
}

/** The greater of two version numbers of a contract. */
function newer(a: unknown, b: unknown): unknown {
  return String(a).localeCompare(String(b), "en", { numeric: true }) > 0 ? a : b;
}
