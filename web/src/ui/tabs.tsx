import { useRef, type ReactNode } from "react";

export interface Tab<K extends string> {
  key: K;
  title: string;
  note?: ReactNode;
  body: ReactNode;
}

/** Parts of a page; arrow keys go along, and only the part that is shown is drawn. */
export function Tabs<K extends string>({
  tabs,
  shown,
  onShow,
  label,
}: {
  tabs: readonly Tab<K>[];
  shown: K;
  onShow: (key: K) => void;
  label: string;
}) {
  const list = useRef<HTMLDivElement>(null);
  const go = (by: number): void => {
    const at = tabs.findIndex(({ key }) => key === shown);
    const next = tabs[(at + by + tabs.length) % tabs.length];
    if (next === undefined) return;
    onShow(next.key);
    list.current?.querySelector<HTMLElement>(`#tab-${next.key}`)?.focus();
  };
  const open = tabs.find(({ key }) => key === shown) ?? tabs[0];
  return (
    <>
      <div className="tabs" role="tablist" aria-label={label} ref={list}>
        {tabs.map(({ key, title, note }) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`tab-${key}`}
            aria-controls={`panel-${key}`}
            aria-selected={key === open?.key}
            tabIndex={key === open?.key ? 0 : -1}
            onClick={() => onShow(key)}
            onKeyDown={(event) => {
              const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
              if (by !== undefined) go(by);
            }}
          >
            {title}
            {note === undefined ? null : <span className="dim">{note}</span>}
          </button>
        ))}
      </div>
      {tabs.map(({ key, body }) => (
        <section key={key} role="tabpanel" id={`panel-${key}`} aria-labelledby={`tab-${key}`} hidden={key !== open?.key} className="stack">
          {key === open?.key ? body : null}
        </section>
      ))}
    </>
  );
}
