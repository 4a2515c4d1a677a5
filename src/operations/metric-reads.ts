import { sql } from "kysely";
import type { Reader } from "../db/db.ts";
import type { Family, Sample } from "./prometheus.ts";

const gauge = (name: string, help: string, samples: readonly Sample[] | number): Family => ({
  name: `tidegate_${name}`,
  help,
  type: "gauge",
  samples: typeof samples === "number" ? [{ value: samples }] : samples,
});

interface Counted {
  what: string;
  label: string;
  value: string;
}

/** What stands in the database, as gauges: counts by state and how long the oldest thing waits. One statement, none of it over the ledger. */
export async function storedGauges(db: Reader, now: Date): Promise<Family[]> {
  const { rows } = await sql<Counted>`
    select 'changes' as what, state as label, count(*)::text as value from changes group by state
    union all select 'releases', state, count(*)::text from releases group by state
    union all select 'queue', '', count(*)::text from merge_queue where state in ('waiting', 'running')
    union all select 'outbox', '', count(*)::text from outbox where done_at is null
    union all select 'outbox_failing', '', count(*)::text from outbox where done_at is null and attempts > 0
    union all select 'outbox_age', '', coalesce(extract(epoch from ${now}::timestamptz - min(at)), 0)::text from outbox where done_at is null
    union all select 'holds', '', count(distinct (release_id, consumer))::text from holds where ended_at is null and expires_at > ${now}
    union all select 'incidents', severity, count(*)::text from incidents where closed_at is null group by severity
    union all select 'webhooks', state, count(*)::text from webhook_deliveries where state in ('waiting', 'dead') group by state
    order by what, label`.execute(db);
  const of = (what: string): Counted[] => rows.filter((row) => row.what === what);
  const byState = (what: string): Sample[] => of(what).map(({ label, value }) => ({ labels: { state: label }, value: Number(value) }));
  const one = (what: string): number => Number(of(what)[0]?.value ?? 0);
  return [
    gauge("changes", "Changes by state.", byState("changes")),
    gauge("releases", "Releases by state.", byState("releases")),
    gauge("merge_queue_length", "Changes in the merge queue.", one("queue")),
    gauge("holds", "Consumers that a release holds back.", one("holds")),
    gauge("outbox_pending", "Events whose follow-up work is not done.", one("outbox")),
    gauge("outbox_failing", "Events of those whose follow-up work has failed and is tried again.", one("outbox_failing")),
    gauge("outbox_oldest_seconds", "Age of the oldest event whose follow-up work is not done.", one("outbox_age")),
    gauge(
      "incidents",
      "Incidents that are open.",
      of("incidents").map(({ label, value }) => ({ labels: { severity: label }, value: Number(value) })),
    ),
    gauge("webhook_messages", "Messages to webhooks that wait, or were given up.", byState("webhooks")),
  ];
}
