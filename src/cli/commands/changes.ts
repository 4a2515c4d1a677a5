import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import { collect, examples, withClient, type Surroundings } from "../command.ts";
import { inputFiles } from "../input-files.ts";
import { shortTime } from "../output.ts";

import { at, mergedLines, type MergedData, type ProposeAnswer, type ProposedData, type VersionData } from "./change-words.ts";
import { formatOptions, operationsOf, tellProposed, type ProposeOptions } from "./propose-operations.ts";

/** import, propose, change, merge, revert, restore. */
export function addChangeCommands(surroundings: Surroundings): void {
  const { program } = surroundings;
  const out = () => surroundings.output();

  examples(
    program
      .command("import")
      .description("Import files as a new dataset; readers have it at once.")
      .argument("<dataset>", "name, such as airports or sales.orders")
      .argument("<files...>", "Parquet, CSV, TSV, JSON, NDJSON; compressed; globs; - for standard input")
      .option("--key <columns>", "primary key, joined by commas")
      .option("--format <format>", "parquet, csv, tsv, json or ndjson, when the name does not tell")
      .option("--null <text>", "text that means NULL in CSV (empty text unless said)")
      .option("--types <how>", "infer, or string to keep all text", "infer")
      .option("--title <title>", "title of the change")
      .action(async (dataset: string, files: string[], options: Record<string, string | undefined>) =>
        withClient(surroundings, async (client) => {
          const source = { ...(await client.source(await inputFiles(surroundings, files))), ...formatOptions(options) };
          const key = (options["key"] ?? "").split(",").filter((name) => name !== "");
          const body = { dataset, source, key, title: options["title"] };
          const answer = await client.ask<{ datasets: ProposedData[]; merged: MergedData }>("POST", "/v1/imports", {
            body,
            signal: surroundings.signal,
          });
          const [item] = answer.datasets;
          const keyed = key.length === 0 ? "no key" : `key ${key.join(", ")}`;
          const first = `${item?.dataset ?? dataset} imported: ${counted(item?.inserted ?? 0, "row")}, ${keyed}, ${counted(item?.candidate?.files ?? 0, "file")}.`;
          out().result(
            answer,
            [first, ...(item?.notes ?? []).map((note) => `  ${note}`)],
            `tidegate read ${item?.dataset ?? dataset} --limit 5`,
          );
        }),
      ),
    [
      "tidegate import airports airports.csv --key iata",
      "tidegate import sales.orders 'orders-*.parquet' --key order_id",
      "cat events.ndjson | tidegate import events - --format ndjson",
    ],
  );

  const propose = program
    .command("propose")
    .description("Propose a change on a branch of its own; main and readers see nothing of it.")
    .argument("<dataset>", "the dataset to change")
    .option("--append <file>", "add rows", collect, [])
    .option("--replace <file>", "make the content equal to the file; unchanged files are kept", collect, [])
    .option("--upsert <file>", "add or modify rows by key", collect, [])
    .option("--delete <file>", "remove rows by key", collect, [])
    .option("--sql <statement>", "one INSERT, UPDATE, DELETE or MERGE, or a SELECT that gives the new content")
    .option("--set <assignment>", "column=expression, with --where", collect, [])
    .option("--where <condition>", "rows that --set changes")
    .option("--add <column:type>", "add a column", collect, [])
    .option("--drop <column>", "drop a column", collect, [])
    .option("--rename <old=new>", "rename a column", collect, [])
    .option("--retype <column=type>", "widen or retype a column", collect, [])
    .option("--drop-dataset", "drop the dataset")
    .option("--change <id>", "add to this open change")
    .option("--title <title>", "what it is for")
    .option("--source-id <id>", "name of this batch; the same call again changes nothing")
    .option("--correct", "replace the merged batch of this --source-id")
    .option("--format <format>", "format of the file, when its name does not tell")
    .option("--null <text>", "text that means NULL in CSV")
    .option("--types <how>", "infer or string", "infer")
    .option("--origin <origin>", "person, pipeline or agent")
    .option("--wait", "wait for the diff, and exit by it")
    .option("--auto", "merge at once if nothing conflicts")
    .action(async (dataset: string, options: ProposeOptions) =>
      withClient(surroundings, async (client) => {
        const operations = await operationsOf(surroundings, client, dataset, options);
        const { title, sourceId, correct, origin, auto } = options;
        const path = options.change === undefined ? "/v1/changes" : `/v1/changes/${options.change}/operations`;
        const body = { operations, title, sourceId, correct, origin, auto };
        const answer = await client.ask<ProposeAnswer>("POST", path, { body, signal: surroundings.signal });
        if (answer.change !== null && options.wait === true)
          await client.ask("GET", `/v1/changes/${answer.change.id}/diff`, { signal: surroundings.signal });
        tellProposed(surroundings, dataset, answer);
      }),
    );
  examples(propose, [
    "tidegate propose airports --upsert faa-2026-11.csv --title 'FAA airports file, November'",
    `tidegate propose airports --set "city='Fort Myers'" --where "iata='RSW'"`,
    "tidegate propose flights --append flights-2026-11.parquet --source-id 2026-11 --auto",
  ]);

  addChangeVerbs(surroundings);

  examples(
    program
      .command("merge")
      .description("Merge a change into main and release it to readers.")
      .argument("<change>", "id of the change")
      .action(async (id: string) =>
        withClient(surroundings, async (client) => {
          const merged = await client.ask<MergedData>("POST", `/v1/changes/${id}/merge`, { signal: surroundings.signal });
          out().result(merged, mergedLines(merged), `tidegate log --live`);
        }),
      ),
    ["tidegate merge chg_7fk2", "tidegate merge 7fk2 --json", "tidegate change list"],
  );
  examples(
    program
      .command("revert")
      .description("Open the change that undoes a merged one; what came later is kept.")
      .argument("<change>", "id of the merged change")
      .option("--title <title>", "title of the revert")
      .action(async (id: string, options: { title?: string }) =>
        withClient(surroundings, async (client) => {
          const change = await client.ask<{ id: string; title: string }>("POST", "/v1/revert", {
            body: { change: id, title: options.title },
            signal: surroundings.signal,
          });
          out().result(change, [`${change.id} opened: ${change.title}.`], `tidegate merge ${change.id}`);
        }),
      ),
    ["tidegate revert chg_7fk2", "tidegate revert chg_7fk2 --title 'bad feed of 23 November'", "tidegate log airports"],
  );
  examples(
    program
      .command("restore")
      .description("Open a change that brings datasets back to an older state.")
      .argument("<datasets...>", "datasets to bring back")
      .requiredOption("--to <state>", "@number, a time, a tag or a commit")
      .action(async (datasets: string[], options: { to: string }) =>
        withClient(surroundings, async (client) => {
          type Restored = {
            change: { id: string; title: string };
            datasets: { dataset: string; from: VersionData; to: VersionData; undoes: string[] }[];
          };
          const answer = await client.ask<Restored>("POST", "/v1/restore", {
            body: { datasets, to: options.to },
            signal: surroundings.signal,
          });
          const lines = answer.datasets.map(
            (item) =>
              `  ${item.dataset} ${at(item.from)} → ${at(item.to)}, undoes ${item.undoes.length === 0 ? "nothing" : item.undoes.join(", ")}`,
          );
          out().result(answer, [`${answer.change.id} opened: ${answer.change.title}.`, ...lines], `tidegate merge ${answer.change.id}`);
        }),
      ),
    [
      "tidegate restore airports --to @7",
      "tidegate restore airports flights --to 2026-11-23T08:00:00Z",
      "tidegate restore airports --to v1",
    ],
  );
}

function addChangeVerbs(surroundings: Surroundings): void {
  const out = () => surroundings.output();
  const change = surroundings.program.command("change").description("Look at changes, settle conflicts, close.");
  change
    .command("list")
    .description("List changes, the newest first.")
    .option("--state <state>", "waiting, open, conflicted, merged, closed or superseded")
    .option("--dataset <dataset>", "only changes of this dataset")
    .option("--limit <n>", "at most this many", "30")
    .action(async (options: { state?: string; dataset?: string; limit: string }) =>
      withClient(surroundings, async (client) => {
        type Line = { id: string; state: string; title: string; author: string; updatedAt: string; datasets: string[] };
        const lines = await client.ask<Line[]>("GET", "/v1/changes", { query: options });
        const waiting = lines.filter((line) => ["open", "queued", "conflicted"].includes(line.state)).length;
        const table = out().table(lines, [
          { title: "change", value: (line) => line.id },
          { title: "state", value: (line) => line.state },
          { title: "by", value: (line) => line.author },
          { title: "when", value: (line) => shortTime(line.updatedAt) },
          { title: "title", value: (line) => line.title.slice(0, 40) },
        ]);
        out().result(
          lines,
          [`${counted(lines.length, "change")}, ${waiting} of them waiting.`, ...table],
          lines[0] && `tidegate change show ${lines[0].id}`,
        );
      }),
    );
  change
    .command("show")
    .description("Show a change: what it does, who wrote it, where it stands.")
    .argument("<change>", "id of the change")
    .action(async (id: string) =>
      withClient(surroundings, async (client) => {
        type Shown = {
          change: { id: string; title: string; state: string; author: string; createdAt: string; mergedBy: string | null };
          barred: boolean;
          authors: string[];
          datasets: { dataset: string; base: VersionData | null; candidate: VersionData | null; merged: VersionData | null }[];
          revertedBy: string[];
        };
        const shown = await client.ask<Shown>("GET", `/v1/changes/${id}`);
        const diffs = await client.ask<{ dataset: string; result: { headline: string } }[]>("GET", `/v1/changes/${id}/diff`, {
          signal: surroundings.signal,
        });
        const state = shown.barred ? `⊘ barred, ${shown.change.state}` : shown.change.state;
        const lines = [
          `${shown.change.id} «${shown.change.title}» is ${state}.`,
          ...shown.datasets.map(
            (item) =>
              `  ${item.dataset} ${at(item.base)} → ${at(item.merged ?? item.candidate)}  ${diffs.find((diff) => diff.dataset === item.dataset)?.result.headline ?? ""}`,
          ),
          `  by ${shown.authors.join(", ")}, ${shortTime(shown.change.createdAt)}${shown.change.mergedBy === null ? "" : `; merged by ${shown.change.mergedBy}`}`,
          ...(shown.revertedBy.length === 0 ? [] : [`  reverted by ${shown.revertedBy.join(", ")}`]),
        ];
        const next =
          shown.change.state === "merged"
            ? `tidegate revert ${shown.change.id}`
            : `tidegate diff ${shown.change.id}        tidegate merge ${shown.change.id}`;
        out().result({ ...shown, diffs }, lines, next);
      }),
    );
  change
    .command("resolve")
    .description("Settle conflicts by choosing a side; or write the rows again with propose --change.")
    .argument("<change>", "id of the change")
    .option("--ours [keys...]", "keep what the change has, for these keys or all")
    .option("--theirs [keys...]", "keep what main has, for these keys or all")
    .option("--dataset <dataset>", "only in this dataset")
    .action(async (id: string, options: { ours?: true | string[]; theirs?: true | string[]; dataset?: string }) =>
      withClient(surroundings, async (client) => {
        const side = options.ours === undefined ? "theirs" : "ours";
        const chosen = options[side];
        if (chosen === undefined || (options.ours !== undefined && options.theirs !== undefined)) {
          throw new AppError("usage.invalid", "Choose one side.", {
            expected: "--ours or --theirs",
            found: chosen === undefined ? "neither" : "both",
            hint: `tidegate change resolve ${id} --ours`,
          });
        }
        const body = { side, dataset: options.dataset, ...(chosen === true ? {} : { keys: chosen }) };
        const answer = await client.ask<{ resolved: number }>("POST", `/v1/changes/${id}/resolve`, { body, signal: surroundings.signal });
        out().result(answer, [`${counted(answer.resolved, "key")} settled for ${side}.`], `tidegate merge ${id}`);
      }),
    );
  change
    .command("close")
    .description("Close a change without merging it.")
    .argument("<change>", "id of the change")
    .option("--reason <reason>", "why", "closed")
    .action(async (id: string, options: { reason: string }) =>
      withClient(surroundings, async (client) => {
        const closed = await client.ask<{ id: string }>("POST", `/v1/changes/${id}/close`, { body: options });
        out().result(closed, [`${closed.id} is closed; main and readers never saw it.`], "tidegate change list");
      }),
    );
}
