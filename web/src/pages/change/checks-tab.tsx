import { useState } from "react";
import { cellText, counted, exactMoment, grouped, unbroken } from "../../lib/format.ts";
import { Verdict } from "../../ui/chip.tsx";
import { Command, Empty } from "../../ui/states.tsx";
import type { ChangeData, ChecksOf } from "./change-data.ts";
import { Waits } from "./change-page.tsx";

type Check = ChecksOf[number]["checks"][number];
interface Row {
  dataset: string;
  owners: readonly string[];
  check: Check;
}

/** Every rule, what fails first and open; what passes folds into one line per dataset. */
export function ChecksTab({ id, checks }: { id: string; checks: ChangeData["checks"] }) {
  return (
    <Waits of={checks} what="Checks are being asked">
      {(datasets) => <Answered id={id} datasets={datasets} />}
    </Waits>
  );
}

function Answered({ id, datasets }: { id: string; datasets: ChecksOf }) {
  const [showsPasses, setShowsPasses] = useState(false);
  const rows = datasets.flatMap(({ dataset, owners, checks }) => checks.map((check): Row => ({ dataset, owners, check })));
  const rank = { fail: 0, inconclusive: 1, pass: 2 } as const;
  const open = rows.filter(({ check }) => check.verdict !== "pass").toSorted((a, b) => rank[a.check.verdict] - rank[b.check.verdict]);
  const passes = rows.filter(({ check }) => check.verdict === "pass");
  const untested = datasets.filter((item) => item.untested);
  return (
    <div className="panel">
      {untested.map(({ dataset }) => (
        <div key={dataset} className="fold plain">
          <div className="chk">
            <Verdict of="untested" />
            <span>
              <b className="m">{dataset}</b> has no rules. Untested is never a pass.
              <Command text={`tidegate contract infer ${dataset}`} />
            </span>
          </div>
        </div>
      ))}
      {open.map((row, at) => (
        <CheckRow key={`${row.dataset} ${row.check.rule.id}`} row={row} isOpen={at === 0} />
      ))}
      {rows.length === 0 && untested.length === 0 ? (
        <Empty title="No check was asked" command={`tidegate check ${id}`}>
          The change touches no dataset that has rules.
        </Empty>
      ) : null}
      {passes.length === 0 ? null : showsPasses ? (
        passes.map((row) => <CheckRow key={`${row.dataset} ${row.check.rule.id}`} row={row} isOpen={false} />)
      ) : (
        <div className="pad dim row fold">
          {counted(passes.length, "check passes", "checks pass")}.
          <button type="button" className="btn" onClick={() => setShowsPasses(true)}>
            Show them
          </button>
        </div>
      )}
    </div>
  );
}

function CheckRow({ row: { dataset, owners, check }, isOpen }: { row: Row; isOpen: boolean }) {
  const { rule, verdict, expected, found, effect, bad, badAdded, samples, sql, failingSince, reason } = check;
  return (
    <details className="fold chk" open={isOpen}>
      <summary>
        <Verdict of={verdict === "fail" && effect !== "block" ? "warning" : verdict} />
        <span>
          <b>{rule.title}</b>
          <br />
          <span className="sub m">{dataset}</span>
        </span>
        <span className="opt">{unbroken(verdict === "pass" ? (found ?? "") : (found ?? reasonWords(reason)))}</span>
        <span className="dim opt">{effectWords(check)}</span>
      </summary>
      <div className="body">
        <p>
          Expected {unbroken(expected)}
          {found === null ? `; ${reasonWords(reason)}` : `, found ${unbroken(found)}`}.
          {badAdded === null || bad === null ? "" : ` ${badAdded === 0 ? "None" : grouped(badAdded)} of them new in this change.`}
        </p>
        {rule.description === null ? null : <p className="sub">{rule.description}</p>}
        {samples.length === 0 ? null : <Samples samples={samples} />}
        <dl className="kv">
          <dt>severity</dt>
          <dd>
            {rule.severity}, asked of {rule.scope === "added" ? "the rows that the change adds or modifies" : "the whole dataset"}
          </dd>
          {failingSince === null ? null : (
            <>
              <dt>fails since</dt>
              <dd>
                {failingSince.version}, {exactMoment(failingSince.at)}
              </dd>
            </>
          )}
          {owners.length === 0 ? null : (
            <>
              <dt>owner</dt>
              <dd>{owners.join(", ")}</dd>
            </>
          )}
          <dt>rule</dt>
          <dd className="m">{rule.source}</dd>
        </dl>
        <pre tabIndex={0}>{sql}</pre>
      </div>
    </details>
  );
}

function effectWords({ verdict, effect, reason }: Check): string {
  if (verdict === "pass") return "";
  const old = reason === "already_failing" ? "on base too; " : "";
  return `${old}${{ block: "blocks", warn: "a warning", info: "only said", none: "" }[effect]}`;
}

const reasons: Readonly<Record<string, string>> = {
  column_missing: "the column is missing",
  wrong_type: "the column has another type",
  rule_error: "the rule cannot be run",
  no_values: "there are no values",
  not_a_number: "not a number",
  dataset_missing: "the other dataset is missing",
};

function reasonWords(reason: string | null): string {
  return reason === null ? "" : (reasons[reason] ?? reason.replaceAll("_", " "));
}

/** Rows that fail: by key where there is one; the same values once, with how often they came. */
function Samples({ samples }: { samples: Check["samples"] }) {
  const told = new Map<string, number>();
  for (const { key, row } of samples) {
    const cells = Object.entries(row).map(([name, value]) => `${name} ${cellText(value)}`);
    const text = key === null ? cells.join(", ") : `${key.map(cellText).join(", ")}${cells.length === 0 ? "" : ` (${cells.join(", ")})`}`;
    told.set(text, (told.get(text) ?? 0) + 1);
  }
  return (
    <div>
      <p className="dim">Such as</p>
      <ul className="samples m">
        {[...told].map(([text, times]) => (
          <li key={text}>
            {text}
            {times > 1 ? <span className="dim"> × {times}</span> : null}
          </li>
        ))}
      </ul>
    </div>
  );
}
