import type { Cell, Column } from "../engine/plan.ts";
import { parseJson } from "../lib/json.ts";
import { counted, grouped } from "../lib/text.ts";
import type { TestMove, Tolerance } from "./consumer-test.ts";
import { sameRow, unmatchedRows, type Cells } from "./match-rows.ts";
import { compareColumns } from "./result-columns.ts";
import { rowMoves } from "./result-moves.ts";

/** The whole result of a query. */
export interface QueryResult {
  columns: readonly Column[];
  /** JSON objects, as the sandbox gives them. */
  rows: readonly string[];
  /** The order of the rows says more than their values. */
  ordered: boolean;
}

export interface CompareOptions {
  key?: readonly string[] | undefined;
  tolerance?: Tolerance | undefined;
  /** Columns of the result whose values are shown to nobody. */
  masked?: ReadonlySet<string> | undefined;
}

export interface Comparison {
  same: boolean;
  summary: string;
  moves: TestMove[];
}

const shownMoves = 20;

/** Compares two results of one query: row by row of the key, in order where the order counts, else as multisets. */
export function compareResults(before: QueryResult, after: QueryResult, options: CompareOptions = {}): Comparison {
  const shape = compareColumns(before.columns, after.columns);
  const size = sizeWords(after.rows.length);
  const notes = shape.notes.length === 0 ? "" : `; ${shape.notes.join(", ")}`;
  if (shape.moves.length === 0 && isEqualText(before, after)) return { same: true, summary: `${size}${notes}`, moves: [] };
  const columns = shape.common.map(({ column }) => column);
  const [was, is] = [
    readRows(
      before.rows,
      shape.common.map((item) => before.columns[item.before] as Column),
      columns,
    ),
    readRows(
      after.rows,
      shape.common.map((item) => after.columns[item.after] as Column),
      columns,
    ),
  ];
  const left = unmatchedRows(was, is, columns, options.tolerance);
  const differing = Math.max(left.before.length, left.after.length);
  const allowed = (options.tolerance?.rows ?? 0) * Math.max(was.length, is.length);
  if (differing > 0 && differing > allowed) {
    const rows = rowMoves({ columns, before: was, after: is, left, key: options.key, masked: options.masked ?? new Set() });
    const summary = [...shape.words, rows.summary].join("; ");
    return { same: false, summary, moves: [...shape.moves, ...rows.moves].slice(0, shownMoves) };
  }
  if (shape.moves.length > 0) return { same: false, summary: shape.words.join("; "), moves: shape.moves.slice(0, shownMoves) };
  const within = differing === 0 ? "" : `; ${grouped(differing)} differ, as the tolerance allows`;
  const at =
    before.ordered && differing === 0 ? was.findIndex((row, index) => !sameRow(row, is[index] ?? [], columns, options.tolerance)) : -1;
  if (at < 0) return { same: true, summary: `${size}${within}${notes}`, moves: [] };
  const place = `rows in another order, from row ${grouped(at + 1)} of ${grouped(is.length)}`;
  return { same: false, summary: place, moves: [{ what: "order of rows", before: null, after: null }] };
}

const sizeWords = (rows: number): string => counted(rows, "row");

/** The same text row for row, or, where order says nothing, the same texts. */
function isEqualText(before: QueryResult, after: QueryResult): boolean {
  if (before.rows.length !== after.rows.length) return false;
  if (before.rows.every((row, at) => row === after.rows[at])) return true;
  if (before.ordered) return false;
  const counts = new Map<string, number>();
  for (const row of before.rows) counts.set(row, (counts.get(row) ?? 0) + 1);
  for (const row of after.rows) {
    const left = counts.get(row) ?? 0;
    if (left === 0) return false;
    counts.set(row, left - 1);
  }
  return true;
}

/** Numbers of more digits than a double holds are read without losing one. */
const longNumber = /\d{16}/;

function readRows(rows: readonly string[], own: readonly Column[], common: readonly Column[]): Cells[] {
  return rows.map((text) => {
    const row = (longNumber.test(text) ? parseJson(text) : JSON.parse(text)) as { [name: string]: Cell };
    return own.map(({ name, type }, at) => {
      const cell = row[name] ?? null;
      // A column that changed its type is compared by what people would read.
      return common[at]?.type === "string" && type !== "string" && cell !== null ? String(cell) : cell;
    });
  });
}
