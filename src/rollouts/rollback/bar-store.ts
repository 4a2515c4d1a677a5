import { sql, type RawBuilder } from "kysely";
import type { Reader, Tx } from "../../db/db.ts";
import { readSome } from "../../catalog/commit-store.ts";
import { everBuiltFrom } from "../../catalog/derivation-store.ts";
import { getVersions, settledChangeSet } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import { barredIn, inEffect, type StandingBar } from "./bar.ts";

interface Undoing {
  /** The changes that were asked about, as far as they are merged. */
  changes: StandingBar[];
  reverts: Map<string, StandingBar[]>;
}

/**
 * Some changes of datasets, with the merged changes that revert them or undo them by the way, as a corrected batch does, those that undo
 * these, and so on; by dataset. `asked` gives dataset_id and change_id. Where a dataset was only rebuilt, its inputs tell what it contains.
 */
async function undoingOf(db: Reader, asked: RawBuilder<unknown>): Promise<Map<string, Undoing>> {
  const { rows } = await sql<{ dataset_id: string; change_id: string; merge_seq: number; reverted: string | null }>`
    with recursive chain as (
      select asked.dataset_id, asked.change_id, placed.merge_seq, null::text as reverted
      from (${asked}) asked
        join change_datasets placed on placed.change_id = asked.change_id and placed.dataset_id = asked.dataset_id
      where placed.merge_seq is not null and not placed.derived
      union
      select placed.dataset_id, placed.change_id, placed.merge_seq, chain.change_id
      from chain
        cross join lateral (
          select changes.id from changes where changes.reverts = chain.change_id
          union
          select operations.change_id from operations
          where operations.dataset_id = chain.dataset_id and operations.kind = 'undo' and operations.payload->>'change' = chain.change_id
        ) undone
        join change_datasets placed on placed.change_id = undone.id and placed.dataset_id = chain.dataset_id
      where placed.merge_seq is not null and not placed.derived
    ) select * from chain`.execute(db);
  const found = new Map<string, Undoing>();
  for (const row of rows) {
    const known = found.get(row.dataset_id) ?? { changes: [], reverts: new Map<string, StandingBar[]>() };
    found.set(row.dataset_id, known);
    const change = { changeId: row.change_id, seq: Number(row.merge_seq) };
    if (row.reverted === null) known.changes.push(change);
    else known.reverts.set(row.reverted, [...(known.reverts.get(row.reverted) ?? []), change]);
  }
  return found;
}

/** Whether a merged change has its effect in a version: it is contained, and nothing has undone it there. */
export async function hasEffect(db: Reader, version: Version, changeId: string): Promise<boolean> {
  const asked = sql`select ${version.datasetId}::text as dataset_id, ${changeId}::text as change_id`;
  const known = (await undoingOf(db, asked)).get(version.datasetId);
  const [change] = known?.changes ?? [];
  return known !== undefined && change !== undefined && inEffect(await settledChangeSet(db, version), change, known.reverts);
}

/** Barred changes that each of these versions would bring to readers, by version id. A version that brings none is left out. */
export async function barsByVersion(db: Reader, versions: readonly Version[]): Promise<Map<string, string[]>> {
  const all = await withInputs(db, versions);
  const own = await ownBars(db, [...all.values()]);
  const judged = new Map<string, string[]>();
  // What is built from a barred version is barred with it, at any distance.
  const judge = (id: string): string[] => {
    const known = judged.get(id);
    if (known !== undefined) return known;
    const found = [...new Set([...(own.get(id) ?? []), ...(all.get(id)?.inputs ?? []).flatMap(judge)])];
    judged.set(id, found);
    return found;
  };
  return new Map(versions.flatMap(({ id }) => (judge(id).length === 0 ? [] : [[id, judge(id)] as const])));
}

/** These versions and all that they were built from. */
async function withInputs(db: Reader, versions: readonly Version[]): Promise<Map<string, Version>> {
  const all = new Map(versions.map((version) => [version.id, version]));
  for (let pending = versions; ;) {
    const missing = pending.flatMap((version) => version.inputs ?? []).filter((id) => !all.has(id));
    if (missing.length === 0) return all;
    pending = [...(await getVersions(db, [...new Set(missing)])).values()];
    for (const version of pending) all.set(version.id, version);
    if (pending.length === 0) return all;
  }
}

/** Barred changes that versions contain by themselves. */
async function ownBars(db: Reader, versions: readonly Version[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const datasetIds = [...new Set(versions.map((version) => version.datasetId))];
  const standing = await undoingOf(
    db,
    sql`select dataset_id, change_id from bars where dataset_id = any(${datasetIds}) and lifted_at is null`,
  );
  for (const version of versions) {
    const known = standing.get(version.datasetId);
    if (known === undefined) continue;
    const barred = barredIn(await settledChangeSet(db, version), known.changes, known.reverts);
    if (barred.length > 0) found.set(version.id, barred);
  }
  return found;
}

/** Barred changes that these versions would bring to readers. Empty: they may be released. */
export async function barsOn(db: Reader, versions: readonly Version[]): Promise<Set<string>> {
  return versions.length === 0 ? new Set() : new Set([...(await barsByVersion(db, versions)).values()].flat());
}

/** Barred changes that a whole view would bring to its readers: a tree with versions in place of some of its own. */
export async function barsInView(db: Reader, tree: string, overlay: Readonly<Record<string, string | null>>): Promise<Set<string>> {
  const suspects = await db.selectFrom("bars").select("dataset_id").distinct().where("lifted_at", "is", null).execute();
  const barred = suspects.map((row) => row.dataset_id);
  const datasetIds = [...barred, ...(await everBuiltFrom(db, barred))];
  const entries = await readSome(db, tree, datasetIds);
  const ids = datasetIds.flatMap((id) => (overlay[id] === undefined ? entries.get(id) : overlay[id]) ?? []);
  return barsOn(db, [...(await getVersions(db, ids)).values()]);
}

/** Bars changes of a dataset each; the ones that are barred already stay as they are. */
export async function insertBars(
  tx: Tx,
  bars: readonly { changeId: string; datasetId: string; releaseId: string | null }[],
  why: { at: Date; by: string; reason: string },
): Promise<void> {
  for (let from = 0; from < bars.length; from += 1000) {
    await tx
      .insertInto("bars")
      .values(
        bars.slice(from, from + 1000).map((bar) => ({
          change_id: bar.changeId,
          dataset_id: bar.datasetId,
          barred_at: why.at,
          barred_by: why.by,
          reason: why.reason,
          release_id: bar.releaseId,
          lifted_at: null,
          lifted_by: null,
          lift_reason: null,
        })),
      )
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}

/** Lifts the bars that stand on a change; gives the datasets that it stood on. */
export async function liftBars(tx: Tx, changeId: string, lift: { at: Date; by: string; reason: string }): Promise<string[]> {
  const rows = await tx
    .updateTable("bars")
    .set({ lifted_at: lift.at, lifted_by: lift.by, lift_reason: lift.reason })
    .where("change_id", "=", changeId)
    .where("lifted_at", "is", null)
    .returning("dataset_id")
    .execute();
  return rows.map((row) => row.dataset_id);
}

/** Changes of a list on which a bar stands. */
export async function barredChanges(db: Reader, changeIds: readonly string[]): Promise<Set<string>> {
  if (changeIds.length === 0) return new Set();
  const rows = await db
    .selectFrom("bars")
    .select("change_id")
    .distinct()
    .where("change_id", "in", [...changeIds])
    .where("lifted_at", "is", null)
    .execute();
  return new Set(rows.map((row) => row.change_id));
}
