import type { ColumnDiff, DiffResult, DiffRow } from "../diff.ts";
import { counted, grouped } from "../headline.ts";
import type { SchemaItem, SchemaItemKind } from "../schema-diff.ts";
import { cellText, differingParts, keyText, visible } from "./cell-text.ts";
import { cut, padEnd, padStart, painted, signs, widthOf, wrap, type TextStyle } from "./terminal.ts";

const mostLines = 20;

/** A terminal that leaves less than this beside names and counts gets no examples. */
const leastExample = 16;

/** A diff for a terminal: the answer in a sentence, one table, the next command. With `rows`, the differing rows instead of the columns. */
export function renderText(result: DiffResult, style: TextStyle, options: { rows?: boolean; next?: string } = {}): string {
  const isTable = options.rows !== true && result.matching.by !== "row";
  const body = isTable ? columnLines(result, style) : [...schemaLines(result, style), ...rowLines(result, style)];
  const lines = wrap(visible(result.headline), style.width).map((line) => painted(line, "bold", style));
  if (body.length > 0) lines.push("", ...body);
  const notes = [...result.notes, ...duplicateNotes(result)];
  if (notes.length > 0)
    lines.push("", ...notes.flatMap((note) => wrap(visible(note), style.width - 2).map((line) => painted(`  ${line}`, "dim", style))));
  const next =
    options.next ??
    (result.rows.differing === 0 && result.schema.length === 0
      ? ""
      : "--rows shows them, --html diff.html makes a page, --json for programs");
  if (next !== "") lines.push("", ...wrap(signs(`→ ${next}`, style), style.width).map((line) => painted(line, "dim", style)));
  return `${lines.join("\n")}\n`;
}

function duplicateNotes({ duplicateKeys }: DiffResult): string[] {
  const [first] = duplicateKeys?.samples ?? [];
  if (duplicateKeys === null || first === undefined) return [];
  const { keysBefore, keysAfter } = duplicateKeys;
  return [
    `keys that occur more than once: ${grouped(keysBefore)} before, ${grouped(keysAfter)} after; for instance ${keyText(first.key)}: ${counted(first.before, "row")} before, ${first.after} after`,
  ];
}

const words: Readonly<Record<SchemaItemKind, string>> = {
  added: "+ new",
  dropped: "− dropped",
  renamed: "≠ renamed",
  widened: "≠ widened",
  retyped: "≠ retyped",
  nullability: "≠ nullable",
  reordered: "≠ order",
  key_changed: "≠ key",
  name_reused: "≠ reused",
};

interface Line {
  column: string;
  kind: string;
  cells: string;
  /** What stands before the values, the most important last: it is kept longest. */
  about: string[];
  values: { before: string; after: string } | undefined;
}

function columnLines(result: DiffResult, style: TextStyle): string[] {
  const lines = [
    ...schemaOnly(result),
    ...result.columns
      .filter((column) => isDifferent(column, result))
      .sort(byWeight)
      .map((column) => lineOf(column, result)),
  ];
  if (lines.length === 0) return [];
  const shown = lines.slice(0, mostLines).map((line) => ({
    ...line,
    column: cut(visible(line.column), Math.floor(style.width / 3), style),
    kind: signs(line.kind, style),
    cells: signs(line.cells, style),
  }));
  const head = { column: "column", kind: "kind", cells: "cells", about: ["example"], values: undefined };
  const widths = (["column", "kind", "cells"] as const).map((name) => Math.max(...[head, ...shown].map((line) => widthOf(line[name])))) as [
    number,
    number,
    number,
  ];
  const start = (line: Line): string =>
    `  ${padEnd(line.column, widths[0])}  ${padEnd(line.kind, widths[1])}  ${padStart(line.cells, widths[2])}   `;
  const room = style.width - widthOf(start(head));
  const isNarrow = room < leastExample;
  const table = [
    painted(isNarrow ? start(head).trimEnd() : `${start(head)}example`, "dim", style),
    ...shown.map((line) => (isNarrow ? start(line) : start(line) + example(line, room, style)).trimEnd()),
  ];
  const more = lines.length - shown.length;
  return more > 0 ? [...table, painted(`  and ${counted(more, "further column")}`, "dim", style)] : table;
}

function isDifferent(column: ColumnDiff, result: DiffResult): boolean {
  return column.cells > 0 || itemsOf(column, result).length > 0 || column.state === "added" || column.state === "dropped";
}

function itemsOf(column: ColumnDiff, result: DiffResult): SchemaItem[] {
  return result.schema.filter((item) => item.column === column.name && (item.fieldId === undefined || item.fieldId === column.fieldId));
}

const weight = (column: ColumnDiff): number => ({ dropped: 0, added: 1, modified: 2, same: 2 })[column.state];

const byWeight = (a: ColumnDiff, b: ColumnDiff): number => weight(a) - weight(b) || b.cells - a.cells;

function schemaOnly(result: DiffResult): Line[] {
  return result.schema
    .filter((item) => item.kind === "key_changed")
    .map((item) => ({
      column: "(key)",
      kind: words[item.kind],
      cells: "–",
      about: [`${item.before ?? ""} → ${item.after ?? ""}`],
      values: undefined,
    }));
}

function lineOf(column: ColumnDiff, result: DiffResult): Line {
  const items = itemsOf(column, result);
  const [item] = items;
  const oneSided = column.after === null ? "− dropped" : "+ new";
  const kind = item !== undefined ? words[item.kind] : column.before === null || column.after === null ? oneSided : "≠ modified";
  const about = [...items.map(aboutItem), ...aboutValues(column), ...(column.example === null ? [] : [keyText(column.example.key)])].filter(
    (part) => part !== "",
  );
  const values = column.example === null ? undefined : { before: cellText(column.example.before), after: cellText(column.example.after) };
  return { column: column.name, kind, cells: column.compared === null || column.isKey ? "–" : grouped(column.cells), about, values };
}

function aboutItem(item: SchemaItem): string {
  if (item.kind === "added" || item.kind === "dropped") return "";
  return item.kind === "name_reused" ? "another column under this name" : `${item.before ?? ""} → ${item.after ?? ""}`;
}

function aboutValues(column: ColumnDiff): string[] {
  if (column.before !== null && column.after !== null) return [];
  const statistics = column.statistics?.after ?? column.statistics?.before;
  const type = column.after?.type ?? column.before?.type ?? "";
  if (statistics === null || statistics === undefined || statistics.rows === 0) return [type];
  return [`${type}, ${percent(statistics.nulls / statistics.rows)} null`];
}

/** `0.1 %`; never 0 % or 100 % for what is not. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0 || value === 100) return `${value} %`;
  if (value < 0.05) return "< 0.1 %";
  if (value > 99.95) return "> 99.9 %";
  return `${value.toFixed(1)} %`;
}

/** Below this, a value before and after says nothing: what stands before it gives way. */
const leastValues = 30;

/** Before and after cut so that the part that differs is seen. */
function example({ about, values }: Pick<Line, "about" | "values">, room: number, style: TextStyle): string {
  const words = about.map((part) => signs(visible(part), style));
  if (values === undefined) return cut(words.join("  "), room, style);
  const arrow = signs(" → ", style);
  const wanted = Math.min(leastValues, widthOf(values.before) + widthOf(values.after) + widthOf(arrow));
  while (words.length > 0 && room - widthOf(words.join("  ")) - 2 < wanted) words.shift();
  const lead = words.length === 0 ? "" : `${words.join("  ")}  `;
  const { before, after } = fitted(values, room - widthOf(lead) - widthOf(arrow), style);
  return `${lead}${painted(before, "before", style)}${arrow}${painted(after, "after", style)}`;
}

function fitted({ before, after }: { before: string; after: string }, room: number, style: TextStyle): { before: string; after: string } {
  const total = widthOf(before) + widthOf(after);
  if (total <= room) return { before, after };
  const half = Math.floor(room / 2);
  const least = Math.min(widthOf(before), widthOf(after));
  const wide = least < half ? room - least : half;
  const [first] = differingParts(before, after).before;
  const shared = first?.common === true ? Array.from(first.text).length : 0;
  const skipped = shared > wide / 2 ? Math.max(0, shared - Math.floor(wide / 4)) : 0;
  const window = (text: string): string => {
    if (widthOf(text) <= (least < half && widthOf(text) === least ? least : wide)) return text;
    return cut(skipped === 0 ? text : signs("…", style) + Array.from(text).slice(skipped).join(""), wide, style);
  };
  return { before: window(before), after: window(after) };
}

function schemaLines(result: DiffResult, style: TextStyle): string[] {
  const lines = result.schema.map((item) => `  ${cut(signs(visible(item.text), style), style.width - 2, style)}`);
  return lines.length === 0 ? [] : [...lines, ""];
}

const kindSigns = { removed: "−", added: "+", modified: "≠" } as const;

/** Differing rows, folded under their key: changed cells one per line, whole rows on as few lines as they need. */
function rowLines(result: DiffResult, style: TextStyle): string[] {
  const lines = result.samples.flatMap((row) => linesOfRow(row, result, style));
  const more = result.rows.differing - result.samples.reduce((sum, row) => sum + row.count, 0);
  return more > 0 ? [...lines, painted(`  and ${counted(more, "further row")}`, "dim", style)] : lines;
}

function linesOfRow(row: DiffRow, result: DiffResult, style: TextStyle): string[] {
  const colour = row.kind === "removed" ? "before" : row.kind === "added" ? "after" : "bold";
  const times = row.count > 1 ? ` ${grouped(row.count)} times` : "";
  const key = row.key === null ? "" : result.matching.by === "position" ? `row ${keyText(row.key)}` : keyText(row.key);
  const sign = padEnd(signs(kindSigns[row.kind], style), 2);
  const title = cut(`${sign}${key === "" ? "" : ` ${key}`}${times}`, style.width, style);
  if (row.kind === "modified") return [painted(title, colour, style), ...changedCells(row, result, style)];
  const keys = new Set(result.columns.filter((column) => column.isKey).map((column) => column.name));
  const cells = Object.entries(row.after ?? row.before ?? {}).filter(([name]) => !keys.has(name));
  const text = cells.map(([name, cell]) => `${visible(name)} ${cellText(cell)}`).join(signs(" · ", style));
  const body = cut(text, (style.width - 4) * 3, style);
  if (key === "" && times === "") {
    const [first = "", ...rest] = wrap(body, style.width - 4);
    return [painted(`${sign}  ${first}`, colour, style), ...rest.map((line) => `    ${line}`)];
  }
  return [painted(title, colour, style), ...wrap(body, style.width - 4).map((line) => `    ${line}`)];
}

function changedCells(row: DiffRow, result: DiffResult, style: TextStyle): string[] {
  const columns = result.columns.filter((column) => row.changed.includes(column.name) && column.before !== null && column.after !== null);
  const width = Math.min(Math.floor(style.width / 3), Math.max(0, ...columns.map((column) => widthOf(visible(column.name)))));
  return columns.map((column) => {
    const name = padEnd(cut(visible(column.name), width, style), width);
    const values = { before: cellText(row.before?.[column.before?.name ?? ""]), after: cellText(row.after?.[column.after?.name ?? ""]) };
    return `    ${name}  ${example({ about: [], values }, style.width - width - 6, style)}`;
  });
}
