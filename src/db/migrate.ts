import { sql } from "kysely";
import type { Clock } from "../edges/clock.ts";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";
import type { Db } from "./db.ts";
import { migrations } from "./migrations/index.ts";

interface Applied {
  name: string;
  hash: string;
}

/**
 * Brings the database to the newest schema. Safe for several processes at once. `db.newer` when it has migrations that this version does
 * not know, `db.migration_changed` when one that ran has other text now.
 */
export async function migrate(db: Db, clock: Clock, known: readonly { name: string; sql: string }[] = migrations): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('tidegate migrate', 0))`.execute(tx);
    await sql`create table if not exists migrations (name text primary key, hash text not null, at timestamptz not null)`.execute(tx);
    const { rows } = await sql<Applied>`select name, hash from migrations order by name`.execute(tx);
    checkApplied(rows, known);
    for (const migration of known.slice(rows.length)) {
      await sql.raw(migration.sql).execute(tx);
      await sql`insert into migrations values (${migration.name}, ${sha256(migration.sql)}, ${clock.now()})`.execute(tx);
    }
  });
}

function checkApplied(applied: readonly Applied[], known: readonly { name: string; sql: string }[]): void {
  for (const [index, row] of applied.entries()) {
    const migration = known[index];
    if (migration === undefined) {
      throw new AppError("db.newer", "This data folder was written by a newer version of Tidegate.", {
        expected: `at most ${known.at(-1)?.name ?? "no migration"}`,
        found: row.name,
        hint: "npm install tidegate@latest",
      });
    }
    if (migration.name !== row.name || sha256(migration.sql) !== row.hash) {
      throw new AppError("db.migration_changed", `Migration ${row.name} is not the one that made this database.`, {
        expected: `${migration.name} ${sha256(migration.sql).slice(0, 12)}`,
        found: `${row.name} ${row.hash.slice(0, 12)}`,
        hint: "install the version of Tidegate that wrote the data folder",
      });
    }
  }
}
