import { counted, grouped } from "../../lib/text.ts";
import { examples, withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";

interface Reader {
  consumer: string;
  kind?: string;
  owner?: string;
  version: number;
  columns: string[];
  runs: string[];
  reads: number;
  firstAt: string;
  lastAt: string;
  mixed: boolean;
}

function readerLines(surroundings: Surroundings, readers: readonly Reader[]): string[] {
  return surroundings.output().table(readers, [
    { title: "consumer", value: (line) => line.consumer },
    { title: "version", value: (line) => `@${line.version}` },
    { title: "columns", value: (line) => line.columns.join(" ").slice(0, 36) },
    { title: "reads", value: (line) => line.reads, right: true },
    { title: "first", value: (line) => shortTime(line.firstAt) },
    { title: "last", value: (line) => shortTime(line.lastAt).slice(11) },
    { title: "", value: (line) => (line.mixed ? "mixed" : line.runs.length === 0 ? "" : counted(line.runs.length, "run")) },
  ]);
}

/** usage, who-read, log, rollback, unbar, tag. */
export function addLiveCommands(surroundings: Surroundings): void {
  const { program } = surroundings;
  const out = () => surroundings.output();
  examples(
    program
      .command("who-read")
      .description("Who read a version: consumers, columns, runs, times.")
      .argument("<version>", "airports@9, or airports for all versions")
      .action(async (version: string) =>
        withClient(surroundings, async (client) => {
          const answer = await client.ask<{ readers: Reader[] }>("GET", `/v1/who-read/${encodeURIComponent(version)}`);
          const columns = new Set(answer.readers.flatMap((line) => line.columns));
          const consumers = new Set(answer.readers.map((line) => line.consumer));
          const first =
            answer.readers.length === 0
              ? `Nobody has read ${version}.`
              : `${counted(consumers.size, "consumer")} read ${version}, ${counted(columns.size, "column")}.`;
          out().result(answer, [first, ...readerLines(surroundings, answer.readers)]);
        }),
      ),
    ["tidegate who-read airports@2", "tidegate who-read airports", "tidegate who-read airports@2 --json"],
  );
  examples(
    program
      .command("usage")
      .description("Who reads which datasets, and whether what is new is taken up.")
      .argument("[dataset]", "only this dataset")
      .option("--since <time>", "6h, 2d, or a time")
      .option("--new", "what was released lately: who reads it, who does not yet, columns that nobody reads")
      .action(async (dataset: string | undefined, options: { since?: string; new?: boolean }) =>
        withClient(surroundings, async (client) => {
          if (options.new === true) {
            type Uptake = {
              dataset: string;
              version: number;
              readers: number;
              notYet: string[];
              unreadColumns: string[];
              releasedAt: string;
            };
            const lines = await client.ask<Uptake[]>("GET", "/v1/usage/new", { query: { since: options.since } });
            const table = out().table(lines, [
              { title: "dataset", value: (line) => `${line.dataset}@${line.version}` },
              { title: "released", value: (line) => shortTime(line.releasedAt) },
              { title: "readers", value: (line) => line.readers, right: true },
              { title: "not yet", value: (line) => line.notYet.join(" ") },
              { title: "unread columns", value: (line) => line.unreadColumns.join(" ").slice(0, 40) },
            ]);
            const read = lines.filter((line) => line.readers > 0).length;
            out().result(lines, [
              `${read} of ${counted(lines.length, "dataset")} released lately ${read === 1 ? "is" : "are"} read.`,
              ...table,
            ]);
            return;
          }
          type Usage = { dataset: string; consumer: string; versions: number[]; reads: number; rows: number; lastAt: string };
          const lines = await client.ask<Usage[]>("GET", "/v1/usage", { query: { dataset, since: options.since } });
          const table = out().table(lines, [
            { title: "dataset", value: (line) => line.dataset },
            { title: "consumer", value: (line) => line.consumer },
            { title: "versions", value: (line) => line.versions.map((number) => `@${number}`).join(" ") },
            { title: "reads", value: (line) => line.reads, right: true },
            { title: "rows", value: (line) => line.rows, right: true },
            { title: "last", value: (line) => shortTime(line.lastAt) },
          ]);
          out().result(lines, [`${grouped(lines.reduce((sum, line) => sum + line.reads, 0))} reads.`, ...table]);
        }),
      ),
    ["tidegate usage", "tidegate usage airports --since 6h", "tidegate usage --new"],
  );
  examples(
    program
      .command("log")
      .description("History of main, of live, or of a branch.")
      .argument("[dataset]", "only commits that moved this dataset")
      .option("--live", "what readers got, and why")
      .option("--branch <branch>", "another branch", "main")
      .option("--since <time>", "6h, 2d, or a time")
      .option("--limit <n>", "at most this many", "20")
      .action(async (dataset: string | undefined, options: { live?: boolean; branch: string; since?: string; limit: string }) =>
        withClient(surroundings, async (client) => {
          type Line = {
            commit: string;
            at: string;
            actor: string;
            message: string;
            changeId: string | null;
            releaseId: string | null;
            datasets: { dataset: string; before?: number; after?: number }[];
          };
          const branch = options.live === true ? "live" : options.branch;
          const lines = await client.ask<Line[]>("GET", "/v1/log", {
            query: { branch, dataset, since: options.since, limit: options.limit },
          });
          const table = out().table(lines, [
            { title: "commit", value: (line) => line.commit.slice(0, 6) },
            { title: "when", value: (line) => shortTime(line.at) },
            { title: "by", value: (line) => line.actor },
            { title: "moved", value: (line) => movedText(line.datasets) },
            { title: "why", value: (line) => line.message.slice(0, 40) },
          ]);
          out().result(lines, [`${counted(lines.length, "commit")} on ${branch}.`, ...table]);
        }),
      ),
    ["tidegate log", "tidegate log airports --since 7d", "tidegate log --live --since 6h"],
  );
  examples(
    program
      .command("rollback")
      .description("Take readers back at once, and bar what was rolled back. No id needed.")
      .argument("<target>", "a dataset, or the id of a release")
      .option("--to <state>", "a time or @number: everything released since is rolled back")
      .option("--reason <reason>", "why", "rolled back")
      .action(async (target: string, options: { to?: string; reason: string }) =>
        withClient(surroundings, async (client) => {
          type Version = { number: number } | null;
          type Back = {
            releases: { id: string }[];
            barred: string[];
            stays: string[];
            datasets: { dataset: string; from: Version; to: Version }[];
            readers: Reader[];
            milliseconds: number;
          };
          const back = await client.ask<Back>("POST", "/v1/rollback", { body: { target, ...options } });
          const moves = back.datasets
            .map((item) => `${item.dataset} to ${item.to === null ? "nothing (it was new)" : `@${item.to.number}`}`)
            .join(", ");
          const consumers = [...new Set(back.readers.map((line) => line.consumer))];
          const [moved] = back.datasets;
          const lines = [
            `Rolled back ${moves} for all readers in ${grouped(back.milliseconds)} ms. ${back.barred.map((id) => `⊘ ${id} is barred`).join(", ")}.`,
            `  stays     ${back.stays.length === 0 ? "nothing came later" : `${back.stays.join(", ")}, carried on`}`,
            `  revert    opens by itself: tidegate change list`,
            `  had read  ${consumers.length === 0 ? "nobody" : consumers.join(", ")}`,
          ];
          out().result(
            back,
            lines,
            moved?.from == null ? "tidegate log --live" : `tidegate who-read ${moved.dataset}@${moved.from.number}`,
          );
        }),
      ),
    ["tidegate rollback airports", "tidegate rollback airports --to @1 --reason 'bad feed'", "tidegate rollback rel_41h7"],
  );
  examples(
    program
      .command("unbar")
      .description("Lift the bar on a change, and release what waited for it.")
      .argument("<change>", "the barred change")
      .requiredOption("--reason <reason>", "why it is good after all")
      .action(async (change: string, options: { reason: string }) =>
        withClient(surroundings, async (client) => {
          const answer = await client.ask<{ release: { id: string; state: string } }>("POST", "/v1/unbar", {
            body: { change, reason: options.reason },
          });
          out().result(answer, [`${change} is no longer barred; ${answer.release.id} is ${answer.release.state}.`], "tidegate log --live");
        }),
      ),
    ["tidegate unbar chg_7fk2 --reason 'the numbers were right'", "tidegate change show chg_7fk2", "tidegate log --live"],
  );
  const tag = program.command("tag").description("Names of commits that do not move.");
  tag
    .command("list")
    .description("List tags.")
    .action(async () =>
      withClient(surroundings, async (client) => {
        const tags = await client.ask<{ name: string; commit: string }[]>("GET", "/v1/tags");
        out().result(tags, [`${counted(tags.length, "tag")}.`, ...tags.map((line) => `  ${line.name}  ${line.commit.slice(0, 12)}`)]);
      }),
    );
  tag
    .command("create")
    .description("Name a commit for good.")
    .argument("<name>")
    .option("--at <commit>", "branch, change or commit", "main")
    .action(async (name: string, options: { at: string }) =>
      withClient(surroundings, async (client) => {
        const made = await client.ask<{ commit: string }>("POST", "/v1/tags", { body: { name, at: options.at } });
        out().result(made, [`${name} is ${made.commit.slice(0, 12)}.`], `tidegate dataset list --at ${name}`);
      }),
    );
  tag
    .command("delete")
    .description("Delete a tag.")
    .argument("<name>")
    .action(async (name: string) =>
      withClient(surroundings, async (client) => {
        await client.ask("DELETE", `/v1/tags/${encodeURIComponent(name)}`);
        out().result({}, [`${name} is gone.`]);
      }),
    );
}

function movedText(datasets: readonly { dataset: string; before?: number | null; after?: number | null }[]): string {
  const shown = datasets
    .slice(0, 2)
    .map(
      (item) => `${item.dataset} ${item.before == null ? "new" : `@${item.before}`} → ${item.after == null ? "dropped" : `@${item.after}`}`,
    );
  return datasets.length > 2 ? `${shown.join(", ")} and ${datasets.length - 2} more` : shown.join(", ");
}
