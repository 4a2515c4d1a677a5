import { counted } from "../../lib/text.ts";
import type { WhatDidAnswer, WhoHasAnswer, WhyAnswer } from "../../http/history-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addVerb } from "../verb.ts";

/** What consumers have and had, and why: why, who-has, what-did. */
export function addHistoryCommands(surroundings: Surroundings): void {
  addWhy(surroundings);
  addWhoHas(surroundings);
  addWhatDid(surroundings);
}

const number = (value: number | null, as?: number): string =>
  value === null ? "–" : as === undefined ? `@${value}` : `@${value} as @${as}`;

function addWhy(surroundings: Surroundings): void {
  addVerb(surroundings.program, "why", "Why a consumer is served the version that it is served, and what moves it next.", [
    "tidegate why delay-board airports",
    "tidegate why delay-board airports --json",
    "tidegate what-did delay-board --at 2d",
  ])
    .argument("<consumer>", "the consumer")
    .argument("<dataset>", "the dataset")
    .action((consumer: string, dataset: string) =>
      withClient(surroundings, { doing: `Looking why ${consumer} has what it has` }, async (client) => {
        const why = await client.ask<WhyAnswer>("GET", `/v1/consumers/${encodeURIComponent(consumer)}/why`, { query: { dataset } });
        surroundings.output().result(why, whyLines(why), `tidegate what-did ${consumer} --at 1h`);
      }),
    );
}

function whyLines(why: WhyAnswer): string[] {
  const has = why.version === null ? `no ${why.dataset}` : `${why.dataset}${number(why.version, why.as)}`;
  const next = why.next === null ? "nothing is under way" : `${why.next.at === null ? "" : `${shortTime(why.next.at)}  `}${why.next.text}`;
  return [
    `${why.consumer} is served ${has}: ${why.reason}.`,
    ...why.says.map(({ by, text }) => `  ${by.padEnd(8)}  ${text}`),
    `  next      ${next}`,
  ];
}

function addWhoHas(surroundings: Surroundings): void {
  addVerb(surroundings.program, "who-has", "On which version of a dataset each of its consumers is, and which it read last.", [
    "tidegate who-has airports",
    "tidegate who-has airports --json",
    "tidegate why delay-board airports",
  ])
    .argument("<dataset>", "the dataset")
    .action((dataset: string) =>
      withClient(surroundings, { doing: `Looking who has ${dataset}` }, async (client) => {
        const who = await client.ask<WhoHasAnswer>("GET", `/v1/who-has/${encodeURIComponent(dataset)}`);
        const out = surroundings.output();
        const table = out.table(who.consumers, [
          { title: "consumer", value: (line) => line.consumer, flexible: true },
          { title: "owner", value: (line) => line.owner ?? "" },
          { title: "has", value: (line) => number(line.version, line.as) },
          { title: "read last", value: (line) => number(line.lastRead?.version ?? null, line.lastRead?.as) },
          { title: "when", value: (line) => (line.lastRead === null ? "" : shortTime(line.lastRead.at)) },
          { title: "why", value: (line) => line.reason, flexible: true },
        ]);
        const apart = who.consumers.find((line) => line.version !== who.live || line.as !== undefined)?.consumer;
        const next = apart === undefined ? `tidegate usage ${who.dataset}` : `tidegate why ${apart} ${who.dataset}`;
        out.result(who, [whoHasHead(who), ...table], next);
      }),
    );
}

function whoHasHead({ dataset, live, versions }: WhoHasAnswer): string {
  if (versions.length === 0) return `No consumer reads ${dataset}; live has ${number(live)}.`;
  const counts = versions.map((item) => `${number(item.version)} ${counted(item.consumers, "consumer")}`).join(", ");
  return `${counted(versions.length, "version")} of ${dataset}: ${counts}; live has ${number(live)}.`;
}

function addWhatDid(surroundings: Surroundings): void {
  const command = addVerb(
    surroundings.program,
    "what-did",
    "Which versions a consumer had at a moment of the past, why, and which it had read.",
    [
      "tidegate what-did delay-board --at 2d",
      "tidegate what-did delay-board --at 2026-11-24T08:00:00Z",
      "tidegate what-did delay-board --at 6h --json",
    ],
  )
    .argument("<consumer>", "the consumer")
    .action((consumer: string, options: { at: string }) =>
      withClient(surroundings, { doing: `Looking what ${consumer} had` }, async (client) => {
        const path = `/v1/consumers/${encodeURIComponent(consumer)}/history`;
        const did = await client.ask<WhatDidAnswer>("GET", path, { query: options });
        const out = surroundings.output();
        const lines = did.datasets.flatMap(({ read, ...item }) =>
          (read.length === 0 ? [undefined] : read).map((one) => ({ ...item, read: one })),
        );
        const table = out.table(lines, [
          { title: "dataset", value: (line) => line.dataset, flexible: true },
          { title: "had", value: (line) => number(line.had, line.as) },
          { title: "live", value: (line) => number(line.live) },
          { title: "had read", value: (line) => number(line.read?.version ?? null, line.read?.as) },
          { title: "last", value: (line) => (line.read === undefined ? "" : shortTime(line.read.lastAt)) },
          { title: "columns", value: (line) => line.read?.columns.join(" "), flexible: true },
          { title: "runs", value: (line) => line.read?.runs.join(" "), flexible: true },
        ]);
        const head = `${consumer} had at ${shortTime(did.at)}: ${did.reason}; live as of ${shortTime(did.liveSince)}.`;
        const runs = did.runs.map((run) => `  run ${run.run} since ${shortTime(run.startedAt)} kept ${run.view}`);
        out.result(did, [head, ...runs, ...table], "tidegate log --live");
      }),
    );
  addFlags(command, "When", [["--at <time>", "6h, 2d before now, or a time", { required: true }]]);
}
