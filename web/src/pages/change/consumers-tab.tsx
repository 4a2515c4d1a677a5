import { useQuery } from "@tanstack/react-query";
import { question } from "../../api/queries.ts";
import { ago, counted, grouped, unbroken } from "../../lib/format.ts";
import { useNow } from "../../lib/now.ts";
import { BeforeAfter, Chip, Verdict } from "../../ui/chip.tsx";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { Command, Empty } from "../../ui/states.tsx";
import type { ChangeData, Shown, TestsOf } from "./change-data.ts";
import { Waits } from "./change-page.tsx";

type Test = TestsOf[number];

const order: readonly Test["outcome"][] = [
  "broken",
  "moved",
  "slower",
  "nondeterministic",
  "not_run",
  "already_broken",
  "fixed",
  "new",
  "same",
];
const kindIcons: Readonly<Record<string, IconName>> = {
  dashboard: "dashboard",
  model: "model",
  job: "job",
  service: "service",
  person: "person",
  other: "dataset",
};

/** What those who read get: each test on both sides, the worst first; then who reads without a test. */
export function ConsumersTab({ shown, tests }: { shown: Shown; tests: ChangeData["tests"] }) {
  return (
    <Waits of={tests} what="Consumers’ tests are being asked">
      {(answered) => <Answered shown={shown} tests={answered} />}
    </Waits>
  );
}

function Answered({ shown, tests }: { shown: Shown; tests: TestsOf }) {
  const kinds = new Map(useQuery(question("GET /v1/consumers", {})).data?.map(({ name, kind }) => [name, kind]));
  const usage = useQuery(question("GET /v1/usage", { query: { limit: 1000 } })).data ?? [];
  const touched = new Set(shown.datasets.map(({ dataset }) => dataset));
  const tested = new Set(tests.map(({ consumer }) => consumer));
  const unguarded = usage.filter(({ dataset, consumer }) => touched.has(dataset) && !tested.has(consumer));
  const sorted = tests.toSorted((a, b) => order.indexOf(a.outcome) - order.indexOf(b.outcome));
  if (sorted.length === 0 && unguarded.length === 0)
    return (
      <div className="panel">
        <Empty
          title="Nobody reads this yet"
          command='tidegate consumer test add delay-board flights --sql "select count(*) as flights from flights"'
        >
          {[...touched].join(", ") || "What it changes"} has no test of a consumer, and nobody has read it. That is a fact, not a fault.
        </Empty>
      </div>
    );
  const worst = sorted[0]?.outcome;
  return (
    <div className="panel">
      {sorted.map((test) => (
        <TestRow
          key={`${test.consumer} ${test.test}`}
          test={test}
          icon={kindIcons[kinds.get(test.consumer) ?? ""] ?? "dataset"}
          isOpen={test.outcome !== "same" && test.outcome === worst}
        />
      ))}
      {unguarded.map(({ consumer, dataset, reads, lastAt }) => (
        <Unguarded
          key={`${consumer} ${dataset}`}
          icon={kindIcons[kinds.get(consumer) ?? ""] ?? "dataset"}
          {...{ consumer, dataset, reads, lastAt }}
        />
      ))}
    </div>
  );
}

function TestRow({ test, icon, isOpen }: { test: Test; icon: IconName; isOpen: boolean }) {
  const { consumer, owner, criticality, outcome, summary, moves, error, milliseconds, rowsScanned, reads } = test;
  return (
    <details className="fold csm" open={isOpen}>
      <summary>
        <Verdict of={outcome} />
        <span>
          <b>
            <Icon name={icon} /> {consumer}
          </b>
          <br />
          <span className="sub">{[owner ?? "nobody owns it", criticality].join(", ")}</span>
        </span>
        <span>{unbroken(summary)}</span>
        <span className="dim opt m">{test.test}</span>
      </summary>
      <div className="body">
        {error.before !== null || error.after !== null || moves.length > 0 ? (
          <div className="two">
            <Side
              title="base"
              kind="base"
              lines={moves.map(({ what, before }) => [what, before])}
              error={error.before}
              milliseconds={milliseconds?.before}
              rows={rowsScanned?.before}
            />
            <Side
              title="candidate"
              kind="cand"
              lines={moves.map(({ what, after }) => [what, after])}
              error={error.after}
              milliseconds={milliseconds?.after}
              rows={rowsScanned?.after}
            />
          </div>
        ) : milliseconds === null ? null : (
          <p className="sub">
            The same result; <BeforeAfter before={`${milliseconds.before} ms`} after={`${milliseconds.after} ms`} />.
          </p>
        )}
        <p className="sub">
          {blockWords(outcome)} It reads{" "}
          {reads.map(({ dataset, columns }) => `${dataset} (${columns === "all" ? "all columns" : columns.join(", ")})`).join("; ") ||
            "nothing"}
          .
        </p>
      </div>
    </details>
  );
}

function blockWords(outcome: Test["outcome"]): string {
  if (outcome === "broken") return "It runs on base and fails on the candidate: that blocks the merge.";
  if (outcome === "moved" || outcome === "slower") return "Whoever policy names must acknowledge it before it merges.";
  if (outcome === "nondeterministic") return "Base differs from itself, so nothing can be told.";
  if (outcome === "already_broken") return "It failed before this change too, which does not block.";
  return "";
}

interface SideOf {
  title: string;
  kind: "base" | "cand";
  lines: readonly (readonly [string, string | null])[];
  error: string | null;
  milliseconds: number | undefined;
  rows: number | undefined;
}

function Side({ title, kind, lines, error, milliseconds, rows }: SideOf) {
  return (
    <div className={`side ${kind}`}>
      <p>{title}</p>
      <div className="scroll" tabIndex={0} role="region" aria-label={`Result on ${title}`}>
        <table>
          <tbody>
            {lines.slice(0, 12).map(([what, value]) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                <td className="num">
                  {value === null ? <span className="dim">gone</span> : kind === "cand" ? <b>{unbroken(value)}</b> : unbroken(value)}
                </td>
              </tr>
            ))}
            {lines.length > 12 ? (
              <tr>
                <td colSpan={2} className="dim">
                  and {lines.length - 12} more
                </td>
              </tr>
            ) : null}
            {error === null ? null : (
              <tr>
                <th scope="row">error</th>
                <td className="c-fail">{error}</td>
              </tr>
            )}
            {milliseconds === undefined ? null : (
              <tr>
                <th scope="row">time, least</th>
                <td className="num">{milliseconds} ms</td>
              </tr>
            )}
            {rows === undefined ? null : (
              <tr>
                <th scope="row">rows read</th>
                <td className="num">{grouped(rows)}</td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </div>
  );
}

interface Reader {
  consumer: string;
  dataset: string;
  reads: number;
  lastAt: string;
  icon: IconName;
}

/** It reads what changes, and no test says what it gets. */
function Unguarded({ consumer, dataset, reads, lastAt, icon }: Reader) {
  const now = useNow();
  return (
    <details className="fold csm">
      <summary>
        <Chip icon="inconclusive" tone="inc">
          no test
        </Chip>
        <span>
          <b>
            <Icon name={icon} /> {consumer}
          </b>
          <br />
          <span className="sub m">{dataset}</span>
        </span>
        <span>It reads what changes, and nothing says what it gets.</span>
        <span className="dim opt">
          {counted(reads, "read")}, last {ago(lastAt, now)}
        </span>
      </summary>
      <div className="body">
        <p className="sub">A stored query of it is run on both sides of every change from then on:</p>
        <Command text={`tidegate consumer test add ${consumer} rows --sql "select count(*) as rows from ${dataset}"`} />
      </div>
    </details>
  );
}
