import type { Reader } from "../db/db.ts";
import { byText } from "../lib/text.ts";
import { feedName, flapOf, stemOf, type BatchVerdict, type FeedBatch, type Flap } from "./feed.ts";

/** A feed with its newest batches, the oldest of them first. */
export interface Feed {
  name: string;
  dataset: string;
  stem: string;
  batches: FeedBatch[];
}

/** How many arrivals of one dataset are looked at, of all its feeds together. */
const arrivalsPerDataset = 200;

/** All feeds, or those of one dataset, by name. */
export async function listFeeds(db: Reader, datasetId?: string): Promise<Feed[]> {
  const arrivals = await readArrivals(db, datasetId);
  const feeds = new Map<string, Feed>();
  for (const arrival of arrivals) {
    const stem = stemOf(arrival.sourceId);
    const name = feedName(arrival.dataset, stem);
    const feed = feeds.get(name) ?? { name, dataset: arrival.dataset, stem, batches: [] };
    feeds.set(name, feed);
    const known = feed.batches.findIndex((batch) => batch.sourceId === arrival.sourceId);
    const { dataset: _dataset, ...batch } = arrival;
    if (known < 0) feed.batches.push(batch);
    else feed.batches[known] = standing(feed.batches[known] as FeedBatch, batch);
  }
  return [...feeds.values()].sort((a, b) => byText(a.name, b.name));
}

/** Of two batches under one source id the one that counts now, in the place of the first. */
function standing(first: FeedBatch, later: FeedBatch): FeedBatch {
  const isGone = later.state === "closed" || later.state === "superseded";
  return isGone ? first : { ...later, at: first.at };
}

/** The feed of a batch: how its other batches fared, and whether its sender has had one merged before. */
export interface FeedOfChange {
  name: string;
  flap: Flap;
  isTrusted: boolean;
}

/** The feed by which a change came, and how its other batches have alternated; undefined when it is no batch of a feed. */
export async function feedOfChange(db: Reader, change: { id: string; author: string }): Promise<FeedOfChange | undefined> {
  const source = await db
    .selectFrom("sources")
    .innerJoin("datasets", "datasets.id", "sources.dataset_id")
    .select(["sources.dataset_id", "sources.source_id", "datasets.name"])
    .where("sources.change_id", "=", change.id)
    .limit(1)
    .executeTakeFirst();
  if (source === undefined) return undefined;
  const name = feedName(source.name, stemOf(source.source_id));
  const feed = (await listFeeds(db, source.dataset_id)).find((item) => item.name === name);
  const others = (feed?.batches ?? []).filter((batch) => batch.sourceId !== source.source_id);
  return { name, flap: flapOf(others), isTrusted: await isTrustedFeed(db, change, source) };
}

/**
 * Whether a batch comes from a sender who has had an earlier batch of the same feed merged that was not rolled back, and brings nothing else
 * with it. Without that anybody who may propose would pass the review by naming a source.
 */
async function isTrustedFeed(
  db: Reader,
  change: { id: string; author: string },
  source: { dataset_id: string; source_id: string },
): Promise<boolean> {
  const touched = await db.selectFrom("operations").select("dataset_id").distinct().where("change_id", "=", change.id).execute();
  if (touched.some(({ dataset_id: id }) => id !== source.dataset_id)) return false;
  const merged = await db
    .selectFrom("sources as s")
    .innerJoin("changes as c", "c.id", "s.change_id")
    .select("s.source_id")
    .where("s.dataset_id", "=", source.dataset_id)
    .where("c.id", "!=", change.id)
    .where("c.author", "=", change.author)
    .where("c.state", "=", "merged")
    .where((eb) =>
      eb.not(
        eb.exists(
          eb.selectFrom("bars").select("bars.change_id").whereRef("bars.change_id", "=", "c.id").where("bars.lifted_at", "is", null),
        ),
      ),
    )
    .orderBy("s.at", "desc")
    .limit(arrivalsPerDataset)
    .execute();
  const stem = stemOf(source.source_id);
  return merged.some((earlier) => stemOf(earlier.source_id) === stem);
}

type Arrival = FeedBatch & { dataset: string };

/** The newest arrivals of each dataset, the oldest first. */
async function readArrivals(db: Reader, datasetId: string | undefined): Promise<Arrival[]> {
  const placed = db
    .selectFrom("sources")
    .select(["dataset_id", "source_id", "change_id", "at"])
    .select((eb) =>
      eb.fn
        .agg<string>("row_number")
        .over((over) => over.partitionBy("dataset_id").orderBy("at", "desc"))
        .as("place"),
    )
    .$if(datasetId !== undefined, (query) => query.where("dataset_id", "=", datasetId as string));
  const rows = await db
    .selectFrom(placed.as("s"))
    .innerJoin("datasets as d", "d.id", "s.dataset_id")
    .innerJoin("changes as c", "c.id", "s.change_id")
    .innerJoin("change_datasets as cd", (join) =>
      join.onRef("cd.change_id", "=", "s.change_id").onRef("cd.dataset_id", "=", "s.dataset_id"),
    )
    .leftJoin("versions as base", "base.id", "cd.base_version")
    .leftJoin("versions as candidate", "candidate.id", "cd.candidate_version")
    .select(["s.source_id", "s.change_id", "s.at", "d.name", "c.state", "base.rows as before", "candidate.rows as after"])
    .where("s.place", "<=", String(arrivalsPerDataset))
    .where("d.dropped_at", "is", null)
    .orderBy("s.at")
    .orderBy("s.change_id")
    .execute();
  const ids = rows.map((row) => row.change_id);
  const [judged, barred] = [await readJudgements(db, ids), await readBarred(db, ids)];
  return rows.map((row) => {
    const state = row.state as FeedBatch["state"];
    const found = judgedAs(state, judged.get(row.change_id), barred.get(row.change_id));
    return {
      dataset: row.name,
      sourceId: row.source_id,
      changeId: row.change_id,
      at: row.at,
      state,
      ...found,
      rows: Number(row.after ?? 0) - Number(row.before ?? 0),
    };
  });
}

/** What the merge queue keeps of a merge that the gate refused. */
interface Refusal {
  code: string;
  message: string;
  details?: { decision?: { summary?: string; items?: { kind: string; state: string; overridden?: boolean }[] } };
}

const gateCodes: ReadonlySet<string> = new Set(["merge.blocked", "merge.waits", "merge.inconclusive"]);

/** The last time that the gate refused each of these changes. */
async function readJudgements(db: Reader, changeIds: readonly string[]): Promise<Map<string, Refusal>> {
  if (changeIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("merge_queue")
    .select(["change_id", "error"])
    .where("change_id", "in", [...changeIds])
    .where("state", "=", "failed")
    .orderBy("position")
    .execute();
  return new Map(rows.map((row) => [row.change_id, row.error as Refusal] as const).filter(([, { code }]) => gateCodes.has(code)));
}

/** Why changes of these were rolled back, and still are. */
async function readBarred(db: Reader, changeIds: readonly string[]): Promise<Map<string, string>> {
  if (changeIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("bars")
    .select(["change_id", "reason"])
    .where("change_id", "in", [...changeIds])
    .where("lifted_at", "is", null)
    .execute();
  return new Map(rows.map((row) => [row.change_id, row.reason]));
}

/**
 * A batch is bad when the gate held it back, or when it was rolled back after it had passed. What held it back only because its feed flaps,
 * or could not be told, says nothing of the batch.
 */
function judgedAs(
  state: FeedBatch["state"],
  refusal: Refusal | undefined,
  barred: string | undefined,
): { verdict: BatchVerdict; reason: string | null } {
  if (barred !== undefined) return { verdict: "bad", reason: `rolled back: ${barred}` };
  const open = (refusal?.details?.decision?.items ?? []).filter((item) => item.state !== "met" && item.overridden !== true);
  const own = open.filter((item) => item.kind !== "feed");
  const reason = refusal === undefined ? null : (refusal.details?.decision?.summary ?? refusal.message);
  if (own.some((item) => item.state === "failed" || item.state === "missing")) return { verdict: "bad", reason };
  if (own.length > 0) return { verdict: state === "merged" ? "good" : "open", reason };
  // It stands on nothing of its own: all that holds it is the feed.
  if (open.length > 0) return { verdict: "good", reason: state === "merged" ? null : reason };
  return { verdict: state === "merged" ? "good" : "open", reason: null };
}
