import { sql } from "kysely";
import { readSome, readTree } from "../../catalog/commit-store.ts";
import type { Dataset } from "../../catalog/dataset.ts";
import { getRef, liveRef } from "../../catalog/ref-store.ts";
import { asOf } from "../../catalog/version.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Reader } from "../../db/db.ts";
import { unattributed } from "../../usage/exposure.ts";
import { influenceText, readerState, reasonOf, type ReaderState } from "./reader-state.ts";

/** What one consumer is served of a dataset now, and what it read of it last. */
export interface Holder {
  consumer: string;
  owner: string | null;
  /** Null: it has none. */
  version: number | null;
  /** Of a projection: number of the version whose columns it has. */
  as?: number;
  reason: string;
  /** Of the last 30 days; null: it has not read it. A client that keeps what it has read may lag behind what it is served. */
  lastRead: { version: number; as?: number; at: Date } | null;
}

export interface WhoHas {
  dataset: string;
  /** What readers without a say of their own have. */
  live: number | null;
  /** How many of these consumers are on each version, the most first. */
  versions: { version: number | null; consumers: number }[];
  /** Who is not on what live has first, then by name. */
  consumers: Holder[];
}

const habitMs = 30 * 86_400_000;

/** On which version of a dataset each consumer is that reads it, or that a release, a hold or a pin gives another one than live. */
export async function whoHas(db: Reader, of: { environment: string; dataset: Dataset; at: Date }): Promise<WhoHas> {
  const { environment, dataset, at } = of;
  const liveTree = await readTree(db, (await getRef(db, liveRef(environment))).commitId);
  const live = (await readSome(db, liveTree, [dataset.id])).get(dataset.id) ?? null;
  const read = await lastReadBy(db, dataset.id, new Date(at.getTime() - habitMs));
  const served = new Map<string, { version: string | null; reason: string }>();
  for (const consumer of await withASay(db, environment, at)) {
    const state = await readerState(db, { environment, consumer, at });
    const version = await versionIn(db, state, dataset.id);
    const isShared = state.shares.some(({ datasetIds }) => datasetIds.includes(dataset.id));
    if (version !== live || isShared || read.has(consumer)) served.set(consumer, { version, reason: reasonFor(state, dataset.id) });
  }
  const owners = await db.selectFrom("consumers").select(["name", "owner"]).where("disabled_at", "is", null).orderBy("name").execute();
  const ids = [...served.values()].flatMap(({ version }) => version ?? []);
  const versions = await getVersions(db, live === null ? ids : [...ids, live]);
  const numberOf = (id: string | null): number | null => versions.get(id ?? "")?.number ?? null;
  const consumers = owners
    .filter(({ name }) => served.has(name) || read.has(name))
    .map(({ name, owner }): Holder => {
      const { version, reason } = served.get(name) ?? { version: live, reason: "live" };
      return {
        consumer: name,
        owner,
        version: numberOf(version),
        ...asOf(versions.get(version ?? "")?.asNumber),
        reason,
        lastRead: read.get(name) ?? null,
      };
    });
  const liveNumber = numberOf(live);
  const isApart = ({ version, as }: Holder): boolean => version !== liveNumber || as !== undefined;
  return {
    dataset: dataset.name,
    live: liveNumber,
    versions: countsOf(consumers),
    consumers: [...consumers.filter(isApart), ...consumers.filter((line) => !isApart(line))],
  };
}

function countsOf(consumers: readonly Holder[]): WhoHas["versions"] {
  const counts = new Map<number | null, number>();
  for (const { version } of consumers) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts]
    .map(([version, count]) => ({ version, consumers: count }))
    .sort((a, b) => b.consumers - a.consumers || (b.version ?? 0) - (a.version ?? 0));
}

/** Consumers of which something says that they have other versions than live: all others have what live has. */
async function withASay(db: Reader, environment: string, at: Date): Promise<string[]> {
  const { rows } = await sql<{ consumer: string }>`
    select members.consumer from release_members members join releases on releases.id = members.release_id
      where releases.environment = ${environment} and releases.state in ('running', 'paused', 'held') and releases.live_at is null
    union select shares.consumer from release_shares shares join releases on releases.id = shares.release_id
      where releases.environment = ${environment} and releases.state in ('running', 'paused', 'held') and releases.live_at is null
    union select holds.consumer from holds join releases on releases.id = holds.release_id
      where releases.environment = ${environment} and holds.ended_at is null and holds.expires_at > ${at}
    union select pins.consumer from pins where pins.environment = ${environment} and pins.ended_at is null and pins.expires_at > ${at}
    order by consumer`.execute(db);
  return rows.map(({ consumer }) => consumer);
}

async function versionIn(db: Reader, { view }: ReaderState, datasetId: string): Promise<string | null> {
  const overlaid = view.overlay[datasetId];
  return overlaid === undefined ? ((await readSome(db, await readTree(db, view.commitId), [datasetId])).get(datasetId) ?? null) : overlaid;
}

/** What decides of this dataset, where the view's reason is of all. */
function reasonFor({ influences, lost, shares }: ReaderState, datasetId: string): string {
  // The largest of a release's shares holds the smaller ones.
  const share = shares.findLast(({ datasetIds }) => datasetIds.includes(datasetId));
  const runs = share === undefined ? "" : `; ${share.percent} % of its ${share.unit}s have ${share.release}`;
  const decisive = influences.findLast((influence) => datasetId in influence.versions || (influence.by === "pin" && influence.whole));
  return `${decisive === undefined ? reasonOf({ influences: [], lost }) : influenceText(decisive)}${runs}`;
}

async function lastReadBy(db: Reader, datasetId: string, since: Date): Promise<Map<string, NonNullable<Holder["lastRead"]>>> {
  const { rows } = await sql<{ consumer: string; number: number; as_number: number | null; last_at: Date }>`
    select distinct on (exposures.consumer) exposures.consumer, versions.number, versions.as_number, exposures.last_at
    from versions join exposures on exposures.version_id = versions.id
    where versions.dataset_id = ${datasetId} and exposures.hour >= ${since} and exposures.consumer <> ${unattributed}
    order by exposures.consumer, exposures.last_at desc, versions.number desc`.execute(db);
  return new Map(rows.map((row) => [row.consumer, { version: row.number, ...asOf(row.as_number), at: row.last_at }]));
}
