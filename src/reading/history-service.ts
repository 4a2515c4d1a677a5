import { readSome, readTree } from "../catalog/commit-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { asOf } from "../catalog/version.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Reader } from "../db/db.ts";
import { readerStateAt } from "../rollouts/views/reader-history.ts";
import { reasonOf } from "../rollouts/views/reader-state.ts";
import { lastReads, type LastRead } from "../usage/last-reads.ts";

/** What a consumer had, and had read, at a moment of the past. */
export interface WhatDid {
  consumer: string;
  at: Date;
  /** The view that a read without a run was answered from. */
  view: string;
  reason: string;
  /** Since when live stood as it did. */
  liveSince: Date;
  /** Runs under way, each with the view that it kept. */
  runs: { run: string; view: string; startedAt: Date }[];
  /** What it had otherwise than live, and what it had read by then. A number is null where there was none. */
  datasets: { dataset: string; had: number | null; as?: number; live: number | null; read: Omit<LastRead, "datasetId" | "dataset">[] }[];
}

/** Tells from the record which versions a consumer had at a moment, why, and which it had read last by then. */
export async function whatDid(db: Reader, of: { environment: string; consumer: string; at: Date }): Promise<WhatDid> {
  const state = await readerStateAt(db, of);
  const reads = await lastReads(db, of);
  const { view } = state;
  const ids = [...new Set([...state.influences.flatMap(({ versions }) => Object.keys(versions)), ...reads.map((read) => read.datasetId)])];
  const had = await readSome(db, await readTree(db, view.commitId), ids);
  for (const [id, version] of Object.entries(view.overlay)) {
    if (version === null) had.delete(id);
    else had.set(id, version);
  }
  const live = await readSome(db, await readTree(db, state.liveCommit), ids);
  const versions = await getVersions(db, [...new Set([...had.values(), ...live.values()])]);
  const names = await getDatasets(db, ids);
  const numberOf = (id: string | undefined): number | null => versions.get(id ?? "")?.number ?? null;
  const datasets = ids.map((id) => {
    const read = reads.filter(({ datasetId }) => datasetId === id).map(({ datasetId: _id, dataset: _name, ...line }) => line);
    return {
      dataset: names.get(id)?.name ?? id,
      had: numberOf(had.get(id)),
      ...asOf(versions.get(had.get(id) ?? "")?.asNumber),
      live: numberOf(live.get(id)),
      read,
    };
  });
  return {
    consumer: of.consumer,
    at: of.at,
    view: view.id,
    reason: reasonOf(state),
    liveSince: state.since,
    runs: await runsAt(db, of),
    datasets: datasets.sort((a, b) => (a.dataset < b.dataset ? -1 : 1)),
  };
}

async function runsAt(db: Reader, of: { consumer: string; at: Date }): Promise<WhatDid["runs"]> {
  const rows = await db
    .selectFrom("view_leases")
    .select(["run", "view_id", "started_at"])
    .where("consumer", "=", of.consumer)
    .where("started_at", "<=", of.at)
    .where("expires_at", ">", of.at)
    .where((eb) => eb.or([eb("ended_at", "is", null), eb("ended_at", ">", of.at)]))
    .orderBy("started_at")
    .orderBy("run")
    .limit(100)
    .execute();
  return rows.map((row) => ({ run: row.run, view: row.view_id, startedAt: row.started_at }));
}
