import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { staleMigrations } from "../db/migrate.ts";
import type { Db } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { ObjectStore } from "../lake/store.ts";
import type { ChoreRuns } from "./chore-runs.ts";

export interface HealthDeps {
  db: Db;
  clock: Clock;
  ids: Ids;
  store: ObjectStore;
}

/** Whether a part works; if not, why in words that name nothing of the machine: anybody may ask. */
export interface Check {
  ok: boolean;
  reason: string | null;
}

export interface Readiness {
  ready: boolean;
  checks: Record<"postgres" | "migrations" | "store" | "timer", Check>;
}

const withinMs = 3000;
/** How long an answer stands: whoever asks without end makes no work. */
const standsMs = 5000;
/** Chores come every five seconds; one that is under way may take long. */
const lateMs = 60_000;

const good: Check = { ok: true, reason: null };

/** Tells whether the server can work; asks its parts at most every five seconds. */
export function readinessOf(services: HealthDeps, runs: ChoreRuns): () => Promise<Readiness> {
  let last: { at: number; answer: Promise<Readiness> } | undefined;
  return () => {
    const now = services.clock.now().getTime();
    if (last === undefined || now - last.at >= standsMs) last = { at: now, answer: examine(services, runs) };
    return last.answer;
  };
}

async function examine(services: HealthDeps, runs: ChoreRuns): Promise<Readiness> {
  const [postgres, migrations, store] = await Promise.all([
    tried("Postgres does not answer", () => sql`select 1`.execute(services.db)),
    tried("what migrations have run cannot be read", async () => {
      const stale = await staleMigrations(services.db);
      return stale === undefined ? undefined : `the database ${stale}`;
    }),
    tried("the store cannot be written", () => writeAndDelete(services)),
  ]);
  const checks = { postgres, migrations, store, timer: timerCheck(runs, services.clock.now()) };
  return { ready: Object.values(checks).every(({ ok }) => ok), checks };
}

/** Good when the work ends in time and gives no reason. */
async function tried(reason: string, work: () => Promise<unknown>): Promise<Check> {
  const done = new AbortController();
  try {
    const late = sleep(withinMs, reason, { signal: done.signal, ref: false });
    const said = await Promise.race([work(), late]);
    return typeof said === "string" ? { ok: false, reason: said } : good;
  } catch {
    return { ok: false, reason };
  } finally {
    done.abort();
  }
}

async function writeAndDelete({ store, ids }: HealthDeps): Promise<void> {
  const key = `probe/${ids.next("req")}`;
  await store.put(key, new Uint8Array([1]));
  await store.delete(key);
}

function timerCheck(runs: ChoreRuns, now: Date): Check {
  const run = runs.of("outbox");
  if (run === undefined) return { ok: false, reason: "the timer has not run yet" };
  const since = now.getTime() - (run.finishedAt ?? run.startedAt).getTime();
  return run.running || since <= lateMs ? good : { ok: false, reason: `the timer has not run for ${Math.round(since / 1000)} s` };
}
