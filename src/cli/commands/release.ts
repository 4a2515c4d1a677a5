import type { Command } from "commander";
import { counted } from "../../lib/text.ts";
import type { ReleaseAnswer, RolledBackAnswer } from "../../http/answers.ts";
import type { JudgedAnswer } from "../../http/outcome-answers.ts";
import type { PlannedAnswer, ReleaseLine, ShownReleaseAnswer } from "../../http/release-answers.ts";
import { at, releaseSentence } from "../change-text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { planIn } from "../input-files.ts";
import { noteLines, shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `release`. */
export function addReleaseCommands(surroundings: Surroundings): void {
  const group = addGroup(surroundings.program, "release", "How merged changes reach their readers, step by step.");
  addList(surroundings, group);
  addShow(surroundings, group);
  addMove(surroundings, group, "advance", "Start the next step now: what an approval waits for.", "Advancing");
  addMove(surroundings, group, "pause", "Stop a release where it is; who has moved stays moved.", "Pausing");
  addMove(surroundings, group, "resume", "Let a release go on.", "Resuming");
  addHold(surroundings, group);
  addUnhold(surroundings, group);
  addAbort(surroundings, group);
  addPlan(surroundings, group);
}

const states = Object.keys({
  open: 0,
  waiting: 0,
  running: 0,
  paused: 0,
  held: 0,
  completed: 0,
  completed_with_holds: 0,
  aborted: 0,
  rolled_back: 0,
  superseded: 0,
} satisfies Record<ReleaseAnswer["state"] | "open", 0>);

function addList(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "list", "List releases, the newest first.", [
    "tidegate release list",
    "tidegate release list --state open",
    "tidegate release list --dataset airports --json",
  ]).action((options: { state?: string; dataset?: string; limit: string }) =>
    withClient(surroundings, { doing: "Listing releases" }, async (client) => {
      const lines = await client.ask<ReleaseLine[]>("GET", "/v1/releases", { query: options });
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "release", value: (line) => line.id },
        { title: "state", value: (line) => line.state.replaceAll("_", " ") },
        { title: "step", value: (line) => (line.planned ? `${line.step} of ${line.steps}` : ""), right: true },
        { title: "moved", value: (line) => (line.planned ? line.moved : ""), right: true },
        { title: "datasets", value: (line) => line.datasets.join(", "), flexible: true },
        { title: "when", value: (line) => shortTime(line.createdAt) },
        { title: "why", value: (line) => line.reason, flexible: true },
      ]);
      const [first] = lines;
      const head = first === undefined ? "No releases." : `${counted(lines.length, "release")}.`;
      out.result(lines, [head, ...table], first === undefined ? "tidegate change list" : `tidegate release show ${first.id}`);
    }),
  );
  addFlags(command, "Which", [
    ["--state <state>", "only in this state; open: those that not all readers have", { choices: states }],
    ["--dataset <dataset>", "only of this dataset"],
    ["--limit <n>", "at most this many", { default: "30" }],
  ]);
}

const marks = { done: "✓", running: "▸", aborted: "⊘", waiting: "·" } satisfies Record<
  ShownReleaseAnswer["steps"][number]["state"],
  string
>;

function addShow(surroundings: Surroundings, group: Command): void {
  addVerb(group, "show", "Show a release: its steps, and whom each has moved.", [
    "tidegate release show airports",
    "tidegate release show rel_41h7",
    "tidegate release list --state open",
  ])
    .argument("<release>", "a dataset, or the id of a release")
    .action((id: string) =>
      withClient(surroundings, { doing: `Looking at ${id}` }, async (client) => {
        const shown = await client.ask<ShownReleaseAnswer>("GET", `/v1/releases/${encodeURIComponent(id)}`);
        const next = (shown.followUps?.open ?? 0) > 0 ? `tidegate follow-up list ${shown.release.id}` : nextOf(shown.release);
        surroundings.output().result(shown, shownLines(shown), next);
      }),
    );
}

function shownLines(shown: ShownReleaseAnswer): string[] {
  const { release, title, steps, holds, pins, followUps, judging, judged, inPlace, changes, datasets } = shown;
  const number = (value: number | null): string => (value === null ? "–" : `@${value}`);
  return [
    releaseSentence(release),
    ...(title === null ? [] : [`  «${title}» ${changes.join(", ")}`]),
    ...(inPlace === null ? [] : [`  ${inPlace} comes in its place with its first step: until then it moves nobody.`]),
    ...datasets.map((item) => `  ${item.dataset} ${number(item.before)} → ${number(item.after)}`),
    ...steps.map((step) => {
      const when = step.startedAt === null ? "" : `  ${shortTime(step.startedAt)}`;
      const moved = [...step.moved, ...step.shares.map(({ consumer, percent, unit }) => `${percent} % of the ${unit}s of ${consumer}`)];
      const who = moved.length === 0 ? "" : `  moved ${moved.join(", ")}`;
      return `  ${marks[step.state]} ${step.ordinal}  ${step.text}${when}${who}`;
    }),
    ...holds.filter((hold) => hold.endedAt === null).map(holdLine),
    ...pins.map((pin) => `  ‖ ${pin.consumer} is pinned by ${pin.owner} until ${shortTime(pin.expiresAt)}: ${pin.reason}`),
    ...(followUps === null || followUps.open + followUps.notified + followUps.done === 0
      ? []
      : [`  had read what is barred: ${followUps.open} open, ${followUps.notified} notified, ${followUps.done} done`]),
    ...(judged === null
      ? waiting(judging, release)
      : judged.guardrails.map((item) => `  ${verdictMarks[item.verdict]} ${item.verdict}  ${item.reason}`)),
  ];
}

function holdLine({ consumer, owner, reason, expiresAt, as, noRowsSince, stopped }: ShownReleaseAnswer["holds"][number]): string {
  const columns = as.map((item) => `${item.dataset}@${item.version}`).join(", ");
  const what =
    as.length === 0 ? "is held back" : stopped === null ? `goes on with the columns of ${columns}` : `stays with the columns of ${columns}`;
  const since = noRowsSince === null ? "" : `; no new rows since ${shortTime(noRowsSince)}${stopped === null ? "" : `, since ${stopped}`}`;
  return `  ‖ ${consumer} ${what} until ${shortTime(expiresAt)}, ${owner} mends it: ${reason}${since}`;
}

const verdictMarks = { SAFE: "✓", HARM: "⊘", SRM: "‖", NO_DATA: "·", INCONCLUSIVE: "·" } satisfies Record<
  NonNullable<JudgedAnswer>["verdict"],
  string
>;

/** What the judge will look at, of a release that has not begun. */
const waiting = (judging: readonly string[], { planned, state }: ReleaseAnswer): string[] =>
  planned && state === "waiting" ? judging.map((line) => `  · ${line}`) : [];

function nextOf({ id, state, change, lookAt }: ReleaseAnswer): string {
  if (state === "running") return `tidegate release advance ${id}        tidegate release abort ${id}`;
  if (lookAt !== null) return `tidegate release advance ${id}        tidegate release abort ${id}`;
  if (state === "paused" || state === "held") return `tidegate release resume ${id}        tidegate release abort ${id}`;
  if (state === "waiting" && change !== null) return `tidegate change show ${change}`;
  return state === "completed" || state === "completed_with_holds" ? `tidegate rollback ${id}` : "tidegate release list";
}

function addMove(surroundings: Surroundings, group: Command, verb: "advance" | "pause" | "resume", sentence: string, doing: string): void {
  const command = addVerb(group, verb, sentence, [
    `tidegate release ${verb} airports`,
    `tidegate release ${verb} rel_41h7`,
    "tidegate release list --state open",
  ])
    .argument("<release>", "a dataset, or the id of a release")
    .action((id: string, options: { reason?: string; override?: string }) =>
      withClient(surroundings, { doing: `${doing} ${id}` }, async (client) => {
        const release = await client.ask<ReleaseAnswer>("POST", `/v1/releases/${encodeURIComponent(id)}/${verb}`, { body: options });
        surroundings.output().result(release, [releaseSentence(release)], `tidegate release show ${release.id}`);
      }),
    );
  if (verb === "advance") {
    addFlags(command, "Why", [
      ["--reason <reason>", "why it goes on though the judge has not proved it safe; on record"],
      ["--override <reason>", "start the step in a freeze all the same, for this reason"],
    ]);
  }
  if (verb === "pause") addFlags(command, "Why", [["--reason <reason>", "shown until it goes on"]]);
}

function addHold(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "hold", "Hold a consumer back from a release that not all readers have.", [
    "tidegate release hold rel_41h7 delay-board --until 7d --reason 'the board counts the old codes'",
    "tidegate release unhold rel_41h7 delay-board",
    "tidegate release show rel_41h7",
  ])
    .argument("<release>", "a dataset, or the id of a release")
    .argument("<consumer>", "the consumer")
    .action((id: string, consumer: string, options: { until: string; reason: string }) =>
      withClient(surroundings, { doing: `Holding ${consumer} back` }, async (client) => {
        const release = await client.ask<ReleaseAnswer>("POST", `/v1/releases/${encodeURIComponent(id)}/hold`, {
          body: { consumer, ...options },
        });
        const line = `${consumer} stays on what it has when all others have ${release.id}.`;
        surroundings.output().result(release, [line], `tidegate release show ${release.id}`);
      }),
    );
  addFlags(command, "The hold", [
    ["--until <time>", "6h, 2d, or a time; at most a year", { required: true }],
    ["--reason <reason>", "why; it is shown with the release", { required: true }],
  ]);
}

function addUnhold(surroundings: Surroundings, group: Command): void {
  addVerb(group, "unhold", "Let a consumer that a release holds back have what all have.", [
    "tidegate release unhold rel_41h7 delay-board",
    "tidegate release show rel_41h7",
    "tidegate release list --state completed_with_holds",
  ])
    .argument("<release>", "a dataset, or the id of a release")
    .argument("<consumer>", "the consumer")
    .action((id: string, consumer: string) =>
      withClient(surroundings, { doing: `Letting ${consumer} go` }, async (client) => {
        const release = await client.ask<ReleaseAnswer>("POST", `/v1/releases/${encodeURIComponent(id)}/unhold`, { body: { consumer } });
        surroundings.output().result(release, [`${consumer} has what all have.`], `tidegate release show ${release.id}`);
      }),
    );
}

function addAbort(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "abort", "End a release that not all readers have: its readers go back, and its change is barred.", [
    "tidegate release abort rel_41h7",
    "tidegate release abort rel_41h7 --reason 'the board shows half of the flights'",
    "tidegate release list --state open",
  ])
    .argument("<release>", "a dataset, or the id of a release")
    .action((id: string, options: { reason?: string }) =>
      withClient(surroundings, { doing: `Aborting ${id}` }, async (client) => {
        const back = await client.ask<RolledBackAnswer>("POST", `/v1/releases/${encodeURIComponent(id)}/abort`, { body: options });
        const moves = back.datasets.map((item) => `${item.dataset} ${at(item.from)} → ${at(item.to)}`).join(", ");
        const read = [...new Set(back.readers.map((line) => line.consumer))];
        const lines = [
          `Its readers are back: ${moves}. ${back.barred.map((change) => `⊘ ${change} is barred`).join(", ")}.`,
          `  revert    opens by itself, or ${back.barred.map((change) => `tidegate change show ${change}`).join(" and ")} says why it cannot`,
          `  had read  ${read.length === 0 ? "nobody" : read.join(", ")}`,
        ];
        surroundings.output().result(back, lines, "tidegate release list");
      }),
    );
  addFlags(command, "Why", [["--reason <reason>", "why; it is recorded"]]);
}

function addPlan(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "plan", "Show or set how a change's release will reach readers.", [
    "tidegate release plan chg_7fk2",
    "tidegate release plan chg_7fk2 --file rings.yaml",
    "tidegate merge chg_7fk2 --plan rings.yaml",
  ])
    .argument("<change>", "id of the change; its first letters, if they are unique")
    .action((id: string, options: { file?: string }) =>
      withClient(surroundings, { doing: `Planning ${id}` }, async (client) => {
        const path = `/v1/changes/${encodeURIComponent(id)}/plan`;
        const text = options.file === undefined ? undefined : await planIn(surroundings.cwd, options.file);
        const plan =
          text === undefined
            ? await client.ask<PlannedAnswer>("GET", path)
            : await client.ask<PlannedAnswer>("POST", path, { body: { plan: text } });
        const says = { policy: `the policy's rule «${plan.rule ?? ""}»`, change: "its own plan", default: "no plan: all readers at once" };
        const lines = [
          `${id}: ${says[plan.from]}.`,
          ...plan.steps.map((step, index) => `  ${index + 1}  ${step}`),
          ...(plan.queue === "wait" ? [] : ["  ·  in the place of a release of the same datasets under way"]),
          ...plan.judging.map((line) => `  ·  ${line}`),
          ...noteLines(plan.notes),
        ];
        surroundings.output().result(plan, lines, `tidegate merge ${id}`);
      }),
    );
  addFlags(command, "What", [["--file <file>", "steps in YAML: ring, labels, percent or everyone, with wait and approval"]]);
}
