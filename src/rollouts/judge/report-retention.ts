import { sql } from "kysely";
import { rollbackWindow } from "../../catalog/root-reads.ts";
import type { Db } from "../../db/db.ts";
import type { Clock } from "../../edges/clock.ts";

/** A report may say that it is of a moment up to 30 days ago: as long, and a little longer, its id is known. */
const kept = rollbackWindow + 3_600_000;

/** Deleted with one statement each: whoever reports meanwhile waits for no longer than that takes. */
const portion = 10_000;

/**
 * Forgets single reports, and values of pairs, once nothing can ask for them: they came before the rollback window, and the release for which
 * they count ended before it. Reports of datasets of a release that has not ended stay, and so does what each consumer said last of current,
 * by which a later release tells who failed before. Sums stay. Safe to run again, and beside whoever reports.
 */
export async function forgetReports({ db, clock }: { db: Db; clock: Clock }): Promise<void> {
  const before = new Date(clock.now().getTime() - kept);
  const open = sql`(select id from releases where finished_at is null or finished_at >= ${before})`;
  const reports = sql`
    delete from outcome_reports where (consumer, id) in (
      select consumer, id from outcome_reports reports where received_at < ${before}
        and (release_id is null or release_id not in ${open})
        and not exists (select from release_entries where release_entries.dataset_id = reports.dataset_id and release_id in ${open})
        and (ok is null or arm is not distinct from 'candidate' or exists (select from outcome_reports later
          where later.consumer = reports.consumer and later.dataset_id = reports.dataset_id and later.ok is not null
            and later.arm is distinct from 'candidate' and (later.at, later.id) > (reports.at, reports.id)))
      limit ${portion})`;
  const pairs = sql`
    delete from outcome_pairs where (release_id, metric, pair, arm) in (
      select release_id, metric, pair, arm from outcome_pairs where release_id not in ${open} limit ${portion})`;
  for (const statement of [reports, pairs]) {
    for (let more = true; more;) more = Number((await statement.execute(db)).numAffectedRows ?? 0n) === portion;
  }
}
