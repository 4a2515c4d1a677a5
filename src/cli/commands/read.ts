import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { parseJson } from "../../lib/json.ts";
import { counted, grouped } from "../../lib/text.ts";
import type { Client, Opened } from "../client.ts";
import { withClient, type Surroundings } from "../command.ts";
import { unwritable } from "../unwritable.ts";
import { addFlags, addVerb, type FlagSpec } from "../verb.ts";

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

const whose: readonly FlagSpec[] = [
  ["--as <consumer>", "read what this consumer gets, in its name"],
  ["--run <id>", "reads of one run see one state"],
  ["--at <branch>", "a branch, tag, commit or change, instead of live"],
];

/** read and query. */
export function addReadCommands(surroundings: Surroundings): void {
  addRead(surroundings);
  addQuery(surroundings);
}

function addRead(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "read", "Read a dataset's rows; what is read is recorded.", [
    "tidegate read airports --limit 5",
    "tidegate read airports --key ORD --as arrival-model",
    "tidegate read flights --format parquet --out flights.parquet",
  ])
    .argument("<dataset>", "airports, or airports@7")
    .action((dataset: string, options: ReadOptions) =>
      withClient(surroundings, { doing: `Reading ${dataset}` }, (client) => read(surroundings, client, dataset, options)),
    );
  addFlags(command, "Which rows", [
    ["--columns <names>", "only these, joined by commas"],
    ["--limit <n>", "at most this many"],
    ["--offset <n>", "skip this many"],
    ["--key <value>", "only the row with this key; parts joined by commas"],
  ]);
  addFlags(command, "Whose view", whose);
  addOutputFlags(command, ["table", "json", "ndjson", "csv", "parquet"]);
}

function addQuery(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "query", "Run one SELECT over one's view, in a locked process; what is read is recorded.", [
    "tidegate query 'select state, count(*) n from airports group by all limit 5'",
    "tidegate query 'select count(*) from flights' --as delay-board",
    "tidegate query 'select * from airports' --format csv --out airports.csv",
  ])
    .argument("<sql>", "one SELECT; datasets by name")
    .action((sql: string, options: ReadOptions) =>
      withClient(surroundings, { doing: "Querying" }, async (client) => {
        const { as, run, at } = options;
        const format = formatOf(surroundings, options);
        await tellRows(
          surroundings,
          await client.open("POST", "/v1/query", { body: { sql, as, run, at, format: overTheWire(format) } }),
          format,
          options.out,
        );
      }),
    );
  addFlags(command, "Whose view", whose);
  addOutputFlags(command, ["table", "json", "ndjson", "csv"]);
}

function addOutputFlags(command: Command, formats: readonly string[]): void {
  addFlags(command, "How it is shown", [
    ["--format <format>", "of the rows", { choices: formats, default: "table" }],
    ["--out <file>", "write to this file, whole or not at all"],
  ]);
}

/** The format that was asked for; under --json rows stand in the envelope, unless they go to a file. */
function formatOf(surroundings: Surroundings, { format = "table", out }: ReadOptions): string {
  if (out !== undefined) return format === "table" ? formatByName(out) : format;
  return surroundings.output().json && format === "table" ? "json" : format;
}

function formatByName(file: string): string {
  return /\.(csv|ndjson|parquet)$/.exec(file)?.[1] ?? "json";
}

const overTheWire = (format: string): string => (format === "table" ? "ndjson" : format);

async function read(surroundings: Surroundings, client: Client, dataset: string, options: ReadOptions): Promise<void> {
  const { as, run, at, columns, limit, offset, key } = options;
  const path = `/v1/datasets/${encodeURIComponent(dataset)}`;
  if (key !== undefined) {
    const row = await client.ask<Record<string, unknown>>("GET", `${path}/rows/${encodeURIComponent(key)}`, { query: { as, run, at } });
    const width = Math.min(24, Math.max(...Object.keys(row).map((name) => name.length)));
    surroundings.output().result(
      row,
      Object.entries(row).map(([name, value]) => `  ${name.padEnd(width)}  ${shown(value)}`),
    );
    return;
  }
  const format = formatOf(surroundings, options);
  const query = { as, run, at, columns, limit, offset };
  if (format === "parquet") {
    const file = options.out ?? `${dataset.replaceAll(/[^\w.-]/g, "_")}.parquet`;
    await tellFile(surroundings, await client.open("GET", `${path}/parquet`, { query }), file);
    return;
  }
  const opened = await client.open("GET", `${path}/rows`, { query: { ...query, format: overTheWire(format) } });
  await tellRows(surroundings, opened, format, options.out);
}

const shownRows = 50;

async function tellRows(surroundings: Surroundings, opened: Opened, format: string, file: string | undefined): Promise<void> {
  if (file !== undefined) return tellFile(surroundings, opened, file);
  const out = surroundings.output();
  const { headers, body } = opened;
  const answered = { view: headers.get("tidegate-view"), version: headers.get("tidegate-version"), reason: headers.get("tidegate-reason") };
  if (out.json && format === "json") {
    out.result({ ...answered, rows: parseJson(await textOf(body)) }, []);
    return;
  }
  if (format !== "table") {
    for await (const chunk of body) await out.raw(chunk);
    return;
  }
  const rows: Record<string, unknown>[] = [];
  let total = 0;
  for await (const line of linesOf(body)) {
    total += 1;
    if (rows.length < shownRows) rows.push(parseJson(line) as Record<string, unknown>);
  }
  const cells = rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === "number" ? value : shown(value)])),
  );
  const more = total > rows.length ? [`  … ${grouped(total - rows.length)} more; --out <file> takes all`] : [];
  const from = answered.version === null || answered.version === "" ? "" : ` of ${answered.version.replaceAll(" ", ", ")}`;
  out.result({ ...answered, rows }, [`${counted(total, "row")}${from} (${answered.reason ?? ""}).`, ...out.rows(cells), ...more]);
}

/** Writes an answer beside its place and moves it there when it is whole: what broke off leaves no file that looks good. */
async function tellFile(surroundings: Surroundings, { headers, body }: Opened, file: string): Promise<void> {
  const path = resolve(surroundings.cwd, file);
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
  try {
    await pipeline(Readable.from(body), createWriteStream(draft));
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw unwritable(error, file, "--out");
  }
  const version = headers.get("tidegate-version");
  surroundings.output().result({ file: path, version }, [`${version === null || version === "" ? "The answer" : version} is in ${file}.`]);
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }
  if (rest !== "") yield rest;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "object" && !("isLosslessNumber" in value) ? JSON.stringify(value) : String(value);
}
