import type { Column, StagedPlan } from "./plan.ts";
import type { RunOptions, Scratch } from "./engine.ts";

export type SourceFormat = "parquet" | "csv" | "tsv" | "json" | "ndjson";

/** Files of others, as they come in. */
export interface SourceRequest {
  /** Local paths, already resolved and allowed by the caller. Several files are one table: same columns, in any order. */
  paths: readonly string[];
  /** From the file name (`.csv.gz`) when absent. */
  format?: SourceFormat | undefined;
  /** Text that means NULL in CSV when it stands bare; in quotes it is text. Empty text when absent. Empty cells of typed columns are always NULL. */
  nullText?: string | undefined;
  /** `string` keeps all text as it stands. `infer` (default) types from the whole file. */
  types?: "infer" | "string" | undefined;
  /** The dataset's columns on append, upsert and replace: their types win; a cell that does not fit is `input.cell`. */
  as?: readonly Column[] | undefined;
  /** Columns of `as` that have had no value yet: their types come from the values, as if they were new. */
  free?: readonly string[] | undefined;
  /**
   * With `as`: `exact` (default) wants exactly those columns, in any order; `subset` accepts fewer (the key of a delete, say);
   * `any` accepts fewer and more (a replace): further columns are typed from their values.
   */
  columns?: "exact" | "subset" | "any" | undefined;
}

/** Input after reading: typed, checked, staged as Parquet, with what a person should know about it. */
export interface OpenedSource {
  plan: StagedPlan;
  columns: Column[];
  rows: number;
  /** SHA-256 over the bytes of the files, in order: the content of a `--source-id`. */
  contentHash: string;
  /** Sentences such as «hugeint sum became decimal(38, 0)». */
  notes: string[];
  /** Columns that held only nulls: a string whose first real type is a free retype. */
  tentative: string[];
}

/** Reads input files into staged Parquet. Errors: the `input.*` and `type.*` codes, with file, line and value. */
export interface SourceReader {
  open(request: SourceRequest, scratch: Scratch, options?: RunOptions): Promise<OpenedSource>;
}
