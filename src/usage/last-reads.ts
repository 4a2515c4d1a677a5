import { sql } from "kysely";
import type { Reader } from "../db/db.ts";

/** A version that a consumer read last of a dataset. */
export interface LastRead {
  datasetId: string;
  dataset: string;
  version: number;
  /** Number of the version whose columns it was served, of a projection. */
  as?: number;
  columns: string[];
  runs: string[];
  doors: string[];
  firstAt: Date;
  lastAt: Date;
}

const window = 90 * 86_400_000;

/**
 * What a consumer read last of each dataset at a moment or before it, within 90 days: the versions of the last hour in which it read it, which
 * is as fine as the ledger counts; by name, first read first.
 */
export async function lastReads(db: Reader, of: { consumer: string; at: Date }): Promise<LastRead[]> {
  const { consumer, at } = of;
  const since = new Date(at.getTime() - window);
  const rows = await db
    .with("last", (query) =>
      query
        .selectFrom("exposures")
        .innerJoin("versions", "versions.id", "exposures.version_id")
        .select((eb) => ["versions.dataset_id", eb.fn.max("exposures.hour").as("hour")])
        .where("exposures.consumer", "=", consumer)
        .where("exposures.hour", ">=", since)
        .where("exposures.hour", "<=", at)
        .where("exposures.first_at", "<=", at)
        .groupBy("versions.dataset_id"),
    )
    .selectFrom("last")
    .innerJoin("exposures", (join) => join.onRef("exposures.hour", "=", "last.hour").on("exposures.consumer", "=", consumer))
    .innerJoin("versions", (join) =>
      join.onRef("versions.id", "=", "exposures.version_id").onRef("versions.dataset_id", "=", "last.dataset_id"),
    )
    .innerJoin("datasets", "datasets.id", "last.dataset_id")
    .innerJoin("column_sets", "column_sets.id", "exposures.column_set")
    .select([
      "last.dataset_id",
      "datasets.name",
      "versions.number",
      "versions.as_number",
      sql<string[][]>`jsonb_agg(column_sets.columns)`.as("columns"),
      sql<string[]>`array_agg(distinct exposures.door order by exposures.door)`.as("doors"),
      sql<string[]>`array_remove(array_agg(distinct exposures.run order by exposures.run), '')`.as("runs"),
      sql<Date>`min(exposures.first_at)`.as("first_at"),
      sql<Date>`max(exposures.last_at)`.as("last_at"),
    ])
    .where("exposures.first_at", "<=", at)
    .groupBy(["last.dataset_id", "datasets.name", "versions.number", "versions.as_number"])
    .orderBy("datasets.name")
    .orderBy("first_at")
    .execute();
  return rows.map((row) => ({
    datasetId: row.dataset_id,
    dataset: row.name,
    version: row.number,
    ...(row.as_number === null ? {} : { as: row.as_number }),
    columns: [...new Set(row.columns.flat())].sort(),
    runs: row.runs,
    doors: row.doors,
    firstAt: row.first_at,
    // Counters of an hour grow after the moment that was asked for.
    lastAt: row.last_at > at ? at : row.last_at,
  }));
}
