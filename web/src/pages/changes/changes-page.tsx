import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Answer } from "../../api/client.ts";
import { question, whoami } from "../../api/queries.ts";
import { useKeys } from "../../lib/keys.ts";
import type { Show } from "../../router.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Empty, Failure } from "../../ui/states.tsx";
import { PageLoading } from "../frame/frame.tsx";
import { ChangeRow } from "./change-row.tsx";
import { Facts } from "./facts.tsx";

export type ChangeLine = Answer<"GET /v1/changes">[number];

const route = getRouteApi("/changes");
/** How many of a list are shown at once; a filter finds the others. */
const mostShown = 100;

const titles: Readonly<Record<Show, string>> = { waiting: "Waiting", merged: "Merged", all: "All" };

/** What waits for somebody, first of all for the one who looks. */
export function ChangesPage() {
  const { show = "waiting", q = "" } = route.useSearch();
  const navigate = useNavigate({ from: "/changes" });
  const query = show === "all" ? { limit: 1000 } : { state: show, limit: 1000 };
  const listed = useQuery(question("GET /v1/changes", { query }));
  const me = useQuery(whoami);
  const persons = useQuery(question("GET /v1/persons", {}));
  const isAlone = (persons.data ?? []).filter(({ disabledAt }) => disabledAt === null).length < 2;
  const held = useHeldBack(listed.data, show);
  const shown = useMemo(() => filtered(held.lines ?? [], q), [held.lines, q]);
  const selection = useSelection(shown.map(({ id }) => id));
  useEffect(() => {
    document.title = "Changes · Tidegate";
  }, []);
  useKeys([
    { key: "j", does: "next change", run: () => selection.move(1) },
    { key: "k", does: "previous change", run: () => selection.move(-1) },
  ]);
  return (
    <>
      <div className="row">
        <h1>Changes</h1>
        <label className="field push">
          <Icon name="search" />
          <span className="sr">Filter changes</span>
          <input
            data-filter
            value={q}
            placeholder="title, dataset, person, id"
            onChange={(event) =>
              void navigate({ search: { ...(show === "waiting" ? {} : { show }), q: event.target.value }, replace: true })
            }
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
      </div>
      <Facts />
      <div className="row">
        <div className="seg" role="group" aria-label="Which changes">
          {(Object.keys(titles) as Show[]).map((item) => (
            <button key={item} type="button" aria-pressed={item === show} onClick={() => void navigate({ search: { show: item, q } })}>
              {titles[item]}
              {item === show && listed.data !== undefined ? ` ${listed.data.length === 1000 ? "1 000 newest" : listed.data.length}` : ""}
            </button>
          ))}
        </div>
        {held.fresh > 0 ? (
          <button type="button" className="btn" onClick={held.show}>
            {held.fresh} new
          </button>
        ) : null}
        <span className="push dim s keys">
          <kbd aria-hidden="true">j</kbd> <kbd aria-hidden="true">k</kbd> move, <kbd aria-hidden="true">Enter</kbd> open,{" "}
          <kbd aria-hidden="true">?</kbd> all keys
        </span>
      </div>
      {listed.isPending ? <PageLoading what="Changes are loading" /> : null}
      {listed.error === null ? null : (
        <section className="panel">
          <Failure error={listed.error} again={() => void listed.refetch()} />
        </section>
      )}
      {listed.data === undefined ? null : (
        <Lists lines={shown} show={show} q={q} me={me.data?.name ?? ""} isAlone={isAlone} selected={selection.id} />
      )}
    </>
  );
}

function Lists({
  lines,
  show,
  q,
  me,
  isAlone,
  selected,
}: {
  lines: readonly ChangeLine[];
  show: Show;
  q: string;
  me: string;
  /** Nobody else can act: what one has opened waits for oneself. */
  isAlone: boolean;
  selected: string | undefined;
}) {
  if (lines.length === 0)
    return (
      <section className="panel">
        {q === "" ? (
          <NothingHere show={show} />
        ) : (
          <Empty title={`No match for “${q}”`}>Titles, datasets, persons, origins and ids are searched.</Empty>
        )}
      </section>
    );
  const parts: readonly [title: string, note: string, lines: readonly ChangeLine[]][] =
    show === "waiting"
      ? [
          ["Waits for you", "newest first", lines.filter(({ author }) => isAlone || author !== me)],
          ["Yours, waits for others", "newest first", lines.filter(({ author }) => !isAlone && author === me)],
        ]
      : [[titles[show], "newest first", lines]];
  return parts
    .filter(([, , part]) => part.length > 0)
    .map(([title, note, part]) => (
      <section key={title} className="panel" aria-labelledby={`part-${title}`}>
        <header>
          <h2 id={`part-${title}`}>{title}</h2>
          <span className="dim">{note}</span>
        </header>
        <ul className="list">
          {part.slice(0, mostShown).map((line) => (
            <ChangeRow key={line.id} line={line} selected={line.id === selected} />
          ))}
        </ul>
        {part.length > mostShown ? <p className="pad dim">{part.length - mostShown} more: the filter finds them.</p> : null}
      </section>
    ));
}

function NothingHere({ show }: { show: Show }) {
  return show === "waiting" ? (
    <Empty title="Nothing waits for you" command="tidegate propose demo.airports --upsert fixed.csv">
      <p>Whatever is proposed, by a person, a pipeline or a feed, comes here first. Propose one from a file:</p>
    </Empty>
  ) : (
    <Empty title="No change yet" command="tidegate import orders orders.csv --key order_id">
      <p>A first dataset comes from a file; each change of it stands here from then on.</p>
    </Empty>
  );
}

function filtered(lines: readonly ChangeLine[], q: string): ChangeLine[] {
  const words = q
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return lines.filter((line) => {
    const text = [line.title, line.id, line.author, line.origin, line.state, ...line.datasets].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** What comes while somebody looks does not push away what they are about to press: it waits behind «2 new». */
function useHeldBack(lines: readonly ChangeLine[] | undefined, show: Show) {
  const [seen, setSeen] = useState<{ show: Show; ids: ReadonlySet<string> }>();
  const known = seen?.show === show ? seen.ids : undefined;
  const all = new Set((lines ?? []).map(({ id }) => id));
  if (lines !== undefined && known === undefined) setSeen({ show, ids: all });
  const shown = lines?.filter(({ id }) => known === undefined || known.has(id));
  return { lines: shown, fresh: (lines?.length ?? 0) - (shown?.length ?? 0), show: () => setSeen({ show, ids: all }) };
}

/** The row on which `j` and `k` stand: it has the focus, so that Enter opens it. */
function useSelection(ids: readonly string[]) {
  const [id, setId] = useState<string>();
  const latest = useRef(ids);
  latest.current = ids;
  const move = (by: number): void => {
    const at = id === undefined ? (by > 0 ? -1 : 0) : latest.current.indexOf(id);
    const next = latest.current[Math.max(0, Math.min(latest.current.length - 1, at + by))];
    if (next === undefined) return;
    setId(next);
    document.querySelector<HTMLElement>(`[data-change="${next}"]`)?.focus();
  };
  return { id, move };
}
