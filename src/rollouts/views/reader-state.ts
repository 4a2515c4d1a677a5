import { sql } from "kysely";
import { getRef, liveRef } from "../../catalog/ref-store.ts";
import type { Reader } from "../../db/db.ts";
import { pinText, unpinnedText } from "../pins/pin.ts";
import { keptStep } from "../plans/plan-document.ts";
import { inShare, type RunUnit } from "../plans/plan.ts";
import { viewOf, type View, type ViewReason } from "./view.ts";

/** Something that gives a reader other versions than live: a release that has moved it, one that holds it back, or a pin. */
export type Influence = { versions: Readonly<Record<string, string | null>> } & (
  | { by: "step"; release: string; ordinal: number; percent: number | undefined }
  | { by: "share"; release: string; ordinal: number; percent: number; unit: RunUnit; run: string }
  | { by: "hold"; release: string; reason: string; owner: string; until: Date }
  | ProjectionFacts
  | { by: "pin"; pin: string; owner: string; reason: string; until: Date; whole: boolean }
);

/** A release gives a reader its candidates, or what live has since, with the columns that it had before. */
interface ProjectionFacts {
  by: "projection";
  release: string;
  reason: string;
  owner: string;
  until: Date;
  /** Number of the version whose columns it has, by dataset id. */
  as: Readonly<Record<string, number>>;
  /** Since when it has no new rows of a dataset, and why, by dataset id; a dataset that goes on is left out. */
  stopped: Readonly<Record<string, { at: string; reason: string }>>;
  /** The step that moved it; undefined since all readers have the release. */
  step: { ordinal: number; percent: number | undefined } | undefined;
}

/** A pin that ended because what it kept was rolled back; told until the pin would have ended. */
export interface LostPin {
  pin: string;
  owner: string;
  barred: readonly string[];
}

/** What one reader has at this moment, and what had a say in it: later influences win. */
export interface ReaderState {
  view: View;
  influences: readonly Influence[];
  lost: readonly LostPin[];
  /** Percentages of its runs that releases have moved: only a run tells whether it is in one. */
  shares: readonly { release: string; percent: number; unit: RunUnit; datasetIds: readonly string[] }[];
  /** When something of it ends by itself. */
  until: Date | undefined;
}

/**
 * What a reader has now: live, with the candidates of the rollouts that it is in; what it is held back on in their place; and in place of all
 * that what it is pinned on. One statement, so that it sees one moment.
 */
export async function readerState(
  db: Reader,
  who: { environment: string; consumer: string | undefined; run?: string | undefined; at: Date },
): Promise<ReaderState> {
  const { environment, consumer, run } = who;
  const rows = await influencing(db, who);
  // Also says it when the environment has no line.
  const live = rows[0]?.commit_id ?? (await getRef(db, liveRef(environment))).commitId;
  return stateOf(rows, { environment, live, consumer, run });
}

/** What influences make of live's commit. */
export function stateOf(
  rows: readonly InfluenceRow[],
  of: { environment: string; live: string; consumer?: string | undefined; run?: string | undefined },
): ReaderState {
  const { environment, live } = of;
  const shared = new Set<string>();
  const influences = rows.flatMap((row): Influence[] => {
    if (row.kind !== "share") return influenceOf(row);
    const found = shared.has(row.release ?? "") ? undefined : shareInfluence(row, of);
    if (found !== undefined) shared.add(found.release);
    return found === undefined ? [] : [found];
  });
  const lost = rows.flatMap(({ pin, owner, barred }) => (pin === null || barred === null ? [] : [{ pin, owner: owner ?? "", barred }]));
  const whole = rows.findLast((row) => row.pinned_commit !== null && row.barred === null);
  const overlay: Record<string, string | null> = {};
  for (const { versions } of influences) Object.assign(overlay, versions);
  const view =
    whole?.pinned_commit == null
      ? viewOf({ environment, commitId: live, overlay })
      : viewOf({ environment, commitId: whole.pinned_commit, overlay: whole.versions ?? {} });
  const [until] = rows.flatMap((row) => row.until ?? []).sort((a, b) => a.getTime() - b.getTime());
  return { view, influences, lost, shares: rows.flatMap(shareOf), until };
}

/** Something that influences a reader, as Postgres tells it. */
export interface InfluenceRow {
  kind: "step" | "share" | "hold" | "pin" | null;
  release: string | null;
  ordinal: number | null;
  plan: unknown;
  versions: Record<string, string | null> | null;
  pin: string | null;
  owner: string | null;
  reason: string | null;
  until: Date | null;
  pinned_commit: string | null;
  barred: string[] | null;
  /** Of a hold that is served projections. */
  as_numbers: Record<string, number> | null;
  stopped: Record<string, { at: string; reason: string }> | null;
}

type Row = InfluenceRow & { commit_id: string };

/** Of the rows of holds: whose columns each dataset has, and what gets no new rows. */
export const projectedColumns = sql`jsonb_object_agg(holds.dataset_id, versions.number) filter (where holds.as_version is not null),
  jsonb_object_agg(holds.dataset_id, jsonb_build_object('at', holds.stopped_at, 'reason', holds.stopped_reason)) filter (where holds.stopped_at is not null)`;

async function influencing(db: Reader, who: { environment: string; consumer: string | undefined; at: Date }): Promise<Row[]> {
  const { environment, at } = who;
  const consumer = who.consumer ?? null;
  const { rows } = await sql<Row>`
    select refs.commit_id, had.*
    from refs left join lateral (
      select 'step' as kind, 0 as rank, releases.created_at, releases.id as release, members.ordinal, steps.plan,
        (select jsonb_object_agg(entries.dataset_id, entries.after_version) from release_entries entries where entries.release_id = releases.id)
          as versions,
        null::text as pin, null::text as owner, null::text as reason, null::timestamptz as until,
        null::text as pinned_commit, null::text[] as barred, null::jsonb as as_numbers, null::jsonb as stopped
      from releases
        join release_members members on members.release_id = releases.id and members.consumer = ${consumer}
        join release_steps steps on steps.release_id = releases.id and steps.ordinal = members.ordinal
      where releases.environment = ${environment} and releases.state in ('running', 'paused', 'held') and releases.live_at is null
      union all
      -- what somebody keeps where it is, no share of a release moves
      select 'share', 0, releases.created_at, releases.id, shares.ordinal,
        jsonb_build_object('percent', shares.percent, 'unit', shares.unit, 'seed', shares.seed),
        (select jsonb_object_agg(entries.dataset_id, entries.after_version) from release_entries entries where entries.release_id = releases.id),
        null, null, null, null, null, null, null, null
      from releases join release_shares shares on shares.release_id = releases.id and shares.consumer = ${consumer}
      where releases.environment = ${environment} and releases.state in ('running', 'paused', 'held') and releases.live_at is null
        and not exists (select from release_members members where members.release_id = releases.id and members.consumer = shares.consumer)
        and not exists (select from pins where pins.consumer = shares.consumer and pins.environment = ${environment}
          and pins.ended_at is null and pins.expires_at > ${at})
      union all
      select 'hold', 0, min(releases.created_at), releases.id, coalesce(members.ordinal, 0), steps.plan,
        jsonb_object_agg(holds.dataset_id, holds.version_id),
        null, min(holds.owner), min(holds.reason), max(holds.expires_at), null, null, ${projectedColumns}
      from holds join releases on releases.id = holds.release_id
        left join versions on versions.id = holds.as_version
        left join release_members members on members.release_id = releases.id and members.consumer = holds.consumer and releases.live_at is null
        left join release_steps steps on steps.release_id = releases.id and steps.ordinal = members.ordinal
      where holds.consumer = ${consumer} and holds.ended_at is null and holds.expires_at > ${at} and releases.environment = ${environment}
        and (releases.live_at is not null or holds.as_version is not null and releases.state in ('running', 'paused', 'held'))
      group by releases.id, members.ordinal, steps.plan
      union all
      select 'pin', case when pins.view_id is null then 1 else 2 end, pins.created_at, null, 0, null,
        coalesce(views.overlay, (select jsonb_object_agg(kept.dataset_id, kept.version_id) from pin_versions kept where kept.pin_id = pins.id)),
        pins.id, pins.owner, pins.reason, pins.expires_at, views.commit_id, pins.barred, null, null
      from pins left join views on views.id = pins.view_id
      where pins.consumer = ${consumer} and pins.environment = ${environment} and pins.expires_at > ${at}
        and (pins.ended_at is null or pins.barred is not null and not exists (
          -- a later pin on the same is an answer to the one that ended
          select from pins later where later.consumer = pins.consumer and later.environment = pins.environment
            and later.created_at > pins.created_at and later.dataset_id is not distinct from pins.dataset_id))
    ) had on true
    where refs.name = ${liveRef(environment)}
    order by had.rank, had.created_at desc, had.release desc, had.kind desc, had.ordinal, had.pin`.execute(db);
  return rows;
}

interface SharePlan {
  percent: number;
  unit: RunUnit;
  seed: string;
}

function shareOf(row: InfluenceRow): ReaderState["shares"][number][] {
  if (row.kind !== "share") return [];
  const { percent, unit } = row.plan as SharePlan;
  return [{ release: row.release ?? "", percent, unit, datasetIds: Object.keys(row.versions ?? {}) }];
}

/** A share of a consumer's runs, for a run that is in it. */
function shareInfluence(
  row: InfluenceRow,
  { consumer, run }: { consumer?: string | undefined; run?: string | undefined },
): Extract<Influence, { by: "share" }> | undefined {
  const { percent, unit, seed } = row.plan as SharePlan;
  if (run === undefined || consumer === undefined || !inShare(run, { seed, consumer, percent })) return undefined;
  return { by: "share", versions: row.versions ?? {}, release: row.release ?? "", ordinal: row.ordinal ?? 0, percent, unit, run };
}

function influenceOf(row: InfluenceRow): Influence[] {
  const versions = row.versions ?? {};
  if (row.kind === "pin") {
    if (row.barred !== null || row.until === null) return [];
    const { pin, owner, reason, until } = row;
    return [{ by: "pin", versions, pin: pin ?? "", owner: owner ?? "", reason: reason ?? "", until, whole: row.pinned_commit !== null }];
  }
  const release = row.release ?? "";
  if (row.kind === "hold" && row.until !== null) {
    const held = { versions, release, reason: row.reason ?? "", owner: row.owner ?? "", until: row.until };
    if (row.as_numbers === null) return [{ by: "hold", ...held }];
    const step = row.plan === null ? undefined : stepIn(row);
    return [{ by: "projection", ...held, as: row.as_numbers, stopped: row.stopped ?? {}, step }];
  }
  return row.kind === "step" ? [{ by: "step", versions, release, ...stepIn(row) }] : [];
}

function stepIn({ plan, ordinal }: InfluenceRow): { ordinal: number; percent: number | undefined } {
  const { audience } = keptStep(plan);
  return { ordinal: ordinal ?? 0, percent: audience.to === "percent" ? audience.percent : undefined };
}

/** Why a reader has what it has, in words. */
export function reasonOf({ influences, lost }: Pick<ReaderState, "influences" | "lost">): ViewReason {
  const whole = influences.find((influence) => influence.by === "pin" && influence.whole);
  const said = (whole === undefined ? influences.filter((influence) => !isRetold(influence, influences)) : [whole]).map(influenceText);
  const reasons = said.length === 0 ? ["live"] : said;
  return [...reasons, ...lost.map(unpinnedText)].join(", ");
}

/** Whether the words of another influence tell of this one: who is served a projection by a step. */
export function isRetold(influence: Influence, all: readonly Influence[]): boolean {
  return influence.by === "step" && all.some((other) => other.by === "projection" && other.step && other.release === influence.release);
}

/** One influence in words: `25 % of rel_41h7`; `ring 1 of rel_41h7, as @42` of a projection, and `live, as @42` since all have the release. */
export function influenceText(influence: Influence): string {
  if (influence.by === "pin") return pinText(influence);
  if (influence.by === "hold") return `held by ${influence.release}`;
  if (influence.by === "share") return `${influence.percent} % of ${influence.release}, ${influence.unit} ${influence.run}`;
  if (influence.by === "step") return stepWords(influence.release, influence);
  const as = `as ${[...new Set(Object.values(influence.as))].map((number) => `@${number}`).join(", ")}`;
  if (Object.keys(influence.as).every((id) => id in influence.stopped)) return `held by ${influence.release}, ${as}`;
  return `${influence.step === undefined ? "live" : stepWords(influence.release, influence.step)}, ${as}`;
}

const stepWords = (release: string, { ordinal, percent }: { ordinal: number; percent: number | undefined }): string =>
  percent === undefined ? `ring ${ordinal} of ${release}` : `${percent} % of ${release}`;
