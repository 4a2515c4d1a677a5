import { sql, type Selectable } from "kysely";
import { atOnce } from "../db/at-once.ts";
import type { ReleasesTable } from "../db/line-tables.ts";
import type { Reader, Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { keptGuardrails, type Judging } from "./judge/guardrail-document.ts";
import type { Plan, PlanStep, Queue } from "./plans/plan.ts";
import { activeStates, isActive, type ReleaseState } from "./release-machine.ts";

/** The versions that merged changes offer to the readers of one environment. */
export interface Release {
  id: string;
  environment: string;
  changeId: string | null;
  state: ReleaseState;
  reason: string;
  createdAt: Date;
  finishedAt: Date | null;
  liveCommit: string | null;
  /** Merged by rule alone, with no plan: rolled back only when named. */
  ordinary: boolean;
  /** It has a plan: it reaches its readers in steps. */
  planned: boolean;
  /** The step under way, from 1; 0 before the first. */
  step: number;
  /** When the next step starts by itself, or the bake ends. */
  dueAt: Date | null;
  /** Since when all readers have it. */
  liveAt: Date | null;
  /** Datasets bound to these by foreign keys: no other release moves them meanwhile, and what waits for them is tried again when they move. */
  neighbours: readonly string[];
  /** When it is looked at again by itself: the judge holds it, or its datasets do not fit together; null when a person must let it go, or nobody holds it. */
  lookAt: Date | null;
  /** What becomes of it where a release of its datasets is under way. */
  queue: Queue;
}

export interface ReleaseEntry {
  datasetId: string;
  beforeVersion: string | null;
  afterVersion: string | null;
}

export interface NewRelease extends Release {
  entries: readonly ReleaseEntry[];
  /** All changes that it brings, its own first. */
  changes: readonly string[];
  /** Its steps; one for everyone where none are given. */
  plan?: Plan | undefined;
}

export const releaseColumns = [
  "id",
  "environment",
  "change_id",
  "state",
  "reason",
  "created_at",
  "finished_at",
  "live_commit",
  "ordinary",
  "planned",
  "step",
  "due_at",
  "live_at",
  "neighbours",
  "look_at",
  "queue",
] as const;

export function releaseFromRow(row: Pick<Selectable<ReleasesTable>, (typeof releaseColumns)[number]>): Release {
  return {
    id: row.id,
    environment: row.environment,
    changeId: row.change_id,
    state: row.state as ReleaseState,
    reason: row.reason,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    liveCommit: row.live_commit,
    ordinary: row.ordinary,
    planned: row.planned,
    step: row.step,
    dueAt: row.due_at,
    liveAt: row.live_at,
    neighbours: row.neighbours,
    lookAt: row.look_at,
    queue: row.queue as Queue,
  };
}

/** A release that nobody has yet. */
export function newRelease(facts: Pick<Release, "id" | "environment" | "changeId" | "reason" | "createdAt" | "ordinary">): Release {
  return {
    ...facts,
    state: "waiting",
    finishedAt: null,
    liveCommit: null,
    planned: false,
    step: 0,
    dueAt: null,
    liveAt: null,
    neighbours: [],
    lookAt: null,
    queue: "wait",
  };
}

const everyone: PlanStep = { audience: { to: "everyone" }, waitMs: null, approval: false };

/** Inserts a release with its entries, its changes and its steps. */
export async function insertRelease(tx: Tx, release: NewRelease): Promise<void> {
  const inserted = tx.insertInto("releases").values({
    id: release.id,
    environment: release.environment,
    change_id: release.changeId,
    state: release.state,
    reason: release.reason,
    created_at: release.createdAt,
    finished_at: release.finishedAt,
    live_commit: release.liveCommit,
    ordinary: release.ordinary,
    planned: release.planned,
    step: release.step,
    due_at: release.dueAt,
    live_at: release.liveAt,
    neighbours: [...release.neighbours],
    queue: release.plan?.queue ?? "wait",
    guardrails: release.plan?.judging === undefined ? null : toJson(release.plan.judging),
  });
  const changes = [...new Set(release.changes)].map((id) => ({ release_id: release.id, change_id: id }));
  const steps = tx.insertInto("release_steps").values(stepRows(release, release.plan?.steps ?? [everyone]));
  const [first = [], ...others] = portions(release.entries);
  await atOnce(tx, [
    inserted,
    steps,
    ...(changes.length === 0 ? [] : [tx.insertInto("release_changes").values(changes)]),
    ...(first.length === 0 ? [] : [putEntries(tx, release.id, first)]),
  ]);
  for (const portion of others) await putEntries(tx, release.id, portion).execute();
}

/** Says which versions a release offers now. */
export async function putEntriesOf(tx: Tx, releaseId: string, entries: readonly ReleaseEntry[]): Promise<void> {
  for (const portion of portions(entries)) await putEntries(tx, releaseId, portion).execute();
}

/** Adds changes that a release brings with it. */
export async function putChanges(tx: Tx, releaseId: string, changes: readonly string[]): Promise<void> {
  if (changes.length === 0) return;
  await tx
    .insertInto("release_changes")
    .values([...new Set(changes)].map((id) => ({ release_id: releaseId, change_id: id })))
    .onConflict((oc) => oc.doNothing())
    .execute();
}

function stepRows(release: Release, steps: readonly PlanStep[]) {
  const done = release.state === "completed" || release.state === "completed_with_holds";
  return steps.map((step, index) => ({
    release_id: release.id,
    ordinal: index + 1,
    kind: step.audience.to,
    plan: toJson(step),
    state: done ? "done" : "waiting",
    started_at: done ? release.createdAt : null,
    finished_at: done ? release.finishedAt : null,
  }));
}

function putEntries(tx: Tx, releaseId: string, entries: readonly ReleaseEntry[]) {
  return tx
    .insertInto("release_entries")
    .values(
      entries.map((entry) => ({
        release_id: releaseId,
        dataset_id: entry.datasetId,
        before_version: entry.beforeVersion,
        after_version: entry.afterVersion,
      })),
    )
    .onConflict((oc) =>
      oc.columns(["release_id", "dataset_id"]).doUpdateSet((eb) => ({
        before_version: eb.ref("excluded.before_version"),
        after_version: eb.ref("excluded.after_version"),
      })),
    );
}

/** Entries in portions, each of which fits into one statement. */
function portions(entries: readonly ReleaseEntry[]): ReleaseEntry[][] {
  return Array.from({ length: Math.ceil(entries.length / 1000) }, (_, index) => entries.slice(index * 1000, (index + 1) * 1000));
}

/** Ends a release; a completed one gets the entries that it really brought. */
export async function finishRelease(
  tx: Tx,
  id: string,
  end: { state: ReleaseState; at: Date; reason?: string; live?: { commit: string; at: Date }; entries?: readonly ReleaseEntry[] },
): Promise<void> {
  const release = tx
    .updateTable("releases")
    .set({
      state: end.state,
      finished_at: end.at,
      ...(end.reason === undefined ? {} : { reason: end.reason }),
      due_at: null,
      look_at: null,
      ...(end.live === undefined ? {} : { live_commit: end.live.commit, live_at: end.live.at }),
    })
    .where("id", "=", id);
  const steps = tx
    .updateTable("release_steps")
    .set({ state: end.state === "completed" || end.state === "completed_with_holds" ? "done" : "aborted", finished_at: end.at })
    .where("release_id", "=", id)
    .where("state", "in", ["waiting", "running"]);
  await atOnce(tx, [release, steps]);
  await putEntriesOf(tx, id, end.entries ?? []);
}

/**
 * Releases that touch any of these datasets and that not all readers have, oldest first: waiting ones and those under way. With `neighbours`
 * also those under way that a foreign key binds to them.
 */
export async function openReleases(
  db: Reader,
  environment: string,
  datasetIds: readonly string[],
  neighbours?: readonly string[],
): Promise<Release[]> {
  if (datasetIds.length === 0) return [];
  const touches = (ids: readonly string[]) =>
    sql<boolean>`exists (select from release_entries where release_id = releases.id and dataset_id = any(${[...ids]}::text[]))`;
  const bound = sql<boolean>`state <> 'waiting' and (neighbours && ${[...datasetIds]}::text[] or ${touches(neighbours ?? [])})`;
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("environment", "=", environment)
    .where("state", "in", ["waiting", ...activeStates])
    .where((eb) => eb.or([touches(datasetIds), ...(neighbours === undefined ? [] : [bound])]))
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return rows.map(releaseFromRow);
}

/** Releases under way in an environment, oldest first. */
export function activeReleases(db: Reader, environment: string): Promise<Release[]> {
  return releasesIn(db, environment, activeStates);
}

/** Releases that wait in an environment, oldest first. */
export function waitingReleases(db: Reader, environment: string): Promise<Release[]> {
  return releasesIn(db, environment, ["waiting"]);
}

/** Releases in some states, oldest first. */
export async function releasesIn(db: Reader, environment: string, states: readonly ReleaseState[]): Promise<Release[]> {
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("environment", "=", environment)
    .where("state", "in", [...states])
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return rows.map(releaseFromRow);
}

/** The release under way that comes in the place of the one of the row with its first step. */
const comesInPlace = sql<string | null>`(select newer.id from releases newer
  where releases.live_at is null and newer.queue = 'supersede' and newer.step = 0 and newer.state = any(${[...activeStates]}::text[])
    and newer.id <> releases.id and newer.environment = releases.environment
    and (releases.step > 0 or newer.created_at > releases.created_at)
    and exists (select from release_entries theirs join release_entries own using (dataset_id)
      where theirs.release_id = newer.id and own.release_id = releases.id)
  order by newer.created_at desc, newer.id desc limit 1)`;

/** Which release comes in the place of one with its first step; null: none. */
export async function comingInPlaceOf(db: Reader, { id, state }: Release): Promise<string | null> {
  if (!isActive(state)) return null;
  const row = await db.selectFrom("releases").select(comesInPlace.as("newer")).where("id", "=", id).executeTakeFirstOrThrow();
  return row.newer;
}

/**
 * Of releases: those whose next step starts by itself, and whose time has come; and those at which the judge, which holds them, looks again. One in
 * whose place another is about to come moves nobody more.
 */
export function ofDue(db: Reader, now: Date) {
  return db
    .selectFrom("releases")
    .where((eb) =>
      eb.or([eb.and([eb("state", "=", "running"), eb("due_at", "<=", now)]), eb.and([eb("state", "=", "held"), eb("look_at", "<=", now)])]),
    )
    .where(sql<boolean>`${comesInPlace} is null`);
}

/** Releases at which something is due by now, what is due longest first. */
export async function dueReleases(db: Reader, now: Date): Promise<Release[]> {
  const rows = await ofDue(db, now).select(releaseColumns).orderBy("due_at").orderBy("id").execute();
  return rows.map(releaseFromRow);
}

/** Of releases: those under way of which consumers have reported anything. */
export function ofReported(db: Reader) {
  return db
    .selectFrom("releases")
    .where("state", "in", activeStates)
    .where("planned", "=", true)
    .where("step", ">", 0)
    .where((eb) => eb.exists(eb.selectFrom("outcome_reports").select("id").whereRef("release_id", "=", "releases.id")));
}

export async function reportedReleases(db: Reader): Promise<Release[]> {
  const rows = await ofReported(db).select(releaseColumns).orderBy("id").execute();
  return rows.map(releaseFromRow);
}

/** The release of this id, which may be cut to what is unique. */
export async function findRelease(db: Reader, id: string): Promise<Release | undefined> {
  if (!/^rel_[0-9a-z]+$/.test(id)) return undefined;
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("id", "like", `${id.replaceAll("_", "\\_")}%`)
    .orderBy("id")
    .limit(2)
    .execute();
  const found = rows.find((row) => row.id === id) ?? (rows.length === 1 ? rows[0] : undefined);
  return found && releaseFromRow(found);
}

/** The release of this id; `release.not_found` when there is none. */
export async function getRelease(db: Reader, id: string): Promise<Release> {
  const release = await findRelease(db, id);
  if (release !== undefined) return release;
  throw new AppError("release.not_found", `There is no release ${id}.`, {
    expected: "the id of a release, or as many of its letters as are unique",
    found: id,
    hint: "tidegate release list",
  });
}

/** What the judge looks at in a release. */
export async function judgingOf(db: Reader, releaseId: string): Promise<Judging> {
  const row = await db.selectFrom("releases").select("guardrails").where("id", "=", releaseId).executeTakeFirstOrThrow();
  return keptGuardrails(row.guardrails);
}

/** A release as it is now, locked to the end of the transaction. */
export async function lockRelease(tx: Tx, id: string): Promise<Release> {
  const row = await tx.selectFrom("releases").select(releaseColumns).where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  return releaseFromRow(row);
}

export async function findReleases(db: Reader, ids: readonly string[]): Promise<Map<string, Release>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("releases")
    .select(releaseColumns)
    .where("id", "in", [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, releaseFromRow(row)]));
}

export async function releaseEntries(db: Reader, releaseId: string): Promise<ReleaseEntry[]> {
  return (await releaseContents(db, [releaseId])).get(releaseId)?.entries ?? [];
}

interface ContentRow {
  release_id: string;
  change_id: string | null;
  dataset_id: string | null;
  before_version: string | null;
  after_version: string | null;
}

/** What each of some releases brings: its entries by dataset id, and its changes. */
export async function releaseContents(
  db: Reader,
  ids: readonly string[],
): Promise<Map<string, { entries: ReleaseEntry[]; changes: string[] }>> {
  const contents = new Map(ids.map((id) => [id, { entries: [] as ReleaseEntry[], changes: [] as string[] }]));
  if (ids.length === 0) return contents;
  const { rows } = await sql<ContentRow>`
    select release_id, null as change_id, dataset_id, before_version, after_version from release_entries where release_id = any(${ids})
    union all
    select release_id, change_id, null, null, null from release_changes where release_id = any(${ids})
    order by dataset_id, change_id`.execute(db);
  for (const row of rows) {
    const content = contents.get(row.release_id);
    if (row.change_id !== null) content?.changes.push(row.change_id);
    if (row.dataset_id !== null)
      content?.entries.push({ datasetId: row.dataset_id, beforeVersion: row.before_version, afterVersion: row.after_version });
  }
  return contents;
}
