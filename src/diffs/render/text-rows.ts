import type { DiffRow, RowPage } from "../diff.ts";
import { counted, grouped } from "../headline.ts";
import { beforeAfterText } from "./before-after.ts";
import { cellText, keyText, visible } from "./cell-text.ts";
import { cut, padEnd, painted, signs, widthOf, wrap, type TextStyle } from "./terminal.ts";

interface RowOptions {
  /** Columns that the title of a row already says. */
  keyColumns?: readonly string[];
  /** The key is the row's number. */
  isPosition?: boolean;
}

/** A page of differing rows for a terminal. */
export function renderRows(page: RowPage, style: TextStyle, options: RowOptions = {}): string {
  const { rows, offset, total } = page;
  const title =
    rows.length === 0
      ? `No rows here; ${counted(total, "row")} in all.`
      : `Rows ${grouped(offset + 1)} to ${grouped(offset + rows.length)} of ${grouped(total)}.`;
  return `${[painted(title, "bold", style), "", ...rows.flatMap((row) => linesOfRow(row, style, options))].join("\n")}\n`;
}

const kindSigns = { removed: "−", added: "+", modified: "≠" } as const;

/** A row under its key: changed cells one per line, whole rows on as few lines as they need. */
export function linesOfRow(row: DiffRow, style: TextStyle, { keyColumns = [], isPosition = false }: RowOptions): string[] {
  const colour = row.kind === "removed" ? "before" : row.kind === "added" ? "after" : "bold";
  const times = row.count > 1 ? ` ${grouped(row.count)} times` : "";
  const key = row.key === null ? "" : `${isPosition ? "row " : ""}${keyText(row.key)}`;
  const sign = padEnd(signs(kindSigns[row.kind], style), 2);
  const title = cut(`${sign}${key === "" ? "" : ` ${key}`}${times}`, style.width, style);
  if (row.kind === "modified") return [painted(title, colour, style), ...changedCells(row, style)];
  const cells = Object.entries(row.after ?? row.before ?? {}).filter(([name]) => !keyColumns.includes(name));
  const text = cells.map(([name, cell]) => `${visible(name)} ${cellText(cell)}`).join(signs(" · ", style));
  const lines = wrap(cut(text, (style.width - 4) * 3, style), style.width - 4);
  if (key !== "" || times !== "") return [painted(title, colour, style), ...lines.map((line) => `    ${line}`)];
  const [first = "", ...rest] = lines;
  return [painted(`${sign}  ${first}`, colour, style), ...rest.map((line) => `    ${line}`)];
}

function changedCells(row: DiffRow, style: TextStyle): string[] {
  const width = Math.min(Math.floor(style.width / 3), Math.max(0, ...row.changed.map((name) => widthOf(visible(name)))));
  return row.changed.map((name) => {
    const values = { before: cellText(row.before?.[name]), after: cellText(row.after?.[name]) };
    return `    ${padEnd(cut(visible(name), width, style), width)}  ${beforeAfterText({ about: [], values }, style.width - width - 6, style)}`;
  });
}
