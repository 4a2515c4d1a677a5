import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { ChangeAnswer, ChangeLine, MergedAnswer, ResolvedAnswer, ShownChangeAnswer } from "../../http/answers.ts";
import type { DiffLine } from "../../http/diff-answers.ts";
import type { VerdictAnswer } from "../../http/verdict-answers.ts";
import { at, mergedLines } from "../change-text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { planIn } from "../input-files.ts";
import { shortTime } from "../output.ts";
import { checkLines, decisionLines, nextOfDecision } from "../verdict-text.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";
import type { Command } from "commander";

/** merge, and the verbs of `change`. */
export function addChangeCommands(surroundings: Surroundings): void {
  const { program } = surroundings;
  const merge = addVerb(program, "merge", "Merge a change into main and release it to readers.", [
    "tidegate merge chg_7fk2",
    "tidegate merge 7fk2 --json",
    "tidegate change list --state waiting",
  ])
    .argument("<change>", "id of the change; its first letters, if they are unique")
    .action((id: string, options: { acknowledge?: boolean; override?: string; plan?: string }) =>
      withClient(surroundings, { doing: `Testing and merging ${id}` }, async (client) => {
        const path = `/v1/changes/${encodeURIComponent(id)}`;
        const plan = options.plan === undefined ? undefined : await planIn(surroundings.cwd, options.plan);
        if (options.acknowledge === true) await client.ask("POST", `${path}/acknowledge`, { body: {} });
        if (options.override !== undefined) await client.ask("POST", `${path}/override`, { body: { reason: options.override } });
        if (plan !== undefined) await client.ask("POST", `${path}/plan`, { body: { plan } });
        const merged = await client.ask<MergedAnswer>("POST", `${path}/merge`);
        const isUnderWay = merged.release.state !== "completed";
        surroundings
          .output()
          .result(merged, mergedLines(merged), isUnderWay ? `tidegate release show ${merged.release.id}` : "tidegate log --live");
      }),
    );
  addFlags(merge, "What stands against it", [
    ["--acknowledge", "acknowledge what waits for it, in your name"],
    ["--override <reason>", "break-glass: merge against the policy; somebody else looks at it afterwards"],
  ]);
  addFlags(merge, "How readers get it", [["--plan <file>", "a plan of steps, where policy has none (tidegate release plan --help)"]]);
  const change = addGroup(program, "change", "Look at changes, settle their conflicts, close them.");
  addList(surroundings, change);
  addShow(surroundings, change);
  addResolve(surroundings, change);
  addClose(surroundings, change);
}

function addList(surroundings: Surroundings, change: Command): void {
  const command = addVerb(change, "list", "List changes, the newest first.", [
    "tidegate change list",
    "tidegate change list --state waiting",
    "tidegate change list --dataset airports --limit 5",
  ]).action((options: { state?: string; dataset?: string; limit: string }) =>
    withClient(surroundings, { doing: "Listing changes" }, async (client) => {
      const lines = await client.ask<ChangeLine[]>("GET", "/v1/changes", { query: options });
      const waiting = lines.filter((line) => ["open", "queued", "conflicted"].includes(line.state)).length;
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "change", value: (line) => line.id },
        { title: "state", value: (line) => (line.barred ? `⊘ ${line.state}` : line.state) },
        { title: "by", value: (line) => line.author, flexible: true },
        { title: "when", value: (line) => shortTime(line.updatedAt) },
        { title: "title", value: (line) => line.title, flexible: true },
      ]);
      const first = lines.length === 0 ? "No changes." : `${counted(lines.length, "change")}, ${waiting} of them waiting.`;
      out.result(
        lines,
        [first, ...table],
        lines[0] === undefined ? "tidegate propose <dataset> --upsert <file>" : `tidegate change show ${lines[0].id}`,
      );
    }),
  );
  addFlags(command, "Which", [
    ["--state <state>", "only in this state", { choices: ["waiting", "open", "queued", "conflicted", "merged", "closed", "superseded"] }],
    ["--dataset <dataset>", "only of this dataset"],
    ["--limit <n>", "at most this many", { default: "30" }],
  ]);
}

function addShow(surroundings: Surroundings, change: Command): void {
  addVerb(change, "show", "Show a change: what it does, who wrote it, where it stands.", [
    "tidegate change show chg_7fk2",
    "tidegate diff chg_7fk2 --rows",
    "tidegate change show chg_7fk2 --json",
  ])
    .argument("<change>", "id of the change; its first letters, if they are unique")
    .action((id: string) =>
      withClient(surroundings, { doing: `Looking at ${id}` }, async (client) => {
        const path = `/v1/changes/${encodeURIComponent(id)}`;
        const shown = await client.ask<ShownChangeAnswer>("GET", path);
        const diffs = await client.ask<DiffLine[]>("GET", `${path}/diff`);
        const isWaiting = ["open", "conflicted", "queued"].includes(shown.change.state);
        const verdict = isWaiting ? await client.ask<VerdictAnswer>("GET", `${path}/verdict`) : undefined;
        const lines = [...shownLines(shown, diffs), ...(verdict === undefined ? [] : verdictLines(verdict))];
        surroundings.output().result({ ...shown, diffs, verdict }, lines, nextOf(shown, verdict));
      }),
    );
}

function shownLines(
  { change, barred, authors, datasets, revertedBy, revertWaits, conflict }: ShownChangeAnswer,
  diffs: readonly DiffLine[],
): string[] {
  const state = barred ? `⊘ barred, ${change.state}` : change.state;
  const headline = (dataset: string) => diffs.find((diff) => diff.dataset === dataset)?.result.headline ?? "";
  return [
    `${change.id} «${change.title}» is ${state}.`,
    ...datasets.map((item) =>
      `  ${item.dataset} ${at(item.base)} → ${at(item.merged ?? item.candidate)}  ${headline(item.dataset)}`.trimEnd(),
    ),
    `  by ${authors.join(", ")}, ${shortTime(change.createdAt)}${change.mergedBy === null ? "" : `; merged by ${change.mergedBy}`}`,
    ...(conflict === null ? [] : [`  ${conflict.message}`]),
    ...(revertWaits === null
      ? []
      : ["  Its revert did not open by itself; main still has what was rolled back.", `  ${revertWaits.message}`]),
    ...(change.closedReason === null ? [] : [`  ${change.closedReason}`]),
    ...(revertedBy.length === 0 ? [] : [`  reverted by ${revertedBy.join(", ")}`]),
  ];
}

function verdictLines(verdict: VerdictAnswer): string[] {
  const words = verdict.reviews
    .filter((item) => item.kind === "comment" || item.kind === "block")
    .map((item) => `  ${item.person}: ${item.text}${item.withdrawnAt === null ? "" : " (withdrawn)"}`);
  return ["", ...decisionLines(verdict.decision), ...checkLines(verdict.datasets), ...words];
}

function nextOf({ change, barred, revertedBy, revertWaits, conflict }: ShownChangeAnswer, verdict: VerdictAnswer | undefined): string {
  if (revertWaits?.hint != null) return revertWaits.hint;
  if (barred && revertedBy[0] !== undefined) return `tidegate change show ${revertedBy[0]}`;
  if (change.state === "merged") return `tidegate revert ${change.id}`;
  if (["closed", "superseded"].includes(change.state)) return "tidegate change list --state waiting";
  if (change.state === "conflicted") return conflict?.hint ?? `tidegate merge ${change.id}`;
  return verdict === undefined ? `tidegate diff ${change.id}` : nextOfDecision(change.id, verdict.decision);
}

function addResolve(surroundings: Surroundings, change: Command): void {
  const command = addVerb(change, "resolve", "Settle conflicts by choosing a side; or write the rows again with propose --change.", [
    "tidegate change resolve chg_7fk2 --theirs DEN",
    "tidegate change resolve chg_7fk2 --ours",
    "tidegate propose airports --change chg_7fk2 --upsert den.csv",
  ])
    .argument("<change>", "id of the change")
    .action((id: string, options: { ours?: true | string[]; theirs?: true | string[]; dataset?: string }) => {
      if ((options.ours === undefined) === (options.theirs === undefined)) {
        const found = options.ours === undefined ? "neither" : "both";
        throw new AppError("usage.invalid", "Choose one side.", {
          expected: "--ours or --theirs",
          found,
          hint: `tidegate change resolve ${id} --ours`,
        });
      }
      const side = options.ours === undefined ? "theirs" : "ours";
      const chosen = options[side];
      return withClient(surroundings, { doing: `Resolving ${id}` }, async (client) => {
        const body = { side, dataset: options.dataset, ...(chosen === true ? {} : { keys: chosen }) };
        const answer = await client.ask<ResolvedAnswer>("POST", `/v1/changes/${encodeURIComponent(id)}/resolve`, { body });
        surroundings.output().result(answer, [`${counted(answer.resolved, "key")} settled for ${side}.`], `tidegate merge ${id}`);
      });
    });
  addFlags(command, "Which side", [
    ["--ours [keys...]", "keep what the change has, for these keys or all"],
    ["--theirs [keys...]", "keep what main has, for these keys or all"],
    ["--dataset <dataset>", "only in this dataset"],
  ]);
}

function addClose(surroundings: Surroundings, change: Command): void {
  const command = addVerb(change, "close", "Close a change without merging it.", [
    "tidegate change close chg_7fk2",
    "tidegate change close chg_7fk2 --reason 'sent twice'",
    "tidegate change list --state waiting",
  ])
    .argument("<change>", "id of the change")
    .action((id: string, options: { reason: string }) =>
      withClient(surroundings, { doing: `Closing ${id}` }, async (client) => {
        const closed = await client.ask<ChangeAnswer>("POST", `/v1/changes/${encodeURIComponent(id)}/close`, { body: options });
        surroundings.output().result(closed, [`${closed.id} is closed; main and readers never saw it.`], "tidegate change list");
      }),
    );
  addFlags(command, "Why", [["--reason <reason>", "kept with the change", { default: "closed" }]]);
}
