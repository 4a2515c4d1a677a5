import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/client.ts";
import { question, refresh } from "../../api/queries.ts";
import type { Review } from "../../api/routes.ts";
import { exactMoment, moment, unbroken } from "../../lib/format.ts";
import { useNow } from "../../lib/now.ts";
import { Chip, Sign } from "../../ui/chip.tsx";
import { Failure } from "../../ui/states.tsx";
import type { Shown, VerdictOf } from "./change-data.ts";
import { itemSign } from "./impact.tsx";
import { isOpen, openItems } from "./outcome.ts";

/** What people have said, and what policy asks of them. */
export function TalkTab({ shown, verdict }: { shown: Shown; verdict: VerdictOf | undefined }) {
  const plan = useQuery({
    ...question("GET /v1/changes/{id}/plan", { path: { id: shown.change.id } }),
    enabled: isOpen(shown.change.state),
  });
  return (
    <div className="cols">
      <div className="panel">
        <ul className="msg">
          {(verdict?.reviews ?? []).map((review) => (
            <Word key={review.id} review={review} />
          ))}
          {verdict?.reviews.length === 0 ? <li className="quiet">Nobody has said anything yet.</li> : null}
          {isOpen(shown.change.state) ? <Say id={shown.change.id} /> : null}
        </ul>
      </div>
      <div className="stack">
        {verdict === undefined ? null : <Asked verdict={verdict} />}
        {plan.data === undefined ? null : (
          <section className="panel" aria-labelledby="plan">
            <header>
              <h2 id="plan">How its release reaches readers</h2>
            </header>
            <ol className="lines numbered">
              {plan.data.steps.map((step, at) => (
                <li key={`${at} ${step}`}>
                  <span className="dim">{at + 1}</span>
                  <span>{step}</span>
                </li>
              ))}
            </ol>
            <p className="pad dim">
              {plan.data.rule === null
                ? plan.data.from === "default"
                  ? "No rule has a plan: all readers at once."
                  : "Set on the change."
                : `By the rule ${plan.data.rule}.`}
              {plan.data.judging.length === 0 ? "" : ` The judge looks at ${plan.data.judging.join("; ")}.`}
            </p>
          </section>
        )}
      </div>
    </div>
  );
}

const kinds = {
  approve: { icon: "pass", tone: "pass", word: "approves" },
  block: { icon: "fail", tone: "fail", word: "blocks" },
  acknowledge: { icon: "moved", tone: "warn", word: "acknowledges" },
  comment: { icon: "message", tone: "still", word: "says" },
} as const;

function Word({ review }: { review: Review }) {
  const now = useNow();
  const { person, kind, text, at, stale, withdrawnAt, acknowledged } = review;
  const { icon, tone, word } = kinds[kind];
  return (
    <li>
      <span className="av" aria-hidden="true">
        {person.slice(0, 2)}
      </span>
      <div>
        <b>{person}</b>{" "}
        <Chip icon={icon} tone={withdrawnAt === null && !stale ? tone : "still"}>
          {word}
        </Chip>{" "}
        <time className="dim" dateTime={at} title={exactMoment(at)}>
          {moment(at, now)}
        </time>
        {withdrawnAt !== null ? (
          <span className="dim">, taken back</span>
        ) : stale ? (
          <span className="dim">, of an earlier content</span>
        ) : null}
        {text === "" ? null : <p className="said">{text}</p>}
        {acknowledged.length === 0 ? null : <p className="sub">{acknowledged.join("; ")}</p>}
      </div>
    </li>
  );
}

function Say({ id }: { id: string }) {
  const client = useQueryClient();
  const [text, setText] = useState("");
  const send = useMutation({
    mutationFn: () => ask("POST /v1/changes/{id}/reviews", { path: { id }, body: { kind: "comment", text: text.trim() } }),
    onSuccess: () => {
      setText("");
      refresh(client, "change.reviewed", [id]);
    },
  });
  return (
    <li>
      <span className="av" aria-hidden="true">
        …
      </span>
      <form
        className="stack tight"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== "") send.mutate();
        }}
      >
        <label htmlFor="say">Comment</label>
        <textarea id="say" rows={3} maxLength={10_000} value={text} onChange={(event) => setText(event.target.value)} />
        {send.error === null ? null : <Failure error={send.error} />}
        <div className="row">
          <button className="btn" type="submit" aria-disabled={text.trim() === "" || send.isPending ? true : undefined}>
            Send
          </button>
          <span className="dim s">everybody who sees the change sees it; it decides nothing</span>
        </div>
      </form>
    </li>
  );
}

function Asked({ verdict: { decision } }: { verdict: VerdictOf }) {
  const items = [...openItems(decision), ...decision.items.filter((item) => item.state === "met")];
  return (
    <section className="panel" aria-labelledby="asked">
      <header>
        <h2 id="asked">What policy asks</h2>
        <span className="dim">{decision.matched.map(({ rule }) => rule).join(", ")}</span>
      </header>
      <ul className="lines">
        {items.map((item) => (
          <li key={`${item.kind} ${item.text}`}>
            <Sign {...itemSign[item.state]} />
            <span>
              {unbroken(item.text)}
              {item.overridden ? " (break-glass)" : ""}
              {item.rule === null ? null : <span className="dim"> rule {item.rule}</span>}
            </span>
          </li>
        ))}
        {items.length === 0 ? <li className="quiet">Nothing: it may merge as it is.</li> : null}
      </ul>
    </section>
  );
}
