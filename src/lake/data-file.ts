/** What is known of one Parquet file right after the engine wrote it. */
export interface WrittenFile {
  /** The address it was written to (`ObjectStore.writePath`). */
  path: string;
  rows: number;
  bytes: number;
  /** Byte offsets of the row groups. */
  splitOffsets: number[];
  /** Per leaf field id. */
  columns: WrittenColumn[];
}

export interface WrittenColumn {
  fieldId: number;
  /** Bytes in the file, compressed. */
  bytes: number;
  /** Values, nulls included. */
  values: number;
  nulls: number;
  /** NaN values; only for float and double. */
  nans?: number;
  /** Smallest and largest value as the text of a Cell (`2026-01-31T09:30:00Z`, all digits; never NaN); absent when unknown or all null. */
  min?: string;
  max?: string;
}

/** One data or position-delete file of a table, as a manifest names it. */
export interface DataFile {
  content: "data" | "position-deletes";
  /** Key in the object store. */
  key: string;
  rows: number;
  bytes: number;
  columnSizes: Map<number, number>;
  valueCounts: Map<number, number>;
  nullCounts: Map<number, number>;
  nanCounts: Map<number, number>;
  /** Iceberg single-value bytes per field id. Cut for long strings, except on key columns. */
  lower: Map<number, Uint8Array>;
  upper: Map<number, Uint8Array>;
  splitOffsets: number[];
  /** Spec id and raw partition values (by partition field name) when written by another engine; 0 and {} by us. */
  specId: number;
  partition: Record<string, unknown>;
  sortOrderId: number | undefined;
  /** Data sequence number; decides to which files a position delete applies. */
  sequence: bigint;
}

/** A data file with the position-delete files that apply to it. */
export interface LiveFile {
  file: DataFile;
  deletes: DataFile[];
}
