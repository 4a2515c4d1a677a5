import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AppError } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { counted, grouped } from "../../lib/text.ts";
import type { DiffResult, RowPage } from "../../diffs/diff.ts";
import type { Client } from "../client.ts";
import { examples, withClient, type Surroundings } from "../command.ts";
import { isPlainFile } from "../input-files.ts";
import { shortTime } from "../output.ts";

type Rows = Record<string, unknown>[];

interface ReadOptions {
  as?: string;
  run?: string;
  at?: string;
  columns?: string;
  limit?: string;
  offset?: string;
  format?: string;
  out?: string;
  key?: string;
}

function readingFlags(command: ReturnType<Surroundings["program"]["command"]>) {
  return command
    .option("--as <consumer>", "read what this consumer gets, in its name")
    .option("--run <id>", "reads of one run see one state")
    .option("--at <branch>", "a branch, tag, commit or change instead of live");
}

/** read, query, diff, dataset. */
export function addReadingCommands(surroundings: Surroundings): void {
  const { program } = surroundings;
  examples(
    readingFlags(program.command("read").description("Read a dataset's rows; what is read is recorded."))
      .argument("<dataset>", "airports, or airports@7")
      .option("--columns <names>", "only these, joined by commas")
      .option("--limit <n>", "at most this many rows")
      .option("--offset <n>", "skip this many rows")
      .option("--key <value>", "only the row with this key")
      .option("--format <format>", "table, json, ndjson, csv or parquet", "table")
      .option("--out <file>", "write to this file")
      .action(async (dataset: string, options: ReadOptions) =>
        withClient(surroundings, (client) => read(surroundings, client, dataset, options)),
      ),
    [
      "tidegate read airports --limit 5",
      "tidegate read airports --key ORD --as nightly-export",
      "tidegate read flights --format parquet --out flights.parquet",
    ],
  );
  examples(
    readingFlags(program.command("query").description("Run one SELECT over one's view, in a locked process."))
      .argument("<sql>", "one SELECT; datasets by name")
      .option("--format <format>", "table, json, ndjson or csv", "table")
      .option("--out <file>", "write to this file")
      .action(async (sql: string, options: ReadOptions) =>
        withClient(surroundings, async (client) => {
          const { as, run, at } = options;
          const format = rowFormat(surroundings, options);
          const response = await client.open("POST", "/v1/query", {
            body: { sql, as, run, at, format: format === "table" ? "ndjson" : format },
            signal: surroundings.signal,
          });
          await tellRows(surroundings, response, format, options.out);
        }),
      ),
    [
      "tidegate query 'select state, count(*) from airports group by all order by 2 desc limit 5'",
      "tidegate query 'select count(*) from flights' --as ops-dashboard",
      "tidegate query 'select * from airports' --format csv --out airports.csv",
    ],
  );
  addDatasetCommands(surroundings);
  addDiffCommand(surroundings);
}

function rowFormat(surroundings: Surroundings, options: ReadOptions): string {
  if (surroundings.output().json) return "json";
  return options.format ?? "table";
}

async function read(surroundings: Surroundings, client: Client, dataset: string, options: ReadOptions): Promise<void> {
  const { as, run, at, columns, limit, offset, key } = options;
  const path = `/v1/datasets/${encodeURIComponent(dataset)}`;
  const format = rowFormat(surroundings, options);
  const query = { as, run, at, columns, limit, offset };
  if (key !== undefined) {
    const row = await client.ask<Record<string, unknown>>("GET", `${path}/rows/${encodeURIComponent(key)}`, { query: { as, run, at } });
    surroundings.output().result(
      row,
      Object.entries(row).map(([name, value]) => `  ${name.padEnd(20)} ${shown(value)}`),
    );
    return;
  }
  if (format === "parquet") {
    const file = resolve(surroundings.cwd, options.out ?? `${dataset.replaceAll(/[^\w.-]/g, "_")}.parquet`);
    const response = await client.open("GET", `${path}/parquet`, { query, signal: surroundings.signal });
    await pipeline(Readable.fromWeb(response.body as never), createWriteStream(file));
    surroundings
      .output()
      .result({ file, version: response.headers.get("tidegate-version") }, [
        `${response.headers.get("tidegate-version") ?? dataset} written to ${file}.`,
      ]);
    return;
  }
  const response = await client.open("GET", `${path}/rows`, {
    query: { ...query, format: format === "table" ? "ndjson" : format },
    signal: surroundings.signal,
  });
  await tellRows(surroundings, response, format, options.out);
}

const shownRows = 50;

async function tellRows(surroundings: Surroundings, response: Response, format: string, file: string | undefined): Promise<void> {
  const out = surroundings.output();
  const body = Readable.fromWeb(response.body as never);
  if (file !== undefined) {
    await pipeline(body, createWriteStream(resolve(surroundings.cwd, file)));
    out.note(`${response.headers.get("tidegate-version") ?? ""} written to ${file}.`);
    return;
  }
  if (out.json) {
    const rows = parseJson(await response.text());
    out.result(
      {
        view: response.headers.get("tidegate-view"),
        version: response.headers.get("tidegate-version"),
        reason: response.headers.get("tidegate-reason"),
        rows,
      },
      [],
    );
    return;
  }
  if (format !== "table") {
    for await (const chunk of body) out.raw((chunk as Buffer).toString("utf8"));
    return;
  }
  const rows: Rows = [];
  let total = 0;
  for await (const line of linesOf(body)) {
    total += 1;
    if (rows.length < shownRows) rows.push(parseJson(line) as Record<string, unknown>);
  }
  const names = Object.keys(rows[0] ?? {});
  const table = out.table(
    rows,
    names.map((title) => ({ title, value: (row) => shown(row[title]).slice(0, 40), right: typeof rows[0]?.[title] === "number" })),
  );
  const more = total > rows.length ? [`  … ${grouped(total - rows.length)} more`] : [];
  out.result(rows, [
    `${counted(total, "row")} of ${response.headers.get("tidegate-version") ?? "no dataset"} (${response.headers.get("tidegate-reason") ?? ""}).`,
    ...table,
    ...more,
  ]);
}

async function* linesOf(chunks: AsyncIterable<unknown>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }
  if (rest !== "") yield rest;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "object" && !("isLosslessNumber" in value) ? JSON.stringify(value) : String(value);
}

function addDatasetCommands(surroundings: Surroundings): void {
  const out = () => surroundings.output();
  const dataset = surroundings.program.command("dataset").description("List datasets, show one, find its Iceberg metadata.");
  dataset
    .command("list")
    .description("List the datasets that readers have.")
    .option("--at <branch>", "a branch, tag, commit or change instead of live")
    .action(async (options: { at?: string }) =>
      withClient(surroundings, async (client) => {
        type Line = { name: string; version: { number: number; rows: number; files: number; bytes: number; createdAt: string } };
        const lines = await client.ask<Line[]>("GET", "/v1/datasets", { query: options });
        const table = out().table(lines, [
          { title: "dataset", value: (line) => line.name },
          { title: "version", value: (line) => `@${line.version.number}` },
          { title: "rows", value: (line) => line.version.rows, right: true },
          { title: "files", value: (line) => line.version.files, right: true },
          { title: "since", value: (line) => shortTime(line.version.createdAt) },
        ]);
        out().result(
          lines,
          [`${counted(lines.length, "dataset")}.`, ...table],
          lines[0] ? `tidegate dataset show ${lines[0].name}` : "tidegate import <name> <file>",
        );
      }),
    );
  dataset
    .command("show")
    .description("Show a dataset's columns, key, owners and version.")
    .argument("<dataset>")
    .option("--at <branch>", "a branch, tag, commit or change instead of live")
    .action(async (name: string, options: { at?: string }) =>
      withClient(surroundings, async (client) => {
        type Shown = {
          name: string;
          version: { number: number; rows: number; files: number };
          owners: string[];
          key: string[];
          columns: { name: string; type: string; required: boolean }[];
        };
        const shownDataset = await client.ask<Shown>("GET", `/v1/datasets/${encodeURIComponent(name)}`, { query: options });
        const { version, key, owners, columns } = shownDataset;
        const table = out().table(columns, [
          { title: "column", value: (item) => item.name },
          { title: "type", value: (item) => item.type },
          { title: "", value: (item) => (key.includes(item.name) ? "key" : item.required ? "required" : "") },
        ]);
        const first = `${shownDataset.name}@${version.number}: ${counted(version.rows, "row")}, ${counted(version.files, "file")}, ${key.length === 0 ? "no key" : `key ${key.join(", ")}`}, owned by ${owners.join(", ")}.`;
        out().result(shownDataset, [first, ...table], `tidegate read ${name} --limit 5`);
      }),
    );
  dataset
    .command("path")
    .description("Print the Iceberg metadata file of a version, for any Iceberg reader.")
    .argument("<dataset>", "airports, or airports@7")
    .option("--at <branch>", "a branch, tag, commit or change instead of live")
    .action(async (name: string, options: { at?: string }) =>
      withClient(surroundings, async (client) => {
        const found = await client.ask<{ path: string }>("GET", `/v1/datasets/${encodeURIComponent(name)}/path`, { query: options });
        out().result(found, [found.path]);
      }),
    );
}

interface DiffCommandOptions {
  key?: string;
  keyPosition?: boolean;
  types?: "infer" | "string";
  null?: string;
  rows?: boolean;
  kind?: string;
  column?: string;
  dataset?: string;
  offset?: string;
  limit?: string;
  html?: string;
  statistics?: string;
}

function addDiffCommand(surroundings: Surroundings): void {
  examples(
    surroundings.program
      .command("diff")
      .description("What a change does; what lies between two versions, two commits, or two plain files.")
      .argument("<what>", "a change, airports@7, a commit, or a file")
      .argument("[other]", "the later version, commit or file")
      .option("--key <columns>", "key of two plain files, joined by commas")
      .option("--key-position", "compare two plain files row by row")
      .option("--types <how>", "infer, or string to compare text", "infer")
      .option("--null <text>", "text that means NULL in CSV")
      .option("--rows", "show rows, page by page")
      .option("--kind <kind>", "only added, removed or modified rows")
      .option("--column <name>", "only rows whose cell in this column differs")
      .option("--dataset <dataset>", "which dataset's rows")
      .option("--offset <n>", "first row of the page", "0")
      .option("--limit <n>", "rows of the page", "50")
      .option("--statistics <scope>", "full, changed or none", "changed")
      .option("--html <file>", "write a page that needs nothing else")
      .action((what: string, other: string | undefined, options: DiffCommandOptions) => diff(surroundings, what, other, options)),
    [
      "tidegate diff old.csv new.parquet --key id",
      "tidegate diff chg_7fk2 --rows --kind modified",
      "tidegate diff airports@7 airports@9 --html airports.html",
    ],
  );
}

async function diff(surroundings: Surroundings, what: string, other: string | undefined, options: DiffCommandOptions): Promise<void> {
  if (other !== undefined && (await isPlainFile(surroundings.cwd, what)) && (await isPlainFile(surroundings.cwd, other))) {
    await tellDiffs(surroundings, [{ result: await diffFiles(surroundings, what, other, options) }], options, undefined);
    return;
  }
  await withClient(surroundings, async (client) => {
    const path = other === undefined ? `/v1/changes/${what}/diff` : "/v1/diff";
    const sides = other === undefined ? {} : { before: what, after: other };
    if (options.rows === true) {
      const { dataset, kind, column, key, offset, limit } = options;
      const page = await client.ask<RowPage>("GET", `${path}/rows`, {
        query: { ...sides, dataset, kind, column, key, offset, limit },
        signal: surroundings.signal,
      });
      tellPage(surroundings, page);
      return;
    }
    const query = { ...sides, statistics: options.statistics };
    const diffs = await client.ask<{ dataset: string; result: DiffResult }[]>("GET", path, { query, signal: surroundings.signal });
    const next =
      other === undefined ? `tidegate diff ${what} --rows        tidegate merge ${what}` : `tidegate diff ${what} ${other} --rows`;
    await tellDiffs(surroundings, diffs, options, next);
  });
}

/** Compares two files here and now: no data folder, no Postgres, no server. */
async function diffFiles(surroundings: Surroundings, before: string, after: string, options: DiffCommandOptions): Promise<DiffResult> {
  const { withFileDiff } = await import("../../compose.ts");
  const { cwd, signal } = surroundings;
  return withFileDiff((runFileDiff) =>
    runFileDiff({
      before: [resolve(cwd, before)],
      after: [resolve(cwd, after)],
      labels: { before, after },
      key: options.key?.split(","),
      keyPosition: options.keyPosition,
      types: options.types,
      nullText: options.null,
      statistics: options.statistics === "none" ? "none" : "full",
      signal,
    }),
  );
}

async function tellDiffs(
  surroundings: Surroundings,
  diffs: readonly { result: DiffResult }[],
  options: DiffCommandOptions,
  next: string | undefined,
): Promise<void> {
  const [{ renderText }, { renderHtml }] = await Promise.all([import("../../diffs/render/text.ts"), import("../../diffs/render/html.ts")]);
  if (options.html !== undefined) {
    const [first] = diffs;
    if (first === undefined || diffs.length > 1) {
      throw new AppError("usage.invalid", "A page shows the diff of one dataset.", {
        expected: "one dataset",
        found: `${diffs.length} datasets`,
        hint: "tidegate diff <dataset>@1 <dataset>@2 --html diff.html",
      });
    }
    await writeFile(resolve(surroundings.cwd, options.html), renderHtml(first.result));
    surroundings.output().note(`written to ${options.html}`);
  }
  const lines = diffs.flatMap(({ result }) => renderText(result, surroundings.style()).trimEnd().split("\n"));
  surroundings.output().result(diffs.length === 1 ? diffs[0] : diffs, lines.length === 0 ? ["Nothing differs."] : lines, next);
}

function tellPage(surroundings: Surroundings, page: RowPage): void {
  const signs = { added: "+", removed: "−", modified: "≠" } as const;
  const lines = page.rows.map((row) => {
    const key = (row.key ?? []).map(shown).join(", ");
    if (row.kind !== "modified")
      return `  ${signs[row.kind]} ${key}  ${Object.entries(row.after ?? row.before ?? {})
        .map(([name, value]) => `${name} ${shown(value)}`)
        .join("  ")}`;
    return `  ${signs.modified} ${key}  ${row.changed.map((name) => `${name} ${shown(row.before?.[name])} → ${shown(row.after?.[name])}`).join("  ")}`;
  });
  surroundings
    .output()
    .result(page, [`Rows ${grouped(page.offset + 1)} to ${grouped(page.offset + page.rows.length)} of ${grouped(page.total)}.`, ...lines]);
}
