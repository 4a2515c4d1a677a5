import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { AppError } from "../../lib/errors.ts";
import type { FieldType } from "../../lake/schema.ts";
import { castSql } from "../duckdb/convert.ts";
import { quoteName, quotePath, quoteText } from "../duckdb/sql.ts";
import { icebergType, sqlType } from "../duckdb/types.ts";
import type { OpenedSource } from "../source.ts";
import { bitsOfColumn, guessType } from "./cell-classes.ts";
import { refuseCells, type MisfitCell } from "./cell-errors.ts";
import { alignColumns, columnNames, columnsOf, matchColumns, type MatchedColumn } from "./column-match.ts";
import { emptyFile } from "./csv-file.ts";
import { jsonPath, readStructure, type Structure } from "./json-structure.ts";
import type { Reading } from "./reading.ts";
import { asInputError, headOf, prepareText } from "./text-file.ts";
import { unzstdWith } from "./unzstd.ts";

const largestObject = 32 << 20;

interface JsonFile {
  source: string;
  /** `read_json_objects(…)`. */
  scan: string;
  rows: number;
  structure: Structure;
  /** Keys as they stand in the file. */
  keys: string[];
  matched: MatchedColumn[];
}

interface Target {
  type: FieldType;
  /** SQL of the value out of `json`. */
  value(file: JsonFile, column: MatchedColumn): string;
}

/**
 * JSON says its types itself, so they come from all rows: integers and fractions promote, anything else that differs is an error. Only dates
 * and times have no type in JSON; a top-level column whose strings are all in ISO form becomes one.
 */
export async function openJson(reading: Reading): Promise<Omit<OpenedSource, "contentHash" | "notes">> {
  const files: JsonFile[] = [];
  for (const [index, source] of reading.request.paths.entries()) {
    try {
      files.push(await inspect(reading, source, join(reading.folder, `text-${index}`), files[0]));
    } catch (error) {
      throw asJsonError(asInputError(error, source), source);
    }
  }
  const matched = files[0]!.matched;
  const tentative: string[] = [];
  const targets: Target[] = [];
  for (const [index, column] of matched.entries())
    targets.push(column.type === undefined ? await freeTarget(reading, files, index, tentative) : typedTarget(column.type));
  await refuseMisfits(reading, files, targets);
  const paths: string[] = [];
  for (const [index, file] of files.entries()) {
    const path = join(reading.folder, `rows-${index}.parquet`);
    const list = file.matched.map((column, position) => `${targets[position]!.value(file, column)} as ${quoteName(column.name)}`);
    await reading.query(`copy (select ${list.join(", ")} from ${file.scan}) to ${quoteText(path)} (format parquet)`);
    paths.push(path);
  }
  const columns = columnsOf(
    matched,
    targets.map(({ type }) => type),
  );
  return { plan: { op: "staged", paths, columns }, columns, rows: files.reduce((sum, { rows }) => sum + rows, 0), tentative };
}

function asJsonError(error: AppError, source: string): AppError {
  if (String((error.cause as Error | undefined)?.message).includes("maximum_object_size")) {
    return new AppError("input.too_large", `${source} has an object that is too large.`, {
      expected: `objects of at most ${largestObject} bytes`,
      found: "a larger one",
      hint: "one object per row, in an array or one per line",
    });
  }
  const place = /Malformed JSON in file "[^]*?", (at byte \d+ in [^:]*): ([^.\n]*)/.exec(
    `${error.message} ${error.found ?? ""} ${String((error.cause as Error | undefined)?.message)}`,
  );
  if (place === null) return error;
  return new AppError("input.format", `${source} is not JSON ${place[1]}: ${place[2]}.`, {
    expected: "one array of objects, or objects one after another",
    found: place[2],
    hint: `python3 -m json.tool ${source}`,
    cause: error,
  });
}

async function inspect(reading: Reading, source: string, copyPath: string, first: JsonFile | undefined): Promise<JsonFile> {
  const { request, hash, query, signal, notes } = reading;
  const text = await prepareText(source, copyPath, hash, unzstdWith(query), signal);
  if (text.bytes === 0) throw emptyFile(source);
  let { path } = text;
  if (text.mark > 0) {
    path = `${copyPath}.unmarked`;
    await pipeline(createReadStream(text.path, { start: text.mark }), createWriteStream(path));
  }
  const head = (await headOf(path, 1 << 16)).toString("utf8").trimStart();
  if (head === "") throw emptyFile(source);
  const format = request.format === "ndjson" ? "newline_delimited" : head.startsWith("[") ? "array" : "unstructured";
  // The engine keeps twice this much for each thread.
  const largest = Math.max(1 << 16, Math.min(text.bytes + 1024, largestObject));
  const scan = `read_json_objects(${quotePath(path)}, format = '${format}', compression = 'uncompressed', maximum_object_size = ${largest})`;
  const [found] = await query(
    `select count(*) as rows, json_group_structure(json)::varchar as structure, min(row) filter (json_type(json) <> 'OBJECT') as odd,
       min(row) filter (len(json_keys(json)) <> len(list_distinct(list_transform(json_keys(json), lambda key: lower(key))))) as twice
     from (select json, row_number() over () as row from ${scan})`,
  );
  const rows = Number(found?.["rows"]);
  if (found?.["odd"] !== null && found?.["odd"] !== undefined) {
    throw new AppError("input.format", `Row ${String(found["odd"])} of ${source} is no object.`, {
      expected: 'objects, {"column": value, …}',
      found: "another value",
      hint: "wrap each row into an object",
    });
  }
  if (found?.["twice"] !== null && found?.["twice"] !== undefined) {
    throw new AppError("input.column_duplicate", `Row ${String(found["twice"])} of ${source} has one key twice.`, {
      expected: "keys that differ by more than case",
      found: "a key that comes twice",
      hint: "rename one of them",
    });
  }
  const structure = readStructure(rows === 0 ? "{}" : String(found?.["structure"]), source);
  const keys = structure.kind === "object" ? structure.members.map(({ name }) => name) : [];
  const names = columnNames(keys, source, notes);
  if (names.length === 0 && request.as === undefined) throw emptyFile(source);
  const matched =
    first === undefined
      ? matchColumns(rows === 0 ? (request.as ?? []).map(({ name }) => name) : names, source, request)
      : alignColumns(first.matched, names, source, first.source);
  return { source, scan, rows, structure, keys, matched };
}

const memberOf = (file: JsonFile, column: MatchedColumn): Structure => {
  const member = file.structure.kind === "object" ? file.structure.members[column.index] : undefined;
  return member?.of ?? { kind: "leaf", type: "NULL" };
};

async function freeTarget(reading: Reading, files: readonly JsonFile[], index: number, tentative: string[]): Promise<Target> {
  const { name } = files[0]!.matched[index]!;
  let merged: Structure = { kind: "leaf", type: "NULL" };
  for (const file of files) {
    const column = file.matched[index]!;
    merged = await merge(reading, merged, memberOf(file, column), file, [{ key: file.keys[column.index]! }]);
  }
  if (merged.kind === "leaf" && merged.type === "NULL") tentative.push(name);
  let type = typeOf(merged, name);
  if (merged.kind === "leaf" && isInteger(merged.type)) type = await integerType(reading, files, index);
  if (type === "string") type = await textType(reading, files, index);
  if (type === "double") await refuseLostDigits(reading, files, index);
  return {
    type,
    value(file, column) {
      const key = file.keys[column.index]!;
      const extracted = `json -> ${quoteText(jsonPath([{ key }]))}`;
      // First as exactly what JSON says, then as our type: the second step fails on what it cannot hold, the first would give null.
      if (merged.kind === "leaf" && merged.type === "VARCHAR")
        return `cast(json ->> ${quoteText(jsonPath([{ key }]))} as ${sqlType(type)})`;
      return `cast(json_transform(${extracted}, ${quoteText(JSON.stringify(shapeOf(merged)))}) as ${sqlType(type)})`;
    },
  };
}

/** The engine's description of a structure, for `json_transform`. */
function shapeOf(structure: Structure): unknown {
  if (structure.kind === "leaf") return structure.type === "NULL" ? "VARCHAR" : structure.type;
  if (structure.kind === "array") return [shapeOf(structure.of)];
  return Object.fromEntries(structure.members.map(({ name, of }) => [name, shapeOf(of)]));
}

function typeOf(structure: Structure, column: string): FieldType {
  if (structure.kind === "array")
    return { type: "list", "element-id": 0, element: typeOf(structure.of, column), "element-required": false };
  if (structure.kind === "object")
    return {
      type: "struct",
      fields: structure.members.map(({ name, of }) => ({ id: 0, name, required: false, type: typeOf(of, column) })),
    };
  if (structure.type === "NULL") return "string";
  if (isInteger(structure.type)) return "long";
  return icebergType(structure.type, column).type;
}

/** The engine calls integers unsigned until a negative one comes, and then huge: what they are, their values say. */
const isInteger = (type: string): boolean => type === "UBIGINT" || type === "BIGINT" || type === "HUGEINT";

type Step = { key: string } | "each";

/** Two structures as one: integers and fractions promote, null gives way; `input.type` for anything else. */
async function merge(reading: Reading, a: Structure, b: Structure, file: JsonFile, path: readonly Step[]): Promise<Structure> {
  if (a.kind === "leaf" && a.type === "NULL") return settled(reading, b, file, path);
  if (b.kind === "leaf" && b.type === "NULL") return a;
  if (a.kind === "array" && b.kind === "array") return { kind: "array", of: await merge(reading, a.of, b.of, file, [...path, "each"]) };
  if (a.kind === "object" && b.kind === "object") {
    const members = [...a.members];
    for (const { name, of } of b.members) {
      const at = members.findIndex((member) => member.name === name);
      const merged = await merge(reading, at === -1 ? { kind: "leaf", type: "NULL" } : members[at]!.of, of, file, [...path, { key: name }]);
      if (at === -1) members.push({ name, of: merged });
      else members[at] = { name, of: merged };
    }
    return { kind: "object", members };
  }
  if (a.kind === "leaf" && b.kind === "leaf") {
    if (a.type === b.type) return settled(reading, b, file, path);
    const order = ["UBIGINT", "BIGINT", "HUGEINT", "DOUBLE"];
    const [i, j] = [order.indexOf(a.type), order.indexOf(b.type)];
    if (i !== -1 && j !== -1) return { kind: "leaf", type: i + j === 1 ? "HUGEINT" : order[Math.max(i, j)]! };
  }
  throw conflict(file.source, path, [kindOf(a), kindOf(b)]);
}

/** A structure without conflicts inside; where the engine saw different kinds of value at one place, names them. */
async function settled(reading: Reading, structure: Structure, file: JsonFile, path: readonly Step[]): Promise<Structure> {
  if (structure.kind === "array") return { kind: "array", of: await settled(reading, structure.of, file, [...path, "each"]) };
  if (structure.kind === "object") {
    const members = [];
    for (const { name, of } of structure.members) members.push({ name, of: await settled(reading, of, file, [...path, { key: name }]) });
    return { kind: "object", members };
  }
  if (structure.type !== "JSON") return structure;
  const at = quoteText(jsonPath(path));
  const kinds = path.includes("each") ? `unnest(json_type(json, ${at}))` : `json_type(json, ${at})`;
  const rows = await reading.query(
    `select distinct kind from (select ${kinds} as kind from ${file.scan}) where kind is not null and kind <> 'NULL' order by kind`,
  );
  const found = rows.map((row) => String(row["kind"]));
  if (found.length === 1 && found[0] === "OBJECT") {
    throw new AppError("type.unsupported", `${jsonPath(path)} in ${file.source} is always an empty object, which no type describes.`, {
      expected: "an object with members",
      found: "{}",
      hint: "leave the key out",
    });
  }
  throw conflict(file.source, path, found);
}

function kindOf(structure: Structure): string {
  return structure.kind === "leaf" ? structure.type : structure.kind.toUpperCase();
}

function conflict(source: string, path: readonly Step[], kinds: readonly string[]): AppError {
  const words: Readonly<Record<string, string>> = {
    UBIGINT: "integer",
    BIGINT: "integer",
    HUGEINT: "integer",
    DOUBLE: "number",
    VARCHAR: "string",
    BOOLEAN: "boolean",
    OBJECT: "object",
    ARRAY: "array",
  };
  const told = [...new Set(kinds.map((kind) => words[kind] ?? kind.toLowerCase()))];
  return new AppError("input.type", `${jsonPath(path)} in ${source} is now a ${told.join(", now a ")}.`, {
    expected: "one type at each place",
    found: told.join(" and "),
    hint: "make the source write one of them",
    details: { path: jsonPath(path), types: told },
  });
}

/** All rows of one top-level value as text `cell`. */
const texts = (files: readonly JsonFile[], index: number): string =>
  files
    .map((file) => `select json ->> ${quoteText(jsonPath([{ key: file.keys[file.matched[index]!.index]! }]))} as cell from ${file.scan}`)
    .join(" union all ");

async function integerType(reading: Reading, files: readonly JsonFile[], index: number): Promise<FieldType> {
  const [row] = await reading.query(
    `select coalesce(max(cell::hugeint) <= 9223372036854775807, true) as fits from (${texts(files, index)})`,
  );
  if (row?.["fits"] === true) return "long";
  reading.notes.push(`${files[0]!.matched[index]!.name} has integers beyond a long: became decimal(20, 0)`);
  return "decimal(20, 0)";
}

/** ISO dates and times, when all strings are; numbers and booleans in quotes stay strings. */
async function textType(reading: Reading, files: readonly JsonFile[], index: number): Promise<FieldType> {
  if (reading.request.types === "string") return "string";
  const [row] = await reading.query(`select ${bitsOfColumn("cell")} as bits from (${texts(files, index)})`);
  const guess = guessType(Number(row?.["bits"]));
  return guess.kind === "type" && ["date", "time", "timestamp", "timestamptz"].includes(guess.type as string) ? guess.type : "string";
}

async function refuseLostDigits(reading: Reading, files: readonly JsonFile[], index: number): Promise<void> {
  const [row] = await reading.query(
    `select count(*) as lost, any_value(cell) as example from (${texts(files, index)}) where regexp_full_match(cell, '-?[0-9]{17,}')`,
  );
  if (Number(row?.["lost"]) === 0) return;
  throw new AppError(
    "type.loses_digits",
    `${files[0]!.matched[index]!.name} mixes integers that a double does not keep with fractions or has more than 64 bits.`,
    {
      expected: "integers of at most 64 bits, or fractions",
      found: String(row?.["example"]),
      hint: "write such numbers as strings, or import CSV (decimals are kept there)",
    },
  );
}

/** Under a type of the dataset a value is read from its text, as in CSV: what does not fit exactly is null here and an error above. */
function typedTarget(type: FieldType): Target {
  return {
    type,
    value(file, column) {
      const key = file.keys[column.index];
      if (key === undefined) return `cast(null as ${sqlType(type)})`;
      const path = quoteText(jsonPath([{ key }]));
      if (typeof type !== "string")
        return `try(cast(json_transform(json -> ${path}, ${quoteText(JSON.stringify(shapeOf(memberOf(file, column))))}) as ${sqlType(type)}))`;
      return castSql(`json ->> ${path}`, "string", type, null);
    },
  };
}

async function refuseMisfits(reading: Reading, files: readonly JsonFile[], targets: readonly Target[]): Promise<void> {
  const cells: MisfitCell[] = [];
  let total = 0;
  for (const file of files) {
    for (const [position, column] of file.matched.entries()) {
      const key = file.keys[column.index];
      if (column.type === undefined || key === undefined) continue;
      const path = quoteText(jsonPath([{ key }]));
      const misfits = `from (select row_number() over () as row, json ->> ${path} as value, ${targets[position]!.value(file, column)} as cast_value from ${file.scan})
        where value is not null and cast_value is null`;
      const [count] = await reading.query(`select count(*) as total ${misfits}`);
      total += Number(count?.["total"]);
      const rows = Number(count?.["total"]) === 0 ? [] : await reading.query(`select row, value ${misfits} order by row limit 10`);
      const expected = typeof column.type === "string" ? column.type : sqlType(column.type);
      cells.push(
        ...rows.map((row) => ({ file: file.source, row: Number(row["row"]), column: column.name, value: String(row["value"]), expected })),
      );
    }
  }
  refuseCells(cells, total);
}
