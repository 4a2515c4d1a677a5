import { hashOf } from "../lib/json.ts";

/** The door through which a reader came. */
export type Door = "rows" | "parquet" | "lookup" | "query" | "cli";

/** The fact «consumer C read version V, these columns, in this hour, through this door». */
export interface Exposure {
  consumer: string;
  versionId: string;
  columns: readonly string[];
  door: Door;
  /** Empty when the reader named no run. */
  run: string;
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
