import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { AppError } from "../../lib/errors.ts";
import { raiseSql } from "../duckdb/errors.ts";
import { quotePath, quoteText } from "../duckdb/sql.ts";
import { delimiterOf } from "./csv-dialect.ts";
import { CsvDefectError, CsvScanner, fieldText, isPlain, type CsvStructure, type ScannedRecord } from "./csv-scanner.ts";
import { chunksOf, headOf, type TextFile } from "./text-file.ts";

const sampleBytes = 1 << 20;
const listedRows = 10;

/** A CSV file whose every row is known to have the header's width, or will be when it was read to its end. */
export interface CsvFile {
  text: TextFile;
  delimiter: string;
  /** Names as they stand in the header. */
  header: string[];
  /** What the scanner found; absent for a plain text, whose rows are checked while they are read. */
  structure: CsvStructure | undefined;
  /** Rows below the header. */
  rows: number;
}

/** Delimiter and header of a plain text (see `TextFile.plainLines`), with no look at its rows; undefined when it must be scanned. */
export async function plainCsv(text: TextFile, tabs: boolean): Promise<CsvFile | undefined> {
  if (text.plainLines === undefined) return undefined;
  const sample = await sampleOf(text);
  const delimiter = tabs ? "\t" : delimiterOf(sample, text.bytes <= sampleBytes);
  const end = sample.indexOf(10);
  const header = sample.toString("utf8", 0, end === -1 ? sample.length : end).split(delimiter);
  // A blank line is a row of a one-column file, which the engine would skip.
  return end === 0 || header.length === 1 ? undefined : { text, delimiter, header, structure: undefined, rows: text.plainLines - 1 };
}

const sampleOf = async (text: TextFile): Promise<Buffer> => (await headOf(text.path, sampleBytes + text.mark)).subarray(text.mark);

/** Fixes delimiter and width, then looks at every byte: `input.ragged`, or the structure that says who may read the file. */
export async function checkCsv(text: TextFile, tabs: boolean, signal?: AbortSignal): Promise<CsvFile> {
  const { source } = text;
  const sample = await sampleOf(text);
  const delimiter = tabs ? "\t" : delimiterOf(sample, text.bytes <= sampleBytes);
  let header: string[] = [];
  const ragged: { line: number; expected: number; found: number }[] = [];
  let raggedRows = 0;
  const structure = await scan(text, delimiter, signal, (record) => {
    if (record.ordinal === 0) {
      header = Array.from({ length: record.width }, (_, index) => fieldText(record, index).text);
    } else if (record.width !== header.length) {
      raggedRows++;
      if (ragged.length < listedRows) ragged.push({ line: record.line, expected: header.length, found: record.width });
    }
  });
  if (structure.records === 0) throw emptyFile(source);
  const first = ragged[0];
  if (first !== undefined) {
    throw new AppError("input.ragged", `${source}, line ${first.line}: ${fields(first.found)} where the header has ${first.expected}.`, {
      expected: `${fields(first.expected)} cut by ${JSON.stringify(delimiter)} in every row`,
      found:
        raggedRows === 1 ? `${first.found} on line ${first.line}` : `another number in ${raggedRows} rows, first on line ${first.line}`,
      hint: `sed -n ${first.line}p ${source}`,
      details: { file: source, delimiter, rows: ragged, total: raggedRows },
    });
  }
  return { text, delimiter, header, structure, rows: structure.records - 1 };
}

export const emptyFile = (source: string): AppError =>
  new AppError("input.empty", `${source} is empty.`, {
    expected: "at least a header",
    found: "no record",
    hint: `ls -l ${source}`,
  });

const fields = (count: number): string => (count === 1 ? "1 field" : `${count} fields`);

async function scan(
  text: TextFile,
  delimiter: string,
  signal: AbortSignal | undefined,
  onRecord: (record: ScannedRecord) => void,
  afterChunk?: () => Promise<void>,
): Promise<CsvStructure> {
  const scanner = new CsvScanner(delimiter, onRecord);
  let skip = text.mark;
  let from = 0;
  try {
    for await (const chunk of chunksOf(text.path, signal)) {
      const zero = chunk.indexOf(0);
      if (zero !== -1) throw zeroByte(text.source, from + zero);
      scanner.push(skip === 0 ? chunk : chunk.subarray(skip));
      skip = 0;
      from += chunk.length;
      await afterChunk?.();
    }
    const structure = scanner.end();
    await afterChunk?.();
    return structure;
  } catch (error) {
    if (!(error instanceof CsvDefectError)) throw error;
    const { kind, line } = error.defect;
    const open = kind === "open_quote";
    throw new AppError(
      "input.format",
      `${text.source}, line ${line}: ${open ? "a quote opens that is never closed" : "text follows a closing quote"}.`,
      {
        expected: 'quoted fields as "…", with a quote inside them doubled',
        found: open ? 'a " without its partner' : 'text between the closing " and the delimiter',
        hint: `sed -n ${line}p ${text.source}`,
        details: { file: text.source, line },
      },
    );
  }
}

const zeroByte = (source: string, offset: number): AppError =>
  new AppError("input.format", `${source} holds a zero byte at offset ${offset}.`, {
    expected: "text",
    found: "0x00 (binary data, or UTF-16 without a byte order mark)",
    hint: `file ${source}`,
    details: { file: source, offset },
  });

/**
 * The path at which DuckDB reads the file as the scanner understood it: the text itself when it has one meaning for every reader, else
 * a copy written out canonically. DuckDB refuses mixed line ends or, told to be lenient, drops parts of rows without a word.
 */
export async function canonicalPath(file: CsvFile, copyPath: string, signal?: AbortSignal): Promise<string> {
  if (file.structure === undefined || isPlain(file.structure)) return file.text.path;
  const copy = createWriteStream(copyPath);
  const delimiter = Buffer.from(file.delimiter);
  let pieces: Buffer[] = [];
  const end = Buffer.from("\n");
  try {
    await scan(
      file.text,
      file.delimiter,
      signal,
      (record) => {
        for (let index = 0; index < record.width; index++) {
          if (index > 0) pieces.push(delimiter);
          const raw = record.bytes.subarray(record.bounds[2 * index], record.bounds[2 * index + 1]);
          // Copied: the scanner's buffer lives only during the call.
          pieces.push(raw[0] !== 34 && raw.includes(34) ? Buffer.from(`"${raw.toString().replaceAll('"', '""')}"`) : Buffer.from(raw));
        }
        pieces.push(end);
      },
      async () => {
        const bytes = Buffer.concat(pieces);
        pieces = [];
        if (!copy.write(bytes)) await once(copy, "drain");
      },
    );
  } finally {
    copy.end();
    await finished(copy);
  }
  return copyPath;
}

/** A relation with exactly the rows of the file, all columns text, named c0, c1 …; bare null texts are null. */
export function readCsvSql(file: CsvFile, path: string, nullText: string): string {
  const { structure } = file;
  if (structure === undefined) return readPlainSql(file, path, nullText);
  // DuckDB 1.5.5 finds no row at all when told of \r\n, and finds that line end by itself when told of none.
  const carriage = isPlain(structure) && structure.lineEnds.crlf > 0;
  const longest = Math.max(structure.longest * 2 + 1024, 2 << 20);
  return readCall(file, path, file.header.length, [
    ...(carriage ? [] : [String.raw`new_line = '\n'`]),
    `nullstr = ${quoteText(nullText)}`,
    `max_line_size = ${longest}`,
    `buffer_size = ${Math.max(longest * 4, 32 << 20)}`,
    // A thread that starts in the middle of the file cannot know whether a line end there is quoted.
    `parallel = ${!structure.quotedLineEnds}`,
  ]);
}

/** Marks fields that a row does not have; it cannot be the text of a field. */
const absent = "\n";

/**
 * Lets the engine check the width of every row while it reads. It refuses rows that are too long by two fields, but lets one empty field
 * too many pass; with one column more than the header and missing fields padded, a right row is one whose last field is there and whose
 * next one is not.
 */
function readPlainSql(file: CsvFile, path: string, nullText: string): string {
  const width = file.header.length;
  const options = [String.raw`new_line = '\n'`, "null_padding = true", `nullstr = ${quoteText(absent)}`];
  const columns = file.header.map((_, index) => `nullif(c${index}, ${quoteText(nullText)}) as c${index}`).join(", ");
  const ragged = raiseSql("input.ragged", "a row", "''");
  return `(select ${columns} from ${readCall(file, path, width + 1, options)} where case when c${width - 1} is null or c${width} is not null then ${ragged} else true end)`;
}

/** A `read_csv` call in which nothing is left to be guessed. */
function readCall(file: CsvFile, path: string, width: number, options: readonly string[]): string {
  const columns = Array.from({ length: width }, (_, index) => `'c${index}': 'VARCHAR'`).join(", ");
  const fixed = [
    "auto_detect = false",
    "header = true",
    "strict_mode = true",
    "hive_partitioning = false",
    "allow_quoted_nulls = false",
    `delim = ${quoteText(file.delimiter)}`,
    `quote = '"'`,
    `escape = '"'`,
    `columns = {${columns}}`,
  ];
  return `read_csv(${quotePath(path)}, ${[...fixed, ...options].join(", ")})`;
}

/** Lines on which some records start; ordinals ascend, 1 is the first row below the header. */
export async function linesOf(file: CsvFile, ordinals: readonly number[], signal?: AbortSignal): Promise<Map<number, number>> {
  const wanted = new Set(ordinals);
  const lines = new Map<number, number>();
  await scan(file.text, file.delimiter, signal, (record) => {
    if (wanted.has(record.ordinal)) lines.set(record.ordinal, record.line);
  });
  return lines;
}
