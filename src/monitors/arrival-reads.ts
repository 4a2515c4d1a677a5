import { sql } from "kysely";
import { getContracts } from "../contracts/contract-store.ts";
import type { Contract } from "../contracts/contract.ts";
import type { Reader } from "../db/db.ts";
import { stopped } from "./rhythm.ts";

/** One release that brought a dataset something new. */
export interface DatasetArrival {
  at: Date;
  /** Merged by rule alone. What a person merged is intended. */
  ordinary: boolean;
  /** It only added rows: then `rows` are those, else all that the dataset has. */
  appends: boolean;
  rows: number;
}

export interface WatchedDataset {
  id: string;
  name: string;
  contractHash: string;
  /** The oldest first. */
  arrivals: DatasetArrival[];
}

interface ArrivalRow {
  dataset_id: string;
  name: string;
  live_at: Date;
  ordinary: boolean;
  appends: boolean | null;
  before_rows: string | null;
  after_rows: string;
  contract_hash: string;
}

/** Arrivals of one dataset that are looked at: four weeks of an hourly one. */
const mostArrivals = 700;

/** Datasets of an environment with what came to them last. What is built from others comes with them, and is left out. */
export async function watchedDatasets(db: Reader, environment: string): Promise<WatchedDataset[]> {
  const { rows } = await sql<ArrivalRow>`
    select d.id as dataset_id, d.name, came.live_at, came.ordinary, before.rows::text as before_rows, after.rows::text as after_rows,
      after.contract_hash,
      (select bool_and(o.kind = 'append') from operations o where o.change_id = came.change_id and o.dataset_id = d.id) as appends
    from datasets d cross join lateral (
        select r.id, r.live_at, r.ordinary, r.change_id, e.before_version, e.after_version
        from release_entries e join releases r on r.id = e.release_id
        where e.dataset_id = d.id and r.environment = ${environment} and r.change_id is not null and r.live_at is not null
          and r.state in ('running', 'completed', 'completed_with_holds') and e.after_version is not null
        order by r.live_at desc, r.id desc limit ${mostArrivals}
      ) came
      join versions after on after.id = came.after_version
      left join versions before on before.id = came.before_version
    where d.dropped_at is null and not exists (select from derivations where derivations.dataset_id = d.id)
    order by came.live_at, came.id`.execute(db);
  const found = new Map<string, WatchedDataset>();
  for (const row of rows) {
    const known = found.get(row.dataset_id) ?? { id: row.dataset_id, name: row.name, contractHash: row.contract_hash, arrivals: [] };
    found.set(row.dataset_id, known);
    known.contractHash = row.contract_hash;
    const [before, after] = [Number(row.before_rows ?? 0), Number(row.after_rows)];
    const appends = row.appends === true && after >= before;
    known.arrivals.push({ at: row.live_at, ordinary: row.ordinary, appends, rows: appends ? after - before : after });
  }
  return [...found.values()];
}

/** Of the datasets' contracts those that promise a service level, by hash. */
export async function promisingContracts(db: Reader, datasets: readonly WatchedDataset[]): Promise<Map<string, Contract>> {
  const hashes = [...new Set(datasets.map(({ contractHash }) => contractHash))];
  const rows = await db
    .selectFrom("contracts")
    .select("hash")
    .where((eb) => eb("hash", "=", eb.fn.any(eb.val(hashes))))
    .where("document", "like", "%slaProperties%")
    .execute();
  return getContracts(
    db,
    rows.map((row) => row.hash),
  );
}

export interface ReadHours {
  consumer: string;
  datasetId: string;
  dataset: string;
  hours: Date[];
}

/**
 * In which hours each consumer that may have stopped read each dataset since a time: who read a moment ago has not. Who is disabled, or has no
 * name, is not watched.
 */
export async function readHours(db: Reader, since: Date, now: Date): Promise<ReadHours[]> {
  const silentSince = new Date(now.getTime() - stopped.silentMs);
  const { rows } = await sql<{ consumer: string; dataset_id: string; name: string; hours: Date[] }>`
    select x.consumer, x.dataset_id, d.name, array_agg(x.hour order by x.hour) as hours
    from (
      select distinct e.consumer, v.dataset_id, e.hour from exposures e join versions v on v.id = e.version_id where e.hour >= ${since}
    ) x
      join consumers c on c.name = x.consumer and c.disabled_at is null
      join datasets d on d.id = x.dataset_id and d.dropped_at is null
    group by x.consumer, x.dataset_id, d.name
    having max(x.hour) < ${silentSince} and max(x.hour) - min(x.hour) >= make_interval(secs => ${stopped.seenMs / 1000})
    order by x.consumer, d.name`.execute(db);
  return rows.map(({ dataset_id: datasetId, name: dataset, consumer, hours }) => ({ consumer, datasetId, dataset, hours }));
}

/** How much depends on a dataset: `critical` when a consumer of high criticality reads it, `info` when nobody does. */
export async function severityOf(db: Reader, datasetId: string, since: Date): Promise<"info" | "warning" | "critical"> {
  const { rows } = await sql<{ criticality: string | null }>`
    select distinct c.criticality from exposures e join versions v on v.id = e.version_id left join consumers c on c.name = e.consumer
    where v.dataset_id = ${datasetId} and e.hour >= ${since}`.execute(db);
  if (rows.length === 0) return "info";
  return rows.some(({ criticality }) => criticality === "high" || criticality === "critical") ? "critical" : "warning";
}
