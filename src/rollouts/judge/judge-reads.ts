import { sql } from "kysely";
import type { Reader } from "../../db/db.ts";
import { unattributed } from "../../usage/exposure.ts";
import type { KnownMetric } from "./guardrail-document.ts";
import type { Arm, MovedConsumer, Reported, Stratum } from "./judge.ts";
import { noMoments, together, togetherCapped, type Moments } from "./moments.ts";
import { runUnitOf } from "../plans/plan.ts";
import type { Release } from "../release-store.ts";
import { plannedConsumers, type ReleaseStep } from "../step-store.ts";

/** A consumer that has read the datasets in this time before it was moved is one that reads them. */
const habit = 30 * 86_400_000;

interface MovedRow {
  consumer: string;
  has_read: boolean;
  was_reader: boolean;
  failure: string | null;
  failed_before: boolean | null;
}

/**
 * What is known of each consumer that a release has moved, but those that somebody has pinned. In the bake all readers are moved: then those
 * count that have read since, and whoever says that it fails.
 */
export async function movedConsumers(
  db: Reader,
  release: Release,
  { steps, at }: { steps: readonly ReleaseStep[]; at: Date },
): Promise<MovedConsumer[]> {
  const { id, liveAt, environment } = release;
  const datasets = sql`(select dataset_id from release_entries where release_id = ${id})`;
  const members =
    liveAt === null
      ? sql`select consumer, min(moved_at) as moved_at, bool_and(shared) as shared from (
          select consumer, moved_at, false as shared from release_members where release_id = ${id}
          union all select consumer, since, true from release_shares where release_id = ${id}) moved group by consumer`
      : sql`select consumer, ${liveAt}::timestamptz as moved_at, false as shared from (
          select consumer from exposures join versions on versions.id = exposures.version_id
            where versions.dataset_id in ${datasets} and exposures.hour >= date_trunc('hour', ${liveAt}::timestamptz) and exposures.first_at >= ${liveAt}
          union select consumer from outcome_reports where release_id = ${id} and arm = 'candidate' and not ok) readers
        where consumer <> ${unattributed} and not exists (select from holds where release_id = ${id} and holds.consumer = readers.consumer and ended_at is null and expires_at > ${at}
          and (as_version is null or stopped_at is not null))`;
  // A read that began before the step, or of a branch, may be written down after it: it was of something else.
  const isCandidate =
    liveAt === null
      ? sql`coalesce(versions.projects, versions.id) in (select after_version from release_entries where release_id = ${id}
          union all select version_id from former_entries where release_id = ${id})`
      : sql`true`;
  const { rows } = await sql<MovedRow>`
    with everybody as (${members}), members as (
      select * from everybody where not exists (
        select from pins left join pin_versions on pin_versions.pin_id = pins.id
        where pins.environment = ${environment} and pins.consumer = everybody.consumer and pins.ended_at is null and pins.expires_at > ${at}
          and (pins.view_id is not null or pin_versions.dataset_id in ${datasets}))), reads as (
      select members.consumer, bool_or(coalesce(leases.started_at, exposures.first_at) >= members.moved_at and ${isCandidate}) as has_read,
        bool_or(exposures.first_at < members.moved_at) as was_reader
      from members join exposures on exposures.consumer = members.consumer and exposures.hour >= members.moved_at - ${habit} * interval '1 ms'
        join versions on versions.id = exposures.version_id
        left join view_leases leases on leases.consumer = exposures.consumer and leases.run = exposures.run
      where versions.dataset_id in ${datasets} group by members.consumer)
    select members.consumer, coalesce(reads.has_read, false) as has_read, coalesce(reads.was_reader, false) as was_reader,
      (select coalesce(reason, 'it says so') from outcome_reports reports where reports.release_id = ${id} and reports.arm = 'candidate'
        and reports.consumer = members.consumer and not reports.ok and reports.at >= members.moved_at order by at limit 1) as failure,
      (select not ok from outcome_reports reports where reports.consumer = members.consumer and reports.ok is not null
        and reports.dataset_id in ${datasets} and reports.arm is distinct from 'candidate'
        -- of a consumer whose runs are divided the others go on telling how it fares without
        and (members.shared or reports.at < members.moved_at)
        order by at desc limit 1) as failed_before
    from members left join reads using (consumer) order by consumer`.execute(db);
  const named = new Set(steps.flatMap(({ step: { audience } }) => (audience.to === "ring" ? audience.consumers : [])));
  return rows.map((row) => ({
    consumer: row.consumer,
    hasRead: row.has_read,
    isReader: row.was_reader || (liveAt === null && named.has(row.consumer)),
    failure: row.failure ?? undefined,
    failedBefore: row.failed_before ?? false,
  }));
}

interface SumsRow extends Moments {
  metric: string;
  step: number;
  arm: Arm;
  consumer: string;
}

/**
 * What was reported on a release, by metric; only of these metrics. `least`: how many values of one reporter count in any case; beyond that
 * none counts for more than all others of its side and step together.
 */
export async function reportedOn(
  db: Reader,
  release: Release,
  about: { metrics: ReadonlyMap<string, { least: number }>; steps: readonly ReleaseStep[] },
): Promise<Map<string, Reported>> {
  const names = [...about.metrics.keys()];
  const { rows } = await sql<SumsRow>`
    select metric, step, arm, consumer, hour, n, mean, squares from outcomes
    where release_id = ${release.id} and metric = any(${names}::text[]) and arm <> 'none'
    order by metric, step, arm, consumer, hour, dataset_id`.execute(db);
  const pairs = await pairsOf(db, release.id, names);
  const silence = await silenceOf(db, release, { metrics: names, steps: about.steps });
  const found = new Map<string, Reported>();
  for (const [metric, { least }] of about.metrics) {
    const strata = strataOf(
      rows.filter((row) => row.metric === metric),
      least,
    );
    found.set(metric, { strata, pairs: pairs.get(metric), silence: silence.get(metric) });
  }
  return found;
}

/** The values of each step and side: of each consumer first, then of all, none of whom outvotes the others. */
function strataOf(rows: readonly SumsRow[], least: number): Stratum[] {
  const byStep = new Map<number, Record<Arm, Map<string, Moments>>>();
  for (const { step, arm, consumer, ...moments } of rows) {
    const sides = byStep.get(step) ?? { candidate: new Map<string, Moments>(), current: new Map<string, Moments>() };
    byStep.set(step, sides);
    sides[arm].set(consumer, together(sides[arm].get(consumer) ?? noMoments, moments));
  }
  const of = (side: ReadonlyMap<string, Moments>): Moments => togetherCapped([...side.values()], least);
  return [...byStep.values()].map(({ candidate, current }) => ({ candidate: of(candidate), current: of(current) }));
}

async function pairsOf(db: Reader, releaseId: string, metrics: readonly string[]): Promise<Map<string, Moments>> {
  const { rows } = await sql<Moments & { metric: string }>`
    select candidate.metric, count(*)::double precision as n, avg(candidate.value - current.value) as mean,
      coalesce(var_pop(candidate.value - current.value) * count(*), 0) as squares
    from outcome_pairs candidate join outcome_pairs current using (release_id, metric, pair)
    where candidate.arm = 'candidate' and current.arm = 'current' and release_id = ${releaseId} and metric = any(${[...metrics]}::text[])
    group by candidate.metric`.execute(db);
  return new Map(rows.map(({ metric, n, mean, squares }) => [metric, { n, mean, squares }]));
}

/** Who reports on each side in the step under way, where chance put them there: only a percentage does. */
async function silenceOf(
  db: Reader,
  release: Release,
  { metrics, steps }: { metrics: readonly string[]; steps: readonly ReleaseStep[] },
): Promise<Map<string, Reported["silence"]>> {
  const percents = steps.filter(({ ordinal, step }) => ordinal <= release.step && step.audience.to === "percent");
  if (release.liveAt !== null || steps[release.step - 1]?.step.audience.to !== "percent") return new Map();
  // Of a consumer whose runs are divided both sides report.
  const all = (await plannedConsumers(db)).filter((consumer) => runUnitOf(consumer) === undefined);
  const ordinals = new Set(percents.map(({ ordinal }) => ordinal));
  const members = await db.selectFrom("release_members").select(["consumer", "ordinal"]).where("release_id", "=", release.id).execute();
  const byChance = new Set(members.filter((member) => ordinals.has(member.ordinal)).map((member) => member.consumer));
  const moved = new Set(members.map((member) => member.consumer));
  const sides: Record<Arm, Set<string>> = {
    candidate: new Set(all.flatMap(({ name }) => (byChance.has(name) ? [name] : []))),
    current: new Set(all.flatMap(({ name }) => (moved.has(name) ? [] : [name]))),
  };
  const rows = await db
    .selectFrom("outcomes")
    .select(["metric", "arm", "consumer"])
    .distinct()
    .where("release_id", "=", release.id)
    .where("step", "=", release.step)
    .where("metric", "in", [...metrics])
    .execute();
  const assigned = { candidate: sides.candidate.size, current: sides.current.size };
  return new Map(
    metrics.map((metric) => {
      const reporting = (arm: Arm): number =>
        rows.filter((row) => row.metric === metric && row.arm === arm && sides[arm].has(row.consumer)).length;
      return [metric, { assigned, reporting: { candidate: reporting("candidate"), current: reporting("current") } }];
    }),
  );
}

/** What was reported of some datasets' metrics lately, whoever reported it: from it follows how many reports SAFE needs. */
export async function knownMetrics(db: Reader, datasetIds: readonly string[], since: Date): Promise<Map<string, KnownMetric>> {
  if (datasetIds.length === 0) return new Map();
  const { rows } = await sql<Moments & { metric: string }>`
    with rows as (select * from outcomes where dataset_id = any(${[...datasetIds]}::text[]) and hour >= ${since} and arm <> 'candidate'),
      means as (select metric, sum(n) as n, sum(n * mean) / sum(n) as mean from rows group by metric)
    select means.metric, means.n, means.mean,
      (select sum(rows.squares + rows.n * (rows.mean - means.mean) ^ 2) from rows where rows.metric = means.metric) as squares
    from means where means.n >= 30`.execute(db);
  return new Map(rows.map(({ metric, n, mean, squares }) => [metric, { mean, deviation: Math.sqrt(squares / (n - 1)) }]));
}
