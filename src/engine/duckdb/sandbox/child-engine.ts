import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { AppError, asAppError } from "../../../lib/errors.ts";
import { planSettings, columnsOfPlan } from "./columns-used.ts";
import { checkExpression, checkPlan, checkSelect, checkWords, tablesNamed, unknownTable, type KnownTables, type PlanNode } from "./gate.ts";
import { Layout, type Place } from "./layout.ts";
import type { Job, JobTable, JobUpdate, Statement } from "./protocol.ts";
import { hasOrder } from "./order.ts";
import type { ColumnsUsed, Derivation, PlannedQuery } from "../../sandbox.ts";
import { plainSelect } from "./plain-select.ts";
import { findUnrepeatable } from "./repeatable.ts";
import { columnsOf, refuseType } from "./result-columns.ts";
import { quoteName, quoteText } from "../sql.ts";

const settings = {
  threads: "1",
  memory_limit: "64MiB",
  temp_directory: "",
  autoinstall_known_extensions: "false",
  autoload_known_extensions: "false",
  allow_community_extensions: "false",
  allow_persistent_secrets: "false",
};

async function openEngine(): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create(":memory:", settings)).connect();
  await connection.run("set global TimeZone = 'UTC'");
  return connection;
}

/** The two engines of a child: one with empty tables and no files, in which statements are judged, and one with the data. */
export interface Engines {
  gate: DuckDBConnection;
  data: DuckDBConnection;
}

/** Opens both while the child still waits for its job: a third of a query's time. */
export async function openEngines(): Promise<Engines> {
  return { gate: await openEngine(), data: await openEngine() };
}

/** No file may be opened any more and no setting changed; `files` are the exception, for reading and writing. */
async function lock(connection: DuckDBConnection, files: readonly string[]): Promise<void> {
  await connection.run(`set allowed_paths = [${files.map(quoteText).join(", ")}]`);
  await connection.run("set enable_external_access = false");
  await connection.run("set lock_configuration = true");
}

const statements: Readonly<Record<number, Statement>> = { 1: "select", 2: "insert", 3: "update", 5: "delete", 30: "merge" };

/** What the gate found out about a statement that may pass. */
export interface Passed {
  statement: Statement;
  used: ColumnsUsed;
  /** The order of its rows says more than their values. */
  ordered: boolean;
}

/**
 * The job with only those datasets that its statement names: the others cannot stand in the way of a name. A statement that has no tree
 * keeps all.
 */
export async function narrowed(connection: DuckDBConnection, job: Job): Promise<Job> {
  if (job.update !== undefined) return job;
  const tree = await serialize(connection, job.sql).catch(() => ({ error: true }));
  if ((tree as { error?: boolean }).error === true) return job;
  const named = tablesNamed(tree);
  const isNamed = (table: JobTable): boolean => named.some((parts) => new Layout([table]).known().has(...parts));
  const tables = job.tables.filter((table) => table.name === job.target || isNamed(table));
  return { ...job, tables, names: job.tables.map(({ name }) => name) };
}

/** What a layout knows; messages name all datasets that were mentioned. */
function knownTo(layout: Layout, job: Job): KnownTables {
  const known = layout.known();
  return { ...known, names: job.names ?? known.names };
}

/** An engine with empty tables and no files, in which statements are judged. */
interface Room {
  layout: Layout;
  target: Place | undefined;
  /** All table functions that the engine has. */
  tableFunctions: ReadonlySet<string>;
}

async function openRoom(connection: DuckDBConnection, job: Job): Promise<Room> {
  await connection.run(`set memory_limit = '${job.memoryMb}MiB'`);
  const layout = new Layout(job.tables);
  const target = layout.places.find(({ table }) => table.name === job.target);
  for (const sql of layout.rooms()) await connection.run(sql);
  for (const place of layout.places)
    await connection.run(isRewrite(job) && place !== target ? layout.emptyView(place) : layout.empty(place));
  for (const sql of layout.aliases()) await connection.run(sql);
  const functions = await connection.runAndReadAll(
    "select distinct upper(function_name) from duckdb_functions() where function_type in ('table', 'pragma', 'table_macro')",
  );
  await connection.run(planSettings);
  await connection.run("set explain_output = 'all'");
  await lock(connection, []);
  return { layout, target, tableFunctions: new Set(functions.getRows().map(([name]) => String(name))) };
}

const isRewrite = (job: Job): boolean => job.kind === "rewrite" || job.kind === "update";

/** Puts a statement through the gate, in an engine with empty tables and no files. */
export async function passGate(connection: DuckDBConnection, job: Job): Promise<Passed> {
  const room = await openRoom(connection, job);
  const sql = job.update === undefined ? job.sql : await updateSql(connection, room.layout, room.target!, job.update);
  return judge(connection, room, job, sql);
}

async function judge(connection: DuckDBConnection, { layout, tableFunctions }: Room, job: Job, sql: string): Promise<Passed> {
  const statement = await statementOf(connection, sql, isRewrite(job));
  let ordered = false;
  if (statement === "select") {
    const tree = await serialize(connection, sql);
    checkSelect(tree, knownTo(layout, job));
    ordered = hasOrder(tree);
  } else checkWords(sql);
  try {
    const plans = await plansOf(connection, sql);
    checkPlan(plans.logical, tableFunctions);
    const tables = layout.places.map((place) => ({ ...place.table, shown: layout.shown(place) }));
    return { statement, ordered, used: columnsOfPlan(plans.physical, tables) };
  } catch (error) {
    throw sqlError(error, knownTo(layout, job).names);
  }
}

/** The tables that one SELECT names, as written: it is parsed and looked at, and not bound to anything. */
export async function namesIn(connection: DuckDBConnection, sql: string): Promise<string[]> {
  await lock(connection, []);
  await statementOf(connection, sql, false, false);
  const named = checkSelect(await serialize(connection, sql), { has: () => true, names: [] });
  return [...new Set(named.map((parts) => parts.filter((part) => part !== "").join(".")))];
}

/** What one SELECT, which has passed the gate, makes of the tables: each column planned by itself shows where it comes from. */
export async function deriveFrom(connection: DuckDBConnection, job: Job): Promise<Derivation> {
  await passGate(connection, job);
  const layout = new Layout(job.tables);
  const tables = layout.places.map((place) => ({ ...place.table, shown: layout.shown(place) }));
  const usedBy = async (what: string): Promise<ColumnsUsed> =>
    columnsOfPlan((await plansOf(connection, `select ${what} from tidegate_result`)).physical, tables);
  try {
    await connection.run(`create temp view tidegate_result as ${job.sql}`);
    const columns = (await columnsOf(connection, "tidegate_result")).map(({ name, type }) => ({ name, type: type ?? refuseType(name) }));
    const from: Derivation["from"] = [];
    for (const { name } of columns) from.push({ column: name, used: await usedBy(quoteName(name)) });
    const names = new Set(job.tables.flatMap((table) => table.columns.map(({ name }) => name.toLowerCase())));
    const functions = await connection.runAndReadAll(
      "select distinct lower(function_name) from duckdb_functions() where stability <> 'CONSISTENT'",
    );
    const volatile = new Set(functions.getRows().map(([name]) => String(name)));
    const tree = await serialize(connection, job.sql);
    return { columns, from, rows: await usedBy("count(*)"), ...findUnrepeatable(tree, volatile, names), plain: plainSelect(tree) };
  } catch (error) {
    throw sqlError(error, layout.known().names);
  }
}

/**
 * Plans one query after the other, all in one engine that has every table: a statement names no table but those that its own words name. Only
 * one that fails there is judged again by itself, as another dataset may have stood in its way.
 */
export async function planQueries(
  job: Job,
  ready: () => Promise<void>,
  planned: (index: number, result: PlannedQuery) => Promise<void>,
): Promise<void> {
  const groups = job.plans ?? [];
  const tables = [...new Map(groups.flatMap((group) => group.tables.map((table) => [table.name, table] as const))).values()];
  const connection = await openEngine();
  const room = await openRoom(connection, { ...job, tables });
  await ready();
  const rooms = new OwnRooms(connection);
  for (const { tables: own, queries } of groups) {
    const alone: Job = { ...job, tables: own, names: own.map(({ name }) => name) };
    for (const { index, sql } of queries) await planned(index, await planOne(connection, room, rooms, { ...alone, sql }));
  }
}

async function planOne(connection: DuckDBConnection, room: Room, rooms: OwnRooms, job: Job): Promise<PlannedQuery> {
  try {
    const known = await judge(connection, room, job, job.sql).catch(async (error: unknown) => {
      if (asAppError(error).code !== "sql.failed") throw error;
      return rooms.judge(job);
    });
    return { ok: true, used: known.used };
  } catch (error) {
    const { code, message } = sqlError(error, job.names ?? []);
    return { ok: false, code, message };
  }
}

const mostOwnRooms = 32;

/** Engines with just the tables that statements name, one for each set of them: opening one costs as much as ten plans. */
class OwnRooms {
  readonly #open = new Map<string, Promise<{ connection: DuckDBConnection; room: Room }>>();
  readonly #parser: DuckDBConnection;

  constructor(parser: DuckDBConnection) {
    this.#parser = parser;
  }

  async judge(job: Job): Promise<Passed> {
    const own = await narrowed(this.#parser, job);
    const names = JSON.stringify(own.tables.map(({ name }) => name));
    const known = this.#open.get(names) ?? this.#make(own);
    this.#open.delete(names);
    this.#open.set(names, known);
    const { connection, room } = await known;
    const passed = judge(connection, room, own, own.sql);
    await passed.catch(() => undefined);
    await this.#closeOldest();
    return passed;
  }

  async #closeOldest(): Promise<void> {
    const [oldest] = this.#open;
    if (oldest === undefined || this.#open.size <= mostOwnRooms) return;
    this.#open.delete(oldest[0]);
    (await oldest[1]).connection.closeSync();
  }

  async #make(job: Job): Promise<{ connection: DuckDBConnection; room: Room }> {
    const connection = await openEngine();
    return { connection, room: await openRoom(connection, job) };
  }
}

async function statementOf(connection: DuckDBConnection, sql: string, isRewrite: boolean, isBound = true): Promise<Statement> {
  const expected = isRewrite ? "one SELECT, INSERT, UPDATE, DELETE or MERGE" : "one SELECT";
  const refuse = (found: string): AppError =>
    new AppError("sql.refused", `The SQL must be ${expected}.`, { expected, found, hint: "run one statement per call" });
  if (sql.trim() === "")
    throw new AppError("sql.syntax", "The SQL is empty.", { expected, found: "no text", hint: 'tidegate query "select 1"' });
  const extracted = await connection.extractStatements(sql).catch((error: unknown) => {
    // The binding answers text without any statement, a comment say, with an error that names nothing.
    if (error instanceof Error && error.message.includes("native callback")) throw refuse("no statement");
    throw sqlError(error, []);
  });
  if (extracted.count !== 1) throw refuse(`${extracted.count} statements`);
  const tree = await serialize(connection, sql);
  if ((tree as { error?: boolean }).error !== true) return "select";
  if (!isBound) throw refuse("a statement of another kind");
  const prepared = await extracted.prepare(0).catch((error: unknown) => {
    throw sqlError(error, []);
  });
  const statement = statements[prepared.statementType];
  if (prepared.parameterCount > 0) throw refuse("parameters");
  if (statement === undefined || statement === "select" || !isRewrite)
    throw refuse(`a statement of another kind (${statement ?? "not data"})`);
  return statement;
}

async function serialize(connection: DuckDBConnection, sql: string): Promise<unknown> {
  const reader = await connection.runAndReadAll(
    "select json_serialize_sql($1::varchar, skip_null := true, skip_empty := true, skip_default := true)::varchar",
    [sql],
  );
  const tree = JSON.parse(String(reader.getRows()[0]?.[0])) as { error?: boolean; error_type?: string; error_message?: string };
  if (tree.error === true && tree.error_type === "parser") {
    throw new AppError("sql.syntax", `The SQL does not parse: ${tree.error_message ?? ""}.`, {
      expected: "SQL as DuckDB reads it",
      found: sql.slice(0, 200),
      hint: "mend it and run it again",
    });
  }
  return tree;
}

async function plansOf(connection: DuckDBConnection, sql: string): Promise<{ logical: PlanNode[]; physical: PlanNode[] }> {
  const rows = (await connection.runAndReadAll(`explain (format json) ${sql}`)).getRows();
  const plan = (kind: string): PlanNode[] => {
    const row = rows.find(([name]) => name === kind);
    if (row === undefined) throw new AppError("sql.failed", "The SQL has no plan.", { hint: "tidegate doctor" });
    return JSON.parse(String(row[1])) as PlanNode[];
  };
  return { logical: plan("logical_plan"), physical: plan("physical_plan") };
}

/** The statement of `--set` and `--where`. Each expression was proven to be one inside the same parentheses in which it stands here. */
async function updateSql(connection: DuckDBConnection, layout: Layout, target: Place, update: JobUpdate): Promise<string> {
  const wrap = async (text: string): Promise<string> => {
    // The line ends keep a comment at the end of the text from swallowing the parenthesis.
    const wrapped = `(\n${text}\n)`;
    checkExpression(await serialize(connection, `select ${wrapped}`), text, layout.known());
    return wrapped;
  };
  const sets: string[] = [];
  for (const { column, expression } of update.set) {
    const known = target.table.columns.find(({ name }) => name.toLowerCase() === column.toLowerCase());
    if (known === undefined) {
      throw new AppError("column.not_found", `${target.table.name} has no column ${column}.`, {
        expected: target.table.columns.map(({ name }) => name).join(", "),
        found: column,
        hint: `tidegate dataset show ${target.table.name}`,
      });
    }
    sets.push(`${quoteName(known.name)} = ${await wrap(expression)}`);
  }
  const where = update.where === undefined ? "" : ` where ${await wrap(update.where)}`;
  return `update ${layout.path(target)} set ${sets.join(", ")}${where}`;
}

/** Lays the datasets out and locks the engine: queries read views over the files, a rewrite works on a copy of its target. */
export async function layData(connection: DuckDBConnection, job: Job): Promise<{ layout: Layout; target: Place | undefined; sql: string }> {
  await connection.run(`set threads = ${job.threads}`);
  await connection.run(`set memory_limit = '${job.memoryMb}MiB'`);
  await connection.run(`set temp_directory = ${quoteText(job.spill)}`);
  await connection.run(`set max_temp_directory_size = '${job.spillMb}MiB'`);
  const layout = new Layout(job.tables);
  const target = layout.places.find(({ table }) => table.name === job.target);
  for (const sql of layout.rooms()) await connection.run(sql);
  for (const place of layout.places) await connection.run(place === target ? layout.copy(place) : layout.view(place));
  for (const sql of layout.aliases()) await connection.run(sql);
  await lock(connection, [...job.files, ...(job.output === undefined ? [] : [job.output])]);
  const sql = job.update === undefined ? job.sql : await updateSql(connection, layout, target!, job.update);
  return { layout, target, sql };
}

/** Turns the engine's word on a statement into ours. */
export function sqlError(error: unknown, known: readonly string[]): AppError {
  if (error instanceof AppError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const short = text
    .replace(/^(Failed to extract statements: )?(Parser|Binder|Catalog|Invalid Input|Conversion) Error: /, "")
    .split(/\n\n|\nLINE /)[0]!
    .replaceAll(/\s+/g, " ")
    .slice(0, 400);
  const facts = { found: short, cause: error };
  const missing = /Catalog Error: Table with name (\S+) does not exist/.exec(text)?.[1];
  if (missing !== undefined && known.length > 0) return unknownTable(missing, known);
  if (/Permission Error|disabled by configuration|IO Error|has been locked|Cannot change configuration|Cannot set/i.test(text)) {
    return new AppError("sql.refused", "The SQL reaches for files or settings.", {
      expected: "SQL over the named datasets only",
      found: "a file, a setting or an extension",
      hint: "put outside data into a dataset first (tidegate import)",
      cause: error,
    });
  }
  if (/Out of Memory|max_temp_directory_size/i.test(text)) {
    return new AppError("sql.limit", "The SQL needs more memory than it may take.", { ...facts, hint: "select less, or aggregate first" });
  }
  if (/Parser Error|syntax error/i.test(text))
    return new AppError("sql.syntax", `The SQL does not parse: ${short}`, { ...facts, hint: "mend it and run it again" });
  return new AppError("sql.failed", `The SQL failed: ${short}`, { ...facts, hint: "mend it and run it again" });
}
