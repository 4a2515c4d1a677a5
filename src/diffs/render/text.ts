import type { ColumnDiff, DiffResult } from "../diff.ts";
import { counted, grouped } from "../headline.ts";
import type { SchemaItem, SchemaItemKind } from "../schema-diff.ts";
import { beforeAfterText, type Example } from "./before-after.ts";
import { cellText, keyText, visible } from "./cell-text.ts";
import { cut, padEnd, padStart, painted, signs, widthOf, wrap, type TextStyle } from "./terminal.ts";
import { linesOfRow } from "./text-rows.ts";

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

interface Line extends Example {
  column: string;
  kind: string;
  cells: string;
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
    ...shown.map((line) => (isNarrow ? start(line) : start(line) + beforeAfterText(line, room, style)).trimEnd()),
  ];
  const more = lines.length - shown.length;
  return more > 0 ? [...table, painted(`  and ${counted(more, "further column")}`, "dim", style)] : table;
}

function isDifferent(column: ColumnDiff, result: DiffResult): boolean {
  return column.cells > 0 || itemsOf(column, result).length > 0 || column.state === "added" || column.state === "dropped";
}

function itemsOf(column: ColumnDiff, result: DiffResult): SchemaItem[] {
  return result.schema.filter((item) => item.column !== undefined && item.fieldId === column.fieldId);
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

function schemaLines(result: DiffResult, style: TextStyle): string[] {
  const lines = result.schema.map((item) => `  ${cut(signs(visible(item.text), style), style.width - 2, style)}`);
  return lines.length === 0 ? [] : [...lines, ""];
}

function rowLines(result: DiffResult, style: TextStyle): string[] {
  const keyColumns = result.columns.filter((column) => column.isKey).map((column) => column.name);
  const options = { keyColumns, isPosition: result.matching.by === "position" };
  const lines = result.samples.flatMap((row) => linesOfRow(row, style, options));
  const more = result.rows.differing - result.samples.reduce((sum, row) => sum + row.count, 0);
  return more > 0 ? [...lines, painted(`  and ${counted(more, "further row")}`, "dim", style)] : lines;
}
