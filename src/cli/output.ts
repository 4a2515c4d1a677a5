import { visible } from "../diffs/render/cell-text.ts";
import { cut, padEnd, padStart, widthOf, type TextStyle } from "../diffs/render/terminal.ts";
import { envelope } from "../lib/envelope.ts";
import type { AppError } from "../lib/errors.ts";
import { grouped } from "../lib/text.ts";

export interface OutputOptions extends TextStyle {
  json: boolean;
  quiet: boolean;
  /** False when the reader is slower than we are: then `drained` tells when to go on. */
  write(text: string | Uint8Array): boolean;
  drained(): Promise<void>;
  writeError(text: string): void;
}

type Shown = string | number | bigint | null | undefined;

export interface Column<T> {
  title: string;
  value: (row: T) => Shown;
  /** Numbers stand to the right. */
  right?: boolean;
  /** May be cut where the terminal is too narrow for all. */
  flexible?: boolean;
}

/** The narrowest that a column is cut to. */
const leastWidth = 8;

/** How a command tells what it did: one sentence, at most one table, the next command. Under --json one envelope and nothing else. */
export class Output {
  readonly #options: OutputOptions;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  get json(): boolean {
    return this.#options.json;
  }

  /** Tells a result: its data under --json, else its lines and what to type next. */
  result(data: unknown, lines: readonly string[], next?: string): void {
    const { json, write, quiet } = this.#options;
    if (json) {
      write(`${envelope({ ok: true, data })}\n`);
      return;
    }
    for (const line of lines) write(`${this.#plain(line)}\n`);
    if (next !== undefined && !quiet) write(`${this.dim(this.#plain(`→ ${next}`))}\n`);
  }

  /** Text that is the answer itself, such as rows. */
  async raw(text: string | Uint8Array): Promise<void> {
    if (!this.#options.write(text)) await this.#options.drained();
  }

  /** A word to the person at the terminal, beside the answer. */
  note(text: string): void {
    if (!this.#options.quiet) this.#options.writeError(`${this.#plain(text)}\n`);
  }

  /** A line of the log of what runs on: also under --quiet, since answers refer to it. */
  log(text: string): void {
    this.#options.writeError(`${this.#plain(text)}\n`);
  }

  failure(error: AppError): void {
    const { json, write, writeError } = this.#options;
    if (json) {
      write(`${envelope({ ok: false, error: error.toJSON() })}\n`);
      return;
    }
    writeError(`${this.#paint("31", "error:")} ${this.#plain(error.message)}    ${this.dim(error.code)}\n`);
    if (error.expected !== undefined) writeError(`  expected  ${this.#plain(error.expected)}\n`);
    if (error.found !== undefined) writeError(`  found     ${this.#plain(error.found)}\n`);
    for (const line of [...problemLines(error.details), ...conflictLines(error.details)]) writeError(`${this.#plain(line)}\n`);
    if (error.hint !== undefined) writeError(`${this.dim(this.#plain(`→ ${error.hint}`))}\n`);
  }

  /** Lines of a table, columns two spaces apart, no wider than the terminal: flexible columns are cut, then whole lines. */
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
    if (rows.length === 0) return [];
    const style = this.#options;
    const cells = rows.map((row) => columns.map((column) => cellText(column.value(row))));
    const titles = columns.map((column) => visible(column.title));
    const widths = titles.map((title, index) => Math.max(widthOf(title), ...cells.map((line) => widthOf(line[index] ?? ""))));
    narrow(widths, columns, style.width);
    const line = (texts: readonly string[]) => {
      const padded = texts.map((text, index) => {
        const [width, fitted] = [widths[index] ?? 0, cut(text, widths[index] ?? 0, style)];
        return columns[index]?.right === true ? padStart(fitted, width) : padEnd(fitted, width);
      });
      return cut(`  ${padded.join("  ")}`.trimEnd(), style.width, style);
    };
    return [this.dim(line(titles)), ...cells.map(line)];
  }

  /** Rows of data: a table where it fits, else each row folded, one column per line. */
  rows(rows: readonly Readonly<Record<string, unknown>>[]): string[] {
    const keys = Object.keys(rows[0] ?? {});
    const names = keys.map(visible);
    const texts = rows.map((row) => keys.map((key) => cellText(row[key] as Shown)));
    const wide = names.map((name, index) => Math.max(widthOf(name), ...texts.map((line) => widthOf(line[index] ?? ""))));
    const total = wide.reduce((sum, width) => sum + width + 2, 0);
    if (total <= this.#options.width) {
      return this.table(
        rows,
        keys.map((title) => ({ title, value: (row) => row[title] as Shown, right: typeof rows[0]?.[title] === "number" })),
      );
    }
    const column = Math.min(24, Math.max(...names.map(widthOf)));
    return texts.flatMap((line, place) => [
      ...(place === 0 ? [] : [""]),
      ...line.map((text, index) =>
        cut(`  ${padEnd(cut(names[index] ?? "", column, this.#options), column)}  ${text}`, this.#options.width, this.#options),
      ),
    ]);
  }

  dim(text: string): string {
    return this.#paint("2", text);
  }

  #paint(code: string, text: string): string {
    return this.#options.color ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  /** A line that steers no terminal: of what stands in it, only our own colours and line ends act. */
  #plain(line: string): string {
    const text = line
      .split(this.#options.color ? coloursAndEnds : lineEnds)
      .map((part, index) => (index % 2 === 1 ? part : visible(part)))
      .join("");
    return this.#options.ascii ? text.replaceAll(/[→✓✗≠‖⊘−–·«»…]/g, (sign) => plainSigns[sign] ?? sign) : text;
  }
}

// eslint-disable-next-line no-control-regex
const coloursAndEnds = /(\u001b\[(?:0|1|2|31|33|36)m|\n)/;
const lineEnds = /(\n)/;

const plainSigns: Readonly<Record<string, string>> = {
  "→": "->",
  "✓": "ok",
  "✗": "FAIL",
  "≠": "!=",
  "‖": "held",
  "⊘": "barred",
  "−": "-",
  "–": "-",
  "·": "|",
  "«": '"',
  "»": '"',
  "…": "...",
};

/** Takes from the widest flexible column until all fit, or none can give more. */
function narrow(widths: number[], columns: readonly { flexible?: boolean }[], room: number): void {
  let over = widths.reduce((sum, width) => sum + width + 2, 0) - room;
  while (over > 0) {
    const givers = widths.map((width, index) => (columns[index]?.flexible === true ? width : 0));
    const widest = Math.max(...givers);
    if (widest <= leastWidth) return;
    widths[givers.indexOf(widest)] = widest - 1;
    over -= 1;
  }
}

function cellText(value: Shown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? visible(value) : grouped(value);
}

interface ShownProblem {
  file: string;
  line: number;
  column: number;
  message: string;
  expected?: string;
}

/** What is wrong with files, each with its place, as editors and CI logs know to open it. */
function problemLines(details: unknown): string[] {
  const problems = (details as { problems?: Partial<ShownProblem>[] } | undefined)?.problems;
  if (!Array.isArray(problems)) return [];
  return problems
    .filter((problem): problem is ShownProblem => typeof problem.file === "string")
    .map(({ file, line, column, message, expected }) =>
      expected === undefined ? `  ${file}:${line}:${column}: ${message}` : `  ${file}:${line}:${column}: ${message}; expected ${expected}`,
    );
}

type Side = Record<string, unknown> | null | undefined;

interface ShownConflict {
  keys: { key: unknown[]; base?: Side; ours?: Side; theirs?: Side }[];
}

/** The first conflicting rows of a merge: what base, ours and theirs have where they differ. */
function conflictLines(details: unknown): string[] {
  const conflicts = (details as { conflicts?: ShownConflict[] } | undefined)?.conflicts;
  if (!Array.isArray(conflicts)) return [];
  const lines: string[] = [];
  for (const { key, base, ours, theirs } of conflicts.flatMap((conflict) => conflict.keys ?? []).slice(0, 3)) {
    const sides = { base, ours, theirs };
    const names = [...new Set(Object.values(sides).flatMap((row) => Object.keys(row ?? {})))];
    const differing = names.filter((name) => new Set(Object.values(sides).map((row) => String(row?.[name]))).size > 1);
    lines.push(`  ${key.map(String).join(", ")}`);
    for (const [side, row] of Object.entries(sides)) {
      lines.push(`    ${side.padEnd(7)} ${row == null ? "(no row)" : differing.map((name) => `${name} ${String(row[name])}`).join(", ")}`);
    }
  }
  return lines;
}

/** `2026-11-24 08:00`: easier to read than the full form; always UTC. */
export function shortTime(text: string | null | undefined): string {
  return text === null || text === undefined ? "–" : text.slice(0, 16).replace("T", " ");
}

/** Notes below a result: what is no mistake, but perhaps not meant. */
export const noteLines = (notes: readonly string[]): string[] => notes.map((note) => `  note: ${note}`);
