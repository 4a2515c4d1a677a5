import { sql } from "kysely";
import type { Db } from "./db.ts";

/** Runs `work` under a session advisory lock on its own connection, if the lock is free; it goes when the process dies. */
export async function trySessionLock<T>(db: Db, name: string, work: () => Promise<T>): Promise<{ held: true; value: T } | { held: false }> {
  return db.connection().execute(async (connection) => {
    const { rows } = await sql<{ ok: boolean }>`select pg_try_advisory_lock(hashtextextended(${name}, 0)) as ok`.execute(connection);
    if (rows[0]?.ok !== true) return { held: false };
    try {
      return { held: true, value: await work() };
    } finally {
      await sql`select pg_advisory_unlock(hashtextextended(${name}, 0))`.execute(connection);
    }
  });
}
