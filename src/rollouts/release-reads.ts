import { sql } from "kysely";
import { resolveDataset } from "../catalog/dataset-store.ts";
import type { Reader } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { holdsOf, type Hold } from "./pins/hold-store.ts";
import { pinsBeside } from "./pins/pin-moves.ts";
import { pinLines, type PinLine } from "./pins/pin-reads.ts";
import { activeStates, isActive, type ReleaseState } from "./release-machine.ts";
import {
  comingInPlaceOf,
  getRelease,
  releaseColumns,
  releaseContents,
  releaseEntries,
  releaseFromRow,
  type Release,
} from "./release-store.ts";
import { sharesOfRelease, type Share } from "./share-store.ts";
import { membersOfRelease, stepsOf, type Member, type ReleaseStep } from "./step-store.ts";

export interface ReleaseLine extends Release {
  steps: number;
  /** Consumers that it has moved. */
  moved: number;
  datasets: string[];
}

/** `open`: those that not all readers have, or whose bake goes on. */
export type ReleaseFilter = ReleaseState | "open";

/** Releases of an environment, newest first. */
export async function listReleases(
  db: Reader,
  environment: string,
  which: { state?: ReleaseFilter | undefined; datasetId?: string | undefined; limit: number },
): Promise<ReleaseLine[]> {
  const { state, datasetId } = which;
  const states: readonly string[] = state === "open" ? ["waiting", ...activeStates] : state === undefined ? [] : [state];
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .select([
      sql<string>`(select count(*) from release_steps where release_id = releases.id)`.as("steps"),
      sql<string>`(select count(*) from release_members where release_id = releases.id)`.as("moved"),
      sql<string[] | null>`(select array_agg(datasets.name order by datasets.name) from release_entries
        join datasets on datasets.id = release_entries.dataset_id where release_id = releases.id)`.as("names"),
    ])
    .where("environment", "=", environment)
    .$if(states.length > 0, (query) => query.where("state", "in", [...states]))
    .$if(datasetId !== undefined, (query) =>
      query.where(sql<boolean>`exists (select from release_entries where release_id = releases.id and dataset_id = ${datasetId})`),
    )
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(which.limit)
    .execute();
  return rows.map(({ steps, moved, names, ...row }) => ({
    ...releaseFromRow(row),
    steps: Number(steps),
    moved: Number(moved),
    datasets: names ?? [],
  }));
}

/**
 * The release that a text names: an id, or a dataset, for which the one under way is meant, else the newest that a person merged or planned. The
 * revert that a rollback opens by itself is not what anybody looks for: what was rolled back is.
 */
export async function namedRelease(db: Reader, environment: string, text: string): Promise<Release> {
  if (text.startsWith("rel_")) return getRelease(db, text);
  const { id, name } = await resolveDataset(db, text);
  const row = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("environment", "=", environment)
    .where("ordinary", "=", false)
    .where(sql<boolean>`exists (select from release_entries where release_id = releases.id and dataset_id = ${id})`)
    .orderBy(sql`state = any(${[...activeStates]}::text[])`, "desc")
    .orderBy(
      sql`exists (select from changes join release_changes undone on undone.change_id = changes.reverts join releases back on back.id = undone.release_id
        where changes.id = releases.change_id and back.environment = ${environment} and back.state in ('aborted', 'rolled_back'))`,
    )
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row !== undefined) return releaseFromRow(row);
  throw new AppError("release.not_found", `${name} has no release that a person merged.`, {
    expected: "a dataset with such a release",
    found: "only ordinary batches",
    hint: `tidegate release list --dataset ${name}`,
  });
}

export interface ShownRelease {
  release: Release;
  title: string | null;
  steps: ReleaseStep[];
  members: Member[];
  /** Percentages of the runs of consumers that are sticky by these. */
  shares: Share[];
  /** Consumers that it holds back on what they had, because it would break them. */
  holds: Hold[];
  /** The release that comes in its place with its first step; null: none. */
  inPlace: string | null;
  changes: string[];
  datasets: { dataset: string; before: number | null; after: number | null }[];
}

/** A release with its steps, whom each has moved, and what it brings. */
export async function showRelease(db: Reader, id: string): Promise<ShownRelease> {
  const release = await getRelease(db, id);
  const content = (await releaseContents(db, [release.id])).get(release.id);
  const datasets = await db
    .selectFrom("release_entries")
    .innerJoin("datasets", "datasets.id", "release_entries.dataset_id")
    .leftJoin("versions as before", "before.id", "release_entries.before_version")
    .leftJoin("versions as after", "after.id", "release_entries.after_version")
    .select(["datasets.name as dataset", "before.number as before", "after.number as after"])
    .where("release_entries.release_id", "=", release.id)
    .orderBy("datasets.name")
    .execute();
  const change = release.changeId;
  const row = change === null ? undefined : await db.selectFrom("changes").select("title").where("id", "=", change).executeTakeFirst();
  return {
    release,
    title: row?.title ?? null,
    steps: await stepsOf(db, release.id),
    members: await membersOfRelease(db, release.id),
    shares: await sharesOfRelease(db, release.id),
    holds: await holdsOf(db, release.id),
    inPlace: await comingInPlaceOf(db, release),
    changes: content?.changes ?? [],
    datasets,
  };
}

/** Pins that keep consumers from what a release gives all others; none of one that has ended, because its readers have moved on. */
export async function pinsBesideRelease(db: Reader, release: Release, now: Date): Promise<PinLine[]> {
  if (release.state !== "completed_with_holds" && !isActive(release.state)) return [];
  return pinLines(db, await pinsBeside(db, release, await releaseEntries(db, release.id), now));
}
