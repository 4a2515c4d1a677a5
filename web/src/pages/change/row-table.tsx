import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import type { ColumnDiff, DiffRow } from "../../api/routes.ts";
import { cellText, counted, grouped } from "../../lib/format.ts";
import { useKeys } from "../../lib/keys.ts";
import { RowCells } from "./row-cells.tsx";

/** From so many on only those are drawn that can be seen. */
const manyRows = 60;
const gutter = 40;

interface Props {
  columns: readonly ColumnDiff[];
  total: number;
  rowAt: (at: number) => DiffRow | undefined;
  onSeen: (first: number, last: number) => void;
  /** Rows that are there already, from which the widths are taken. */
  sample: readonly DiffRow[];
  isWhole: boolean;
  byKey: boolean;
}

/** Rows that differ, drawn as far as they can be seen, in both directions; widths stay as they are while one scrolls. */
export function RowTable({ columns, total, rowAt, onSeen, sample, isWhole, byKey }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const widths = useWidths(columns, sample);
  const keys = columns.filter(({ isKey }) => isKey);
  const others = columns.filter(({ isKey }) => !isKey);
  const keyWidth = keys.reduce((sum, { fieldId }) => sum + (widths.get(fieldId) ?? 0), gutter);
  const rows = useVirtualizer({ count: total, getScrollElement: () => scroller.current, estimateSize: () => 33, overscan: 12 });
  const cells = useVirtualizer({
    horizontal: true,
    count: others.length,
    getScrollElement: () => scroller.current,
    estimateSize: (at) => widths.get(others[at]?.fieldId ?? 0) ?? 120,
    overscan: 4,
  });
  const seen = rows.getVirtualItems();
  const [first, last] = [seen[0]?.index ?? 0, seen.at(-1)?.index ?? 0];
  useEffect(() => onSeen(first, last), [first, last, onSeen]);
  const across = cells.getVirtualItems();
  const shownColumns = across.flatMap(({ index }) => others[index] ?? []);
  const [padLeft, padRight] = [across[0]?.start ?? 0, cells.getTotalSize() - (across.at(-1)?.end ?? 0)];
  const [padTop, padBottom] = [seen[0]?.start ?? 0, rows.getTotalSize() - (seen.at(-1)?.end ?? 0)];
  const place = useRef(-1);
  const jump = (by: number): void => {
    const changed = others.flatMap(({ cells: count, state }, at) => (count > 0 || state !== "same" ? [at] : []));
    place.current = Math.max(0, Math.min(changed.length - 1, place.current + by));
    const at = changed[place.current];
    if (at !== undefined) cells.scrollToIndex(at, { align: "start" });
  };
  useKeys([
    { key: "l", does: "next column that changes", run: () => jump(1) },
    { key: "h", does: "previous column that changes", run: () => jump(-1) },
  ]);
  const spans = shownColumns.length + (padLeft > 0 ? 1 : 0) + (padRight > 0 ? 1 : 0) + keys.length + 2;
  return (
    <>
      <div className={total > manyRows ? "scroll tall" : "scroll"} tabIndex={0} role="region" aria-label="Rows that differ" ref={scroller}>
        <table className={isWhole ? "diff whole" : "diff"} aria-rowcount={total + 1} style={{ minWidth: keyWidth + cells.getTotalSize() }}>
          <colgroup>
            <col style={{ width: gutter }} />
            {keys.map(({ fieldId }) => (
              <col key={fieldId} style={{ width: widths.get(fieldId) }} />
            ))}
            {padLeft > 0 ? <col style={{ width: padLeft }} /> : null}
            {shownColumns.map(({ fieldId }) => (
              <col key={fieldId} style={{ width: widths.get(fieldId) }} />
            ))}
            {padRight > 0 ? <col style={{ width: padRight }} /> : null}
            <col />
          </colgroup>
          <thead>
            <tr>
              <th className="g">
                <span className="sr">Kind</span>
              </th>
              {keys.map((column, at) => (
                <th key={column.fieldId} scope="col" className="key" style={{ left: leftOf(keys, widths, at) }}>
                  <ColumnHead column={column} />
                </th>
              ))}
              {padLeft > 0 ? <td aria-hidden="true" /> : null}
              {shownColumns.map((column) => (
                <th key={column.fieldId} scope="col" className={isNumber(column) ? "num" : undefined}>
                  <ColumnHead column={column} />
                </th>
              ))}
              {padRight > 0 ? <td aria-hidden="true" /> : null}
              <td aria-hidden="true" />
            </tr>
          </thead>
          <tbody>
            {padTop > 0 ? <Gap height={padTop} spans={spans} /> : null}
            {seen.map(({ index, key }) => {
              const row = rowAt(index);
              return (
                <tr
                  key={key}
                  data-index={index}
                  ref={rows.measureElement}
                  aria-rowindex={index + 2}
                  className={row === undefined ? "load" : styles[row.kind]}
                >
                  {row === undefined ? (
                    <td colSpan={spans}>
                      <span className="sk w48" />
                    </td>
                  ) : (
                    <RowCells
                      row={row}
                      keys={keys}
                      lefts={keys.map((_, at) => leftOf(keys, widths, at))}
                      columns={shownColumns}
                      padLeft={padLeft > 0}
                      padRight={padRight > 0}
                      byKey={byKey}
                    />
                  )}
                </tr>
              );
            })}
            {padBottom > 0 ? <Gap height={padBottom} spans={spans} /> : null}
          </tbody>
        </table>
      </div>
      {total > manyRows ? (
        <p className="dim s pad place" role="status">
          row {grouped(first + 1)} to {grouped(last + 1)} of {grouped(total)}
        </p>
      ) : null}
    </>
  );
}

const styles = { added: "add", removed: "rem", modified: "mod" } as const;

function Gap({ height, spans }: { height: number; spans: number }) {
  return (
    <tr aria-hidden="true" className="gap">
      <td colSpan={spans} style={{ height }} />
    </tr>
  );
}

function leftOf(keys: readonly ColumnDiff[], widths: ReadonlyMap<number, number>, at: number): number {
  return keys.slice(0, at).reduce((sum, { fieldId }) => sum + (widths.get(fieldId) ?? 0), gutter);
}

function ColumnHead({ column }: { column: ColumnDiff }) {
  const { name, state, cells, isKey, masked } = column;
  const words = isKey
    ? "key"
    : state === "added"
      ? "new column"
      : state === "dropped"
        ? "dropped"
        : cells === 0
          ? "same"
          : counted(cells, "modified", "modified");
  return (
    <>
      <span className="name" title={name}>
        {name}
      </span>
      <span className="k">{masked ? `${words}, hidden` : words}</span>
    </>
  );
}

export function isNumber({ before, after }: ColumnDiff): boolean {
  return /^(int|long|float|double|decimal)/.test(after?.type ?? before?.type ?? "");
}

/** Width of each column from its name and the cells that came first; it stays, so that nothing moves while one scrolls. */
function useWidths(columns: readonly ColumnDiff[], sample: readonly DiffRow[]): ReadonlyMap<number, number> {
  return useMemo(() => {
    const some = sample.slice(0, 60);
    return new Map(
      columns.map((column) => {
        const { name, fieldId } = column;
        const longest = Math.max(
          0,
          ...some.flatMap(({ before, after, changed }) => [
            cellText(before?.[column.before?.name ?? name] ?? null).length + (changed.includes(name) ? 2 : 0),
            cellText(after?.[name] ?? null).length + (changed.includes(name) ? 2 : 0),
          ]),
        );
        return [fieldId, Math.round(Math.min(300, Math.max(88, Math.max(longest, Math.min(name.length, 20)) * 7.3 + 26)))] as const;
      }),
    );
  }, [columns, sample]);
}
