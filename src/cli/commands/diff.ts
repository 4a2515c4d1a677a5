import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { DiffResult, RowKind, RowPage } from "../../diffs/diff.ts";
import type { FileDiffOptions } from "../../diffs/file-diff.ts";
import { withClient, type Surroundings } from "../command.ts";
import { isPlainFile } from "../input-files.ts";
import { unwritable } from "../unwritable.ts";
import { addFlags, addVerb } from "../verb.ts";

interface DiffOptions {
  key?: string;
  keyPosition?: boolean;
  types: "infer" | "string";
  null?: string;
  rows?: boolean;
  kind?: RowKind;
  column?: string;
  dataset?: string;
  offset: string;
  limit: string;
  html?: string;
  statistics: "full" | "changed" | "none";
}

interface NamedDiff {
  dataset?: string;
  result: DiffResult;
}

/** diff: of a change, of two versions, of two commits, or of two plain files. */
export function addDiffCommand(surroundings: Surroundings): void {
  const command = addVerb(
    surroundings.program,
    "diff",
    "What a change does; what lies between two versions, two commits, or two plain files.",
    [
      "tidegate diff old.csv new.parquet --key id",
      "tidegate diff chg_7fk2 --rows --kind modified",
      "tidegate diff airports@1 airports@2 --html airports.html",
    ],
  )
    .argument("<what>", "a change, airports@7, a commit, or a file")
    .argument("[other]", "the later version, commit or file")
    .action((what: string, other: string | undefined, options: DiffOptions) => diff(surroundings, what, other, options));
  addFlags(command, "What is shown", [
    ["--rows", "the rows that differ, page by page"],
    ["--kind <kind>", "only rows of this kind", { choices: ["added", "removed", "modified"] }],
    ["--column <name>", "only rows whose cell in this column differs"],
    ["--dataset <dataset>", "only this dataset of the change"],
    ["--offset <n>", "first row of the page", { default: "0" }],
    ["--limit <n>", "rows of the page", { default: "50" }],
    ["--statistics <scope>", "of which rows", { choices: ["full", "changed", "none"], default: "changed" }],
    ["--html <file>", "write a page that needs nothing else"],
  ]);
  addFlags(command, "Plain files", [
    ["--key <columns>", "their key, joined by commas; of other diffs, the key of one row"],
    ["--key-position", "compare row by row"],
    ["--types <how>", "infer, or string to compare text", { choices: ["infer", "string"], default: "infer" }],
    ["--null <text>", "text that means NULL in CSV"],
  ]);
}

async function diff(surroundings: Surroundings, what: string, other: string | undefined, options: DiffOptions): Promise<void> {
  if (other !== undefined) {
    const files = [await isPlainFile(surroundings.cwd, what), await isPlainFile(surroundings.cwd, other)];
    if (files[0] === true && files[1] === true) return diffFiles(surroundings, what, other, options);
    if (files.includes(true) || [what, other].some(looksLikeFile)) {
      const missing = files[0] === true ? other : what;
      throw new AppError("input.not_found", `There is no file ${missing}.`, {
        expected: "two files, two versions or two commits",
        found: missing,
        hint: "ls",
      });
    }
  }
  if (other === undefined && (looksLikeFile(what) || /@\d+$/.test(what))) {
    throw new AppError("usage.invalid", `${what} is compared with nothing.`, {
      expected: "two files or two versions, or one change",
      found: `only ${what}`,
      hint: `tidegate diff ${what} <the other>`,
    });
  }
  await withClient(surroundings, { doing: `Comparing ${other === undefined ? what : `${what} and ${other}`}` }, async (client) => {
    const path = other === undefined ? `/v1/changes/${encodeURIComponent(what)}/diff` : "/v1/diff";
    const sides = other === undefined ? {} : { before: what, after: other };
    const { dataset, kind, column, key, offset, limit, statistics } = options;
    const again = `tidegate diff ${what}${other === undefined ? "" : ` ${other}`}`;
    if (options.rows === true) {
      await tellPage(
        surroundings,
        await client.ask<RowPage>("GET", `${path}/rows`, { query: { ...sides, dataset, kind, column, key, offset, limit } }),
        again,
      );
      return;
    }
    const diffs = await client.ask<NamedDiff[]>("GET", path, { query: { ...sides, statistics } });
    const chosen =
      dataset === undefined ? diffs : diffs.filter((item) => item.dataset === dataset || item.dataset?.endsWith(`.${dataset}`) === true);
    await tellDiffs(
      surroundings,
      chosen,
      options,
      other === undefined ? `${again} --rows        tidegate merge ${what}` : `${again} --rows`,
    );
  });
}

const looksLikeFile = (text: string): boolean => /[/\\]|\.(csv|tsv|json|ndjson|jsonl|parquet)(\.(gz|zst))?$/i.test(text);

/** Compares two files here and now: no data folder, no Postgres, no server. */
async function diffFiles(surroundings: Surroundings, before: string, after: string, options: DiffOptions): Promise<void> {
  const { cwd, signal } = surroundings;
  const files: FileDiffOptions = {
    before: [resolve(cwd, before)],
    after: [resolve(cwd, after)],
    labels: { before, after },
    key: options.key?.split(",").map((name) => name.trim()),
    keyPosition: options.keyPosition,
    types: options.types,
    nullText: options.null,
    statistics: options.statistics === "none" ? "none" : "full",
    signal,
  };
  await surroundings.progress.during(`Comparing ${before} and ${after}`, async () => {
    const { withFileDiff } = await import("../../compose.ts");
    await withFileDiff(surroundings.config(), async ({ diffFiles, diffFileRows }) => {
      if (options.rows !== true) return tellDiffs(surroundings, [{ result: await diffFiles(files) }], options, undefined);
      const { kind, column, offset, limit } = options;
      const page = await diffFileRows(files, {
        filter: { kind, column },
        offset: wholeNumber("--offset", offset),
        limit: wholeNumber("--limit", limit),
      });
      await tellPage(surroundings, page, `tidegate diff ${before} ${after}`);
    });
  });
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new AppError("usage.invalid", `${flag} ${text} is no number.`, {
    expected: "a whole number",
    found: text,
    hint: "tidegate diff --help",
  });
}

async function tellDiffs(
  surroundings: Surroundings,
  diffs: readonly NamedDiff[],
  options: DiffOptions,
  next: string | undefined,
): Promise<void> {
  const out = surroundings.output();
  if (options.html !== undefined) await writePage(surroundings, diffs, options.html);
  if (diffs.length === 0) return out.result(diffs, ["Nothing differs."]);
  const { renderText } = await import("../../diffs/render/text.ts");
  const lines = diffs.flatMap(({ dataset, result }, place) => {
    const own = place < diffs.length - 1 ? "" : next;
    const text = renderText(result, surroundings.style(), own === undefined ? {} : { next: own });
    return [...(diffs.length > 1 ? [`${place > 0 ? "\n" : ""}${dataset ?? ""}:`] : []), text.trimEnd()];
  });
  out.result(diffs.length === 1 ? diffs[0] : diffs, lines);
}

async function writePage(surroundings: Surroundings, diffs: readonly NamedDiff[], file: string): Promise<void> {
  const [first] = diffs;
  if (first === undefined || diffs.length > 1) {
    throw new AppError("usage.invalid", "A page shows the diff of one dataset.", {
      expected: "one dataset",
      found: `${diffs.length} datasets`,
      hint: "add --dataset <dataset>",
    });
  }
  const { renderHtml } = await import("../../diffs/render/html.ts");
  await writeFile(resolve(surroundings.cwd, file), renderHtml(first.result)).catch((error: unknown) => {
    throw unwritable(error, file, "--html");
  });
  surroundings.output().note(`${file} is a page that needs nothing else.`);
}

async function tellPage(surroundings: Surroundings, page: RowPage, again: string): Promise<void> {
  const { renderRows } = await import("../../diffs/render/text-rows.ts");
  const next = page.offset + page.rows.length;
  surroundings
    .output()
    .result(page, [renderRows(page, surroundings.style()).trimEnd()], next < page.total ? `${again} --rows --offset ${next}` : undefined);
}
