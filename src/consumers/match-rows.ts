import type { Cell, Column } from "../engine/plan.ts";
import { toJson } from "../lib/json.ts";
import type { Tolerance } from "./consumer-test.ts";
import { sameCell } from "./same-cell.ts";
import { isFloating, isNumber } from "../lake/types.ts";

export type Cells = readonly Cell[];

/** Rows of two results that have no equal on the other side. */
export interface Unmatched {
  before: Cells[];
  after: Cells[];
}

export function sameRow(a: Cells, b: Cells, columns: readonly Column[], tolerance: Tolerance | undefined): boolean {
  return columns.every((column, at) => sameCell(a[at] ?? null, b[at] ?? null, column.type, tolerance));
}

/**
 * Pairs the rows of two results as multisets and gives what is left over. Rows are put into groups by all that must be equal to the letter;
 * inside a group, the sorted numbers of one side are paired with the nearest of the other.
 */
export function unmatchedRows(
  before: readonly Cells[],
  after: readonly Cells[],
  columns: readonly Column[],
  tolerance?: Tolerance,
): Unmatched {
  const isLoose = columns.map(({ type }) => looseness(type, tolerance));
  const groups = new Map<string, { before: Cells[]; after: Cells[] }>();
  const add = (rows: readonly Cells[], side: "before" | "after"): void => {
    for (const row of rows) {
      const key = toJson(row.map((cell, at) => (isLoose[at] === true ? looseMark(cell) : exactForm(cell, columns[at] as Column))));
      const group = groups.get(key) ?? { before: [], after: [] };
      groups.set(key, group);
      group[side].push(row);
    }
  };
  add(before, "before");
  add(after, "after");
  const left: Unmatched = { before: [], after: [] };
  const numbers = isLoose.flatMap((loose, at) => (loose ? [at] : []));
  for (const group of groups.values()) {
    const rest = pairGroup(group.before, group.after, numbers, columns, tolerance);
    left.before.push(...rest.before);
    left.after.push(...rest.after);
  }
  return left;
}

/** Whether values of this type may differ a little and be the same. */
function looseness(type: Column["type"], tolerance: Tolerance | undefined): boolean {
  if (typeof type !== "string") return leavesOf(type).some((leaf) => looseness(leaf, tolerance));
  return isFloating(type) || (isNumber(type) && (tolerance?.relative !== undefined || tolerance?.absolute !== undefined));
}

function leavesOf(type: Exclude<Column["type"], string>): Column["type"][] {
  if (type.type === "list") return [type.element];
  return type.type === "map" ? [type.key, type.value] : type.fields.map((field) => field.type);
}

/** Numbers fall into one group, what is no number keeps apart. */
function looseMark(cell: Cell): string {
  if (cell === null) return "null";
  return typeof cell === "object" ? "nested" : Number.isNaN(Number(cell)) ? "NaN" : "number";
}

function exactForm(cell: Cell, { type }: Column): Cell {
  if (cell === null || typeof type !== "string" || !isNumber(type)) return cell;
  const text = String(cell);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function pairGroup(
  before: readonly Cells[],
  after: readonly Cells[],
  numbers: readonly number[],
  columns: readonly Column[],
  tolerance: Tolerance | undefined,
): Unmatched {
  if (numbers.length === 0) return { before: before.slice(after.length), after: after.slice(before.length) };
  const lead = numbers.find((at) => typeof columns[at]?.type === "string");
  const size = (row: Cells): number => (lead === undefined ? 0 : Number(row[lead] ?? 0));
  const order = (a: Cells, b: Cells): number => {
    for (const at of numbers) {
      const [left, right] = [Number(a[at] ?? 0), Number(b[at] ?? 0)];
      if (left !== right && !Number.isNaN(left - right)) return left - right;
    }
    return 0;
  };
  const [first, second] = [before.toSorted(order), after.toSorted(order)];
  const taken = new Set<number>();
  const rest: Unmatched = { before: [], after: [] };
  let from = 0;
  for (const row of first) {
    // What is smaller than anything this row could be paired with is smaller for all later rows too.
    while (from < second.length && (taken.has(from) || isBelow(second[from] as Cells, row, lead, columns, tolerance, size))) from += 1;
    let found: number | undefined;
    for (let at = from; at < second.length && found === undefined; at += 1) {
      if (isBelow(row, second[at] as Cells, lead, columns, tolerance, size)) break;
      if (!taken.has(at) && sameRow(row, second[at] as Cells, columns, tolerance)) found = at;
    }
    if (found === undefined) rest.before.push(row);
    else taken.add(found);
  }
  rest.after.push(...second.filter((_, at) => !taken.has(at)));
  return rest;
}

function isBelow(
  a: Cells,
  b: Cells,
  lead: number | undefined,
  columns: readonly Column[],
  tolerance: Tolerance | undefined,
  size: (row: Cells) => number,
): boolean {
  if (lead === undefined || !(size(a) < size(b))) return false;
  return !sameCell(a[lead] ?? null, b[lead] ?? null, (columns[lead] as Column).type, tolerance);
}
