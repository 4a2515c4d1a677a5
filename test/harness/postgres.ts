import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import type pg from "pg";
import { inject } from "vitest";
import { connect } from "../../src/db/connect.ts";
import type { Db } from "../../src/db/db.ts";
import { onDatabase } from "./postgres-url.ts";

export interface TestDatabase {
  db: Db;
  pool: pg.Pool;
  url: string;
  close(): Promise<void>;
}

/** A migrated database of one's own on the run's Postgres. */
export async function testDatabase(): Promise<TestDatabase> {
  return newDatabase(`template ${inject("postgresTemplate")} strategy file_copy`);
}

/** A database in which nothing has run yet. */
export async function emptyDatabase(): Promise<TestDatabase> {
  return newDatabase("");
}

async function newDatabase(options: string): Promise<TestDatabase> {
  const base = inject("postgresUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  const admin = connect({ connectionString: base, max: 1 });
  for (let tries = 0; ; tries += 1) {
    try {
      await admin.pool.query(`create database ${name} ${options}`);
      break;
    } catch (error) {
      // Another test file may be copying the template at this moment.
      if (tries > 100) throw error;
      await sleep(20);
    }
  }
  const url = onDatabase(base, name);
  const { db, pool, close } = connect({ connectionString: url });
  return {
    db,
    pool,
    url,
    close: async () => {
      await close();
      await admin.pool.query(`drop database if exists ${name} with (force)`);
      await admin.close();
    },
  };
}

/** Waits until a statement that begins like this is blocked by another transaction; throws after ten seconds. */
export async function blockedOn(db: Db, beginning: string): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    const blocked = await sql<{ one: number }>`select 1 as one from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like ${`${beginning}%`}`.execute(db);
    if (blocked.rows.length > 0) return;
    await sleep(20);
  }
  throw new Error(`no «${beginning}» was blocked`);
}
