import { join } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { FieldType } from "../../lake/schema.ts";
import { raiseSql } from "../duckdb/errors.ts";
import { quoteName, quoteText } from "../duckdb/sql.ts";
import type { OpenedSource } from "../source.ts";
import { bitsOfColumn, digitsOfColumn, guessType, isProvable, readGuess, readTyped, type CellReading } from "./cell-classes.ts";
import { refuseCells, type MisfitCell } from "./cell-errors.ts";
import { alignColumns, columnNames, columnsOf, matchColumns, type MatchedColumn } from "./column-match.ts";
import { canonicalPath, checkCsv, emptyFile, linesOf, plainCsv, readCsvSql, type CsvFile } from "./csv-file.ts";
import type { Reading } from "./reading.ts";
import { asInputError, prepareText, type TextFile } from "./text-file.ts";
import { unzstdWith } from "./unzstd.ts";

const sampleRows = 20_480;
const listedCells = 10;

interface CsvTable {
  file: CsvFile;
  /** SQL of its rows, for FROM. */
  scan: string;
  matched: MatchedColumn[];
}

/** A column of the result, and how a cell becomes its value. */
interface Target {
  type: FieldType;
  read(cell: string, value: string): CellReading | null;
}

/*
 * How it reads, and why. Types must come from the whole file, widths must hold in every row, and no cell may be rounded; DuckDB's own
 * sniffer does none of the three. Measured on 228 MB, 2 M × 12, 2 cores, DuckDB's `COPY (FROM 'x.csv')` = 1.0-1.2 s:
 *   hash, UTF-8 and a look for quotes 0.3 s · our scan of every byte 0.5 s · all columns as text, no write 0.4 s ·
 *   classes of all cells 1.3-5 s · write with a test on every cell 1.35 s.
 * So: a text without quotes and carriage returns goes straight to DuckDB, which checks widths on the way; any other is scanned by us first.
 * Types are guessed from the first rows, then written once while each cell proves the guess. Only when a row or a cell disproves something,
 * the slow and exact way is taken: the scan, which names the line, or the classes of all cells.
 */
export async function openCsv(reading: Reading): Promise<Omit<OpenedSource, "contentHash" | "notes">> {
  const texts: TextFile[] = [];
  for (const [index, source] of reading.request.paths.entries()) {
    try {
      const text = await prepareText(
        source,
        join(reading.folder, `text-${index}`),
        reading.hash,
        unzstdWith(reading.query),
        reading.signal,
      );
      if (text.bytes === 0) throw emptyFile(source);
      texts.push(text);
    } catch (error) {
      throw asInputError(error, source);
    }
  }
  try {
    return await load(reading, texts, true);
  } catch (error) {
    const isPlain = texts.some(({ plainLines }) => plainLines !== undefined);
    if (!isPlain || !(error instanceof AppError) || (error.code !== "input.ragged" && error.code !== "internal")) throw error;
    reading.notes.length = 0;
    return load(reading, texts, false);
  }
}

async function load(
  reading: Reading,
  texts: readonly TextFile[],
  trustPlain: boolean,
): Promise<Omit<OpenedSource, "contentHash" | "notes">> {
  const tables = await readTables(reading, texts, trustPlain);
  const matched = tables[0]!.matched;
  const rows = tables.reduce((sum, table) => sum + table.file.rows, 0);
  let { targets, tentative } = await chooseTypes(reading, tables, rows > sampleRows);
  let paths: string[];
  try {
    paths = await write(reading, tables, targets);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "input.cell") throw error;
    await refuseMisfits(reading, tables, targets);
    ({ targets, tentative } = await chooseTypes(reading, tables, false));
    paths = await write(reading, tables, targets);
  }
  const columns = columnsOf(
    matched,
    targets.map((target) => target.type),
  );
  return { plan: { op: "staged", paths, columns }, columns, rows, tentative };
}

async function readTables(
  { request, folder, notes, signal }: Reading,
  texts: readonly TextFile[],
  trustPlain: boolean,
): Promise<CsvTable[]> {
  const tables: CsvTable[] = [];
  const tabs = request.format === "tsv";
  for (const [index, text] of texts.entries()) {
    const { source } = text;
    try {
      const file = (trustPlain ? await plainCsv(text, tabs) : undefined) ?? (await checkCsv(text, tabs, signal));
      const names = columnNames(file.header, source, notes);
      const path = await canonicalPath(file, join(folder, `canonical-${index}`), signal);
      const first = tables[0];
      const matched =
        first === undefined ? matchColumns(names, source, request) : alignColumns(first.matched, names, source, first.file.text.source);
      tables.push({ file, scan: readCsvSql(file, path, request.nullText ?? ""), matched });
    } catch (error) {
      throw asInputError(error, source);
    }
  }
  return tables;
}

const cellOf = (column: MatchedColumn): string => `c${column.index}`;

/** All files as one text table with columns k0, k1 … in the order of the result. */
function allRows(tables: readonly CsvTable[], limit?: number): string {
  const [first, ...others] = tables.map(({ scan, matched }) => {
    const list = matched.map((column, index) => `${cellOf(column)} as k${index}`).join(", ");
    return `select ${list} from ${scan}`;
  });
  return limit === undefined ? [first, ...others].join(" union all ") : `${first} limit ${limit}`;
}

async function chooseTypes(
  reading: Reading,
  tables: readonly CsvTable[],
  sample: boolean,
): Promise<{ targets: Target[]; tentative: string[] }> {
  const matched = tables[0]!.matched;
  const { request } = reading;
  const free = matched.flatMap((column, index) => (column.type === undefined && request.types !== "string" ? [index] : []));
  const bits = new Map<number, number>();
  if (free.length > 0) {
    const ask = async (limit?: number): Promise<void> => {
      const list = free.map((index) => `${bitsOfColumn(`k${index}`)} as b${index}`).join(", ");
      const [row] = await reading.query(`select ${list} from (${allRows(tables, limit)})`);
      for (const index of free) bits.set(index, Number(row?.[`b${index}`] ?? 0));
    };
    await ask(sample ? sampleRows : undefined);
    if (sample && !free.every((index) => isProvable(bits.get(index)!))) await ask();
  }
  const tentative: string[] = [];
  const targets: Target[] = [];
  for (const [index, column] of matched.entries()) {
    const found = bits.get(index);
    if (column.type !== undefined) targets.push(typedTarget(column.type));
    else if (found === undefined) targets.push(guessedTarget("string"));
    else {
      const guess = guessType(found);
      if (guess.kind === "null") tentative.push(column.name);
      const type =
        guess.kind === "null" ? "string" : guess.kind === "type" ? guess.type : await decimalFor(reading, tables, index, column.name);
      targets.push(guessedTarget(type));
    }
  }
  return { targets, tentative };
}

const typedTarget = (type: FieldType): Target => ({ type, read: (cell, value) => readTyped(type, cell, value) });
const guessedTarget = (type: FieldType): Target => ({ type, read: (cell, value) => readGuess(type, cell, value) });

/** The decimal that keeps all digits of a column of numbers, or string when 38 digits are too few. */
async function decimalFor(reading: Reading, tables: readonly CsvTable[], index: number, name: string): Promise<FieldType> {
  const { before, behind } = digitsOfColumn(`k${index}`);
  const [row] = await reading.query(`select ${before} as before, ${behind} as behind from (${allRows(tables)})`);
  const scale = Number(row?.["behind"]);
  if (Number(row?.["before"]) + scale > 38) {
    reading.notes.push(`${name} has numbers of more than 38 digits: kept as string`);
    return "string";
  }
  reading.notes.push(`${name} has numbers with more digits than a ${scale === 0 ? "long" : "double"} keeps: became decimal(38, ${scale})`);
  return `decimal(38, ${scale})`;
}

async function write(reading: Reading, tables: readonly CsvTable[], targets: readonly Target[]): Promise<string[]> {
  const paths: string[] = [];
  for (const [index, { file, scan, matched }] of tables.entries()) {
    const path = join(reading.folder, `rows-${index}.parquet`);
    const list = matched.map((column, position) => `${written(position, targets[position]!)} as ${quoteName(column.name)}`);
    const [done] = await reading.query(
      `copy (select ${list.join(", ")} from (${castRows(scan, matched, targets)})) to ${quoteText(path)} (format parquet)`,
    );
    if (Number(done?.["Count"]) !== file.rows) {
      throw new AppError("internal", `${file.text.source} was read as ${String(done?.["Count"])} rows but has ${file.rows}.`, {
        hint: "report this file",
      });
    }
    paths.push(path);
  }
  return paths;
}

/** Rows with each cell k0, k1 … beside its cast v0, v1 …, so that no cell is cast twice. */
function castRows(scan: string, matched: readonly MatchedColumn[], targets: readonly Target[]): string {
  const cells = matched.map((column, index) => {
    // An empty cell of a typed column is null, quoted or not; in a string column only the bare one is.
    return targets[index]!.type === "string" ? `${cellOf(column)} as k${index}` : `nullif(${cellOf(column)}, '') as k${index}`;
  });
  const casts = targets.flatMap(({ read }, index) => {
    const reading = read(`k${index}`, `v${index}`);
    return reading === null ? [] : [`${reading.cast} as v${index}`];
  });
  return `select ${["*", ...casts].join(", ")} from (select ${cells.join(", ")} from ${scan})`;
}

function written(index: number, { read }: Target): string {
  const reading = read(`k${index}`, `v${index}`);
  if (reading === null) return `k${index}`;
  return `case when k${index} is null then null when ${reading.fits ?? `v${index} is not null`} then v${index} else ${raiseSql("input.cell", "the column", `k${index}`)} end`;
}

/** Ends with `input.cell` when cells do not fit the dataset's types; returns when only guesses were wrong. */
async function refuseMisfits(reading: Reading, tables: readonly CsvTable[], targets: readonly Target[]): Promise<void> {
  const cells: MisfitCell[] = [];
  let total = 0;
  for (const { file, scan, matched } of tables) {
    const tested = matched.flatMap((column, index) => {
      const reading = column.type === undefined ? null : targets[index]!.read(`k${index}`, `v${index}`);
      if (reading === null) return [];
      return [{ column, cell: `k${index}`, bad: `(k${index} is not null and (${reading.fits ?? `v${index} is not null`}) is not true)` }];
    });
    if (tested.length === 0) continue;
    const flags = tested.map(({ bad }) => bad).join(", ");
    const numbered = `select row_number() over () as row, list_filter([${tested.map((_, index) => index).join(", ")}], index -> flags[index + 1]) as bad, cells
      from (select [${flags}] as flags, [${tested.map(({ cell }) => cell).join(", ")}] as cells from (${castRows(scan, matched, targets)}))`;
    const wrong = `from (${numbered}) where len(bad) > 0`;
    const [count] = await reading.query(`select coalesce(sum(len(bad)), 0)::bigint as total ${wrong}`);
    total += Number(count?.["total"]);
    if (cells.length >= listedCells) continue;
    const rows = (await reading.query(
      `select row, unnest(bad) as index, cells[index + 1] as value ${wrong} order by row, index limit ${listedCells}`,
    )) as {
      row: string;
      index: number;
      value: string;
    }[];
    const lines = await linesOf(
      file,
      rows.map((row) => Number(row.row)),
      reading.signal,
    );
    for (const row of rows.slice(0, listedCells - cells.length)) {
      const { column } = tested[row.index]!;
      const expected = typeof column.type === "string" ? column.type : JSON.stringify(column.type);
      cells.push({ file: file.text.source, line: lines.get(Number(row.row))!, column: column.name, value: row.value, expected });
    }
  }
  refuseCells(cells, total);
}
