import { counted, grouped, shortName, unbroken } from "../../lib/format.ts";
import { BeforeAfter, Chip, Sign, Verdict } from "../../ui/chip.tsx";
import { Name } from "../../ui/name.tsx";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { Command, Failure, isCommand, Loading } from "../../ui/states.tsx";
import { signOfChange } from "../../ui/change-signs.tsx";
import { TabLink, type TabKey } from "./change-page.tsx";
import type { ChangeData, ChecksOf, Shown, TestsOf, VerdictOf } from "./change-data.ts";
import { isOpen, nextCommand, openItems, tabOf } from "./outcome.ts";

/** The impact in one sentence, how it gets there, three numbers; beside it the verdict, what is missing, and the one next act. */
export function Impact({ shown, data, onTab }: { shown: Shown; data: ChangeData; onTab: (tab: TabKey) => void }) {
  const { verdict, checks, tests } = data;
  if (verdict.data === undefined)
    return (
      <section className="panel impact one" aria-label="Impact and verdict">
        {verdict.error === null ? (
          <div>
            <p className="say">Checks and tests are being asked …</p>
            <Loading what="The verdict is loading" lines={3} />
          </div>
        ) : (
          <Failure error={verdict.error} again={() => void verdict.refetch()} />
        )}
      </section>
    );
  return (
    <section className="panel impact" aria-label="Impact and verdict">
      <p className="say">{unbroken(verdict.data.headline)}</p>
      <div className="proof">
        <Path verdict={verdict.data} shown={shown} checks={checks.data ?? []} tests={tests.data ?? []} />
        <Numbers verdict={verdict.data} tests={tests.data ?? []} />
      </div>
      <div className="stands">
        <Stands shown={shown} verdict={verdict.data} onTab={onTab} />
      </div>
    </section>
  );
}

interface Station {
  name: string;
  lines: { key: string; body: React.ReactNode }[];
}

const mostStations = 3;

/** The way of the change: what is written, what points at it and fails, what is rebuilt from it, who reads that. */
function Path({ verdict, shown, checks, tests }: { verdict: VerdictOf; shown: Shown; checks: ChecksOf; tests: TestsOf }) {
  const derived = new Set(shown.datasets.filter((item) => item.derived).map((item) => item.dataset));
  const own = new Set(shown.datasets.map((item) => item.dataset));
  const rowsOf = (dataset: VerdictOf["datasets"][number]) => ({
    name: dataset.dataset,
    lines: [{ key: dataset.dataset, body: <RowsMove rows={dataset.rows} /> }],
  });
  const written = verdict.datasets.filter(({ dataset }) => !derived.has(dataset)).map(rowsOf);
  const rebuilt = verdict.datasets.filter(({ dataset }) => derived.has(dataset)).map(rowsOf);
  const pointing = checks
    .filter(({ dataset, checks: all }) => !own.has(dataset) && all.some((check) => check.verdict === "fail"))
    .map(({ dataset, checks: all }): Station => ({
      name: dataset,
      lines: all
        .filter((check) => check.verdict === "fail")
        .map(({ rule, found }) => ({ key: rule.id, body: `${unbroken(found ?? "fails")}: ${rule.title}` })),
    }));
  const read = tests.filter(({ outcome }) => outcome !== "same");
  const readers: Station[] = [...new Set(read.map(({ consumer }) => consumer))].map((consumer) => ({
    name: consumer,
    lines: read.filter((item) => item.consumer === consumer).map(({ test, outcome }) => ({ key: test, body: <Verdict of={outcome} /> })),
  }));
  const stages = [written, pointing, rebuilt, readers].filter((stage) => stage.length > 0);
  if (stages.length < 2) return null;
  return (
    <ol className="path" aria-label="How it gets there">
      {stages.map((stage, at) => (
        <li key={stage[0]?.name ?? at}>
          {at === 0 ? null : <Icon name="arrow" />}
          {stage.slice(0, mostStations).map(({ name, lines }) => (
            <div key={name} className="station">
              <b>
                <Name text={shortName(name)} />
              </b>
              {lines.slice(0, 2).map(({ key, body }) => (
                <span key={key} className="sub">
                  {body}
                </span>
              ))}
            </div>
          ))}
          {stage.length > mostStations ? <span className="dim">and {stage.length - mostStations} more</span> : null}
        </li>
      ))}
    </ol>
  );
}

function RowsMove({ rows }: { rows: { added: number; removed: number; modified: number } }) {
  const parts = [
    rows.removed > 0 ? `−${counted(rows.removed, "row")}` : "",
    rows.added > 0 ? `+${counted(rows.added, "row")}` : "",
    rows.modified > 0 ? `≠ ${counted(rows.modified, "row")}` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "no row differs" : parts.join(", ");
}

/** Three numbers that move: of consumers' results first, then of the datasets themselves. */
function Numbers({ verdict, tests }: { verdict: VerdictOf; tests: TestsOf }) {
  const moves = tests.flatMap(({ consumer, test, moves: all }) =>
    all.map(({ what, before, after }) => ({ key: `${consumer} ${test} ${what}`, what: `${what}, ${consumer}`, before, after })),
  );
  const sizes = verdict.datasets
    .filter(({ rows }) => rows.base !== rows.candidate)
    .map(({ dataset, rows }) => ({
      key: dataset,
      what: `rows of ${shortName(dataset)}`,
      before: grouped(rows.base),
      after: grouped(rows.candidate),
    }));
  const shown = [...moves, ...sizes].slice(0, 3);
  return shown.length === 0 ? null : (
    <dl className="nums">
      {shown.map(({ key, what, before, after }) => (
        <div key={key}>
          <dt>{what}</dt>
          <dd>
            <BeforeAfter before={before} after={after} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Stands({ shown, verdict, onTab }: { shown: Shown; verdict: VerdictOf; onTab: (tab: TabKey) => void }) {
  const { change, barred, conflict, revertWaits } = shown;
  const { decision } = verdict;
  const sign = signOfChange({ state: change.state, barred }, decision.outcome);
  const word = sign.word.charAt(0).toUpperCase() + sign.word.slice(1);
  if (!isOpen(change.state)) return <Ended shown={shown} icon={sign.icon} word={word} />;
  const open = openItems(decision);
  const next = nextCommand(change.id, decision);
  return (
    <>
      <div className="row">
        <Chip icon={sign.icon} tone={sign.tone}>
          {word}
        </Chip>
        <span className="sub">
          {open.length === 0 ? "nothing is missing" : counted(open.length, "thing is missing", "things are missing")}
        </span>
      </div>
      {conflict === null ? null : <Word message={conflict.message} hint={conflict.hint} />}
      {revertWaits === null ? null : <Word message={revertWaits.message} hint={revertWaits.hint} />}
      <ul className="blocks">
        {open.slice(0, 6).map((item) => (
          <li key={`${item.kind} ${item.text}`}>
            <Sign {...itemSign[item.state]} />
            <span>
              {unbroken(item.text)}
              {item.overridden ? " (break-glass)" : ""}
            </span>
            <TabLink id={change.id} tab={tabOf(item.kind)}>
              {tabNames[tabOf(item.kind)]}
            </TabLink>
          </li>
        ))}
        {open.length > 6 ? (
          <li>
            <span />
            <button type="button" className="btn plain" onClick={() => onTab("talk")}>
              and {open.length - 6} more
            </button>
          </li>
        ) : null}
      </ul>
      <div className="next">
        <p>
          <b>Next:</b> {nextWords(decision.outcome, open.length)}
        </p>
        <Command text={next} />
      </div>
    </>
  );
}

export const itemSign = {
  failed: { icon: "fail", tone: "fail", label: "failed" },
  unknown: { icon: "inconclusive", tone: "inc", label: "could not be told" },
  missing: { icon: "waiting", tone: "warn", label: "missing" },
  met: { icon: "pass", tone: "pass", label: "met" },
} as const;

const tabNames = { checks: "Checks", consumers: "Consumers", talk: "Conversation" } as const;

function nextWords(outcome: VerdictOf["decision"]["outcome"], open: number): string {
  if (outcome === "ready") return "merge it.";
  if (outcome === "blocked") return "see what fails, then mend the change, the contract or the data.";
  if (outcome === "inconclusive") return "make it tell: what could not be asked never counts as passed.";
  return open === 1 ? "somebody does what is missing." : "somebody does what is missing, one by one.";
}

function Word({ message, hint }: { message: string; hint: string | null }) {
  return (
    <div className="next">
      <p>{message}</p>
      {hint === null ? null : isCommand(hint) ? <Command text={hint} /> : <p className="sub">{hint}</p>}
    </div>
  );
}

function Ended({ shown, icon, word }: { shown: Shown; icon: IconName; word: string }) {
  const { change, barred, datasets, revertedBy, revertWaits } = shown;
  const [first] = datasets;
  const mayGoBack = change.state === "merged" && !barred && first !== undefined;
  return (
    <>
      <div className="row">
        <Chip icon={icon} tone={barred ? "fail" : "still"}>
          {word}
        </Chip>
        <span className="sub">{change.mergedBy === null ? (change.closedReason ?? "") : `merged by ${change.mergedBy}`}</span>
      </div>
      {barred ? <p>It was rolled back: no version that contains it is released until it is reverted.</p> : null}
      {revertedBy.length > 0 ? <p>Reverted by {revertedBy.join(", ")}.</p> : null}
      {revertWaits === null ? null : <Word message={revertWaits.message} hint={revertWaits.hint} />}
      <div className="next">
        <p>{mayGoBack ? "To take readers back at once:" : "All of it, in a terminal:"}</p>
        <Command text={mayGoBack ? `tidegate rollback ${first.dataset}` : `tidegate change show ${change.id}`} />
      </div>
    </>
  );
}
