import type { Selectable } from "kysely";
import { AppError } from "../lib/errors.ts";
import type { Reader, Tx } from "../db/db.ts";
import type { VersionsTable } from "../db/tables.ts";
import { normalise, type ChangeSet } from "./change-set.ts";
import { recordDerivations } from "./derivation-store.ts";
import { takeOneEach } from "./dataset-store.ts";
import type { Version, VersionDraft } from "./version.ts";

function fromRow(row: Selectable<VersionsTable>): Version {
  return {
    id: row.id,
    datasetId: row.dataset_id,
    number: row.number,
    metadataKey: row.metadata_key,
    schemaId: row.schema_id,
    snapshotId: row.snapshot_id ?? undefined,
    contractHash: row.contract_hash,
    rows: row.rows,
    bytes: row.bytes,
    files: row.files,
    changeSet: { watermark: row.watermark, minus: row.minus, open: row.open_changes },
    createdByChange: row.created_by_change,
    createdAt: row.created_at,
    collectedAt: row.collected_at,
    inputs: row.inputs,
    buildKey: row.build_key,
    lineageKey: row.lineage_key,
    projects: row.projects,
    asNumber: row.as_number,
  };
}

/**
 * Makes sure that the clean-up leaves these versions alone until the transaction ends, after which it sees who names them.
 * `version.collected` when it was faster.
 */
export async function holdVersions(tx: Tx, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += 5000) {
    const rows = await tx
      .selectFrom("versions")
      .select(["number", "collected_at"])
      .where("id", "in", ids.slice(from, from + 5000))
      .orderBy("id")
      .forShare()
      .execute();
    const gone = rows.find((row) => row.collected_at !== null);
    if (gone !== undefined) throw versionCollected(gone.number, gone.collected_at as Date);
  }
}

/** The files of this version are no longer there. */
export function versionCollected(number: number, at: Date): AppError {
  return new AppError("version.collected", `Version @${number} can no longer be read: its files were cleaned up.`, {
    expected: "a version that a branch, a tag or an open change has, or had in the last 30 days",
    found: `@${number}, cleaned up ${at.toISOString()}`,
    hint: "tidegate log; a tag keeps a version for as long as it stands",
  });
}

/** A version that is named now, as it is kept: it can be read. */
export function versionRow(version: Omit<Version, "createdAt" | "collectedAt">, at: Date) {
  return {
    id: version.id,
    dataset_id: version.datasetId,
    number: version.number,
    metadata_key: version.metadataKey,
    schema_id: version.schemaId,
    snapshot_id: version.snapshotId ?? null,
    contract_hash: version.contractHash,
    rows: version.rows,
    bytes: version.bytes,
    files: version.files,
    watermark: version.changeSet.watermark,
    minus: [...version.changeSet.minus],
    open_changes: [...version.changeSet.open],
    created_by_change: version.createdByChange,
    created_at: at,
    collected_at: null,
    inputs: version.inputs === null ? null : [...version.inputs],
    build_key: version.buildKey,
    lineage_key: version.lineageKey,
    projects: version.projects,
    as_number: version.asNumber,
  };
}

/** Gives drafts their numbers and inserts them; the caller has locked the datasets. One draft per dataset and call. */
export async function insertVersions(tx: Tx, drafts: readonly VersionDraft[], at: Date): Promise<Version[]> {
  await holdVersions(tx, [...new Set(drafts.flatMap((draft) => draft.builtFrom))]);
  const numbers = await takeOneEach(
    tx,
    drafts.map((draft) => draft.datasetId),
    "next_number",
  );
  const versions = drafts.map(({ builtFrom: _builtFrom, ...draft }) => {
    const number = numbers.get(draft.datasetId);
    if (number === undefined) throw new AppError("dataset.not_found", `There is no dataset ${draft.datasetId}.`);
    return { ...draft, number, createdAt: at, collectedAt: null, projects: null, asNumber: null };
  });
  for (let from = 0; from < versions.length; from += 500) {
    await tx
      .insertInto("versions")
      .values(versions.slice(from, from + 500).map((version) => versionRow(version, at)))
      .execute();
  }
  await recordDerivations(tx, versions);
  return versions;
}

export async function getVersion(db: Reader, id: string): Promise<Version> {
  const row = await db.selectFrom("versions").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw new AppError("version.not_found", `There is no version ${id}.`, { hint: "tidegate log" });
  return fromRow(row);
}

export async function getVersions(db: Reader, ids: readonly string[]): Promise<Map<string, Version>> {
  const found = new Map<string, Version>();
  for (let from = 0; from < ids.length; from += 5000) {
    const rows = await db
      .selectFrom("versions")
      .selectAll()
      .where("id", "in", ids.slice(from, from + 5000))
      .execute();
    for (const row of rows) found.set(row.id, fromRow(row));
  }
  return found;
}

/** The newest readable version of a derived dataset whose content was built under this key. */
export async function findBuild(db: Reader, datasetId: string, buildKey: string): Promise<Version | undefined> {
  const row = await db
    .selectFrom("versions")
    .selectAll()
    .where("dataset_id", "=", datasetId)
    .where("build_key", "=", buildKey)
    .where("collected_at", "is", null)
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** The version with this number; `version.not_found` names the numbers that there are. */
export async function getVersionByNumber(db: Reader, dataset: { id: string; name: string }, number: number): Promise<Version> {
  const row = await db
    .selectFrom("versions")
    .selectAll()
    .where("dataset_id", "=", dataset.id)
    .where("number", "=", number)
    .where("projects", "is", null)
    .executeTakeFirst();
  if (row !== undefined) return fromRow(row);
  const last = await db
    .selectFrom("versions")
    .select((eb) => eb.fn.max("number").as("number"))
    .where("dataset_id", "=", dataset.id)
    .executeTakeFirst();
  throw new AppError("version.not_found", `${dataset.name} has no version ${number}.`, {
    expected: last?.number ? `a number from 1 to ${last.number}` : "a dataset with versions",
    found: `@${number}`,
    hint: `tidegate log ${dataset.name}`,
  });
}

/** Merge numbers of changes in one dataset; changes that are not merged are left out. */
export async function mergeNumbers(db: Reader, datasetId: string, changeIds: readonly string[]): Promise<Map<string, number>> {
  if (changeIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("change_datasets")
    .select(["change_id", "merge_seq"])
    .where("dataset_id", "=", datasetId)
    .where("change_id", "in", [...changeIds])
    .where("merge_seq", "is not", null)
    .execute();
  return new Map(rows.map((row) => [row.change_id, Number(row.merge_seq)]));
}

/** The change set of a version as of now, with changes that were merged meanwhile under their numbers. */
export async function settledChangeSet(db: Reader, version: Version): Promise<ChangeSet> {
  if (version.changeSet.open.length === 0) return version.changeSet;
  return normalise(version.changeSet, await mergeNumbers(db, version.datasetId, version.changeSet.open));
}
