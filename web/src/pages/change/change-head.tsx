import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ago, exactMoment } from "../../lib/format.ts";
import { useNow } from "../../lib/now.ts";
import { Version } from "../../ui/chip.tsx";
import { OriginTag } from "../../ui/change-signs.tsx";
import { Icon } from "../../ui/icon.tsx";
import type { Shown } from "./change-data.ts";

const mostShown = 4;

/** Title, origin, age, and the versions that a change leads from and to. */
export function ChangeHead({ shown, children }: { shown: Shown; children: ReactNode }) {
  const now = useNow();
  const { change, datasets } = shown;
  return (
    <div className="head">
      <nav className="crumb" aria-label="Where">
        <Link to="/changes">Changes</Link>
        <span aria-hidden="true">/</span>
        <span className="m">{change.id}</span>
        {children}
      </nav>
      <h1>{change.title}</h1>
      <div className="meta">
        <OriginTag origin={change.origin} author={shown.authors.join(", ")} />
        <time className="nw" dateTime={change.createdAt} title={exactMoment(change.createdAt)}>
          opened {ago(change.createdAt, now) === "now" ? "just now" : `${ago(change.createdAt, now)} ago`}
        </time>
        {datasets.slice(0, mostShown).map(({ dataset, base, candidate, merged, derived, createdDataset, droppedDataset }) => (
          <span key={dataset}>
            <span className="m">{dataset}</span>
            {createdDataset ? "new" : <Version of={base} side="current" />}
            <Icon name="arrow" />
            {droppedDataset ? "dropped" : <Version of={merged ?? candidate} side={shown.barred ? "barred" : "candidate"} />}
            {derived ? "rebuilt" : null}
          </span>
        ))}
        {datasets.length > mostShown ? <span>and {datasets.length - mostShown} more</span> : null}
        {datasets.length === 0 ? <span>documents only</span> : null}
      </div>
    </div>
  );
}
