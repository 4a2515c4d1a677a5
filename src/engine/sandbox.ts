import type { ErrorCode } from "../lib/error-codes.ts";
import type { Column, StagedPlan, TablePlan } from "./plan.ts";
import type { RunOptions, Scratch } from "./engine.ts";

/** Limits of one run of others' SQL. */
export interface SandboxCaps {
  rows: number;
  bytes: number;
  memoryMb: number;
  milliseconds: number;
}

/** New content of a whole dataset goes to disk, not to a reader: only memory and time hold it back. */
export function capsOfContent(caps: SandboxCaps): SandboxCaps {
  return { ...caps, rows: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER, milliseconds: 10 * caps.milliseconds };
}

/** Codes that say something of a statement and the data that it meets; others say something of the machine. */
export const statementCodes: ReadonlySet<string> = new Set(["sql.syntax", "sql.refused", "sql.unknown_table", "sql.failed"]);

/** A dataset that the SQL may name, under exactly this name (`sales.orders`; also its unique last part). */
export interface SandboxTable {
  name: string;
  plan: TablePlan;
}

export interface SandboxQuery {
  /** One SELECT. */
  sql: string;
  tables: readonly SandboxTable[];
  caps: SandboxCaps;
}

/** Content that a statement left behind, staged as Parquet in the scratch folder. */
export interface SandboxResult {
  plan: StagedPlan;
  columns: Column[];
}

/** Which columns of which table a query uses (WHERE, views and `*` included). `all`: its plan could not be resolved. */
export type ColumnsUsed = { table: string; columns: string[] | "all" }[];

/** A SELECT over tables and joins alone, told from its words. Names are those of columns, in lower case, whatever their table. */
export interface PlainSelect {
  /** Names that each column of the result is computed from, in the order of the result. */
  columns: string[][];
  /** Names that choose rows together with others, as in a join; those of a condition or a group of one column alone are not among them. */
  choosing: string[];
}

/** What a SELECT makes of the tables that it names, told from its plan, without data. */
export interface Derivation {
  columns: Column[];
  /** For each column of the result, the columns that it comes from, those among them that decide which rows there are. */
  from: { column: string; used: ColumnsUsed }[];
  /** Columns that decide which rows there are, whatever is selected: in WHERE, JOIN, GROUP BY and the like. */
  rows: ColumnsUsed;
  /** Functions that give another result at another time, such as `random` and `now`. */
  changing: string[];
  /** What depends on the order of rows without saying it, such as `limit` and `first`. */
  unordered: string[];
  /** Absent for SELECTs that hold others, `*` and the like. */
  plain?: PlainSelect | undefined;
}

/** A dataset as planning sees it. */
export interface PlanTable {
  name: string;
  columns: readonly Column[];
}

/** The rows of a query, and what is known of it besides. */
export interface SandboxRows {
  columns: Column[];
  used: ColumnsUsed;
  /** The order of the rows says more than their values: an ORDER BY sorts by something that is no column of the result. */
  ordered: boolean;
  rows: AsyncIterable<string[]>;
  /** How long the statement ran, without starting the process; undefined before the last row came. */
  took(): number | undefined;
}

/** Whether a query can be planned on a schema, and which columns it then uses. */
export type PlannedQuery = { ok: true; used: ColumnsUsed } | { ok: false; code: ErrorCode; message: string };

/** What running a query cost, operator by operator. */
export interface QueryProfile {
  rowsScanned: number;
  /** Joins, the one that gives most rows first. */
  joins: { on: string; rows: number; inputs: number }[];
}

/**
 * Runs SQL and expressions written by others, each in its own locked child process that reads the named tables' files and
 * nothing else. Refused statements are `sql.refused`, errors of the statement `sql.syntax` or `sql.failed`, caps `sql.limit`,
 * a child that dies `sql.crashed`.
 */
export interface Sandbox {
  /** Streams a SELECT's rows as JSON text objects. The columns are known before the first row. */
  query(request: SandboxQuery, options?: RunOptions): Promise<SandboxRows>;
  /** Runs a SELECT for what it costs; its rows are thrown away. */
  profile(request: SandboxQuery, options?: RunOptions): Promise<QueryProfile>;
  /**
   * Runs one SELECT (its result is the new content), or one INSERT, UPDATE, DELETE or MERGE on `target`, on a private copy of
   * the target, and gives the target's whole new content in its columns.
   */
  rewrite(
    request: SandboxQuery & { target: string },
    scratch: Scratch,
    options?: RunOptions,
  ): Promise<SandboxResult & { statement: "select" | "insert" | "update" | "delete" | "merge" }>;
  /** `--set a=1,b=c*2 --where "id=17"`: each expression is checked to be one expression before the UPDATE is put together. */
  update(
    request: { target: SandboxTable; set: readonly { column: string; expression: string }[]; where?: string; caps: SandboxCaps },
    scratch: Scratch,
    options?: RunOptions,
  ): Promise<SandboxResult>;
  /** Tables that one SELECT names, as written; whether they are there is not asked. */
  tablesNamed(request: { sql: string; milliseconds: number }): Promise<string[]>;
  /** What one SELECT makes of these tables. */
  derivation(request: { sql: string; tables: readonly PlanTable[]; milliseconds: number }): Promise<Derivation>;
  /** Plans many SELECTs, each on empty tables of its own, in one child process; each may take so long. */
  planAll(
    request: { queries: readonly { sql: string; tables: readonly PlanTable[] }[]; milliseconds: number },
    options?: RunOptions,
  ): Promise<PlannedQuery[]>;
  close(): Promise<void>;
}
