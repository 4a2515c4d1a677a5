import { sql } from "kysely";
import { afterEach, beforeEach, expect, test } from "vitest";
import { manualClock } from "../edges/clock.ts";
import { emptyDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await emptyDatabase();
});
afterEach(() => database.close());

const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
const first = { name: "0001-first", sql: "create table a (id integer); create table b (id integer)" };
const second = { name: "0002-second", sql: "create table c (id integer)" };

async function tables(): Promise<string[]> {
  const { rows } = await sql<{
    name: string;
  }>`select table_name as name from information_schema.tables where table_schema = 'public' order by 1`.execute(database.db);
  return rows.map(({ name }) => name);
}

test("all migrations run once, at the clock's time, also when many processes come at the same moment", async () => {
  await Promise.all(Array.from({ length: 8 }, () => migrate(database.db, clock)));
  await migrate(database.db, clock);
  const { rows } = await sql`select name, at from migrations`.execute(database.db);
  expect(rows).toEqual(migrations.map(({ name }) => ({ name, at: new Date("2026-11-01T08:00:00Z") })));
});

test("a later version adds its migrations to those that ran", async () => {
  await migrate(database.db, clock, [first]);
  await migrate(database.db, clock, [first, second]);
  expect(await tables()).toEqual(["a", "b", "c", "migrations"]);
});

test("a database with migrations of a newer version is refused, and stays as it is", async () => {
  await migrate(database.db, clock, [first, second]);
  await expect(migrate(database.db, clock, [first])).rejects.toMatchObject({
    code: "db.newer",
    expected: "at most 0001-first",
    found: "0002-second",
  });
  expect(await tables()).toEqual(["a", "b", "c", "migrations"]);
});

test("a migration that was edited or replaced after it ran is refused before anything else runs", async () => {
  await migrate(database.db, clock, [first]);
  const edited = [{ ...first, sql: `${first.sql} ` }, second];
  await expect(migrate(database.db, clock, edited)).rejects.toMatchObject({ code: "db.migration_changed" });
  const renamed = [{ ...first, name: "0001-other" }, second];
  await expect(migrate(database.db, clock, renamed)).rejects.toMatchObject({ code: "db.migration_changed" });
  expect(await tables()).toEqual(["a", "b", "migrations"]);
});

test("a migration that fails in its middle leaves nothing; those before it stand", async () => {
  const broken = { name: "0002-broken", sql: "create table c (id integer); create table a (id integer)" };
  await expect(migrate(database.db, clock, [first, broken])).rejects.toMatchObject({ code: "42P07" });
  expect(await tables()).toEqual(["a", "b", "migrations"]);
  await migrate(database.db, clock, [first, second]);
  expect(await tables()).toEqual(["a", "b", "c", "migrations"]);
});
