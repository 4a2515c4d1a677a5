import { useState } from "react";
import type { ColumnDiff, ColumnStatistics } from "../../api/routes.ts";
import { cellText, counted, percent, rounded } from "../../lib/format.ts";
import { BeforeAfter } from "../../ui/chip.tsx";
import { Empty } from "../../ui/states.tsx";
import type { ChangeData, DiffOf } from "./change-data.ts";
import { Waits } from "./change-page.tsx";
import { Spread } from "./spread.tsx";
import { TopValues } from "./top-values.tsx";

type Statistics = NonNullable<ColumnStatistics>;

/** What the values of a column looked like, and look like: both sides on one axis. */
export function StatisticsTab({ diff }: { diff: ChangeData["diff"] }) {
  return (
    <Waits of={diff} what="Statistics are loading">
      {(datasets) => (
        <>
          <div className="legend">
            <span>
              <i className="sw b" />
              base, outline
            </span>
            <span>
              <i className="sw a" />
              candidate, filled
            </span>
            <span className="dim">the same axis on both sides</span>
          </div>
          {datasets.map(({ dataset, result }) => (
            <Dataset key={dataset} dataset={dataset} columns={result.columns} />
          ))}
          {datasets.length === 0 ? (
            <div className="panel">
              <Empty title="No rows are touched">Only documents change.</Empty>
            </div>
          ) : null}
        </>
      )}
    </Waits>
  );
}

const mostCharts = 24;

function Dataset({ dataset, columns }: { dataset: string; columns: DiffOf[number]["result"]["columns"] }) {
  const [showsAll, setShowsAll] = useState(false);
  const measured = columns.filter((column) => column.statistics !== null);
  const moved = measured
    .filter((column) => column.cells > 0 || differs(column.statistics))
    .toSorted((a, b) => Number(b.cells > 0) - Number(a.cells > 0));
  const chosen = (showsAll ? measured : moved).slice(0, showsAll ? measured.length : mostCharts);
  const rest = measured.length - chosen.length;
  return (
    <section className="stack tight" aria-label={dataset}>
      <h2 className="m">{dataset}</h2>
      {chosen.length === 0 ? <p className="sub">No column’s statistics differ.</p> : null}
      <div className="charts">
        {chosen.map((column) => (
          <Figure key={column.fieldId} column={column} />
        ))}
      </div>
      {rest > 0 ? (
        <p className="row dim">
          {counted(rest, "more column", "more columns")}
          {moved.length > mostCharts ? "" : ", the same on both sides"}.
          <button type="button" className="btn" onClick={() => setShowsAll(true)}>
            Show them
          </button>
        </p>
      ) : null}
    </section>
  );
}

function differs(statistics: ColumnDiff["statistics"]): boolean {
  const { before, after } = statistics ?? { before: null, after: null };
  if (before === null || after === null) return true;
  const looks = ({ nulls, distinct, min, max, quantiles, top }: Statistics): string =>
    JSON.stringify([nulls, distinct, min, max, quantiles, top]);
  return looks(before) !== looks(after);
}

function Figure({ column }: { column: ColumnDiff }) {
  const { before, after } = column.statistics ?? { before: null, after: null };
  return (
    <figure className="panel pad stack tight">
      <figcaption>
        <b className="m">{column.name}</b> <span className="dim">{column.after?.type ?? column.before?.type}</span>
        <br />
        <span className="sub">
          {column.masked
            ? "values are hidden"
            : column.cells === 0
              ? "no cell differs"
              : `${counted(column.cells, "cell differs", "cells differ")}`}
        </span>
      </figcaption>
      <Spread name={column.name} before={before} after={after} />
      {!hasTop(before) || !hasTop(after) ? null : <TopValues name={column.name} before={before?.top ?? []} after={after?.top ?? []} />}
      <dl className="kv tight">
        <Pair title="distinct" before={before?.distinct} after={after?.distinct} />
        <Pair title="least" before={before?.min} after={after?.min} />
        <Pair title="greatest" before={before?.max} after={after?.max} />
        <Pair title="mean" before={before?.mean} after={after?.mean} />
      </dl>
      <div className="null">
        <span className="dim">null</span>
        <NullBar statistics={before} side="o" />
        <span className="num">{shareText(before)}</span>
        <span className="sr">and on the candidate</span>
        <span aria-hidden="true" />
        <NullBar statistics={after} side="" />
        <span className="num">
          <b>{shareText(after)}</b>
        </span>
      </div>
    </figure>
  );
}

const shareOf = (statistics: ColumnStatistics): number =>
  statistics === null || statistics.rows === 0 ? 0 : statistics.nulls / statistics.rows;
const shareText = (statistics: ColumnStatistics): string => (statistics === null ? "–" : percent(shareOf(statistics)));

function NullBar({ statistics, side }: { statistics: ColumnStatistics; side: string }) {
  return (
    <i aria-hidden="true">
      <i className={side} style={{ width: `${shareOf(statistics) * 100}%` }} />
    </i>
  );
}

function Pair({ title, before, after }: { title: string; before: unknown; after: unknown }) {
  const text = (value: unknown): string | null => (value === null || value === undefined ? null : cellText(rounded(value)));
  const [left, right] = [text(before), text(after)];
  if (left === null && right === null) return null;
  return (
    <>
      <dt>{title}</dt>
      <dd>
        <BeforeAfter before={left} after={right} />
      </dd>
    </>
  );
}

/** Whether frequencies say something: where every value comes once, they do not. */
function hasTop(statistics: ColumnStatistics): boolean {
  return statistics === null || (statistics.top ?? []).some(({ count }) => count > 1);
}
