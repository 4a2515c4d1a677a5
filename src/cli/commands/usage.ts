import { AppError } from "../../lib/errors.ts";
import { counted, grouped } from "../../lib/text.ts";
import type { LogLine, ReaderOfVersion, UnusedAnswer, UptakeLine, UsageLine, WhoReadAnswer } from "../../http/answers.ts";
import type { Client } from "../client.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addVerb } from "../verb.ts";

/** Who read what, and what happened: who-read, usage, log. */
export function addUsageCommands(surroundings: Surroundings): void {
  addWhoRead(surroundings);
  addUsage(surroundings);
  addLog(surroundings);
}

function addWhoRead(surroundings: Surroundings): void {
  addVerb(surroundings.program, "who-read", "Who read a version: consumers, columns, runs, times.", [
    "tidegate who-read airports@2",
    "tidegate who-read airports",
    "tidegate who-read airports@2 --json",
  ])
    .argument("<version>", "airports@9, or airports for all versions")
    .action((version: string) =>
      withClient(surroundings, { doing: `Looking who read ${version}` }, async (client) => {
        const answer = await client.ask<WhoReadAnswer>("GET", `/v1/who-read/${encodeURIComponent(version)}`);
        const { readers } = answer;
        const columns = new Set(readers.flatMap((line) => line.columns));
        const consumers = new Set(readers.map((line) => line.consumer));
        const first =
          readers.length === 0
            ? `Nobody has read ${version}.`
            : `${counted(consumers.size, "consumer")} read ${version}, ${counted(columns.size, "column")}.`;
        const out = surroundings.output();
        const table = out.table(readers, [
          { title: "consumer", value: (line) => line.consumer, flexible: true },
          { title: "version", value: (line) => `@${line.version}${line.as === undefined ? "" : ` as @${line.as}`}` },
          { title: "columns", value: (line) => line.columns.join(" "), flexible: true },
          { title: "reads", value: (line) => line.reads, right: true },
          { title: "first", value: (line) => shortTime(line.firstAt) },
          { title: "last", value: (line) => lastTime(line) },
          { title: "", value: (line) => (line.mixed ? "mixed" : line.runs.length === 0 ? "" : counted(line.runs.length, "run")) },
        ]);
        out.result(answer, [first, ...table]);
      }),
    );
}

/** The time of day alone, on the day of the first read. */
function lastTime({ firstAt, lastAt }: ReaderOfVersion): string {
  const last = shortTime(lastAt);
  return firstAt.slice(0, 10) === lastAt.slice(0, 10) ? last.slice(11) : last;
}

function addUsage(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "usage", "Who reads which datasets, and whether what is new is taken up.", [
    "tidegate usage",
    "tidegate usage airports --since 6h",
    "tidegate usage --new",
    "tidegate usage --unused --since 90d",
  ])
    .argument("[dataset]", "only this dataset")
    .action((dataset: string | undefined, options: UsageOptions) =>
      withClient(surroundings, { doing: "Counting reads" }, (client) => {
        requireOneQuestion(dataset, options);
        if (options.unused === true) return tellUnused(surroundings, client, options.since);
        return options.new === true
          ? tellUptake(surroundings, client, options.since)
          : tellUsage(surroundings, client, dataset, options.since);
      }),
    );
  addFlags(command, "What", [
    ["--since <time>", "6h, 2d, or a time [30d; 7d with --new, 90d with --unused]"],
    ["--new", "what was released lately: who reads it, who does not yet, columns that nobody reads"],
    ["--unused", "datasets and columns that nobody has read since then"],
  ]);
}

interface UsageOptions {
  since?: string;
  new?: boolean;
  unused?: boolean;
}

function requireOneQuestion(dataset: string | undefined, options: UsageOptions): void {
  const asked = [dataset, options.new, options.unused].filter((one) => one !== undefined);
  if (asked.length <= 1) return;
  throw new AppError("usage.invalid", "These are several questions at once.", {
    expected: "a dataset, --new or --unused",
    found: `${asked.length} of them`,
    hint: "tidegate usage --unused",
  });
}

async function tellUsage(
  surroundings: Surroundings,
  client: Client,
  dataset: string | undefined,
  since: string | undefined,
): Promise<void> {
  const lines = await client.ask<UsageLine[]>("GET", "/v1/usage", { query: { dataset, since } });
  const out = surroundings.output();
  const table = out.table(lines, [
    { title: "dataset", value: (line) => line.dataset, flexible: true },
    { title: "consumer", value: (line) => line.consumer, flexible: true },
    { title: "versions", value: (line) => line.versions.map((number) => `@${number}`).join(" "), flexible: true },
    { title: "reads", value: (line) => line.reads, right: true },
    { title: "rows", value: (line) => line.rows, right: true },
    { title: "last", value: (line) => shortTime(line.lastAt) },
  ]);
  const reads = lines.reduce((sum, line) => sum + line.reads, 0);
  out.result(
    lines,
    [`${grouped(reads)} ${reads === 1 ? "read" : "reads"}.`, ...table],
    lines[0] === undefined ? undefined : `tidegate who-read ${lines[0].dataset}`,
  );
}

async function tellUptake(surroundings: Surroundings, client: Client, since: string | undefined): Promise<void> {
  const lines = await client.ask<UptakeLine[]>("GET", "/v1/usage/new", { query: { since } });
  const out = surroundings.output();
  const table = out.table(lines, [
    { title: "dataset", value: (line) => `${line.dataset}@${line.version}`, flexible: true },
    { title: "released", value: (line) => shortTime(line.releasedAt) },
    { title: "readers", value: (line) => line.readers, right: true },
    { title: "not yet", value: (line) => line.notYet.join(" "), flexible: true },
    { title: "unread columns", value: (line) => line.unreadColumns.join(" "), flexible: true },
  ]);
  const read = lines.filter((line) => line.readers > 0).length;
  out.result(lines, [`${read} of ${counted(lines.length, "dataset")} released lately ${read === 1 ? "is" : "are"} read.`, ...table]);
}

async function tellUnused(surroundings: Surroundings, client: Client, asked: string | undefined): Promise<void> {
  const answer = await client.ask<UnusedAnswer>("GET", "/v1/usage/unused", { query: { since: asked } });
  const { unused, newer, since } = answer;
  const out = surroundings.output();
  const whole = unused.filter((item) => item.readers === 0);
  const columns = unused.filter((item) => item.readers > 0).reduce((sum, item) => sum + item.unreadColumns.length, 0);
  const found = [
    `${counted(whole.length, "dataset")} and ${counted(columns, "column")} of others: nobody has read ${whole.length + columns === 1 ? "it" : "them"} since ${shortTime(since)}.`,
    ...(newer === 0 ? [] : [`${counted(newer, "dataset")} ${newer === 1 ? "is" : "are"} newer, and not looked at.`]),
  ];
  const table = out.table(unused, [
    { title: "dataset", value: (line) => line.dataset, flexible: true },
    { title: "last read", value: (line) => (line.lastReadAt === null ? "never" : shortTime(line.lastReadAt)) },
    { title: "unread", value: (line) => (line.readers === 0 ? "all of it" : line.unreadColumns.join(" ")), flexible: true },
    { title: "built from it", value: (line) => line.builds.join(" "), flexible: true },
  ]);
  out.result(answer, [found.join(" "), ...table]);
}

function addLog(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "log", "History of main, of live, or of a branch.", [
    "tidegate log",
    "tidegate log airports --since 7d",
    "tidegate log --live --since 6h",
  ])
    .argument("[dataset]", "only commits that moved this dataset")
    .action((dataset: string | undefined, options: { live?: boolean; branch: string; since?: string; limit: string }) =>
      withClient(surroundings, { doing: "Reading the log" }, async (client) => {
        const branch = options.live === true ? "live" : options.branch;
        const lines = await client.ask<LogLine[]>("GET", "/v1/log", {
          query: { branch, dataset, since: options.since, limit: options.limit },
        });
        const out = surroundings.output();
        const table = out.table(lines, [
          { title: "commit", value: (line) => line.commit.slice(0, 6) },
          { title: "when", value: (line) => shortTime(line.at) },
          { title: "by", value: (line) => line.actor, flexible: true },
          { title: "moved", value: (line) => movedText(line.datasets), flexible: true },
          { title: "why", value: (line) => line.message, flexible: true },
        ]);
        out.result(lines, [`${counted(lines.length, "commit")} on ${branch}.`, ...table]);
      }),
    );
  addFlags(command, "Which line", [
    ["--live", "what readers got, and why"],
    ["--branch <branch>", "another branch, or a change", { default: "main" }],
  ]);
  addFlags(command, "How much", [
    ["--since <time>", "6h, 2d, or a time"],
    ["--limit <n>", "at most this many", { default: "20" }],
  ]);
}

function movedText(datasets: LogLine["datasets"]): string {
  const shown = datasets
    .slice(0, 2)
    .map(
      (item) => `${item.dataset} ${item.before == null ? "new" : `@${item.before}`} → ${item.after == null ? "dropped" : `@${item.after}`}`,
    );
  return datasets.length > 2 ? `${shown.join(", ")} and ${datasets.length - 2} more` : shown.join(", ");
}
