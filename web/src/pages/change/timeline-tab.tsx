import { useQuery } from "@tanstack/react-query";
import { question } from "../../api/queries.ts";
import { exactMoment, moment } from "../../lib/format.ts";
import { useNow } from "../../lib/now.ts";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { Waits } from "./change-page.tsx";

/** What the record says of the change, the newest first. Ids are whole in the audit, so nothing is left out. */
export function TimelineTab({ id }: { id: string }) {
  const audit = useQuery(question("GET /v1/audit", { query: { subject: id, limit: 200 } }));
  const now = useNow();
  return (
    <Waits of={audit} what="The record is loading">
      {(events) => (
        <div className="panel">
          <ol className="hist">
            {events.map(({ seq, at, actor, action, hash }) => {
              const { icon, text } = wordsOf(action);
              return (
                <li key={seq}>
                  <time dateTime={at} title={exactMoment(at)}>
                    {moment(at, now)}
                  </time>
                  <Icon name={icon} />
                  <span>
                    <b>{actor}</b> {text}{" "}
                    <span className="dim s m" title={`audit event ${seq}, ${hash}`}>
                      #{seq}
                    </span>
                  </span>
                </li>
              );
            })}
          </ol>
        </div>
      )}
    </Waits>
  );
}

const words: Readonly<Record<string, readonly [IconName, string]>> = {
  "change.open": ["change", "opened it"],
  "change.write": ["change", "wrote to it"],
  "change.approve": ["pass", "approved it"],
  "change.block": ["fail", "blocked it"],
  "change.comment": ["message", "said something"],
  "change.acknowledge": ["moved", "acknowledged what moves"],
  "change.withdraw": ["back", "took a word back"],
  "change.override": ["warning", "let it merge against the policy"],
  "change.override_reviewed": ["pass", "looked at the break-glass merge"],
  "change.enqueue": ["running", "put it into the merge queue"],
  "change.merge": ["pass", "merged it"],
  "change.close": ["barred", "closed it"],
  "change.supersede": ["barred", "superseded it"],
  "change.resolve": ["moved", "settled conflicts"],
  "change.plan": ["release", "set how its release reaches readers"],
  "change.title": ["message", "gave it another title"],
};

function wordsOf(action: string): { icon: IconName; text: string } {
  const [icon, text] = words[action] ?? (["same", action.replaceAll(/[._]/g, " ")] as const);
  return { icon, text };
}
