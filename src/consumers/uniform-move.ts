import type { Column } from "../engine/plan.ts";
import { grouped } from "../lib/text.ts";
import { numberOf } from "./cell-words.ts";
import type { Cells } from "./match-rows.ts";
import { sameCell } from "./same-cell.ts";
import { isNumber } from "../lake/types.ts";

const fewest = 3;

/** One thing that was done to a whole column, and only to it: times a constant (a unit changed), or moved in time (a zone changed). */
export function uniformMove(
  pairs: readonly { before: Cells; after: Cells }[],
  { columns }: { columns: readonly Column[] },
  key: readonly number[],
): string | undefined {
  if (pairs.length < fewest) return undefined;
  const moved = columns.flatMap(({ type }, at) =>
    pairs.some((pair) => !sameCell(pair.before[at] ?? null, pair.after[at] ?? null, type)) ? [at] : [],
  );
  if (moved.length === 0 || moved.some((at) => key.includes(at))) return undefined;
  const words = moved.map((at) => columnMove(pairs, columns[at] as Column, at));
  return words.every((word) => word !== undefined) ? words.join("; ") : undefined;
}

function columnMove(pairs: readonly { before: Cells; after: Cells }[], column: Column, at: number): string | undefined {
  const all = `in all ${grouped(pairs.length)} rows`;
  if (column.type === "timestamp" || column.type === "timestamptz") {
    const shift = single(pairs.map(({ before, after }) => momentOf(after[at]) - momentOf(before[at])));
    return shift === undefined || shift === 0
      ? undefined
      : `${column.name} ${shift > 0 ? "+" : "−"} ${durationWords(Math.abs(shift))} ${all}`;
  }
  if (!isNumber(column.type)) return undefined;
  const known = pairs.filter(({ before, after }) => numberOf(before[at] ?? null) !== 0 || numberOf(after[at] ?? null) !== 0);
  if (known.length < fewest) return undefined;
  const factor = single(known.map(({ before, after }) => (numberOf(after[at] ?? null) ?? NaN) / (numberOf(before[at] ?? null) ?? NaN)));
  if (factor === undefined || factor === 0) return undefined;
  if (factor === -1) return `${column.name} changes sign ${all}`;
  const divides = Math.abs(factor) < 1 && isRound(1 / factor);
  return `${column.name} ${divides ? "÷" : "×"} ${Number((divides ? 1 / factor : factor).toPrecision(6))} ${all}`;
}

const isRound = (value: number): boolean => Math.abs(value - Math.round(value)) < 1e-6 * Math.abs(value);

/** The one value that all are, to a millionth. */
function single(values: readonly number[]): number | undefined {
  const [first] = values;
  if (first === undefined || !values.every((value) => Math.abs(value - first) <= 1e-6 * Math.abs(first))) return undefined;
  return isRound(first) ? Math.round(first) : first;
}

function momentOf(cell: Cells[number] | undefined): number {
  const text = typeof cell === "string" ? cell : "";
  return Date.parse(text.endsWith("Z") ? text : `${text}Z`);
}

function durationWords(milliseconds: number): string {
  const units: [string, number][] = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
    ["ms", 1],
  ];
  const unit = units.find(([, size]) => milliseconds % size === 0) ?? ["ms", 1];
  return `${grouped(milliseconds / unit[1])} ${unit[0]}`;
}
