import { sql } from "kysely";
import type { Reader } from "../db/db.ts";
import { allColumns, columnsIn, hourOf, type Door } from "./exposure.ts";

export interface ReaderOfVersion {
  dataset: string;
  consumer: string;
  kind: string | undefined;
  owner: string | undefined;
  version: number;
  /** Number of the version whose columns it was served, of a projection. */
  as?: number;
  columns: string[];
  doors: string[];
  runs: string[];
  reads: number;
  rows: number;
  bytes: number;
  firstAt: Date;
  lastAt: Date;
  mixed: boolean;
}

/** These versions and their projections: whoever is served one of them reads the rows of the version. */
export async function withProjections(db: Reader, versionIds: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom("versions")
    .select("id")
    .where("projects", "in", ["", ...versionIds])
    .execute();
  return [...new Set([...versionIds, ...rows.map((row) => row.id)])];
}

/**
 * Who read these versions, also as projections: one line per consumer and version of a dataset, first reader first. An index look-up on the
 * version.
 */
export async function readersOf(db: Reader, versionIds: readonly string[]): Promise<ReaderOfVersion[]> {
  if (versionIds.length === 0) return [];
  const ids = await withProjections(db, versionIds);
  const rows = await db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .innerJoin("column_sets", "column_sets.id", "exposures.column_set")
    .leftJoin("consumers", "consumers.name", "exposures.consumer")
    .select([
      "datasets.name as dataset",
      "exposures.consumer",
      "consumers.kind",
      "consumers.owner",
      "versions.number",
      "versions.as_number",
      sql<string[][]>`jsonb_agg(column_sets.columns)`.as("columns"),
      sql<string[]>`array_agg(distinct exposures.door order by exposures.door)`.as("doors"),
      sql<string[]>`array_remove(array_agg(distinct exposures.run order by exposures.run), '')`.as("runs"),
      sql<string>`sum(exposures.reads)`.as("reads"),
      sql<string>`sum(exposures.rows)`.as("rows"),
      sql<string>`sum(exposures.bytes)`.as("bytes"),
      sql<Date>`min(exposures.first_at)`.as("first_at"),
      sql<Date>`max(exposures.last_at)`.as("last_at"),
      sql<boolean>`bool_or(exposures.mixed)`.as("mixed"),
    ])
    .where("exposures.version_id", "in", ids)
    .groupBy(["datasets.name", "exposures.consumer", "consumers.kind", "consumers.owner", "versions.number", "versions.as_number"])
    .orderBy("first_at")
    .orderBy("exposures.consumer")
    .orderBy("datasets.name")
    .orderBy("versions.number")
    .orderBy("versions.as_number")
    .execute();
  return rows.map((row) => ({
    dataset: row.dataset,
    consumer: row.consumer,
    kind: row.kind ?? undefined,
    owner: row.owner ?? undefined,
    version: row.number,
    ...(row.as_number === null ? {} : { as: row.as_number }),
    columns: columnsIn(row.columns),
    doors: row.doors,
    runs: row.runs,
    reads: Number(row.reads),
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    firstAt: row.first_at,
    lastAt: row.last_at,
    mixed: row.mixed,
  }));
}

export interface UsageLine {
  dataset: string;
  versions: number[];
  consumer: string;
  reads: number;
  rows: number;
  lastAt: Date;
}

/** Reads per dataset and consumer since a time, the most recent first. */
export async function usageSince(db: Reader, since: Date, datasetId?: string): Promise<UsageLine[]> {
  let query = db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .select([
      "datasets.name as dataset",
      "exposures.consumer",
      sql<number[]>`array_agg(distinct versions.number order by versions.number)`.as("versions"),
      sql<string>`sum(exposures.reads)`.as("reads"),
      sql<string>`sum(exposures.rows)`.as("rows"),
      sql<Date>`max(exposures.last_at)`.as("last_at"),
    ])
    .where("exposures.last_at", ">=", since);
  if (datasetId !== undefined) query = query.where("versions.dataset_id", "=", datasetId);
  const rows = await query.groupBy(["datasets.name", "exposures.consumer"]).orderBy("last_at", "desc").limit(1000).execute();
  return rows.map((row) => ({
    dataset: row.dataset,
    versions: row.versions,
    consumer: row.consumer,
    reads: Number(row.reads),
    rows: Number(row.rows),
    lastAt: row.last_at,
  }));
}

export interface Uptake {
  dataset: string;
  /** Newest version that readers are given. */
  version: number;
  releasedAt: Date;
  readers: number;
  /** Readers of older versions in the same time who have not read the newest. */
  notYet: string[];
  /** Columns of the version that nobody has read yet. */
  unreadColumns: string[];
}

/** Whether what was released since a time is taken up: who reads the newest version, who does not yet, and columns that nobody reads. */
export async function uptakeSince(
  db: Reader,
  since: Date,
  live: readonly { datasetId: string; dataset: string; versionId: string; number: number; releasedAt: Date; columns: string[] }[],
): Promise<Uptake[]> {
  const found: Uptake[] = [];
  for (const item of live.filter((candidate) => candidate.releasedAt >= since)) {
    const now = await readersOf(db, [item.versionId]);
    const older = await db
      .selectFrom("exposures")
      .innerJoin("versions", "versions.id", "exposures.version_id")
      .select("exposures.consumer")
      .distinct()
      .where("versions.dataset_id", "=", item.datasetId)
      .where("exposures.version_id", "not in", await withProjections(db, [item.versionId]))
      .where("exposures.last_at", ">=", new Date(item.releasedAt.getTime() - 7 * 86_400_000))
      .execute();
    const readers = new Set(now.map((row) => row.consumer));
    const read = new Set(now.flatMap((row) => row.columns));
    found.push({
      dataset: item.dataset,
      version: item.number,
      releasedAt: item.releasedAt,
      readers: readers.size,
      notYet: older
        .map((row) => row.consumer)
        .filter((name) => !readers.has(name))
        .sort(),
      unreadColumns: read.has(allColumns) ? [] : item.columns.filter((name) => !read.has(name)),
    });
  }
  return found;
}

/** A dataset, or columns of it, that nobody has read since a time. */
export interface Unused {
  dataset: string;
  version: number;
  /** Since when the dataset is there. */
  createdAt: Date;
  /** When anybody read it last; null: never. */
  lastReadAt: Date | null;
  /** How many have read it since the time; 0: the whole dataset is unused. */
  readers: number;
  unreadColumns: string[];
  /** Datasets that are built from it, whose readers live on it. */
  builds: string[];
}

/**
 * What readers could have had since a time and nobody has read, datasets first; and how many datasets came later, of which nothing is told. Any
 * read counts, also one without a consumer's name.
 */
export async function unusedSince(
  db: Reader,
  since: Date,
  live: readonly { datasetId: string; dataset: string; number: number; createdAt: Date; columns: string[]; builds: string[] }[],
): Promise<{ unused: Unused[]; newer: number }> {
  const known = live.filter(({ createdAt }) => createdAt <= since);
  const ids = known.map(({ datasetId }) => datasetId);
  const readers = await columnReaders(db, since, ids);
  const last = await lastReadOf(db, ids);
  const told = known.map(({ datasetId, dataset, number, createdAt, columns, builds }): Unused => {
    const by = readers.filter((reader) => reader.datasetId === datasetId);
    const read = new Set(by.flatMap((reader) => reader.columns));
    const unreadColumns = read.has(allColumns) ? [] : columns.filter((name) => !read.has(name));
    return { dataset, version: number, createdAt, lastReadAt: last.get(datasetId) ?? null, readers: by.length, unreadColumns, builds };
  });
  const unused = told.filter((item) => item.readers === 0 || item.unreadColumns.length > 0);
  const inOrder = (a: Unused, b: Unused): number => Math.min(a.readers, 1) - Math.min(b.readers, 1) || (a.dataset < b.dataset ? -1 : 1);
  return { unused: unused.sort(inOrder), newer: live.length - known.length };
}

/** When anybody read these datasets last, whichever version. */
async function lastReadOf(db: Reader, datasetIds: readonly string[]): Promise<Map<string, Date>> {
  if (datasetIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .select((eb) => ["versions.dataset_id", eb.fn.max("exposures.last_at").as("last_at")])
    .where("versions.dataset_id", "in", [...datasetIds])
    .groupBy("versions.dataset_id")
    .execute();
  return new Map(rows.map((row) => [row.dataset_id, row.last_at]));
}

export interface ColumnReader {
  datasetId: string;
  consumer: string;
  columns: string[];
  lastAt: Date;
}

/** Who has read any version of some datasets since a time, and which columns of them. */
export async function columnReaders(db: Reader, since: Date, datasetIds: readonly string[]): Promise<ColumnReader[]> {
  if (datasetIds.length === 0) return [];
  const rows = await db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .innerJoin("column_sets", "column_sets.id", "exposures.column_set")
    .select([
      "versions.dataset_id",
      "exposures.consumer",
      sql<string[][]>`jsonb_agg(distinct column_sets.columns)`.as("columns"),
      sql<Date>`max(exposures.last_at)`.as("last_at"),
    ])
    .where("versions.dataset_id", "in", [...datasetIds])
    .where("exposures.last_at", ">=", since)
    .groupBy(["versions.dataset_id", "exposures.consumer"])
    .orderBy("exposures.consumer")
    .orderBy("versions.dataset_id")
    .execute();
  return rows.map((row) => ({
    datasetId: row.dataset_id,
    consumer: row.consumer,
    columns: columnsIn(row.columns),
    lastAt: row.last_at,
  }));
}

/** The version with a snapshot that a reader was given last through a door, with its table. */
export async function lastGiven(
  db: Reader,
  asked: { consumer: string; run: string; door: Door; dataset: string; snapshotId: bigint; since: Date },
): Promise<{ id: string; metadataKey: string; rows: bigint } | undefined> {
  const row = await db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .select(["versions.id", "versions.metadata_key", "versions.rows"])
    .where("exposures.hour", ">=", hourOf(asked.since))
    .where("exposures.consumer", "=", asked.consumer)
    .where("exposures.run", "=", asked.run)
    .where("exposures.door", "=", asked.door)
    .where("datasets.name", "=", asked.dataset)
    .where("versions.snapshot_id", "=", asked.snapshotId)
    .orderBy("exposures.last_at", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && { id: row.id, metadataKey: row.metadata_key, rows: row.rows };
}

/** What a reader without a run was given through a door since a time. Counters follow reads within seconds, so the time is no sharper. */
export async function recentlyGiven(
  db: Reader,
  asked: { consumer: string; door: Door; since: Date },
): Promise<{ datasetId: string; versionId: string }[]> {
  const rows = await db
    .selectFrom("exposures")
    .innerJoin("versions", "versions.id", "exposures.version_id")
    .select(["versions.dataset_id", "versions.id"])
    .distinct()
    .where("exposures.hour", ">=", hourOf(asked.since))
    .where("exposures.consumer", "=", asked.consumer)
    .where("exposures.run", "=", "")
    .where("exposures.door", "=", asked.door)
    .where("exposures.last_at", ">=", asked.since)
    .execute();
  return rows.map((row) => ({ datasetId: row.dataset_id, versionId: row.id }));
}
