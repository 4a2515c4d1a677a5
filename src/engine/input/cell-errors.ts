import { AppError } from "../../lib/errors.ts";

/** A cell that does not fit the dataset's type, and where it stands: a line of a text, else the number of a row. */
export interface MisfitCell {
  file: string;
  line?: number;
  row?: number;
  column: string;
  value: string;
  expected: string;
}

const listed = 10;

/** Ends with `input.cell` when there are such cells; lists the first ten of `total`. */
export function refuseCells(cells: readonly MisfitCell[], total: number): void {
  const shown = cells.slice(0, listed);
  const first = shown[0];
  if (first === undefined) return;
  const place = (cell: MisfitCell): string => `${cell.file}${cell.line === undefined ? `, row ${cell.row}` : `:${cell.line}`}`;
  const texts = shown.map((cell) => `${place(cell)} ${cell.column} = ${JSON.stringify(cell.value.slice(0, 60))}`);
  throw new AppError(
    "input.cell",
    `${total === 1 ? "1 cell does" : `${total} cells do`} not fit the dataset's types: ${texts[0]}, expected ${first.expected}.`,
    {
      expected: [...new Set(shown.map((cell) => `${cell.column}: ${cell.expected}`))].join(", "),
      found: texts.join("; "),
      hint:
        first.line === undefined ? "mend the values in the source, or retype the dataset's column" : `sed -n ${first.line}p ${first.file}`,
      details: { cells: shown, total },
    },
  );
}
