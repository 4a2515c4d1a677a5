import { counted } from "../../lib/text.ts";
import type { LineageAnswer, LineageEdgeAnswer } from "../../http/lineage-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addVerb } from "../verb.ts";

/** The verb `lineage`. */
export function addLineageCommand(surroundings: Surroundings): void {
  const command = addVerb(
    surroundings.program,
    "lineage",
    "What a dataset or column is built from, what is built from it, who reads that.",
    ["tidegate lineage airports", "tidegate lineage airports.city --down", "tidegate lineage delays_by_airport --up"],
  )
    .argument("<dataset>", "airports, or a column of it: airports.city")
    .action((of: string, options: { up?: boolean; down?: boolean; at?: string }) =>
      withClient(surroundings, { doing: `Tracing ${of}` }, async (client) => {
        const one = options.up === options.down ? undefined : options.up === true ? "up" : "down";
        const query = { of, ...(one === undefined ? {} : { direction: one }), ...(options.at === undefined ? {} : { at: options.at }) };
        const found = await client.ask<LineageAnswer>("GET", "/v1/lineage", { query });
        const name = found.column === null ? found.dataset : `${found.dataset}.${found.column}`;
        const lines = [
          ...(one === "down" ? [] : linesUp(name, found.up)),
          ...(one === "up" ? [] : [...linesDown(name, found.down), ...linesRead(found)]),
        ];
        surroundings.output().result(found, lines, `tidegate dataset show ${found.dataset} --at main`);
      }),
    );
  addFlags(command, "Which way", [
    ["--up", "only what it is built from"],
    ["--down", "only what is built from it, and who reads that"],
  ]);
  addFlags(command, "Where", [["--at <branch>", "a branch, tag, commit or change, instead of main"]]);
}

function linesUp(name: string, edges: readonly LineageEdgeAnswer[]): string[] {
  if (edges.length === 0) return [`${name} is built from no other dataset.`];
  const datasets = new Set(edges.map((edge) => edge.from));
  return [`${name} is built from ${counted(datasets.size, "dataset")}:`, ...edges.flatMap(edgeLines)];
}

function linesDown(name: string, edges: readonly LineageEdgeAnswer[]): string[] {
  if (edges.length === 0) return [`Nothing is built from ${name}.`];
  const datasets = new Set(edges.map((edge) => edge.to));
  return [`${counted(datasets.size, "dataset")} built from ${name}:`, ...edges.flatMap(edgeLines)];
}

/** One line per column of the result; what decides about rows stands behind it. */
function edgeLines({ from, to, distance, columns }: LineageEdgeAnswer): string[] {
  const indent = "  ".repeat(distance);
  const head = `${indent}${from} → ${to}`;
  if (columns === "all") return [`${head}, by all columns (which ones cannot be told)`];
  const byColumn = new Map<string, { values: string[]; rows: string[] }>();
  for (const { from: source, to: target, rows } of columns) {
    const known = byColumn.get(target) ?? { values: [], rows: [] };
    byColumn.set(target, known);
    (rows ? known.rows : known.values).push(source);
  }
  const shown = [...byColumn].map(([target, { values, rows }]) => {
    const parts = [values.join(", "), rows.length === 0 ? "" : `rows by ${rows.join(", ")}`].filter((part) => part !== "");
    return `${indent}  ${target} ← ${parts.join("; ")}`;
  });
  return [head, ...shown];
}

function linesRead({ readers, tests }: LineageAnswer): string[] {
  const shown = readers.map(
    (item) => `  ${item.consumer} reads ${item.dataset} (${item.columns.join(", ")}), last ${shortTime(item.lastAt)}`,
  );
  const named = tests.map((item) => `  ${item.consumer} tests it by ${item.test}`);
  return [readers.length === 0 ? "Nobody has read it in the last 30 days." : "Read in the last 30 days:", ...shown, ...named];
}
