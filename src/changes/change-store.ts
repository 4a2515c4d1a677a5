import { sql, type Selectable } from "kysely";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { keptPlan } from "../rollouts/plans/plan-document.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import type { Reader, Tx } from "../db/db.ts";
import type { ChangeDatasetsTable, ChangesTable } from "../db/tables.ts";
import { nextState, type Change, type ChangeDataset, type ChangeEvent, type ChangeOrigin, type ChangeState } from "./change.ts";

function fromRow(row: Selectable<ChangesTable>): Change {
  return {
    id: row.id,
    title: row.title,
    state: row.state as ChangeState,
    origin: row.origin as ChangeOrigin,
    author: row.author,
    baseCommit: row.base_commit,
    contentHash: row.content_hash,
    generation: row.generation,
    reverts: row.reverts,
    supersedes: row.supersedes,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    mergedAt: row.merged_at,
    mergedBy: row.merged_by,
    mergeCommit: row.merge_commit,
    closedReason: row.closed_reason,
    plan: row.rollout === null ? null : keptPlan(row.rollout),
  };
}

function datasetFromRow(row: Selectable<ChangeDatasetsTable>): ChangeDataset {
  return {
    changeId: row.change_id,
    datasetId: row.dataset_id,
    baseVersion: row.base_version,
    candidateVersion: row.candidate_version,
    beforeVersion: row.before_version,
    mergedVersion: row.merged_version,
    mergeSeq: row.merge_seq,
    createdDataset: row.created_dataset,
    droppedDataset: row.dropped_dataset,
    derived: row.derived,
  };
}

export async function insertChange(tx: Tx, change: Change): Promise<void> {
  await tx
    .insertInto("changes")
    .values({
      id: change.id,
      title: change.title,
      state: change.state,
      origin: change.origin,
      author: change.author,
      base_commit: change.baseCommit,
      content_hash: change.contentHash,
      generation: change.generation,
      reverts: change.reverts,
      supersedes: change.supersedes,
      created_at: change.createdAt,
      updated_at: change.updatedAt,
      merged_at: null,
      merged_by: null,
      merge_commit: null,
      closed_reason: null,
    })
    .execute();
}

function notFound(text: string): AppError {
  return new AppError("change.not_found", `There is no change ${text}.`, { found: text, hint: "tidegate change list" });
}

/** The change of this id, which may be cut to what is unique. */
export async function getChange(db: Reader, text: string): Promise<Change> {
  const exact = await db.selectFrom("changes").selectAll().where("id", "=", text).executeTakeFirst();
  if (exact !== undefined) return fromRow(exact);
  const start = text.startsWith("chg_") ? text : `chg_${text}`;
  if (!/^chg_[0-9a-z]+$/.test(start)) throw notFound(text);
  const rows = await db
    .selectFrom("changes")
    .selectAll()
    .where("id", "like", `${start.replaceAll("_", "\\_")}%`)
    .limit(2)
    .execute();
  if (rows.length > 1) {
    throw new AppError("change.ambiguous", `More than one change begins with ${text}.`, {
      expected: "more characters of the id",
      found: rows.map((row) => row.id).join(", "),
      hint: "tidegate change list",
    });
  }
  if (rows[0] === undefined) throw notFound(text);
  return fromRow(rows[0]);
}

export async function lockChange(tx: Tx, id: string): Promise<Change> {
  const row = await tx.selectFrom("changes").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return fromRow(row);
}

/** Moves a locked change by an event; gives its new state. */
export async function moveChange(
  tx: Tx,
  change: Change,
  event: ChangeEvent,
  set: { at: Date; closedReason?: string; mergedBy?: string; mergeCommit?: string; contentHash?: string; written?: boolean },
): Promise<ChangeState> {
  const state = nextState(change, event);
  await tx
    .updateTable("changes")
    .set({
      state,
      updated_at: set.at,
      ...(set.closedReason === undefined ? {} : { closed_reason: set.closedReason }),
      ...(set.contentHash === undefined ? {} : { content_hash: set.contentHash }),
      ...(set.written === true ? { generation: change.generation + 1 } : {}),
      ...(event === "merge" ? { merged_at: set.at, merged_by: set.mergedBy ?? null, merge_commit: set.mergeCommit ?? null } : {}),
    })
    .where("id", "=", change.id)
    .execute();
  return state;
}

export async function addAuthor(tx: Tx, changeId: string, author: string): Promise<void> {
  await tx
    .insertInto("change_authors")
    .values({ change_id: changeId, author })
    .onConflict((oc) => oc.doNothing())
    .execute();
}

export async function changeDatasets(db: Reader, changeId: string): Promise<ChangeDataset[]> {
  const rows = await db.selectFrom("change_datasets").selectAll().where("change_id", "=", changeId).orderBy("dataset_id").execute();
  return rows.map(datasetFromRow);
}

/** Inserts a change's datasets, or replaces what they propose. */
export async function putChangeDatasets(tx: Tx, datasets: readonly ChangeDataset[]): Promise<void> {
  for (let from = 0; from < datasets.length; from += 500) {
    await tx
      .insertInto("change_datasets")
      .values(
        datasets.slice(from, from + 500).map((item) => ({
          change_id: item.changeId,
          dataset_id: item.datasetId,
          base_version: item.baseVersion,
          candidate_version: item.candidateVersion,
          before_version: item.beforeVersion,
          merged_version: item.mergedVersion,
          merge_seq: item.mergeSeq,
          created_dataset: item.createdDataset,
          dropped_dataset: item.droppedDataset,
          derived: item.derived,
        })),
      )
      .onConflict((oc) =>
        oc.columns(["change_id", "dataset_id"]).doUpdateSet((eb) => ({
          candidate_version: eb.ref("excluded.candidate_version"),
          before_version: eb.ref("excluded.before_version"),
          merged_version: eb.ref("excluded.merged_version"),
          merge_seq: eb.ref("excluded.merge_seq"),
          dropped_dataset: eb.ref("excluded.dropped_dataset"),
          // Once a change has edited a dataset itself, that stays so.
          derived: sql<boolean>`change_datasets.derived and excluded.derived`,
        })),
      )
      .execute();
  }
}

/** Those of some datasets that a change has ever merged into main. */
export async function everMerged(db: Reader, datasetIds: readonly string[]): Promise<Set<string>> {
  if (datasetIds.length === 0) return new Set();
  const rows = await db
    .selectFrom("change_datasets")
    .select("dataset_id")
    .distinct()
    .where("dataset_id", "in", [...datasetIds])
    .where("merge_seq", "is not", null)
    .execute();
  return new Set(rows.map((row) => row.dataset_id));
}

/** Appends operations to a change's record, after those that it has. */
export async function addOperations(
  tx: Tx,
  changeId: string,
  operations: readonly { datasetId: string; kind: string; payload: string; versionId: string | null; author: string; at: Date }[],
): Promise<void> {
  const last = await tx
    .selectFrom("operations")
    .select((eb) => eb.fn.max("ordinal").as("ordinal"))
    .where("change_id", "=", changeId)
    .executeTakeFirst();
  const start = (last?.ordinal ?? 0) + 1;
  for (let from = 0; from < operations.length; from += 500) {
    await tx
      .insertInto("operations")
      .values(
        operations.slice(from, from + 500).map((operation, index) => ({
          change_id: changeId,
          ordinal: start + from + index,
          dataset_id: operation.datasetId,
          kind: operation.kind,
          payload: operation.payload,
          version_id: operation.versionId,
          author: operation.author,
          at: operation.at,
        })),
      )
      .execute();
  }
}

/** The kinds of all operations that made a change, each once. */
export async function operationKinds(db: Reader, changeId: string): Promise<string[]> {
  const rows = await db.selectFrom("operations").select("kind").distinct().where("change_id", "=", changeId).execute();
  return rows.map((row) => row.kind);
}

export async function setTitle(tx: Tx, changeId: string, { title, at }: { title: string; at: Date }): Promise<void> {
  await tx.updateTable("changes").set({ title, updated_at: at }).where("id", "=", changeId).execute();
}

/** Keeps how a change's release shall reach readers; null: as policy says. */
export async function putPlan(tx: Tx, changeId: string, plan: Plan | null): Promise<void> {
  await tx
    .updateTable("changes")
    .set({ rollout: plan === null ? null : toJson(plan) })
    .where("id", "=", changeId)
    .execute();
}
