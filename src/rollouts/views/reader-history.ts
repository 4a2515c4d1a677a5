import { sql } from "kysely";
import { liveRef, refHistory } from "../../catalog/ref-store.ts";
import type { Reader, Tx } from "../../db/db.ts";
import { AppError } from "../../lib/errors.ts";
import { projectedColumns, stateOf, type InfluenceRow, type ReaderState } from "./reader-state.ts";

/** Before a release's candidates are replaced: remembers which versions its readers had of them until now. */
export async function keepFormerEntries(tx: Tx, releaseId: string, of: { datasetIds?: readonly string[]; at: Date }): Promise<void> {
  const wanted = of.datasetIds === undefined ? null : [...of.datasetIds];
  await sql`
    insert into former_entries (release_id, dataset_id, version_id, until_at)
    select release_id, dataset_id, after_version, ${of.at} from release_entries
    where release_id = ${releaseId} and (${wanted}::text[] is null or dataset_id = any(${wanted}::text[]))
    on conflict do nothing`.execute(tx);
}

/** Before readers of a release, or one of them, are taken back: remembers who had moved, and since when. */
export async function keepFormerMembers(tx: Tx, releaseId: string, of: { consumer?: string; at: Date }): Promise<void> {
  const only = of.consumer ?? null;
  await sql`
    insert into former_members (release_id, consumer, ordinal, moved_at, left_at)
    select release_id, consumer, ordinal, moved_at, ${of.at} from release_members
    where release_id = ${releaseId} and (${only}::text is null or consumer = ${only})
    on conflict do nothing`.execute(tx);
}

/** What a reader had at a moment of the past, and what had a say in it, as the record has it. `usage.invalid` before there was anything. */
export async function readerStateAt(
  db: Reader,
  who: { environment: string; consumer: string; at: Date },
): Promise<ReaderState & { liveCommit: string; since: Date }> {
  const { environment, at } = who;
  const [line] = await refHistory(db, liveRef(environment), { until: at, limit: 1 });
  if (line?.commitId == null) {
    throw new AppError("usage.invalid", `At ${at.toISOString()} readers had nothing yet.`, {
      expected: "a time since the first release",
      found: at.toISOString(),
      hint: "tidegate log --live",
    });
  }
  return { ...stateOf(await influencing(db, who), { environment, live: line.commitId }), liveCommit: line.commitId, since: line.at };
}

async function influencing(db: Reader, who: { environment: string; consumer: string; at: Date }): Promise<InfluenceRow[]> {
  const { environment, consumer, at } = who;
  const { rows } = await sql<InfluenceRow>`
    with moved as (
      select release_id, ordinal, moved_at, null::timestamptz as left_at from release_members where consumer = ${consumer}
      union all
      select release_id, ordinal, moved_at, left_at from former_members where consumer = ${consumer}
    )
    select 'step' as kind, 0 as rank, releases.created_at, releases.id as release, moved.ordinal, steps.plan,
      (select jsonb_object_agg(entries.dataset_id, had.version_id) from release_entries entries cross join lateral (
        select version_id from (
          select former.version_id, former.until_at from former_entries former
          where former.release_id = entries.release_id and former.dataset_id = entries.dataset_id and former.until_at > ${at}
          union all select entries.after_version, null) present
        order by until_at nulls last limit 1) had
      where entries.release_id = releases.id) as versions,
      null::text as pin, null::text as owner, null::text as reason, null::timestamptz as until,
      null::text as pinned_commit, null::text[] as barred, null::jsonb as as_numbers, null::jsonb as stopped
    from moved
      join releases on releases.id = moved.release_id
      join release_steps steps on steps.release_id = releases.id and steps.ordinal = moved.ordinal
    where releases.environment = ${environment} and moved.moved_at <= ${at} and (moved.left_at is null or moved.left_at > ${at})
      and (moved.left_at is not null or coalesce(releases.live_at, releases.finished_at) is null
        or coalesce(releases.live_at, releases.finished_at) > ${at})
    union all
    select 'hold', 0, min(releases.created_at), releases.id, coalesce(moved.ordinal, 0), steps.plan,
      jsonb_object_agg(holds.dataset_id, had.version_id),
      null, min(holds.owner), min(holds.reason), max(holds.expires_at), null, null, ${projectedColumns}
    from (select release_id, consumer, dataset_id, version_id, as_version, owner, reason, created_at, expires_at, ended_at, stopped_reason,
        case when stopped_at <= ${at} then stopped_at end as stopped_at from holds) holds
      join releases on releases.id = holds.release_id
      cross join lateral (
        select version_id from (
          select former.version_id, former.until_at from former_holds former
          where former.release_id = holds.release_id and former.consumer = holds.consumer and former.dataset_id = holds.dataset_id
            and former.until_at > ${at}
          union all select holds.version_id, null) present
        order by until_at nulls last limit 1) had
      left join versions on versions.id = holds.as_version
      left join moved on moved.release_id = releases.id and moved.moved_at <= ${at} and (moved.left_at is null or moved.left_at > ${at})
        and (releases.live_at is null or releases.live_at > ${at})
      left join release_steps steps on steps.release_id = releases.id and steps.ordinal = moved.ordinal
    where holds.consumer = ${consumer} and releases.environment = ${environment} and holds.created_at <= ${at} and holds.expires_at > ${at}
      and (holds.ended_at is null or holds.ended_at > ${at}) and (releases.live_at <= ${at} or holds.as_version is not null)
    group by releases.id, moved.ordinal, steps.plan
    union all
    select 'pin', case when pins.view_id is null then 1 else 2 end, pins.created_at, null, 0, null,
      coalesce(views.overlay, (select jsonb_object_agg(kept.dataset_id, kept.version_id) from pin_versions kept
        where kept.pin_id = pins.id and kept.since <= ${at})),
      pins.id, pins.owner, pins.reason, pins.expires_at, views.commit_id, null, null, null
    from pins left join views on views.id = pins.view_id
    where pins.consumer = ${consumer} and pins.environment = ${environment} and pins.created_at <= ${at} and pins.expires_at > ${at}
      and (pins.ended_at is null or pins.ended_at > ${at})
    order by rank, created_at desc, release desc, kind desc, pin`.execute(db);
  return rows;
}
