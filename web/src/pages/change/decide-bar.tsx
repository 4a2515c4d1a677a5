import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { ask } from "../../api/client.ts";
import { refresh, whoami } from "../../api/queries.ts";
import { counted, unbroken } from "../../lib/format.ts";
import { useKeys } from "../../lib/keys.ts";
import { signOfChange } from "../../ui/change-signs.tsx";
import { Sign } from "../../ui/chip.tsx";
import { Failure } from "../../ui/states.tsx";
import type { Shown, VerdictOf } from "./change-data.ts";
import { actsOf, type Act, type ActName } from "./acts.ts";
import { isOpen } from "./outcome.ts";

/** What one can decide, at the thumb: each act says what will happen before it happens, and asks once. */
export function DecideBar({
  shown,
  verdict,
  steps,
}: {
  shown: Shown;
  verdict: VerdictOf | undefined;
  steps: readonly string[] | undefined;
}) {
  const { change, barred } = shown;
  const me = useQuery(whoami);
  const [opened, setOpened] = useState<ActName>();
  const acts = isOpen(change.state) && verdict !== undefined ? actsOf({ shown, verdict, steps, me: me.data }) : [];
  const open = acts.find(({ name }) => name === opened);
  const bar = useRef<HTMLElement>(null);
  const close = (): void => {
    const button = bar.current?.querySelector<HTMLElement>(`[data-act="${opened}"]`);
    setOpened(undefined);
    button?.focus();
  };
  useKeys([
    ...acts.map((act) => ({
      key: act.key,
      does: act.verb.toLowerCase(),
      run: () =>
        act.refused === undefined ? setOpened(act.name) : bar.current?.querySelector<HTMLElement>(`[data-act="${act.name}"]`)?.focus(),
    })),
    ...(open === undefined ? [] : [{ key: "Escape", does: "do not do it", run: close }]),
  ]);
  const sign = signOfChange(
    change.state === "open" ? { state: "open", barred } : { state: change.state, barred },
    verdict?.decision.outcome,
  );
  return (
    <section className="decide" aria-label="Decide" ref={bar}>
      {open === undefined ? null : <Confirm key={open.name} act={open} shown={shown} onEnd={close} />}
      <div className="stand">
        <p aria-live="polite">
          <Sign icon={sign.icon} tone={sign.tone} /> <b>{standOf(shown, verdict)}</b>
        </p>
        {acts.length === 0 ? null : (
          <div className="acts">
            {acts.map((act) => (
              <button
                key={act.name}
                type="button"
                className={act.primary ? "btn go" : "btn"}
                data-act={act.name}
                aria-disabled={act.refused === undefined ? undefined : true}
                aria-expanded={act.refused === undefined ? act.name === opened : undefined}
                title={act.refused ?? act.will}
                onClick={() => {
                  if (act.refused === undefined) setOpened(act.name === opened ? undefined : act.name);
                }}
              >
                {act.verb} <kbd aria-hidden="true">{act.key}</kbd>
                {act.refused === undefined ? null : <span className="sr">: {act.refused}</span>}
              </button>
            ))}
          </div>
        )}
      </div>
    </section>
  );
}

function standOf({ change, barred }: Shown, verdict: VerdictOf | undefined): string {
  if (barred) return "Barred: readers were taken back from it.";
  if (change.state === "merged") return `Merged${change.mergedBy === null ? "" : ` by ${change.mergedBy}`}.`;
  if (change.state === "queued") return "In the merge queue.";
  if (change.state === "conflicted") return "Conflicted: somebody must choose a side.";
  if (!isOpen(change.state)) return `${change.state}: ${change.closedReason ?? ""}`;
  return verdict === undefined ? "Being asked …" : unbroken(verdict.decision.summary);
}

/** What will happen, a word if one is asked for, and the one button that does it. */
function Confirm({ act, shown, onEnd }: { act: Act; shown: Shown; onEnd: () => void }) {
  const client = useQueryClient();
  const [text, setText] = useState("");
  const first = useRef<HTMLButtonElement & HTMLTextAreaElement>(null);
  useEffect(() => first.current?.focus(), []);
  const { id, contentHash } = shown.change;
  const run = useMutation({
    mutationFn: () => send(act.name, { id, contentHash, text: text.trim(), me: act.me }),
    onSettled: () => {
      for (const topic of ["change.reviewed", "release.waiting"]) refresh(client, topic, [id]);
    },
    onSuccess: onEnd,
  });
  return (
    <form
      className="confirm"
      aria-label={act.verb}
      onSubmit={(event) => {
        event.preventDefault();
        if (!run.isPending && !(act.text === "needed" && text.trim() === "")) run.mutate();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") onEnd();
      }}
    >
      <p>
        <b>{act.verb}.</b> {act.will}
      </p>
      {act.list.length === 0 ? null : (
        <ul className="will">
          {act.list.slice(0, 8).map((line) => (
            <li key={line}>{unbroken(line)}</li>
          ))}
          {act.list.length > 8 ? <li>and {counted(act.list.length - 8, "more", "more")}</li> : null}
        </ul>
      )}
      {act.text === "none" ? null : (
        <label className="word">
          {act.text === "needed" ? "Reason" : "A word, if you like"}
          <textarea
            rows={2}
            maxLength={10_000}
            required={act.text === "needed"}
            value={text}
            ref={act.text === "needed" ? first : undefined}
            onChange={(event) => setText(event.target.value)}
          />
        </label>
      )}
      {run.error === null ? null : <Failure error={run.error} />}
      <div className="row">
        <button
          className="btn go"
          type="submit"
          aria-disabled={run.isPending ? true : undefined}
          ref={act.text === "needed" ? undefined : first}
        >
          {run.isPending ? `${act.doing} …` : act.verb}
        </button>
        <button className="btn" type="button" onClick={onEnd}>
          Not now
        </button>
        <code className="dim s">$ {act.command}</code>
      </div>
    </form>
  );
}

async function send(
  name: ActName,
  { id, contentHash, text, me }: { id: string; contentHash: string; text: string; me: string },
): Promise<unknown> {
  const path = { id };
  const said = text === "" ? {} : { text };
  switch (name) {
    case "approve":
    case "block":
      return ask("POST /v1/changes/{id}/reviews", { path, body: { kind: name, contentHash, ...said } });
    case "withdraw":
      return ask("POST /v1/changes/{id}/withdraw", { path, body: { person: me } });
    case "acknowledge":
      return ask("POST /v1/changes/{id}/acknowledge", { path, body: said });
    case "merge":
      return ask("POST /v1/changes/{id}/merge", { path });
  }
}
