import { grouped } from "../lib/text.ts";
import type { AppError } from "../lib/errors.ts";
import { envelope } from "../lib/envelope.ts";

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  ascii: boolean;
  color: boolean;
  write(text: string): void;
  writeError(text: string): void;
}

export interface Column<T> {
  title: string;
  value: (row: T) => string | number | bigint | null | undefined;
  /** Numbers stand to the right. */
  right?: boolean;
}

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
    const { json, write } = this.#options;
    if (json) {
      write(`${envelope({ ok: true, data })}\n`);
      return;
    }
    for (const line of lines) write(`${this.#sign(line)}\n`);
    if (next !== undefined && !this.#options.quiet) write(`${this.dim(`${this.#sign("→")} ${next}`)}\n`);
  }

  /** Text that is the answer itself, such as rows. */
  raw(text: string): void {
    this.#options.write(text);
  }

  /** A word to the person at the terminal, beside the answer. */
  note(text: string): void {
    if (!this.#options.quiet) this.#options.writeError(`${this.#sign(text)}\n`);
  }

  failure(error: AppError): void {
    const { json, write, writeError } = this.#options;
    if (json) {
      write(`${envelope({ ok: false, error: error.toJSON() })}\n`);
      return;
    }
    writeError(`${this.#paint("31", "error:")} ${error.message}    ${this.dim(error.code)}\n`);
    if (error.expected !== undefined) writeError(`  expected  ${error.expected}\n`);
    if (error.found !== undefined) writeError(`  found     ${error.found}\n`);
    for (const line of conflictLines(error.details)) writeError(`${line}\n`);
    if (error.hint !== undefined) writeError(`${this.dim(`${this.#sign("→")} ${error.hint}`)}\n`);
  }

  /** Lines of a table, columns two spaces apart. */
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
    const cells = rows.map((row) => columns.map((column) => cellText(column.value(row))));
    const widths = columns.map((column, index) => Math.max(column.title.length, ...cells.map((line) => (line[index] ?? "").length)));
    const line = (texts: readonly string[]) =>
      texts
        .map((text, index) => (columns[index]?.right === true ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0)))
        .join("  ")
        .trimEnd();
    if (rows.length === 0) return [];
    return [this.dim(`  ${line(columns.map((column) => column.title))}`), ...cells.map((texts) => `  ${line(texts)}`)];
  }

  dim(text: string): string {
    return this.#paint("2", text);
  }

  #paint(code: string, text: string): string {
    return this.#options.color ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  #sign(text: string): string {
    if (!this.#options.ascii) return text;
    const plain: Record<string, string> = {
      "→": "->",
      "✓": "ok",
      "✗": "FAIL",
      "≠": "!=",
      "‖": "held",
      "⊘": "barred",
      "−": "-",
      "«": '"',
      "»": '"',
      "…": "...",
    };
    return text.replaceAll(/[→✓✗≠‖⊘−«»…]/g, (sign) => plain[sign] ?? sign);
  }
}

function cellText(value: string | number | bigint | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? value : grouped(value);
}

interface ShownConflict {
  keys: { key: unknown[]; base?: Record<string, unknown>; ours?: Record<string, unknown>; theirs?: Record<string, unknown> }[];
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
      lines.push(
        `    ${side.padEnd(7)} ${row === undefined || row === null ? "(no row)" : differing.map((name) => `${name} ${String(row[name])}`).join(", ")}`,
      );
    }
  }
  return lines;
}

/** `2 026-11-24 08:00` is easier to read than the full form; always UTC. */
export function shortTime(text: string | null | undefined): string {
  return text === null || text === undefined ? "–" : text.slice(0, 16).replace("T", " ");
}
