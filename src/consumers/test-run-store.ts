import type { Db, Reader } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";
import type { TestOutcome, TestResult } from "./consumer-test.ts";

/** What a test said last, of whatever change. */
export interface LastRun {
  consumer: string;
  test: string;
  outcome: TestOutcome;
  at: Date;
}

/** Remembers what tests said last. Like evidence it carries no audit event. */
export async function keepLastRuns({ db, clock }: { db: Db; clock: Clock }, results: readonly TestResult[]): Promise<void> {
  const at = clock.now();
  for (let from = 0; from < results.length; from += 500) {
    const rows = results
      .slice(from, from + 500)
      .map(({ consumer, test, outcome, evidence }) => ({ consumer, test, outcome, evidence_key: evidence, at }));
    await db
      .insertInto("test_runs")
      .values(rows)
      .onConflict((oc) =>
        oc.columns(["consumer", "test"]).doUpdateSet((eb) => ({
          outcome: eb.ref("excluded.outcome"),
          evidence_key: eb.ref("excluded.evidence_key"),
          at: eb.ref("excluded.at"),
        })),
      )
      .execute();
  }
}

/** What tests said last: of all consumers, or of one. */
export async function lastRuns(db: Reader, consumer?: string): Promise<LastRun[]> {
  let query = db.selectFrom("test_runs").select(["consumer", "test", "outcome", "at"]);
  if (consumer !== undefined) query = query.where("consumer", "=", consumer);
  const rows = await query.orderBy("consumer").orderBy("test").execute();
  return rows.map((row) => ({ ...row, outcome: row.outcome as TestOutcome }));
}
