import { getDatasets } from "../catalog/dataset-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { Reader } from "../db/db.ts";
import { parseJson } from "../lib/json.ts";
import { barredChanges } from "../rollouts/rollback/bar-store.ts";
import { changeDatasets, getChange } from "./change-store.ts";
import type { Change, ChangeDataset, ChangeOrigin, ChangeState } from "./change.ts";

export interface ChangeLine {
  id: string;
  title: string;
  state: ChangeState;
  origin: ChangeOrigin;
  author: string;
  updatedAt: Date;
  /** It was rolled back. */
  barred: boolean;
  datasets: string[];
}

/** Changes, the newest first. */
export async function listChanges(
  db: Reader,
  filter: { state?: "waiting" | ChangeState | undefined; datasetId?: string | undefined; limit: number },
): Promise<ChangeLine[]> {
  let query = db.selectFrom("changes").selectAll();
  if (filter.state === "waiting") query = query.where("state", "in", ["open", "conflicted", "queued"]);
  else if (filter.state !== undefined) query = query.where("state", "=", filter.state);
  const { datasetId } = filter;
  if (datasetId !== undefined) {
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom("change_datasets")
          .select("change_datasets.change_id")
          .whereRef("change_datasets.change_id", "=", "changes.id")
          .where("change_datasets.dataset_id", "=", datasetId),
      ),
    );
  }
  const rows = await query.orderBy("updated_at", "desc").orderBy("id").limit(filter.limit).execute();
  const items =
    rows.length === 0
      ? []
      : await db
          .selectFrom("change_datasets")
          .innerJoin("datasets", "datasets.id", "change_datasets.dataset_id")
          .select(["change_datasets.change_id", "datasets.name"])
          .where(
            "change_datasets.change_id",
            "in",
            rows.map((row) => row.id),
          )
          .orderBy("datasets.name")
          .execute();
  const barred = await barredChanges(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => ({
    id: row.id,
    title: row.title,
    state: row.state as ChangeState,
    origin: row.origin as ChangeOrigin,
    author: row.author,
    updatedAt: row.updated_at,
    barred: barred.has(row.id),
    datasets: items.filter((item) => item.change_id === row.id).map((item) => item.name),
  }));
}

export interface ShownChange {
  change: Change;
  barred: boolean;
  authors: string[];
  datasets: {
    dataset: string;
    datasetId: string;
    base: Version | undefined;
    candidate: Version | undefined;
    merged: Version | undefined;
    createdDataset: boolean;
    droppedDataset: boolean;
    /** Rebuilt because of its inputs; the change has no operation of its own on it. */
    derived: boolean;
  }[];
  operations: { ordinal: number; dataset: string; kind: string; payload: unknown; author: string; at: Date }[];
  revertedBy: string[];
  /** It was rolled back, and its revert cannot open by itself: why, and what to do. */
  revertWaits: { message: string; hint: string | null } | null;
  /** Why its last merge was refused, and what to do; null unless it is conflicted. */
  conflict: { message: string; hint: string | null } | null;
}

/** Datasets of a change as they are shown: what it writes before what is built from that, each by name. */
export function inOrder(items: readonly ChangeDataset[], name: (id: string) => string): ChangeDataset[] {
  const rank = (item: ChangeDataset): string => `${item.derived ? 1 : 0} ${name(item.datasetId)}`;
  return items.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** One change with all that belongs to it. */
export async function showChange(db: Reader, text: string): Promise<ShownChange> {
  const change = await getChange(db, text);
  const items = await changeDatasets(db, change.id);
  const datasets = await getDatasets(
    db,
    items.map((item) => item.datasetId),
  );
  const name = (id: string) => datasets.get(id)?.name ?? id;
  const ids = items.flatMap((item) => [item.baseVersion ?? [], item.candidateVersion ?? [], item.mergedVersion ?? []].flat());
  const versions = await getVersions(db, [...new Set(ids)]);
  const operations = await db.selectFrom("operations").selectAll().where("change_id", "=", change.id).orderBy("ordinal").execute();
  const authors = await db.selectFrom("change_authors").select("author").where("change_id", "=", change.id).orderBy("author").execute();
  const reverts = await db.selectFrom("changes").select("id").where("reverts", "=", change.id).orderBy("created_at").execute();
  const barred = (await barredChanges(db, [change.id])).has(change.id);
  return {
    change,
    barred,
    revertWaits: barred && reverts.length === 0 ? await lastRevertConflict(db, change.id) : null,
    authors: authors.map((row) => row.author),
    datasets: inOrder(items, name).map((item) => ({
      dataset: name(item.datasetId),
      datasetId: item.datasetId,
      base: versions.get(item.baseVersion ?? ""),
      candidate: versions.get(item.candidateVersion ?? ""),
      merged: versions.get(item.mergedVersion ?? ""),
      createdDataset: item.createdDataset,
      droppedDataset: item.droppedDataset,
      derived: item.derived,
    })),
    operations: operations.map((row) => ({
      ordinal: row.ordinal,
      dataset: name(row.dataset_id),
      kind: row.kind,
      payload: row.payload,
      author: row.author,
      at: row.at,
    })),
    revertedBy: reverts.map((row) => row.id),
    conflict: change.state === "conflicted" ? await lastConflict(db, change.id) : null,
  };
}

/** What kept the revert from opening; it is written down in the audit only (changes/outbox-handlers). */
async function lastRevertConflict(db: Reader, changeId: string): Promise<ShownChange["revertWaits"]> {
  const row = await db
    .selectFrom("audit_events")
    .innerJoin("audit_payloads", "audit_payloads.seq", "audit_events.seq")
    .select("audit_payloads.body")
    .where("audit_events.subject", "=", changeId)
    .where("audit_events.action", "=", "revert.conflict")
    .orderBy("audit_events.seq", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { message, hint } = parseJson(row.body) as unknown as { message?: string; hint?: string };
  return { message: message ?? "its revert conflicts with later changes", hint: hint ?? null };
}

async function lastConflict(db: Reader, changeId: string): Promise<ShownChange["conflict"]> {
  const row = await db
    .selectFrom("merge_queue")
    .select("error")
    .where("change_id", "=", changeId)
    .where("state", "=", "conflicted")
    .orderBy("position", "desc")
    .limit(1)
    .executeTakeFirst();
  const stored = row?.error as { message: string; hint?: string } | null | undefined;
  return stored === null || stored === undefined ? null : { message: stored.message, hint: stored.hint ?? null };
}
