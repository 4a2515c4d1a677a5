import type { Reader } from "../db/db.ts";
import type { Events, Topic } from "../db/events.ts";
import { flapText } from "../feeds/feed.ts";
import { feedOfChange } from "../feeds/feed-reads.ts";
import { counted } from "../lib/text.ts";
import { stayingBack } from "../rollouts/pins/hold-store.ts";
import { followUpsOf } from "../rollouts/rollback/follow-up-reads.ts";
import { pinsBesideRelease, showRelease, type ShownRelease } from "../rollouts/release-reads.ts";
import { stepText } from "../rollouts/plans/plan.ts";
import { withoutValues } from "./message.ts";
import type { Notice } from "./webhook.ts";

/** An event of the log with its fields. */
export type Happened = { [T in Topic]: { topic: T; event: Events[T] } }[Topic];

/** What is to be told of an event. */
export interface Told {
  notice: Notice;
  /** What must still be so when it is sent; null: it is sent in any case. */
  stands: string | null;
  /** Not told before; null: at once. */
  notBefore: Date | null;
}

/**
 * What waits is told after a breath, and only if it still waits then: a batch that merges by itself waits for nobody, though its branch is
 * written first.
 */
const breathMs = 10_000;

/**
 * What an event gives to tell, as things stand now; most give nothing. Names, ids and counts, and what people wrote for people: no message of an
 * engine and no key of a row, since those may hold values.
 */
export async function noticesOf(db: Reader, { topic, event }: Happened, at: Date): Promise<Told[]> {
  switch (topic) {
    case "change.written":
    case "change.waits":
      return changeWaits(db, event.change, at);
    case "release.waiting":
      // Of a release in steps: its first one waits for somebody, whether it came from a merge or out of the queue.
      return releaseWaits(db, event.release, 0, at);
    case "release.step_started":
      return releaseWaits(db, event.release, event.step, at);
    case "release.stopped":
      return releaseHeld(db, event.release, at);
    case "release.ended":
      return [...(await releaseBack(db, event.release, at)), ...(await releaseSuperseded(db, event.release, at))];
    case "release.completed":
      return releaseCompleted(db, event.release, at);
    case "incident.opened":
    case "incident.closed":
      return incidentTold(db, topic, event.incident, at);
    default:
      return [];
  }
}

/** Whether what a message tells of is still so. */
export async function stillStands(
  db: Reader,
  { type, subject, stands }: { type: string; subject: string; stands: string | null },
): Promise<boolean> {
  if (stands === null) return true;
  if (type === "change.waits") return (await waitingContent(db, subject)) === stands;
  const row = await db.selectFrom("releases").select(["state", "step", "due_at"]).where("id", "=", subject).executeTakeFirst();
  return row?.state === "running" && row.due_at === null && String(row.step) === stands;
}

/** The content under which a change waits for somebody; undefined when it does not wait. */
async function waitingContent(db: Reader, id: string): Promise<string | undefined> {
  const row = await db.selectFrom("changes").select(["state", "content_hash"]).where("id", "=", id).executeTakeFirst();
  return row?.state === "open" || row?.state === "conflicted" ? row.content_hash : undefined;
}

async function changeWaits(db: Reader, id: string, at: Date): Promise<Told[]> {
  const change = await db.selectFrom("changes").selectAll().where("id", "=", id).executeTakeFirst();
  if (change === undefined || !["open", "conflicted", "queued"].includes(change.state)) return [];
  const datasets = await db
    .selectFrom("change_datasets")
    .innerJoin("datasets", "datasets.id", "change_datasets.dataset_id")
    .select("datasets.name")
    .where("change_id", "=", id)
    .where("derived", "=", false)
    .orderBy("datasets.name")
    .execute();
  const names = datasets.map(({ name }) => name);
  const refusal = await refusalOf(db, id, change.updated_at);
  const of = names.length === 0 ? "" : ` of ${names.join(", ")}`;
  const waits = change.state === "conflicted" ? "has conflicts" : "waits for you";
  const { title, author, origin, state } = change;
  const notice: Notice = {
    type: "change.waits",
    subject: id,
    at,
    text: `${id}${of} ${waits}: «${title}», by ${author} (${origin}).`,
    lines: refusal === undefined ? [] : [refusal.text],
    next: `tidegate change show ${id}`,
    data: { change: id, title, author, origin, state, datasets: names, code: refusal?.code ?? null, open: refusal?.open ?? {} },
  };
  return [
    { notice, stands: change.content_hash, notBefore: new Date(at.getTime() + breathMs) },
    ...(await flapping(db, { id, author }, at)),
  ];
}

async function flapping(db: Reader, change: { id: string; author: string }, at: Date): Promise<Told[]> {
  const feed = await feedOfChange(db, change);
  if (feed?.flap.isFlapping !== true) return [];
  const { name, flap } = feed;
  const notice: Notice = {
    type: "feed.flapping",
    subject: name,
    at,
    text: `${name}: ${flapText(flap)}.`,
    lines: [],
    next: `tidegate feed show ${name.split("/")[0] ?? name}`,
    data: { feed: name, change: change.id, alternations: flap.alternations, batches: flap.batches, bad: flap.bad },
  };
  return [{ notice, stands: null, notBefore: null }];
}

interface Refusal {
  code: string;
  /** How many items of each kind are not met. */
  open: Record<string, number>;
  text: string;
}

const itemWords: Readonly<Record<string, string>> = {
  check: "check",
  test: "consumer test",
  untested: "untested dataset",
  approval: "approval",
  loosened: "loosened rule",
  block: "person's block",
  cap: "limit",
};

interface StoredRefusal {
  code: string;
  details?: { decision?: { items?: { kind: string; state: string; overridden: boolean }[] } } | null;
}

/** Why the newest merge of a change as it is now was refused, in counts: the sentences themselves may hold values. */
async function refusalOf(db: Reader, changeId: string, since: Date): Promise<Refusal | undefined> {
  const row = await db
    .selectFrom("merge_queue")
    .select("error")
    .where("change_id", "=", changeId)
    .where("finished_at", ">=", since)
    .orderBy("position", "desc")
    .limit(1)
    .executeTakeFirst();
  const stored = row?.error as StoredRefusal | null | undefined;
  if (stored === null || stored === undefined) return undefined;
  const open: Record<string, number> = {};
  for (const item of stored.details?.decision?.items ?? [])
    if (item.state !== "met" && !item.overridden) open[item.kind] = (open[item.kind] ?? 0) + 1;
  const parts = Object.entries(open).map(([kind, count]) => counted(count, itemWords[kind] ?? "other item"));
  return {
    code: stored.code,
    open,
    text: `Its merge was refused (${stored.code})${parts.length === 0 ? "" : `: ${parts.join(", ")} not met`}.`,
  };
}

async function incidentTold(db: Reader, type: "incident.opened" | "incident.closed", id: string, at: Date): Promise<Told[]> {
  const row = await db.selectFrom("incidents").selectAll().where("id", "=", id).executeTakeFirst();
  // What has closed meanwhile is told as closed, by its own event.
  if (row === undefined || (row.closed_at === null) !== (type === "incident.opened")) return [];
  const { kind, subject, severity, text, data, reopened } = row;
  const notice: Notice = {
    type,
    subject: id,
    at,
    text: type === "incident.opened" ? `${severity}: ${text}` : `Over: ${text}`,
    lines: reopened > 0 && type === "incident.opened" ? [`It came back (${reopened}).`] : [],
    next: `tidegate incident show ${id}`,
    data: { incident: id, kind, subject, severity, reopened, seen: data },
  };
  return [{ notice, stands: null, notBefore: null }];
}

const named = ({ datasets }: ShownRelease): string[] => datasets.map(({ dataset }) => dataset);

function factsOf(shown: ShownRelease): Record<string, unknown> {
  const { release, title, changes, steps } = shown;
  const { id, state, environment, step } = release;
  return { release: id, state, environment, changes, title, datasets: named(shown), step, steps: steps.length };
}

const sentenceOf = (shown: ShownRelease, says: string): string =>
  `${shown.release.id} of ${named(shown).join(", ")} ${says}${shown.title === null ? "" : `: «${shown.title}»`}.`;

async function releaseWaits(db: Reader, id: string, step: number, at: Date): Promise<Told[]> {
  const shown = await showRelease(db, id);
  const { release, steps } = shown;
  const next = steps[release.step];
  if (release.state !== "running" || release.step !== step || release.dueAt !== null || next === undefined) return [];
  const moved = shown.members.map(({ consumer }) => consumer);
  const notice: Notice = {
    type: "release.waits",
    subject: id,
    at,
    text: sentenceOf(shown, `waits for you to start step ${next.ordinal} of ${steps.length}`),
    lines: [
      `It would move ${stepText(next.step)}. ${moved.length === 0 ? "Nobody has it yet" : `${moved.join(", ")} ${moved.length === 1 ? "has" : "have"} it`}.`,
    ],
    next: `tidegate release advance ${id}`,
    data: { ...factsOf(shown), moved },
  };
  // The word is asked for when the wait of the step under way has passed.
  const under = steps[release.step - 1];
  const notBefore = under?.startedAt == null ? null : new Date(under.startedAt.getTime() + (under.step.waitMs ?? 0));
  return [{ notice, stands: String(step), notBefore }];
}

async function releaseHeld(db: Reader, id: string, at: Date): Promise<Told[]> {
  const shown = await showRelease(db, id);
  if (shown.release.state !== "held") return [];
  const reason = withoutValues(shown.release.reason);
  const notice: Notice = {
    type: "release.held",
    subject: id,
    at,
    text: sentenceOf(shown, `is held at step ${shown.release.step} of ${shown.steps.length}`),
    lines: [`Why: ${reason}.`],
    next: `tidegate release show ${id}`,
    data: { ...factsOf(shown), reason },
  };
  return [{ notice, stands: null, notBefore: null }];
}

async function releaseBack(db: Reader, id: string, at: Date): Promise<Told[]> {
  const shown = await showRelease(db, id);
  const { state } = shown.release;
  if (state !== "rolled_back" && state !== "aborted") return [];
  const reason = withoutValues(shown.release.reason);
  const bar = await db.selectFrom("bars").select("barred_by").where("release_id", "=", id).limit(1).executeTakeFirst();
  const by = bar?.barred_by ?? null;
  const readers = (await followUpsOf(db, id)).map(({ consumer, owner }) => ({ consumer, owner }));
  const had = readers.length === 0 ? "Nobody had read it" : `Had read it: ${readers.map(({ consumer }) => consumer).join(", ")}`;
  const notice: Notice = {
    type: "release.rolled_back",
    subject: id,
    at,
    text: sentenceOf(shown, `was ${state === "aborted" ? "aborted" : "rolled back"}${by === null ? "" : ` by ${by}`}`),
    lines: [
      `Why: ${reason}.`,
      `${shown.changes.join(", ")} ${shown.changes.length === 1 ? "is" : "are"} barred; the revert opens by itself.`,
      `${had}.`,
    ],
    next: readers.length === 0 ? `tidegate release show ${id}` : `tidegate follow-up list ${id}`,
    data: { ...factsOf(shown), reason, by, readers },
  };
  return [{ notice, stands: null, notBefore: null }];
}

async function releaseSuperseded(db: Reader, id: string, at: Date): Promise<Told[]> {
  const shown = await showRelease(db, id);
  const { state, reason } = shown.release;
  if (state !== "superseded") return [];
  const moved = shown.members.map(({ consumer }) => consumer);
  const notice: Notice = {
    type: "release.superseded",
    subject: id,
    at,
    text: sentenceOf(shown, `was ${reason}`),
    lines: [moved.length === 0 ? "Nobody had it." : `It had moved ${moved.join(", ")}.`],
    next: `tidegate release show ${id}`,
    data: { ...factsOf(shown), reason, moved },
  };
  return [{ notice, stands: null, notBefore: null }];
}

async function releaseCompleted(db: Reader, id: string, at: Date): Promise<Told[]> {
  const shown = await showRelease(db, id);
  const { state, ordinary, changeId } = shown.release;
  // Ordinary batches complete all day long.
  const change = await db
    .selectFrom("changes")
    .select("origin")
    .where("id", "=", changeId ?? "")
    .executeTakeFirst();
  // Nor does anybody wait for a first import.
  if (ordinary || change === undefined || change.origin === "import" || (state !== "completed" && state !== "completed_with_holds"))
    return [];
  const holds = shown.holds.filter(({ endedAt, expiresAt }) => endedAt === null && expiresAt > at);
  const held = [...new Set([...stayingBack(holds), ...(await pinsBesideRelease(db, shown.release, at))].map(({ consumer }) => consumer))];
  const projected = holds.filter(({ as }) => as.length > 0).map(({ consumer }) => consumer);
  const notice: Notice = {
    type: "release.completed",
    subject: id,
    at,
    text: sentenceOf(shown, `has reached ${state === "completed" ? "all its readers" : "its readers"}`),
    lines: [
      ...(held.length === 0 ? [] : [`Held back or pinned: ${held.join(", ")}.`]),
      ...(projected.length === 0 ? [] : [`With the columns that they know: ${projected.join(", ")}.`]),
    ],
    next: `tidegate release show ${id}`,
    data: { ...factsOf(shown), held, ...(projected.length === 0 ? {} : { projected }) },
  };
  return [{ notice, stands: null, notBefore: null }];
}
