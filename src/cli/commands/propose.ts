import { AppError } from "../../lib/errors.ts";
import { counted, grouped } from "../../lib/text.ts";
import type { ImportedAnswer, ProposedAnswer, ProposedDatasetAnswer } from "../../http/answers.ts";
import type { VerdictAnswer } from "../../http/verdict-answers.ts";
import { at, mergedLines } from "../change-text.ts";
import type { Client } from "../client.ts";
import { withClient, type Surroundings } from "../command.ts";
import { inputFiles, planIn } from "../input-files.ts";
import { noteLines } from "../output.ts";
import { checkLines, decisionLines, exitOf, nextOfDecision } from "../verdict-text.ts";
import { addFlags, addVerb, type FlagSpec } from "../verb.ts";

interface SourceOptions {
  format?: string;
  null?: string;
  types?: string;
}

const sourceFlags: readonly FlagSpec[] = [
  ["--format <format>", "when the name does not tell", { choices: ["parquet", "csv", "tsv", "json", "ndjson"] }],
  ["--null <text>", "text that means NULL in CSV (empty unless said)"],
  ["--types <how>", "infer, or string to keep all text", { choices: ["infer", "string"], default: "infer" }],
];

/** The verbs that bring data in: import and propose. */
export function addProposeCommands(surroundings: Surroundings): void {
  addImport(surroundings);
  addPropose(surroundings);
}

function addImport(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "import", "Import files as a new dataset; readers have it at once.", [
    "tidegate import airports airports.csv --key iata",
    "tidegate import sales.orders 'orders-*.parquet' --key order_id",
    "cat events.ndjson | tidegate import events - --format ndjson",
  ])
    .argument("<dataset>", "its name, such as airports or sales.orders")
    .argument("<files...>", "Parquet, CSV, TSV, JSON, NDJSON; compressed; patterns; - for standard input")
    .action((dataset: string, files: string[], options: SourceOptions & { key?: string; title?: string; sourceId?: string }) =>
      withClient(surroundings, { doing: `Importing ${dataset}`, creates: true }, async (client) => {
        const source = await sourceOf(surroundings, client, files, options);
        const key = namesOf(options.key);
        const body = { dataset, source, key, title: options.title, sourceId: options.sourceId };
        const answer = await client.ask<ImportedAnswer>("POST", "/v1/imports", { body });
        const [item] = answer.datasets;
        const keyed = key.length === 0 ? "no key" : `key ${key.join(", ")}`;
        const again = `${item?.dataset ?? dataset} has had this batch since its import: nothing changed.`;
        const first = answer.known
          ? again
          : `${item?.dataset ?? dataset} imported: ${counted(item?.inserted ?? 0, "row")}, ${keyed}, ${counted(item?.candidate?.files ?? 0, "file")}.`;
        const notes = (item?.notes ?? []).map((note) => `  ${note}`);
        surroundings.output().result(answer, [first, ...notes], `tidegate read ${item?.dataset ?? dataset} --limit 5`);
      }),
    );
  addFlags(command, "The dataset", [
    ["--key <columns>", "primary key, joined by commas"],
    ["--title <title>", "title of the change"],
    ["--source-id <id>", "name of this first batch; the same call again changes nothing"],
  ]);
  addFlags(command, "The files", sourceFlags);
}

const fileKinds = ["append", "replace", "upsert", "delete"] as const;

interface ProposeOptions extends SourceOptions {
  append: string[];
  replace: string[];
  upsert: string[];
  delete: string[];
  sql?: string;
  derive?: string;
  key?: string;
  set: string[];
  where?: string;
  add: string[];
  drop: string[];
  rename: string[];
  retype: string[];
  dropDataset?: boolean;
  change?: string;
  title?: string;
  sourceId?: string;
  correct?: boolean;
  origin?: string;
  wait?: boolean;
  auto?: boolean;
  plan?: string;
}

function addPropose(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "propose", "Propose a change on a branch of its own; main and readers see nothing of it.", [
    "tidegate propose airports --upsert faa-2026-11.csv --title 'FAA file'",
    `tidegate propose airports --set "city='Fort Myers'" --where "iata='RSW'"`,
    "tidegate propose flights --append november.parquet --source-id 2026-11 --auto",
    'tidegate propose delays --derive "select origin, sum(delay) as delay from flights group by origin" --key origin',
  ])
    .argument("<dataset>", "the dataset to change")
    .action((dataset: string, options: ProposeOptions) =>
      withClient(surroundings, { doing: `Proposing on ${dataset}` }, async (client) => {
        const plan = options.plan === undefined ? undefined : await planIn(surroundings.cwd, options.plan);
        const operations = await operationsOf(surroundings, client, dataset, options);
        const { title, sourceId, correct, origin, auto } = options;
        const path = options.change === undefined ? "/v1/changes" : `/v1/changes/${encodeURIComponent(options.change)}/operations`;
        const answer = await client.ask<ProposedAnswer>("POST", path, {
          body: { operations, title, sourceId, correct, origin, auto, plan },
        });
        const isOpen = answer.change !== null && answer.merged === null && answer.change.state === "open";
        const verdict =
          isOpen && options.wait === true
            ? await client.ask<VerdictAnswer>("GET", `/v1/changes/${answer.change?.id ?? ""}/verdict`)
            : undefined;
        tellProposed(surroundings, dataset, answer, verdict);
        if (verdict !== undefined) surroundings.exit(exitOf[verdict.decision.outcome]);
      }),
    );
  addFlags(command, "Rows from files", [
    ["--append <file>", "add rows", { many: true }],
    ["--upsert <file>", "add or modify rows by key", { many: true }],
    ["--delete <file>", "remove rows by key", { many: true }],
    ["--replace <file>", "make the content equal to the file; unchanged files are kept", { many: true }],
    ...sourceFlags,
  ]);
  addFlags(command, "Rows by statement", [
    ["--set <column=expression>", "modify cells, with --where", { many: true }],
    ["--where <condition>", "the rows that --set modifies"],
    ["--sql <statement>", "one INSERT, UPDATE, DELETE or MERGE, or a SELECT that gives the new content"],
  ]);
  addFlags(command, "Built from others", [
    ["--derive <select>", "build the dataset by this SELECT, now and whenever what it names changes"],
    ["--key <columns>", "its primary key, joined by commas, with --derive"],
  ]);
  addFlags(command, "Columns", [
    ["--add <column:type>", "add a column", { many: true }],
    ["--drop <column>", "drop a column", { many: true }],
    ["--rename <old=new>", "rename a column", { many: true }],
    ["--retype <column=type>", "widen or retype a column", { many: true }],
    ["--drop-dataset", "drop the dataset itself"],
  ]);
  addFlags(command, "The change", [
    ["--title <title>", "what it is for"],
    ["--change <id>", "add to this open change"],
    ["--source-id <id>", "name of this batch; the same call again changes nothing"],
    ["--correct", "replace the merged batch of this --source-id"],
    ["--origin <origin>", "who it comes from", { choices: ["person", "pipeline", "agent"] }],
    ["--wait", "wait for the verdict, and exit by it: 1 failed, 3 needs a person, 4 could not tell"],
    ["--auto", "merge at once if policy lets it"],
    ["--plan <file>", "a plan of steps for its readers, where policy has none (tidegate release plan --help)"],
  ]);
}

async function sourceOf(surroundings: Surroundings, client: Client, files: readonly string[], options: SourceOptions): Promise<unknown> {
  const { format, types } = options;
  return { ...(await client.source(await inputFiles(surroundings, files))), format, nullText: options.null, types };
}

function namesOf(text: string | undefined): string[] {
  return (text ?? "").split(",").flatMap((name) => (name.trim() === "" ? [] : [name.trim()]));
}

/** The parts of `name=value`. */
function split(text: string, sign: string, flag: string): [string, string] {
  const index = text.indexOf(sign);
  if (index > 0 && index < text.length - 1) return [text.slice(0, index).trim(), text.slice(index + 1).trim()];
  throw new AppError("usage.invalid", `${flag} ${text} is not understood.`, {
    expected: `name${sign}value`,
    found: text,
    hint: "tidegate propose --help",
  });
}

async function operationsOf(surroundings: Surroundings, client: Client, dataset: string, options: ProposeOptions): Promise<unknown[]> {
  const edits = [
    ...options.rename.map((text) => split(text, "=", "--rename")).map(([name, to]) => ({ edit: "rename", name, to })),
    ...options.drop.map((name) => ({ edit: "drop", name })),
    ...options.retype.map((text) => split(text, "=", "--retype")).map(([name, type]) => ({ edit: "retype", name, type })),
    ...options.add.map((text) => split(text, ":", "--add")).map(([name, type]) => ({ edit: "add", name, type })),
  ];
  const operations: unknown[] = edits.length === 0 ? [] : [{ kind: "schema", dataset, edits }];
  for (const kind of fileKinds) {
    if (options[kind].length > 0) operations.push({ kind, dataset, source: await sourceOf(surroundings, client, options[kind], options) });
  }
  if (options.set.length > 0) {
    const set = options.set.map((text) => split(text, "=", "--set")).map(([column, expression]) => ({ column, expression }));
    operations.push({ kind: "update", dataset, set, where: options.where });
  } else if (options.where !== undefined) {
    throw new AppError("usage.invalid", "--where says which rows, but not what of them.", {
      expected: "--set with --where",
      found: "--where alone",
      hint: `tidegate propose ${dataset} --set "column=expression" --where "${options.where}"`,
    });
  }
  if (options.sql !== undefined) operations.push({ kind: "sql", dataset, sql: options.sql });
  if (options.derive !== undefined) {
    operations.push({ kind: "derive", dataset, sql: options.derive, ...(options.key === undefined ? {} : { key: namesOf(options.key) }) });
  } else if (options.key !== undefined) {
    throw new AppError("usage.invalid", "--key goes with --derive.", {
      expected: "--derive with --key",
      found: "--key alone",
      hint: `tidegate propose ${dataset} --derive "SELECT …" --key ${options.key}`,
    });
  }
  if (options.dropDataset === true) operations.push({ kind: "drop", dataset });
  if (operations.length > 0) return operations;
  throw new AppError("usage.invalid", "Nothing is proposed.", {
    expected: "--append, --replace, --upsert, --delete, --sql, --set, --derive, --add, --drop, --rename or --retype",
    found: "none of them",
    hint: `tidegate propose ${dataset} --upsert <file>`,
  });
}

function doings(item: ProposedDatasetAnswer): string {
  const parts = [
    item.inserted > 0 ? `${grouped(item.inserted)} added` : "",
    item.deleted > 0 ? `${grouped(item.deleted)} removed` : "",
    item.updated > 0 ? `${grouped(item.updated)} modified` : "",
    item.unchanged > 0 ? `${grouped(item.unchanged)} as they were` : "",
    item.notFound > 0 ? `${grouped(item.notFound)} not found` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "columns only" : parts.join(", ");
}

function rebuilt(item: ProposedDatasetAnswer): string {
  return item.inserted + item.updated + item.deleted === 0 ? "the same rows" : doings(item);
}

function tellProposed(surroundings: Surroundings, dataset: string, answer: ProposedAnswer, verdict: VerdictAnswer | undefined): void {
  const out = surroundings.output();
  if (answer.change === null) {
    out.result(answer, [`Nothing would change in ${dataset}: no change was opened.`], `tidegate read ${dataset} --limit 5`);
    return;
  }
  const { id, state } = answer.change;
  const again = `${id} has brought this batch already (${state}).`;
  if (answer.known && verdict === undefined && answer.merged === null) {
    out.result(answer, [again], `tidegate change show ${id}`);
    return;
  }
  const fresh = answer.datasets.flatMap((item) => [
    item.derived
      ? `  ${item.dataset} rebuilt: ${at(item.base)} → ${at(item.candidate)}, ${rebuilt(item)}.`
      : `${id} proposed on ${item.dataset}: ${at(item.base)} → ${at(item.candidate)}, ${doings(item)}.`,
    ...item.notes.map((note) => `  ${note}`),
  ]);
  // What waited and merges with this very call was not merged before it.
  const { plan } = answer;
  if (plan !== null)
    fresh.push(
      `  Its release reaches readers in ${counted(plan.steps.length, "step")}: ${plan.steps.join("; ")}.`,
      ...noteLines(plan.notes),
    );
  const lines = !answer.known ? fresh : answer.merged === null ? [again] : [`${id} has brought this batch already, and waited.`];
  if (verdict !== undefined) {
    const said = [...lines, ...decisionLines(verdict.decision), ...checkLines(verdict.datasets)];
    out.result({ ...answer, verdict }, said, nextOfDecision(id, verdict.decision));
  } else if (answer.merged === null) out.result(answer, lines, `tidegate diff ${id}        tidegate change show ${id}`);
  else out.result(answer, [...lines, ...mergedLines(answer.merged)], `tidegate read ${answer.datasets[0]?.dataset ?? dataset} --limit 5`);
}
