import { sql } from "kysely";
import { AppError } from "../lib/errors.ts";
import { nearest } from "../lib/nearest.ts";
import type { Reader, Tx } from "../db/db.ts";
import type { DatasetsTable } from "../db/tables.ts";
import type { Selectable } from "kysely";
import { findByName, lastPart, type Dataset } from "./dataset.ts";

function fromRow(row: Selectable<DatasetsTable>): Dataset {
  return { id: row.id, name: row.name, tableUuid: row.table_uuid, createdAt: row.created_at, droppedAt: row.dropped_at };
}

/** Inserts datasets; their ids and table UUIDs are the caller's. `dataset.exists` when a name is taken. */
export async function insertDatasets(tx: Tx, datasets: readonly (Dataset & { nextFieldId: number })[]): Promise<void> {
  for (let from = 0; from < datasets.length; from += 1000) {
    const rows = datasets.slice(from, from + 1000).map((dataset) => ({
      id: dataset.id,
      name: dataset.name,
      table_uuid: dataset.tableUuid,
      created_at: dataset.createdAt,
      dropped_at: dataset.droppedAt,
      next_number: 1,
      next_field_id: dataset.nextFieldId,
      next_schema_id: 1,
      next_merge_seq: 1,
    }));
    const names = rows.map((row) => row.name);
    const inserted = await tx
      .insertInto("datasets")
      .values(rows)
      .onConflict((oc) => oc.doNothing())
      .returning("name")
      .execute();
    const taken = names.find((name) => !inserted.some((row) => row.name === name));
    if (taken !== undefined) throw datasetExists(taken);
  }
}

export function datasetExists(name: string): AppError {
  return new AppError("dataset.exists", `A dataset ${name} is there already.`, {
    expected: "a new name",
    found: name,
    hint: `tidegate propose ${name} --replace <file>`,
  });
}

export async function getDataset(db: Reader, id: string): Promise<Dataset> {
  const row = await db.selectFrom("datasets").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw new AppError("dataset.not_found", `There is no dataset ${id}.`, { hint: "tidegate dataset list" });
  return fromRow(row);
}

export async function getDatasets(db: Reader, ids: readonly string[]): Promise<Map<string, Dataset>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("datasets")
    .selectAll()
    .where("id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, fromRow(row)]));
}

/** The standing dataset of this full name or unique last part; `dataset.not_found`, `dataset.ambiguous`. */
export async function resolveDataset(db: Reader, name: string): Promise<Dataset> {
  const called = await datasetsCalled(db, name);
  if (called.length === 0) throw await datasetMissing(db, name);
  return findByName(called, name);
}

/** Says what was probably meant: a dataset of a similar name, or one that was dropped. */
async function datasetMissing(db: Reader, name: string): Promise<AppError> {
  const dropped = await db
    .selectFrom("datasets")
    .select(["name", "dropped_at"])
    .where("dropped_at", "is not", null)
    .where((eb) => eb.or([eb("name", "=", name), eb(sql<string>`reverse(name)`, "like", `${reversedLike(name)}.%`)]))
    .orderBy("dropped_at", "desc")
    .limit(1)
    .executeTakeFirst();
  if (dropped !== undefined) {
    return new AppError("dataset.not_found", `${dropped.name} was dropped.`, {
      expected: "a dataset that stands",
      found: `dropped ${dropped.dropped_at?.toISOString() ?? ""}`,
      hint: "tidegate log --live, then tidegate rollback <release>",
    });
  }
  const rows = await db.selectFrom("datasets").select("name").where("dropped_at", "is", null).orderBy("name").limit(2000).execute();
  const full = new Map(rows.flatMap((row) => [[row.name, row.name] as const, [lastPart(row.name), row.name] as const]));
  const meant = nearest(name, [...full.keys()]);
  return new AppError("dataset.not_found", `There is no dataset ${name}.`, {
    expected: meant === undefined ? "the name of a dataset" : meant,
    found: name,
    hint: meant === undefined ? "tidegate dataset list" : `tidegate dataset show ${meant}`,
  });
}

/**
 * The standing datasets of this full name or last part, the one of the full name first; or those that main has dropped, which readers may
 * still have.
 */
export async function datasetsCalled(db: Reader, name: string, which: "standing" | "dropped" = "standing"): Promise<Dataset[]> {
  const rows = await db
    .selectFrom("datasets")
    .selectAll()
    .where("dropped_at", which === "standing" ? "is" : "is not", null)
    .where((eb) => eb.or([eb("name", "=", name), eb(sql<string>`reverse(name)`, "like", `${reversedLike(name)}.%`)]))
    .orderBy((eb) => eb("name", "=", name), "desc")
    .orderBy("name")
    .limit(1000)
    .execute();
  return rows.map(fromRow);
}

/** The standing datasets whose last part of the name is one of these, by name; of `also` the dropped ones too. */
export async function datasetsByLastPart(db: Reader, parts: readonly string[], also: readonly string[] = []): Promise<Dataset[]> {
  if (parts.length === 0) return [];
  const rows = await db
    .selectFrom("datasets")
    .selectAll()
    .where((eb) => eb.or([eb("dropped_at", "is", null), eb("id", "=", sql<string>`any(${[...also]}::text[])`)]))
    .where(sql<string>`reverse(split_part(reverse(name), '.', 1))`, "=", sql<string>`any(${[...parts]}::text[])`)
    .orderBy("name")
    .execute();
  return rows.map(fromRow);
}

function reversedLike(name: string): string {
  return [...name]
    .reverse()
    .join("")
    .replaceAll(/[\\%_]/g, (char) => `\\${char}`);
}

export async function findDatasetByFullName(db: Reader, name: string): Promise<Dataset | undefined> {
  const row = await db
    .selectFrom("datasets")
    .selectAll()
    .where("name", "=", name)
    .orderBy("created_at", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** Locks datasets in the order of their ids, as the lock order wants, and gives them as they now are. */
export async function lockDatasets(tx: Tx, ids: readonly string[]): Promise<Map<string, Dataset>> {
  if (ids.length === 0) return new Map();
  const rows = await tx
    .selectFrom("datasets")
    .selectAll()
    .where("id", "in", [...ids])
    .orderBy("id")
    .forUpdate()
    .execute();
  return new Map(rows.map((row) => [row.id, fromRow(row)]));
}

type Counter = "next_number" | "next_field_id" | "next_schema_id" | "next_merge_seq";

/**
 * Takes `count` consecutive numbers of a dataset's counter and gives the first. Numbers that are taken and then not used are
 * skipped for ever, so this may run outside the transaction that uses them and carries no audit event.
 */
export async function takeNumbers(db: Reader, datasetId: string, counter: Counter, count: number): Promise<number> {
  const row = await db
    .updateTable("datasets")
    .set((eb) => ({ [counter]: eb(counter, "+", count) }))
    .where("id", "=", datasetId)
    .returning(counter)
    .executeTakeFirst();
  if (row === undefined) throw new AppError("dataset.not_found", `There is no dataset ${datasetId}.`, { hint: "tidegate dataset list" });
  return Number((row as Record<Counter, number>)[counter]) - count;
}

/** Takes one number of a counter for each of many datasets. */
export async function takeOneEach(tx: Tx, datasetIds: readonly string[], counter: Counter): Promise<Map<string, number>> {
  const taken = new Map<string, number>();
  for (let from = 0; from < datasetIds.length; from += 1000) {
    const rows = await tx
      .updateTable("datasets")
      .set((eb) => ({ [counter]: eb(counter, "+", 1) }))
      .where("id", "in", datasetIds.slice(from, from + 1000))
      .returning(["id", counter])
      .execute();
    for (const row of rows) taken.set(row.id, Number((row as unknown as Record<Counter, number>)[counter]) - 1);
  }
  return taken;
}

/** Brings dropped datasets back under their names; `dataset.exists` when another has taken one meanwhile. */
export async function undropDatasets(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const dropped = await tx
    .selectFrom("datasets")
    .select(["id", "name"])
    .where("id", "in", [...ids])
    .where("dropped_at", "is not", null)
    .execute();
  if (dropped.length === 0) return;
  const names = dropped.map((row) => row.name);
  const taken = await tx
    .selectFrom("datasets")
    .select("name")
    .where("name", "in", names)
    .where("dropped_at", "is", null)
    .executeTakeFirst();
  if (taken !== undefined) throw datasetExists(taken.name);
  await tx
    .updateTable("datasets")
    .set({ dropped_at: null })
    .where(
      "id",
      "in",
      dropped.map((row) => row.id),
    )
    .execute();
}

/** Whether readers have ever had a dataset: then its name is not given to another while a rollback may bring it back. */
export async function wasReleased(db: Reader, datasetId: string): Promise<boolean> {
  const row = await db.selectFrom("release_entries").select("release_id").where("dataset_id", "=", datasetId).limit(1).executeTakeFirst();
  return row !== undefined;
}

export async function dropDatasets(tx: Tx, ids: readonly string[], at: Date): Promise<void> {
  if (ids.length > 0)
    await tx
      .updateTable("datasets")
      .set({ dropped_at: at })
      .where("id", "in", [...ids])
      .execute();
}
