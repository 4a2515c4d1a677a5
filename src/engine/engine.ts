import type { WrittenFile } from "../lake/data-file.ts";
import type { Field } from "../lake/schema.ts";
import type { Cell, Column, Plan, StagedPlan } from "./plan.ts";

export type Row = { readonly [column: string]: Cell };

/** A private folder for intermediate files, deleted when its owner is done or dead. */
export interface Scratch {
  readonly dir: string;
}

export interface RunOptions {
  signal?: AbortSignal | undefined;
}

/** How a plan's rows become the Parquet files of a table. */
export interface WriteRequest {
  plan: Plan;
  /** The exact columns of the files, with field ids; every column is cast to its Iceberg type, losing a digit is an error. */
  fields: readonly Field[];
  /** Sort order of the rows over all files; empty keeps the plan's order. */
  sortBy: readonly string[];
  /** Wanted rows per file; rows are cut into files in sort order, evenly, none above 1.5 times this. */
  rowsPerFile: number;
  /** Where the n-th file goes. The caller makes the files durable. */
  pathFor(index: number): Promise<string>;
}

/**
 * The port for data queries. Adapters: duckdb/ (embedded); Trino later. Any call may run beside any other. A call that fails
 * leaves no file behind that the caller has not named, and names what it could not do by code (`type.loses_digits`, `store.full` …).
 */
export interface Engine {
  /** Name and version, part of every evidence key: `duckdb 1.5.5`. */
  readonly version: string;
  /** Column names and types of a plan's result. */
  describe(plan: Plan): Promise<Column[]>;
  /** All rows of a small result. */
  rows(plan: Plan, options?: RunOptions): Promise<Row[]>;
  /** A large result as JSON objects in text, one string per row, in batches. Ends with an error if the query does. */
  stream(plan: Plan, options?: RunOptions): AsyncIterable<string[]>;
  /** Writes the rows to Parquet table files. No rows, no file. */
  write(request: WriteRequest, options?: RunOptions): Promise<WrittenFile[]>;
  /** Writes the rows to one Parquet file for export, at most one row group per 122 880 rows. */
  exportParquet(plan: Plan, path: string, options?: RunOptions): Promise<{ rows: number; bytes: number }>;
  /** Runs the plan once and keeps its rows in the scratch folder, for plans that are read more than once. */
  stage(plan: Plan, scratch: Scratch, options?: RunOptions): Promise<StagedPlan>;
  /** Runs `work` with a scratch folder and deletes the folder after it, whatever happens. */
  withScratch<T>(work: (scratch: Scratch) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
