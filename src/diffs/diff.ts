import type { ScanFile, StagedPlan, Cell } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import type { SchemaItem } from "./schema-diff.ts";

/** A data file of one side, with its identity across versions. */
export interface DiffFile {
  /** Key in the object store. */
  key: string;
  scan: ScanFile;
  /** Bounds of the first key column of the side's schema, as the engine's text; large versions are compared range by range where every file has them. */
  keyRange?: { lower: string; upper: string } | undefined;
}

/** One side of a diff: the files of a version, or a staged source. */
export interface DiffSide {
  /** What people call it: `sales.orders@42`, `old.csv`. */
  label: string;
  schema: Schema;
  content: { files: readonly DiffFile[] } | { staged: StagedPlan };
}

export type RowKind = "added" | "removed" | "modified";

/** How rows of both sides find each other. */
export type Matching =
  | { by: "key"; columns: string[]; origin: "schema" | "given" | "guessed" }
  /** The i-th row of one file against the i-th of the other. */
  | { by: "position" }
  /** Whole rows as a multiset: a modified row is one removed and one added. */
  | { by: "row"; reason: string };

/** A value as it stands in a result: NaN and the infinities as text, masked values as `•••`. */
export type ShownCell = Cell;

/** One differing row. */
export interface DiffRow {
  kind: RowKind;
  /** Values of the key, or the row's number for a match by position; null in a multiset. */
  key: ShownCell[] | null;
  /** How often this whole row was added or removed; above 1 only in a multiset. */
  count: number;
  /** By the names of `ColumnDiff`, which are the same on both sides; null where the side has no such row. */
  before: Record<string, ShownCell> | null;
  after: Record<string, ShownCell> | null;
  /** Names (of `ColumnDiff`) of the cells that differ; empty unless modified. */
  changed: string[];
}

export interface ColumnSide {
  name: string;
  type: string;
  required: boolean;
}

export interface ColumnStatistics {
  /** Rows looked at. */
  rows: number;
  nulls: number;
  /** Approximate: at most 5 % off. */
  distinct: number | null;
  min: ShownCell;
  max: ShownCell;
  mean: number | string | null;
  /** Approximate values at 5, 25, 50, 75 and 95 %; null where the type has none. */
  quantiles: ShownCell[] | null;
  /** The most frequent values, as text, with their counts; null where there are too many different ones to say. */
  top: { value: string; count: number }[] | null;
}

export interface ColumnDiff {
  /** Its later name; of a dropped column the one it had, with « (dropped)» where another column has that name now. */
  name: string;
  fieldId: number;
  before: ColumnSide | null;
  after: ColumnSide | null;
  state: "same" | "modified" | "added" | "dropped";
  /** How cells were compared. `text`: the types have nothing in common. */
  compared: "value" | "text" | null;
  isKey: boolean;
  /** Values are hidden: the contract classifies the column. */
  masked: boolean;
  /** Cells that differ, in rows that both sides have. */
  cells: number;
  example: { key: ShownCell[]; before: ShownCell; after: ShownCell } | null;
  /** Null where not asked for, and always for masked columns. */
  statistics: { before: ColumnStatistics | null; after: ColumnStatistics | null } | null;
}

/** Keys that occur more than once on a side. Their rows are compared as a multiset and counted as added and removed. */
export interface DuplicateKeys {
  /** Different keys with more than one row. */
  keysBefore: number;
  keysAfter: number;
  samples: { key: ShownCell[]; before: number; after: number }[];
}

/** All that a diff says, as JSON (`lib/json` toJson). The format number changes when a reader would have to. */
export interface DiffResult {
  format: 1;
  headline: string;
  before: { label: string; rows: number; columns: number };
  after: { label: string; rows: number; columns: number };
  matching: Matching;
  /** `differing` = added + removed + modified. */
  rows: Record<RowKind | "differing", number>;
  /** Differing cells of modified rows. */
  cells: number;
  schema: SchemaItem[];
  /** In the order of `after`, dropped columns last. */
  columns: ColumnDiff[];
  duplicateKeys: DuplicateKeys | null;
  /** Some differing rows of each kind: removed, added, modified; the first by key. */
  samples: DiffRow[];
  /** Which rows the statistics are about. */
  statistics: "full" | "changed" | "none";
  /** Files that were read, of those there are; null unless both sides are versions. */
  files: { before: number; after: number; shared: number } | null;
  /** What a person should know about how the answer came about. */
  notes: string[];
}

/** Which differing rows a page is about. */
export interface RowFilter {
  kind?: RowKind | undefined;
  /** Only modified rows whose cell in this column differs. */
  column?: string | undefined;
  /** Only the row with this key, as text per key column. */
  key?: readonly string[] | undefined;
}

export interface RowPage {
  rows: DiffRow[];
  /** Rows that the filter leaves. */
  total: number;
  offset: number;
}

/** Identity of a file: it holds other rows when its position deletes change. */
export function fileIdentity(file: DiffFile): string {
  return [file.key, ...[...file.scan.deletes].sort()].join("\n");
}

/** Files that only one side has, and those that both have. */
export function partFiles(before: readonly DiffFile[], after: readonly DiffFile[]): Record<"before" | "after" | "shared", DiffFile[]> {
  const [old, now] = [before, after].map((files) => new Set(files.map(fileIdentity))) as [Set<string>, Set<string>];
  return {
    before: before.filter((file) => !now.has(fileIdentity(file))),
    after: after.filter((file) => !old.has(fileIdentity(file))),
    shared: after.filter((file) => old.has(fileIdentity(file))),
  };
}

/** A cell as JSON can hold it. */
export function shownCell(cell: Cell | undefined): ShownCell {
  if (cell === undefined) return null;
  if (typeof cell === "number" && !Number.isFinite(cell)) return Number.isNaN(cell) ? "NaN" : cell > 0 ? "Infinity" : "-Infinity";
  if (Array.isArray(cell)) return (cell as readonly Cell[]).map(shownCell);
  if (typeof cell !== "object" || cell === null) return cell;
  return Object.fromEntries(Object.entries(cell).map(([name, value]) => [name, shownCell(value)]));
}
