import { maskText } from "../contracts/contract.ts";
import type { Cell, Column } from "../engine/plan.ts";
import { toJson } from "../lib/json.ts";
import { counted, grouped } from "../lib/text.ts";
import { cellWords, numberOf, pairWords } from "./cell-words.ts";
import type { TestMove } from "./consumer-test.ts";
import type { Cells, Unmatched } from "./match-rows.ts";
import { sameCell } from "./same-cell.ts";
import { uniformMove } from "./uniform-move.ts";
import { isFloating, isNumber } from "../lake/types.ts";

export interface MovedRows {
  columns: readonly Column[];
  before: readonly Cells[];
  after: readonly Cells[];
  left: Unmatched;
  key: readonly string[] | undefined;
  masked: ReadonlySet<string>;
}

/** A cell that moved. */
interface Step {
  column: number;
  /** Which row, in words; empty for a result of one row. */
  of: string;
  before: Cell;
  after: Cell;
}

const shownKeys = 5;
const shownSteps = 3;
const shownMoves = 20;

/** What moved, as people say it: number by number for one row, key by key for groups, in counts for the rest. */
export function rowMoves(moved: MovedRows): { summary: string; moves: TestMove[] } {
  const { before, after, columns } = moved;
  if (before.length === 1 && after.length === 1) {
    const steps = stepsOf(before[0] as Cells, after[0] as Cells, columns, "");
    return { summary: stepsWords(steps, moved), moves: steps.map((step) => moveOf(step, moved)) };
  }
  const key = keyOf(moved);
  return key.length === 0 ? countedMoves(moved) : keyedMoves(moved, key);
}

function stepsOf(before: Cells, after: Cells, columns: readonly Column[], of: string): Step[] {
  return columns.flatMap(({ type }, at): Step[] => {
    const [a, b] = [before[at] ?? null, after[at] ?? null];
    return sameCell(a, b, type) ? [] : [{ column: at, of, before: a, after: b }];
  });
}

/** Columns by which rows are told apart: the test's own key, or else what has another value in each row, and is found on both sides. */
function keyOf({ columns, before, after, key }: MovedRows): number[] {
  if (key !== undefined) return key.map((name) => columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase()));
  const texts = columns.flatMap(({ type }, at) => (typeof type === "string" && !isNumber(type) ? [at] : []));
  const first = columns[0]?.type;
  const guesses = [texts, typeof first === "string" && !isFloating(first) ? [0] : []].filter(
    (guess) => guess.length > 0 && guess.length < columns.length,
  );
  const [best] = guesses
    .filter((guess) => isUnique(before, guess) && isUnique(after, guess))
    .map((guess) => ({ guess, shared: sharedKeys(before, after, guess) }))
    .toSorted((a, b) => b.shared - a.shared);
  return best?.guess ?? [];
}

function sharedKeys(before: readonly Cells[], after: readonly Cells[], key: readonly number[]): number {
  const known = new Set(before.map((row) => keyText(row, key)));
  return after.filter((row) => known.has(keyText(row, key))).length;
}

function isUnique(rows: readonly Cells[], key: readonly number[]): boolean {
  return new Set(rows.map((row) => keyText(row, key))).size === rows.length;
}

const keyText = (row: Cells, key: readonly number[]): string => toJson(key.map((at) => row[at] ?? null));

function keyedMoves(moved: MovedRows, key: readonly number[]): { summary: string; moves: TestMove[] } {
  const { left, columns, masked } = moved;
  const name = (row: Cells): string => key.map((at) => (isMasked(columns[at], masked) ? maskText : cellWords(row[at] ?? null))).join(" / ");
  const now = new Map<string, Cells[]>();
  for (const row of left.after) now.set(keyText(row, key), [...(now.get(keyText(row, key)) ?? []), row]);
  const gone: Cells[] = [];
  const pairs: { before: Cells; after: Cells }[] = [];
  for (const row of left.before) {
    const partner = now.get(keyText(row, key))?.shift();
    if (partner === undefined) gone.push(row);
    else pairs.push({ before: row, after: partner });
  }
  const come = [...now.values()].flat();
  const known = new Set(moved.before.map((row) => keyText(row, key)));
  const [extra, fresh] = [come.filter((row) => known.has(keyText(row, key))), come.filter((row) => !known.has(keyText(row, key)))];
  const still = new Set(moved.after.map((row) => keyText(row, key)));
  const [fewer, missing] = [gone.filter((row) => still.has(keyText(row, key))), gone.filter((row) => !still.has(keyText(row, key)))];
  const list = (rows: readonly Cells[]): string =>
    `${rows.slice(0, shownKeys).map(name).join(", ")}${rows.length > shownKeys ? ", …" : ""}`;
  const steps = pairs.flatMap((pair) => stepsOf(pair.before, pair.after, columns, name(pair.before)));
  const words = [
    missing.length > 0 ? `${counted(missing.length, "key")} missing: ${list(missing)}` : "",
    fresh.length > 0 ? `${counted(fresh.length, "new key")}: ${list(fresh)}` : "",
    extra.length > 0 ? `${counted(extra.length, "row")} more for the same key: ${list(extra)}` : "",
    fewer.length > 0 ? `${counted(fewer.length, "row")} fewer for the same key: ${list(fewer)}` : "",
    uniformMove(pairs, moved, key) ?? stepsWords(steps, moved),
  ];
  const side = (rows: readonly Cells[], to: string | null, from: string | null): TestMove[] =>
    rows.map((row) => ({ what: `row ${name(row)}`, before: from, after: to }));
  const moves = [
    ...side(missing, null, "there"),
    ...steps.toSorted((a, b) => weight(b) - weight(a)).map((step) => moveOf(step, moved)),
    ...side(fresh, "new", null),
    ...side(extra, "once more", "there"),
    ...side(fewer, "once less", "there"),
  ];
  return { summary: words.filter((text) => text !== "").join("; "), moves: moves.slice(0, shownMoves) };
}

/** Rows that nothing tells apart are counted. */
function countedMoves({ left, before, after, columns, masked }: MovedRows): { summary: string; moves: TestMove[] } {
  const text = (row: Cells): string => toJson(row);
  const known = new Set(before.map(text));
  const still = new Set(after.map(text));
  const again = left.after.filter((row) => known.has(text(row)));
  const less = left.before.filter((row) => still.has(text(row)));
  const [fresh, gone] = [left.after.length - again.length, left.before.length - less.length];
  const words = [
    gone > 0 ? `${counted(gone, "row")} of ${grouped(before.length)} gone` : "",
    fresh > 0 ? `${counted(fresh, "new row")}` : "",
    again.length > 0 ? `${counted(again.length, "row")} once more than before` : "",
    less.length > 0 ? `${counted(less.length, "row")} once less than before` : "",
    before.length === after.length ? "" : `${grouped(before.length)} → ${counted(after.length, "row")}`,
  ];
  const show = (row: Cells): string =>
    row.map((cell, at) => (cell !== null && isMasked(columns[at], masked) ? maskText : cellWords(cell))).join(", ");
  const moves = [
    ...left.before.slice(0, shownMoves / 2).map((row) => ({ what: "row", before: show(row), after: null })),
    ...left.after.slice(0, shownMoves / 2).map((row) => ({ what: "row", before: null, after: show(row) })),
  ];
  return { summary: words.filter((part) => part !== "").join("; "), moves };
}

function stepsWords(steps: readonly Step[], moved: MovedRows): string {
  const sorted = steps.toSorted((a, b) => weight(b) - weight(a));
  const shown = sorted.slice(0, shownSteps).map((step) => {
    const { what, before, after } = moveOf(step, moved);
    return changesSign(step) ? `${what} changes sign: ${before} → ${after}` : `${what} ${before} → ${after}`;
  });
  const rest = steps.length - shown.length;
  return `${shown.join(", ")}${rest > 0 ? ` and ${grouped(rest)} more` : ""}`;
}

function moveOf({ column, of, before, after }: Step, { columns, masked }: MovedRows): TestMove {
  const name = columns[column]?.name ?? "";
  const what = of === "" ? name : `${name} of ${of}`;
  if (!isMasked(columns[column], masked)) {
    const [from, to] = pairWords(before, after);
    const [was, is] = [numberOf(before), numberOf(after)];
    return { what, before: from, after: to, ...(was === undefined || is === undefined ? {} : { numbers: { before: was, after: is } }) };
  }
  return { what, before: before === null ? "null" : maskText, after: after === null ? "null" : maskText };
}

const isMasked = (column: Column | undefined, masked: ReadonlySet<string>): boolean => masked.has(column?.name ?? "");

function changesSign({ before, after }: Step): boolean {
  const [a, b] = [numberOf(before), numberOf(after)];
  return a !== undefined && b !== undefined && a * b < 0;
}

/** How much a step matters: what appears or disappears first, then changes of sign, then by the change in proportion. */
function weight(step: Step): number {
  const [a, b] = [numberOf(step.before), numberOf(step.after)];
  if (step.before === null || step.after === null) return 4;
  if (a === undefined || b === undefined) return 1;
  if (changesSign(step)) return 3;
  const largest = Math.max(Math.abs(a), Math.abs(b));
  return largest === 0 ? 0 : Number.isFinite(largest) ? Math.abs(b - a) / largest : 2;
}
