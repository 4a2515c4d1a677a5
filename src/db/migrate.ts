import { sql } from "kysely";
import type { Clock } from "../edges/clock.ts";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";
import type { Db, Tx } from "./db.ts";
import { migrations } from "./migrations/index.ts";

export interface Migration {
  name: string;
  sql: string;
}

interface Applied {
  name: string;
  hash: string;
}

/**
 * Brings the database to the newest schema, one transaction per migration. Safe for several processes at once. `db.newer` when it has
 * migrations that this version does not know, `db.migration_changed` when one that ran has other text now.
 */
export async function migrate(db: Db, clock: Clock, known: readonly Migration[] = migrations): Promise<void> {
  while (await db.transaction().execute((tx) => applyNext(tx, clock, known)));
}

/** In what way a database's schema is not the one of this version; undefined when it is. */
export async function staleMigrations(db: Db, known: readonly Migration[] = migrations): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`select name from migrations order by name collate "C"`.execute(db);
  const names = new Set(rows.map((row) => row.name));
  const missing = known.find(({ name }) => !names.has(name));
  if (missing !== undefined) return `lacks the migration ${missing.name}`;
  const newer = rows.find((row) => !known.some(({ name }) => name === row.name));
  return newer === undefined ? undefined : `has the migration ${newer.name} of a newer version`;
}

/** Applies the first migration that is missing; false when none was. */
async function applyNext(tx: Tx, clock: Clock, known: readonly Migration[]): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtextextended('tidegate migrate', 0))`.execute(tx);
  await sql`create table if not exists migrations (name text primary key, hash text not null, at timestamptz not null)`.execute(tx);
  const { rows } = await sql<Applied>`select name, hash from migrations order by name collate "C"`.execute(tx);
  checkApplied(rows, known);
  const next = known[rows.length];
  if (next === undefined) return false;
  await sql.raw(next.sql).execute(tx);
  await sql`insert into migrations values (${next.name}, ${sha256(next.sql)}, ${clock.now()})`.execute(tx);
  return true;
}

function checkApplied(applied: readonly Applied[], known: readonly Migration[]): void {
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
