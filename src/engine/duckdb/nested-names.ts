import type { Field, FieldType } from "../../lake/schema.ts";
import type { Plan, ScanFile, TablePlan } from "../plan.ts";
import type { DuckDb } from "./instance.ts";
import { quoteName, quotePaths, quoteText } from "./sql.ts";
import { sqlType } from "./types.ts";

/*
 * The engine finds columns by field id, but the parts of a struct only by name: a part renamed since a file was written would come out
 * as NULL, without a word. So the names that each file has for its ids are looked up, and such structs are put together part by part.
 */

/** Name of each field id in a file; undefined when the file need not be asked. */
export type NamesInFile = (uri: string) => ReadonlyMap<number, string> | undefined;

export const noNames: NamesInFile = () => undefined;

/** How many files' names are kept; files never change, so they stay true. */
const keptFiles = 10_000;

export class NestedNames {
  private readonly known = new Map<string, ReadonlyMap<number, string>>();
  private readonly database: DuckDb;
  private readonly pathOf: (uri: string) => string;

  constructor(database: DuckDb, pathOf: (uri: string) => string) {
    this.database = database;
    this.pathOf = pathOf;
  }

  /** Reads the names in the files of all scans with structs; other plans cost nothing. */
  async learn(plans: readonly TablePlan[], signal?: AbortSignal): Promise<NamesInFile> {
    const files = plans.filter((plan) => plan.fields.some((field) => hasStruct(field.type))).flatMap((plan) => plan.files);
    const unknown = [...new Set(files.map((file) => file.uri))].filter((uri) => !this.known.has(uri));
    if (unknown.length > 0) {
      const uris = new Map(unknown.map((uri) => [this.pathOf(uri), uri]));
      const found = new Map<string, Map<number, string>>(unknown.map((uri) => [uri, new Map()]));
      const sql = `SELECT file_name, field_id, name FROM parquet_schema(${quotePaths([...uris.keys()])}) WHERE field_id IS NOT NULL`;
      for (const [path, id, name] of (await this.database.all(sql, signal)).rows) {
        found.get(uris.get(String(path)) ?? "")?.set(Number(id), String(name));
      }
      if (this.known.size + found.size > keptFiles) this.known.clear();
      for (const [uri, names] of found) this.known.set(uri, names);
    }
    return (uri) => this.known.get(uri);
  }
}

/** All table scans of a plan, each once. */
export function scansOf(plan: Plan, inputsOf: (plan: Plan) => readonly Plan[], seen = new Set<Plan>()): TablePlan[] {
  if (seen.has(plan)) return [];
  seen.add(plan);
  if (plan.op === "table") return [plan];
  return inputsOf(plan).flatMap((input) => scansOf(input, inputsOf, seen));
}

function hasStruct(type: FieldType): boolean {
  if (typeof type === "string") return false;
  if (type.type === "struct") return true;
  return type.type === "list" ? hasStruct(type.element) : hasStruct(type.key) || hasStruct(type.value);
}

/** A column as a group of files has it: the type to read it with, and how that becomes the wanted type. */
export interface ReadAs {
  type: FieldType;
  /** SQL of the wanted value from SQL of the read one; the same when nothing changes. */
  convert(sql: string): string;
}

/** Files that name all parts alike, with how each field is read from them. */
export function groupByNames(
  files: readonly ScanFile[],
  fields: readonly Field[],
  names: NamesInFile,
): { files: ScanFile[]; fields: ReadAs[] }[] {
  const groups = new Map<string, { files: ScanFile[]; fields: ReadAs[] }>();
  for (const file of files) {
    const inFile = names(file.uri);
    const read = fields.map((field): ReadAs =>
      inFile === undefined || !hasStruct(field.type) ? { type: field.type, convert: same } : readAs(field.type, inFile),
    );
    const like = read.map(({ type }, at) => (read[at]?.convert === same ? "" : sqlType(type))).join("\n");
    const group = groups.get(like) ?? { files: [], fields: read };
    group.files.push(file);
    groups.set(like, group);
  }
  return [...groups.values()];
}

const same = (sql: string): string => sql;

function readAs(type: FieldType, names: ReadonlyMap<number, string>, depth = 0): ReadAs {
  if (typeof type === "string") return { type, convert: same };
  const item = `r${depth}`;
  if (type.type === "list") {
    const element = readAs(type.element, names, depth + 1);
    if (element.convert === same) return { type, convert: same };
    return {
      type: { ...type, element: element.type },
      convert: (sql) => `list_transform(${sql}, lambda ${item}: ${element.convert(item)})`,
    };
  }
  if (type.type === "map") {
    const [key, value] = [readAs(type.key, names, depth + 1), readAs(type.value, names, depth + 1)];
    if (key.convert === same && value.convert === same) return { type, convert: same };
    const entry = `struct_pack("key" := ${key.convert(`${item}.key`)}, "value" := ${value.convert(`${item}.value`)})`;
    return {
      type: { ...type, key: key.type, value: value.type },
      convert: (sql) => `map_from_entries(list_transform(map_entries(${sql}), lambda ${item}: ${entry}))`,
    };
  }
  const parts = type.fields.map((field) => ({ field, name: names.get(field.id), read: readAs(field.type, names, depth) }));
  const present = parts.flatMap(({ field, name, read }) => (name === undefined ? [] : [{ ...field, name, type: read.type }]));
  // A struct none of whose parts are in the file is as absent as they are.
  if (present.length === 0) return { type: { type: "struct", fields: type.fields }, convert: () => `CAST(NULL AS ${sqlType(type)})` };
  if (parts.every(({ field, name, read }) => name === field.name && read.convert === same)) return { type, convert: same };
  const convert = (sql: string): string => {
    const packed = parts.map(({ field, name, read }) => {
      const value =
        name === undefined ? `CAST(NULL AS ${sqlType(field.type)})` : read.convert(`struct_extract(${sql}, ${quoteText(name)})`);
      return `${quoteName(field.name)} := ${value}`;
    });
    return `CASE WHEN ${sql} IS NOT NULL THEN struct_pack(${packed.join(", ")}) END`;
  };
  return { type: { type: "struct", fields: present }, convert };
}
