import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Answer } from "../../api/client.ts";
import { question } from "../../api/queries.ts";
import { ago, counted, exactMoment, unbroken } from "../../lib/format.ts";
import { useNow } from "../../lib/now.ts";
import { useOnScreen } from "../../lib/on-screen.ts";
import { Chip, Sign, Verdict } from "../../ui/chip.tsx";
import { OriginTag, signOfChange } from "../../ui/change-signs.tsx";
import { isOpen } from "../change/outcome.ts";
import type { ChangeLine } from "./changes-page.tsx";

/** One change: what it does to people who read, what it wants, how its checks and tests stand. */
export function ChangeRow({ line, selected }: { line: ChangeLine; selected: boolean }) {
  const now = useNow();
  const [row, isSeen] = useOnScreen<HTMLLIElement>();
  // A verdict may take the time of its tests: it is asked for when the row comes into sight, and kept.
  const verdict = useQuery({
    ...question("GET /v1/changes/{id}/verdict", { path: { id: line.id } }),
    enabled: isSeen && isOpen(line.state),
  });
  const sign = signOfChange(line, verdict.data?.decision.outcome);
  return (
    <li ref={row} className={selected ? "sel" : undefined}>
      <Sign icon={sign.icon} tone={sign.tone} label={sign.word} />
      <div>
        <Link className="ttl" to="/changes/$id" params={{ id: line.id }} data-change={line.id}>
          {line.title}
        </Link>
        <p className="sub impact-line">{impactOf(line, verdict)}</p>
      </div>
      <div className="who">
        <span>{wantedOf(line, verdict.data)}</span>
        <OriginTag origin={line.origin} author={line.author} />
      </div>
      <div className="who">
        {verdict.data === undefined ? (
          isOpen(line.state) && verdict.error === null ? (
            <span className="sk w72" />
          ) : null
        ) : (
          <Chips verdict={verdict.data} />
        )}
        {line.barred ? <Verdict of="barred">rolled back</Verdict> : null}
      </div>
      <time className="dim nw" dateTime={line.updatedAt} title={exactMoment(line.updatedAt)}>
        {ago(line.updatedAt, now)}
      </time>
    </li>
  );
}

type VerdictData = Answer<"GET /v1/changes/{id}/verdict">;

function impactOf(line: ChangeLine, verdict: { data: VerdictData | undefined; error: Error | null; isPending: boolean }): string {
  if (verdict.data !== undefined) return unbroken(verdict.data.headline);
  if (verdict.error !== null) return verdict.error.message;
  if (isOpen(line.state)) return "asking checks and tests …";
  return line.datasets.length === 0 ? "documents only" : line.datasets.join(", ");
}

/** What is asked of people, in the words of the decision. */
function wantedOf(line: ChangeLine, verdict: VerdictData | undefined): string {
  if (line.state === "queued") return "Nobody: it is in the merge queue";
  if (line.state === "conflicted") return "Somebody who settles its conflicts";
  if (!isOpen(line.state)) return line.state;
  if (verdict === undefined) return "";
  const { outcome, items } = verdict.decision;
  const open = items.filter((item) => item.state !== "met" && !item.overridden);
  const failed = open.filter((item) => item.state === "failed").length;
  if (outcome === "ready") return "A person who merges it";
  if (failed > 0) return `To mend: ${counted(failed, "thing fails", "things fail")}`;
  if (open.every((item) => item.acknowledge !== null)) return `An acknowledgement of ${counted(open.length, "thing")}`;
  return open.some((item) => item.kind === "approval") ? "An approval" : counted(open.length, "thing is missing", "things are missing");
}

function Chips({ verdict }: { verdict: VerdictData }) {
  const sum = (of: "pass" | "fail" | "inconclusive") => verdict.datasets.reduce((all, { checks }) => all + checks[of], 0);
  const items = verdict.decision.items;
  const failing = items.filter((item) => item.kind === "check" && item.state === "failed").length;
  const unknown = items.filter((item) => item.kind === "check" && item.state === "unknown").length;
  const tests = items.filter((item) => item.kind === "test" && item.state !== "met");
  const broken = tests.filter((item) => item.state === "failed").length;
  return (
    <>
      {failing > 0 ? (
        <Verdict of="fail">{counted(failing, "check fails", "checks fail")}</Verdict>
      ) : unknown > 0 ? (
        <Verdict of="inconclusive">{counted(unknown, "check cannot tell", "checks cannot tell")}</Verdict>
      ) : sum("pass") > 0 ? (
        <Verdict of="pass">{counted(sum("pass"), "check passes", "checks pass")}</Verdict>
      ) : (
        <Chip icon="waiting" tone="still">
          no checks
        </Chip>
      )}
      {broken > 0 ? (
        <Verdict of="broken">{counted(broken, "test breaks", "tests break")}</Verdict>
      ) : tests.length > 0 ? (
        <Verdict of="moved">{counted(tests.length, "result moves", "results move")}</Verdict>
      ) : null}
    </>
  );
}
