import { readSome, readTree } from "../../catalog/commit-store.ts";
import type { Dataset } from "../../catalog/dataset.ts";
import { getRef, liveRef } from "../../catalog/ref-store.ts";
import { asOf } from "../../catalog/version.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Reader } from "../../db/db.ts";
import { counted } from "../../lib/text.ts";
import { standingHolds, stayingBack } from "../pins/hold-store.ts";
import { movingOf, pinsConcerned } from "../pins/pin-moves.ts";
import { timeText } from "../pins/pin.ts";
import { membersOf, runUnitOf, stepText } from "../plans/plan.ts";
import { influenceText, isRetold, readerState, reasonOf, type Influence, type ReaderState } from "./reader-state.ts";
import { isActive } from "../release-machine.ts";
import { comingInPlaceOf, openReleases, releaseEntries, type Release } from "../release-store.ts";
import { olderOf } from "../supersede.ts";
import { membersOfRelease, plannedConsumers, stepsOf, type ReleaseStep } from "../step-store.ts";

/** One thing that has, or had, a say in what a consumer is served of a dataset. */
export interface Say {
  by: "live" | "step" | "hold" | "pin" | "release" | "bar";
  /** The release, pin or change. */
  id: string | null;
  text: string;
}

/** What a consumer is served of a dataset, why, and what moves it next. */
export interface Why {
  consumer: string;
  dataset: string;
  /** Null: it has none. */
  version: number | null;
  /** Of a projection: number of the version whose columns it has. */
  as?: number;
  view: string;
  /** Why this dataset, where the view's reason is of all of them. */
  reason: string;
  says: Say[];
  /** What moves it next, as things stand; `at` is null when somebody must say so. Null: nothing is under way. */
  next: { at: Date | null; text: string } | null;
}

/** Explains what a consumer is served of a dataset now. */
export async function whyServed(db: Reader, of: { environment: string; consumer: string; dataset: Dataset; at: Date }): Promise<Why> {
  const { environment, consumer, dataset, at } = of;
  const state = await readerState(db, { environment, consumer, at });
  const liveTree = await readTree(db, (await getRef(db, liveRef(environment))).commitId);
  const own = await readTree(db, state.view.commitId);
  const live = (await readSome(db, liveTree, [dataset.id])).get(dataset.id) ?? null;
  const overlaid = state.view.overlay[dataset.id];
  const id = overlaid === undefined ? ((await readSome(db, own, [dataset.id])).get(dataset.id) ?? null) : overlaid;
  const versions = await getVersions(
    db,
    [id, live].flatMap((item) => item ?? []),
  );
  const numberOf = (version: string | null): number | null => versions.get(version ?? "")?.number ?? null;
  const decisive = state.influences.findLast(
    (influence) => dataset.id in influence.versions || (influence.by === "pin" && influence.whole),
  );
  const open = await openReleases(db, environment, [dataset.id]);
  const releases = await Promise.all(open.map((release) => onRelease(db, { ...of, state, release })));
  return {
    consumer,
    dataset: dataset.name,
    version: numberOf(id),
    ...asOf(versions.get(id ?? "")?.asNumber),
    view: state.view.id,
    reason: decisive === undefined ? reasonOf({ influences: [], lost: state.lost }) : influenceText(decisive),
    says: [
      await liveSays(db, { environment, dataset, number: numberOf(live) }),
      ...state.influences
        .filter((influence) => influence === decisive || dataset.id in influence.versions)
        .filter((influence) => !isRetold(influence, decisive === undefined ? [] : [decisive]))
        .map((influence) => influenceSays(influence, dataset)),
      ...releases.map(({ say }) => say),
      ...(await barSays(db, dataset)),
    ],
    next: nextOf(
      decisive,
      releases.flatMap(({ next }) => next ?? []),
    ),
  };
}

async function liveSays(db: Reader, of: { environment: string; dataset: Dataset; number: number | null }): Promise<Say> {
  const row = await db
    .selectFrom("release_entries")
    .innerJoin("releases", "releases.id", "release_entries.release_id")
    .leftJoin("changes", "changes.id", "releases.change_id")
    .select(["releases.id", "releases.live_at", "releases.reason", "changes.title"])
    .where("release_entries.dataset_id", "=", of.dataset.id)
    .where("releases.environment", "=", of.environment)
    .where("releases.live_commit", "is not", null)
    .orderBy("releases.live_at", "desc")
    .orderBy("releases.id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (of.number === null) return { by: "live", id: row?.id ?? null, text: `live has no ${of.dataset.name}` };
  const since = row?.live_at == null ? "" : ` since ${timeText(row.live_at)}, by ${row.id} «${row.title ?? row.reason}»`;
  return { by: "live", id: row?.id ?? null, text: `live has ${of.dataset.name}@${of.number}${since}` };
}

function influenceSays(influence: Influence, dataset: Dataset): Say {
  const text = influenceText(influence);
  if (influence.by === "step" || influence.by === "share") return { by: "step", id: influence.release, text };
  if (influence.by === "pin") return { by: "pin", id: influence.pin, text: `${text}: ${influence.reason}` };
  const stopped = influence.by === "projection" ? influence.stopped[dataset.id] : undefined;
  if (stopped !== undefined) {
    const since = timeText(new Date(stopped.at));
    return { by: "hold", id: influence.release, text: `${text}: no new rows since ${since}, since ${stopped.reason}` };
  }
  return {
    by: "hold",
    id: influence.release,
    text: `${text} until ${timeText(influence.until)}, ${influence.owner} mends it: ${influence.reason}`,
  };
}

interface OnRelease {
  environment: string;
  consumer: string;
  dataset: Dataset;
  at: Date;
  state: ReaderState;
  release: Release;
}

/** Where a consumer stands in a release that not all readers have. */
async function onRelease(db: Reader, of: OnRelease): Promise<{ say: Say; next: Why["next"] }> {
  const { release, consumer } = of;
  const { id } = release;
  const say = (text: string): Say => ({ by: "release", id, text: `${id} is ${release.state}: ${text}` });
  if (!isActive(release.state)) return { say: say(release.reason), next: { at: null, text: `${id} starts: it ${release.reason}` } };
  const steps = await stepsOf(db, id);
  if (release.liveAt !== null) return { say: say("all readers have it, and its bake goes on"), next: null };
  const moved = (await membersOfRelease(db, id)).find((member) => member.consumer === consumer);
  const entries = await releaseEntries(db, id);
  const moving = movingOf(entries);
  const pins = (await pinsConcerned(db, of, moving)).filter((pin) => pin.consumer === consumer);
  if (pins.length > 0) return { say: say(`it does not move ${consumer}, which is pinned`), next: null };
  const held = stayingBack(await standingHolds(db, id, of.at)).find((hold) => hold.consumer === consumer);
  if (held !== undefined) {
    const text = `it does not move ${consumer}, which is held back until ${timeText(held.expiresAt)}: ${held.reason}`;
    return { say: say(text), next: null };
  }
  const newer = await comingInPlaceOf(db, release);
  if (newer !== null) return { say: say(`it moves nobody more, because ${newer} comes in its place with its first step`), next: null };
  if (moved !== undefined) return { say: say(`step ${moved.ordinal} moved ${consumer} ${timeText(moved.movedAt)}`), next: null };
  const shared = of.state.shares.findLast((share) => share.release === id);
  const consumers = await plannedConsumers(db);
  const unit = runUnitOf(consumers.find(({ name }) => name === consumer) ?? {});
  const movesRuns = (item: ReleaseStep): boolean => unit !== undefined && item.step.audience.to === "percent";
  const older = (await olderOf(db, release, entries)).find(({ members }) => members.includes(consumer));
  const step =
    older === undefined
      ? steps.find((item) => item.ordinal > release.step && (membersOf(item.step, id, consumers).includes(consumer) || movesRuns(item)))
      : steps[0];
  if (step === undefined) return { say: say(`no step of it moves ${consumer}`), next: null };
  const from = older === undefined ? "" : ` from ${older.release.id}`;
  const what = movesRuns(step) ? `that share of its ${unit}s` : "it";
  const text = `step ${step.ordinal} of ${counted(steps.length, "step")} of ${id} (${stepText(step.step)}) moves ${what}${from}`;
  const has = shared === undefined ? "" : `; ${shared.percent} % of its ${shared.unit}s have it`;
  return {
    say: say(
      `step ${release.step} of ${steps.length} is under way${has}, and step ${step.ordinal} moves ${movesRuns(step) ? what : consumer}`,
    ),
    next: when(release, step.ordinal, text),
  };
}

function when(release: Release, ordinal: number, text: string): { at: Date | null; text: string } {
  if (release.state !== "running") return { at: null, text: `${text}, once somebody resumes ${release.id}` };
  if (ordinal > release.step + 1) return { at: null, text: `${text}, after those before it` };
  return release.dueAt === null ? { at: null, text: `${text}, once somebody advances ${release.id}` } : { at: release.dueAt, text };
}

async function barSays(db: Reader, dataset: Dataset): Promise<Say[]> {
  const rows = await db
    .selectFrom("bars")
    .select(["change_id", "barred_at", "barred_by", "reason"])
    .where("dataset_id", "=", dataset.id)
    .where("lifted_at", "is", null)
    .orderBy("barred_at", "desc")
    .limit(20)
    .execute();
  return rows.map((row) => ({
    by: "bar",
    id: row.change_id,
    text: `${row.change_id} is barred since ${timeText(row.barred_at)} by ${row.barred_by}: ${row.reason}`,
  }));
}

/** A pin and a hold keep it until they end; else the first thing that is due, else the first that somebody must start. */
function nextOf(decisive: Influence | undefined, steps: readonly NonNullable<Why["next"]>[]): Why["next"] {
  if (decisive?.by === "pin") return { at: decisive.until, text: "its pin ends, and it has what all have" };
  if (decisive?.by === "projection")
    return { at: decisive.until, text: `the projection by ${decisive.release} ends, and it has what all have` };
  if (decisive?.by === "hold") return { at: decisive.until, text: `the hold by ${decisive.release} ends, and it has what all have` };
  const due = steps.filter((step) => step.at !== null).toSorted((a, b) => Number(a.at) - Number(b.at));
  return due[0] ?? steps[0] ?? null;
}
