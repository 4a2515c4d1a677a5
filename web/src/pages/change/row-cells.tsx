import type { ColumnDiff, DiffRow } from "../../api/routes.ts";
import { cellText } from "../../lib/format.ts";
import { isNumber } from "./row-table.tsx";

const signs = { added: ["+", "added"], removed: ["−", "removed"], modified: ["≠", "modified"] } as const;

interface Props {
  row: DiffRow;
  keys: readonly ColumnDiff[];
  lefts: readonly number[];
  columns: readonly ColumnDiff[];
  padLeft: boolean;
  padRight: boolean;
  byKey: boolean;
}

/** The cells of one row: sign, key, then each column with what it was above what it is. */
export function RowCells({ row, keys, lefts, columns, padLeft, padRight }: Props) {
  const [sign, word] = signs[row.kind];
  const side = row.kind === "removed" ? row.before : row.after;
  return (
    <>
      <td className="g">
        <span aria-hidden="true">{sign}</span>
        <span className="sr">{word}</span>
        {row.count > 1 ? <span className="times"> ×{row.count}</span> : null}
      </td>
      {keys.map((column, at) => (
        <th key={column.fieldId} scope="row" className="key" style={{ left: lefts[at] }}>
          <span className="clip">{cellText(side?.[nameOn(column, row.kind)] ?? row.key?.[at])}</span>
        </th>
      ))}
      {padLeft ? <td aria-hidden="true" /> : null}
      {columns.map((column) => (
        <Cell key={column.fieldId} row={row} column={column} />
      ))}
      {padRight ? <td aria-hidden="true" /> : null}
      <td aria-hidden="true" />
    </>
  );
}

/** A renamed column bears another name on each side. */
function nameOn({ name, before, after }: ColumnDiff, kind: DiffRow["kind"]): string {
  return (kind === "removed" ? before?.name : after?.name) ?? name;
}

function Cell({ row, column }: { row: DiffRow; column: ColumnDiff }) {
  const { name, before, after } = column;
  const place = isNumber(column) ? "num" : undefined;
  if (row.kind !== "modified") {
    const side = row.kind === "removed" ? row.before : row.after;
    const value = side?.[nameOn(column, row.kind)];
    return (
      <td data-c={name} className={place}>
        {value === undefined ? null : <Text value={value} />}
      </td>
    );
  }
  const [was, is] = [row.before?.[before?.name ?? name], row.after?.[after?.name ?? name]];
  if (!row.changed.includes(name))
    return (
      <td data-c={name} className={`same ${place ?? ""}`}>
        <Text value={is ?? was ?? null} />
      </td>
    );
  const [left, right] = [cellText(was ?? null), cellText(is ?? null)];
  const [start, end] = commonEnds(left, right);
  return (
    <td data-c={name} className={place}>
      <span className="clip">
        <del title={left}>
          <Marked text={left} start={start} end={end} />
        </del>
        <ins title={right}>
          <Marked text={right} start={start} end={end} />
        </ins>
      </span>
    </td>
  );
}

function Text({ value }: { value: unknown }) {
  const text = cellText(value);
  return (
    <span className={value === null ? "clip nil" : "clip"} title={text.length > 24 ? text : undefined}>
      {text}
    </span>
  );
}

function Marked({ text, start, end }: { text: string; start: number; end: number }) {
  const middle = text.slice(start, text.length - end);
  return (
    <>
      {text.slice(0, start)}
      {middle === "" ? null : <u>{middle}</u>}
      {text.slice(text.length - end)}
    </>
  );
}

/** How much two texts share at their beginning and at their end. */
export function commonEnds(a: string, b: string): [start: number, end: number] {
  const most = Math.min(a.length, b.length);
  let start = 0;
  while (start < most && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < most - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  // Digits and letters of two unlike texts agree by chance: less than a third in common is nothing in common.
  return start + end < most / 3 ? [0, 0] : [start, end];
}
