import { hashOf } from "../lib/json.ts";

/** The door through which a reader came. */
export type Door = "rows" | "parquet" | "lookup" | "query" | "cli" | "iceberg";

/** The fact «consumer C read version V, these columns, in this hour, through this door». */
export interface Exposure {
  consumer: string;
  versionId: string;
  columns: readonly string[];
  /** The reader got, just before, something else than its view has now. */
  mixed?: boolean;
  door: Door;
  /** Empty when the reader named no run. */
  run: string;
}

/** In place of columns: a client got the whole table and tells later, or not at all, which columns it read. */
export const allColumns = "*";

/** What is known of the columns in several sets: that a client got all counts only where it told nothing more. */
export function columnsIn(sets: readonly (readonly string[])[]): string[] {
  const told = [...new Set(sets.flat())].sort();
  return told.length > 1 ? told.filter((name) => name !== allColumns) : told;
}

/** Reader without a consumer token: shown apart, never hidden. */
export const unattributed = "(unattributed)";

export function hourOf(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 3600_000) * 3600_000);
}

export function columnSetHash(columns: readonly string[]): string {
  return hashOf([...columns].sort());
}

/** Name and bounds of the daily partition that holds a moment. */
export function partitionOf(at: Date): { name: string; from: string; to: string } {
  const day = new Date(Math.floor(at.getTime() / 86_400_000) * 86_400_000);
  const next = new Date(day.getTime() + 86_400_000);
  return { name: `exposures_${day.toISOString().slice(0, 10).replaceAll("-", "")}`, from: day.toISOString(), to: next.toISOString() };
}
