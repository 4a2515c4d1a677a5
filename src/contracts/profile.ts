/* What the columns of one batch of rows look like: what a contract is inferred from. */

export interface ColumnProfile {
  rows: number;
  nulls: number;
  /** Every value that is not null occurs once. */
  unique: boolean;
  /** As text; null when there is no value, or the type has no order that matters here. */
  min: string | null;
  max: string | null;
  /** The most frequent values, at most `profiledValues`. */
  values: readonly { value: string; count: number }[];
  /** There are others beside `values`. */
  hasMoreValues: boolean;
}

export const profiledValues = 200;

/** The rows that one version brought; of the first version all. */
export interface BatchProfile {
  rows: number;
  /** They were added, and no row was changed or taken away. */
  isAppend: boolean;
  columns: ReadonlyMap<number, ColumnProfile>;
}
