import { copyFile, open } from "node:fs/promises";
import { constants } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { FieldType } from "../../lake/schema.ts";
import { sameType } from "../../lake/types.ts";
import { castSql } from "../duckdb/convert.ts";
import { quoteName, quotePath, quoteText } from "../duckdb/sql.ts";
import { icebergType, sqlType } from "../duckdb/types.ts";
import { widens } from "../plan-types.ts";
import type { OpenedSource } from "../source.ts";
import { refuseCells, type MisfitCell } from "./cell-errors.ts";
import { alignColumns, columnNames, columnsOf, matchColumns, type MatchedColumn } from "./column-match.ts";
import type { Reading } from "./reading.ts";
import { asInputError, chunksOf } from "./text-file.ts";

interface ParquetFile {
  source: string;
  /** A copy in the scratch folder: what was hashed is what is read, whatever happens to the source. */
  path: string;
  /** Names as they stand in the file. */
  stored: string[];
  /** The engine's type of each stored column. */
  types: string[];
  matched: MatchedColumn[];
}

/** Parquet keeps its own types; what Iceberg has no type for is converted when no value is lost by it, and said. */
export async function openParquet(reading: Reading): Promise<Omit<OpenedSource, "contentHash" | "notes">> {
  const files: ParquetFile[] = [];
  for (const [index, source] of reading.request.paths.entries()) {
    try {
      files.push(await inspect(reading, source, join(reading.folder, `copy-${index}.parquet`), files[0]));
    } catch (error) {
      throw asInputError(error, source);
    }
  }
  const matched = files[0]!.matched;
  const types: FieldType[] = [];
  for (const index of matched.keys()) types.push(await typeOf(reading, files, index));
  await refuseMisfits(reading, files, types);
  const paths: string[] = [];
  let rows = 0;
  for (const [index, file] of files.entries()) {
    const [count] = await reading.query(`select count(*) as rows from read_parquet(${quotePath(file.path)})`);
    rows += Number(count?.["rows"]);
    paths.push(isAsWanted(file, types) ? file.path : await rewrite(reading, file, types, join(reading.folder, `rows-${index}.parquet`)));
  }
  const columns = columnsOf(matched, types);
  const tentative = matched
    .filter(({ index, type }) => type === undefined && files.every((file) => isNull(file.types[index]!)))
    .map(({ name }) => name);
  return { plan: { op: "staged", paths, columns }, columns, rows, tentative };
}

async function inspect(reading: Reading, source: string, path: string, first: ParquetFile | undefined): Promise<ParquetFile> {
  await refuseOther(source);
  await copyFile(source, path, constants.COPYFILE_FICLONE);
  for await (const chunk of chunksOf(path, reading.signal)) reading.hash.update(chunk);
  const described = await reading
    .query(`describe select * from read_parquet(${quotePath(path)}, hive_partitioning = false)`)
    .catch((error: unknown) => {
      throw new AppError("input.format", `${source} cannot be read as Parquet.`, {
        expected: "a whole Parquet file",
        found: ((error as Error).cause as Error | undefined)?.message.split("\n")[0],
        hint: "write the file again",
        cause: error,
      });
    });
  const stored = described.map((row) => String(row["column_name"]));
  const names = columnNames(stored, source, reading.notes);
  const matched =
    first === undefined ? matchColumns(names, source, reading.request) : alignColumns(first.matched, names, source, first.source);
  return { source, path, stored, types: described.map((row) => String(row["column_type"])), matched };
}

async function refuseOther(source: string): Promise<void> {
  const file = await open(source, "r");
  try {
    const { size } = await file.stat();
    if (size === 0)
      throw new AppError("input.empty", `${source} is empty.`, { expected: "a Parquet file", found: "0 bytes", hint: `ls -l ${source}` });
    const ends = Buffer.alloc(8);
    if (size >= 12) {
      await file.read(ends, 0, 4, 0);
      await file.read(ends, 4, 4, size - 4);
    }
    if (ends.toString("latin1") === "PAR1PAR1") return;
    throw new AppError("input.format", `${source} is not a Parquet file.`, {
      expected: "PAR1 at both ends",
      found:
        ends.subarray(0, 4).toString("latin1") === "PAR1"
          ? "a file that breaks off"
          : JSON.stringify(ends.subarray(0, 4).toString("latin1")),
      hint: "add --format csv, tsv, json or ndjson if it is one of these",
    });
  } finally {
    await file.close();
  }
}

const isNull = (type: string): boolean => type.replaceAll('"', "").toUpperCase() === "NULL";

/** Type of a result column: the dataset's, else the one that holds the values of all files. */
async function typeOf(reading: Reading, files: readonly ParquetFile[], index: number): Promise<FieldType> {
  const { type, name } = files[0]!.matched[index]!;
  if (type !== undefined) return type;
  let common: FieldType | undefined;
  for (const file of files) {
    const found = await typeInFile(reading, file, file.matched[index]!);
    if (common === undefined || sameType(common, found) || wider(common, found)) common = found;
    else if (!wider(found, common)) {
      throw new AppError(
        "input.type",
        `Column ${name} has different types: ${told(common)} in ${files[0]!.source}, ${told(found)} in ${file.source}.`,
        {
          expected: told(common),
          found: told(found),
          hint: "cast it in one of the files",
        },
      );
    }
  }
  return common!;
}

const wider = (small: FieldType, large: FieldType): boolean =>
  typeof small === "string" && typeof large === "string" && widens(small, large);
const told = (type: FieldType): string => (typeof type === "string" ? type : sqlType(type));

async function typeInFile(reading: Reading, file: ParquetFile, { index, name }: MatchedColumn): Promise<FieldType> {
  const stored = file.types[index]!;
  const value = quoteName(file.stored[index]!);
  if (stored === "UBIGINT") {
    const [row] = await reading.query(
      `select coalesce(max(${value}) <= 9223372036854775807, true) as fits from read_parquet(${quotePath(file.path)})`,
    );
    const type = row?.["fits"] === true ? "long" : "decimal(20, 0)";
    note(reading, `${name}: ubigint became ${type}`);
    return type;
  }
  const { type, notes } = icebergType(isNull(stored) ? "VARCHAR" : stored, name);
  for (const text of new Set(notes)) note(reading, `${name}: ${text}`);
  if (notes.length > 0) {
    const [row] = await reading.query(
      `select count(*) as lost, any_value(${value})::varchar as example from read_parquet(${quotePath(file.path)})
       where ${value} is not null and try_cast(try_cast(${value} as ${sqlType(type)}) as ${stored}) is distinct from ${value}`,
    );
    if (Number(row?.["lost"]) > 0) {
      throw new AppError(
        "type.loses_digits",
        `Column ${name} of ${file.source} loses digits as ${told(type)} in ${String(row?.["lost"])} rows.`,
        {
          expected: `values that ${told(type)} holds`,
          found: `${stored.toLowerCase()}, such as ${String(row?.["example"])}`,
          hint: "round or cast the column in the source",
        },
      );
    }
  }
  return type;
}

function note(reading: Reading, text: string): void {
  if (!reading.notes.includes(text)) reading.notes.push(text);
}

/** SQL of a stored value as the dataset's type; null where it does not fit. */
function castStored(file: ParquetFile, { index, name }: MatchedColumn, to: FieldType): string {
  const stored = file.types[index]!;
  const { type: from } = icebergType(isNull(stored) ? "VARCHAR" : stored, name);
  const value = quoteName(file.stored[index]!);
  try {
    return castSql(`CAST(${value} AS ${sqlType(from)})`, from, to, null);
  } catch (error) {
    throw new AppError("input.type", `Column ${name} of ${file.source} cannot become ${told(to)}.`, {
      expected: told(to),
      found: told(from),
      hint: "cast it in the source, or retype the dataset's column",
      cause: error,
    });
  }
}

async function refuseMisfits(reading: Reading, files: readonly ParquetFile[], types: readonly FieldType[]): Promise<void> {
  const cells: MisfitCell[] = [];
  let total = 0;
  for (const file of files) {
    for (const [position, column] of file.matched.entries()) {
      const to = types[position]!;
      if (column.type === undefined || sameType(icebergTypeOf(file, column), to)) continue;
      const value = quoteName(file.stored[column.index]!);
      const misfits = `from (select row_number() over () as row, ${value} as value, ${castStored(file, column, to)} as cast_value from read_parquet(${quotePath(file.path)}))
        where value is not null and cast_value is null`;
      const [count] = await reading.query(`select count(*) as total ${misfits}`);
      total += Number(count?.["total"]);
      const rows =
        Number(count?.["total"]) === 0 ? [] : await reading.query(`select row, value::varchar as value ${misfits} order by row limit 10`);
      cells.push(
        ...rows.map((row) => ({
          file: file.source,
          row: Number(row["row"]),
          column: column.name,
          value: String(row["value"]),
          expected: told(to),
        })),
      );
    }
  }
  refuseCells(cells, total);
}

const icebergTypeOf = (file: ParquetFile, column: MatchedColumn): FieldType =>
  icebergType(isNull(file.types[column.index]!) ? "VARCHAR" : file.types[column.index]!, column.name).type;

/** Whether the copy can be read as it is: the same names, and types that a plain cast turns into the wanted ones. */
function isAsWanted(file: ParquetFile, types: readonly FieldType[]): boolean {
  return file.matched.every(
    (column, position) =>
      column.name === file.stored[column.index] && (column.type === undefined || sameType(icebergTypeOf(file, column), types[position]!)),
  );
}

async function rewrite(reading: Reading, file: ParquetFile, types: readonly FieldType[], path: string): Promise<string> {
  const list = file.matched.map((column, position) => {
    const to = types[position]!;
    const value =
      column.type === undefined ? `cast(${quoteName(file.stored[column.index]!)} as ${sqlType(to)})` : castStored(file, column, to);
    return `${value} as ${quoteName(column.name)}`;
  });
  await reading.query(`copy (select ${list.join(", ")} from read_parquet(${quotePath(file.path)})) to ${quoteText(path)} (format parquet)`);
  return path;
}
