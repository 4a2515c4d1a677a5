import type { SpokenError } from "../../locked-child.ts";
import type { Column } from "../../plan.ts";
import type { ColumnsUsed, Derivation, PlannedQuery, QueryProfile } from "../../sandbox.ts";

/** A dataset as the child sees it. */
export interface JobTable {
  name: string;
  columns: readonly Column[];
  /** Trusted SQL that reads its rows; absent when only columns are asked. */
  scan?: string;
}

/** An expression of `--set` or `--where`, to be proven one expression before a statement is put together. */
export interface JobUpdate {
  set: readonly { column: string; expression: string }[];
  where?: string;
}

/** The one thing that a child does in its life. */
export interface Job {
  kind: "query" | "rewrite" | "update" | "profile" | "names" | "derivation" | "plans";
  /** SQL of others; empty for an update. */
  sql: string;
  update?: JobUpdate;
  tables: readonly JobTable[];
  /** Queries to be planned, together where they name the same tables. */
  plans?: readonly { tables: readonly JobTable[]; queries: readonly { index: number; sql: string }[] }[];
  /** Names for messages, when `tables` are fewer. */
  names?: readonly string[];
  /** The dataset to be rewritten. */
  target?: string;
  /** Files that the trusted scans read. */
  files: readonly string[];
  /** The Parquet file that a rewrite leaves. */
  output?: string;
  /** Folder for spilled data, the child's own. */
  spill: string;
  rows: number;
  bytes: number;
  memoryMb: number;
  spillMb: number;
  threads: number;
}

export type Statement = "select" | "insert" | "update" | "delete" | "merge";

/** What a child says, one JSON line each; between `columns` and `end` of a query, lines that start with `{` are rows as they are. */
export type Message =
  | { say: "columns"; columns: Column[]; used: ColumnsUsed; ordered: boolean }
  | { say: "written"; columns: Column[]; statement: Statement }
  | { say: "names"; names: string[] }
  | { say: "derivation"; derivation: Derivation }
  | { say: "end"; rows: number; milliseconds: number }
  /** Plans begin: from now on the time counts. */
  | { say: "ready" }
  | { say: "planned"; index: number; planned: PlannedQuery }
  | { say: "profile"; profile: QueryProfile }
  | SpokenError;
