import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { counted, grouped, unbroken } from "../../lib/format.ts";
import { useKeys } from "../../lib/keys.ts";
import type { ChangeSearch, RowKind } from "../../router.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Empty, Failure, Loading } from "../../ui/states.tsx";
import type { ChangeData, DiffOf } from "./change-data.ts";
import { Waits } from "./change-page.tsx";
import { RowTable } from "./row-table.tsx";
import { useRows, type RowFilter } from "./use-rows.ts";

const route = getRouteApi("/changes/$id");

/** From so many columns on only those that change are shown at first. */
const manyColumns = 24;

/** The rows that differ, cell by cell, of one dataset after the other. */
export function RowsTab({ id, diff }: { id: string; diff: ChangeData["diff"] }) {
  return (
    <Waits of={diff} what="Rows are loading">
      {(datasets) =>
        datasets.length === 0 ? (
          <div className="panel">
            <Empty title="No rows are touched">Only documents change; they stand under Schema.</Empty>
          </div>
        ) : (
          <Datasets id={id} datasets={datasets} />
        )
      }
    </Waits>
  );
}

function Datasets({ id, datasets }: { id: string; datasets: DiffOf }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const chosen = datasets.find(({ dataset }) => dataset === search.dataset) ?? datasets[0];
  const look = (next: ChangeSearch): void =>
    void navigate({ to: "/changes/$id", params: { id }, search: next, hash: "rows", replace: true, resetScroll: false });
  if (chosen === undefined) return null;
  const { dataset, result } = chosen;
  const changed = result.columns.filter(({ cells }) => cells > 0);
  const kinds: readonly [RowKind | undefined, string, number][] = [
    [undefined, "All", result.rows.differing],
    ["removed", "− Removed", result.rows.removed],
    ["added", "+ Added", result.rows.added],
    ["modified", "≠ Modified", result.rows.modified],
  ];
  return (
    <>
      <div className="row">
        {datasets.length === 1 ? (
          <b className="m">{dataset}</b>
        ) : datasets.length <= 4 ? (
          <div className="seg" role="group" aria-label="Dataset">
            {datasets.map((item) => (
              <button
                key={item.dataset}
                type="button"
                aria-pressed={item.dataset === dataset}
                onClick={() => look({ dataset: item.dataset })}
              >
                {item.dataset} {grouped(item.result.rows.differing)}
              </button>
            ))}
          </div>
        ) : (
          <label className="field">
            <span className="sr">Dataset</span>
            <select value={dataset} onChange={(event) => look({ dataset: event.target.value })}>
              {datasets.map((item) => (
                <option key={item.dataset} value={item.dataset}>
                  {item.dataset} {item.result.rows.differing}
                </option>
              ))}
            </select>
          </label>
        )}
        <div className="seg" role="group" aria-label="Kind of row">
          {kinds
            .filter(([kind, , count]) => kind === undefined || count > 0)
            .map(([kind, title, count]) => (
              <button
                key={title}
                type="button"
                aria-pressed={kind === search.kind}
                onClick={() => look({ ...search, dataset, ...kindIn(kind) })}
              >
                {title} {grouped(count)}
              </button>
            ))}
        </div>
        {changed.length > 1 ? (
          <label className="field">
            <span className="sr">Rows that are modified in this column</span>
            <select value={search.column ?? ""} onChange={(event) => look(withColumn({ ...search, dataset }, event.target.value))}>
              <option value="">any column</option>
              {changed.map(({ fieldId, name, cells }) => (
                <option key={fieldId} value={name}>
                  {name}: {cells}
                </option>
              ))}
            </select>
          </label>
        ) : null}
        {result.matching.by === "key" ? (
          <KeyField
            columns={result.matching.columns}
            value={search.key ?? ""}
            onKey={(key) => look(withKey({ ...search, dataset }, key))}
          />
        ) : null}
      </div>
      <Rows id={id} item={chosen} search={search} onClear={() => look({ dataset })} />
    </>
  );
}

const kindIn = (kind: RowKind | undefined): { kind?: RowKind } => (kind === undefined ? { kind: undefined as never } : { kind });
const withColumn = ({ column: _old, ...rest }: ChangeSearch, column: string): ChangeSearch => (column === "" ? rest : { ...rest, column });
const withKey = ({ key: _old, ...rest }: ChangeSearch, key: string): ChangeSearch => (key === "" ? rest : { ...rest, key });

function KeyField({ columns, value, onKey }: { columns: readonly string[]; value: string; onKey: (key: string) => void }) {
  const [text, setText] = useState(value);
  return (
    <form
      className="field push"
      onSubmit={(event) => {
        event.preventDefault();
        onKey(text.trim());
      }}
    >
      <Icon name="search" />
      <label className="sr" htmlFor="key-filter">
        The row with this {columns.join(", ")}
      </label>
      <input
        id="key-filter"
        data-filter
        value={text}
        placeholder={columns.join(",")}
        onChange={(event) => setText(event.target.value)}
        onBlur={() => (text.trim() === value ? undefined : onKey(text.trim()))}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}

function Rows({
  id,
  item: { dataset, result },
  search,
  onClear,
}: {
  id: string;
  item: DiffOf[number];
  search: ChangeSearch;
  onClear: () => void;
}) {
  const [showsAll, setShowsAll] = useState(false);
  const [isWhole, setIsWhole] = useState(false);
  useKeys([{ key: "x", does: "show whole cells, or cut them", run: () => setIsWhole((was) => !was) }]);
  const filter: RowFilter = useMemo(
    () => ({ dataset, kind: search.kind, column: search.column, key: search.key }),
    [dataset, search.kind, search.column, search.key],
  );
  const rows = useRows(id, filter);
  const columns = useMemo(() => {
    const isWide = result.columns.length > manyColumns;
    const keys = result.columns.filter(({ isKey }) => isKey);
    const others = result.columns.filter(({ isKey, cells, state }) => !isKey && (!isWide || showsAll || cells > 0 || state !== "same"));
    return [...keys, ...others];
  }, [result.columns, showsAll]);
  const hidden = result.columns.length - columns.length;
  const same = result.matching.by === "key" ? Math.max(0, result.after.rows - result.rows.added - result.rows.modified) : undefined;
  const hasFilter = search.kind !== undefined || search.column !== undefined || search.key !== undefined;
  if (result.rows.differing === 0)
    return (
      <div className="panel">
        <Empty title="No rows differ">{unbroken(result.headline)}</Empty>
      </div>
    );
  return (
    <div className="panel">
      {rows.error === null ? null : <Failure error={rows.error} again={rows.again} />}
      {rows.total === undefined && rows.error === null ? <Loading what="Rows are loading" lines={8} /> : null}
      {rows.total === 0 ? (
        <Empty title={hasFilter ? "No row matches" : "No rows differ"}>
          <p>{search.key === undefined ? "No row that differs is of this kind." : `No row that differs has the key ${search.key}.`}</p>
          <button type="button" className="btn" onClick={onClear}>
            Clear the filter
          </button>
        </Empty>
      ) : null}
      {rows.total === undefined || rows.total === 0 ? null : (
        <RowTable
          key={JSON.stringify(filter)}
          columns={columns}
          total={rows.total}
          rowAt={rows.rowAt}
          onSeen={rows.onSeen}
          sample={rows.first}
          isWhole={isWhole}
          byKey={result.matching.by === "key"}
        />
      )}
      <div className="row pad under">
        <div className="legend">
          <span>
            <del>before</del>
          </span>
          <span>
            <ins>after</ins>
          </span>
          <span className="dim">grey: the same on both sides</span>
        </div>
        {hidden > 0 || showsAll ? (
          <button type="button" className="btn" onClick={() => setShowsAll(!showsAll)}>
            {showsAll ? "Only columns that change" : `Show ${counted(hidden, "more column", "more columns")}`}
          </button>
        ) : null}
        <span className="push dim s">
          {result.matching.by === "row" ? `No key: whole rows are compared, ${result.matching.reason}. ` : ""}
          {same === undefined ? "" : `${counted(same, "row is", "rows are")} the same.`}
        </span>
      </div>
    </div>
  );
}
