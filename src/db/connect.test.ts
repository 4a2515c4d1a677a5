import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { connect } from "./connect.ts";
import { isStalePlan } from "./pg-errors.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

async function failure(work: Promise<unknown>): Promise<AppError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

test("values come out without losing a digit, times as Date, in a UTC session at READ COMMITTED", async () => {
  const { rows } = await sql<Record<string, unknown>>`
    select 9007199254740993::bigint as big, array[9007199254740993::bigint, null] as bigs, 12345678901234567890.50::numeric as exact,
      '2026-11-01T08:00:00.123+02'::timestamptz as at, '{"a":1}'::jsonb as json, current_setting('TimeZone') as zone,
      current_setting('transaction_isolation') as isolation, current_setting('application_name') as application`.execute(database.db);
  expect(rows[0]).toEqual({
    big: 9007199254740993n,
    bigs: [9007199254740993n, null],
    exact: "12345678901234567890.50",
    at: new Date("2026-11-01T06:00:00.123Z"),
    json: { a: 1 },
    zone: "UTC",
    isolation: "read committed",
    application: "tidegate",
  });
});

test("a Postgres that is not there is db.unreachable with what was found and what to do", async () => {
  for (const connectionString of [
    "postgres://x@127.0.0.1:1/x",
    "postgres://x@localhost:1/x",
    "postgres://x@localhost/x?host=/tmp/no-such-folder",
  ]) {
    const none = connect({ connectionString });
    const error = await failure(sql`select 1`.execute(none.db));
    expect(error).toMatchObject({ code: "db.unreachable", message: "Postgres cannot be reached." });
    expect(error.found).toMatch(/ECONNREFUSED|ENOENT/);
    expect(error.hint).toBeDefined();
    await none.close();
  }
});

test("a database that does not exist is told apart", async () => {
  const none = connect({ connectionString: database.url.replace(/test_\w+/, "no_such_database") });
  expect(await failure(sql`select 1`.execute(none.db))).toMatchObject({ code: "db.unreachable", message: "The database does not exist." });
  await none.close();
});

test("close ends every connection, also of a pool that was used by itself", async () => {
  const one = connect({ connectionString: database.url });
  await one.pool.query("select 1");
  await one.close();
  expect(one.pool.totalCount).toBe(0);
});

test("a pool whose connections are all in use says so", async () => {
  const one = connect({ connectionString: database.url, max: 1, connectionTimeoutMillis: 100 });
  const error = await one.db.connection().execute(() => failure(sql`select 1`.execute(one.db)));
  expect(error).toMatchObject({ code: "db.unreachable", message: "All connections to Postgres are in use." });
  await one.close();
});

test("a connection that is cut in a transaction, idle or busy, is db.unreachable, and the next statement works", async () => {
  const cut = async (pid: number | undefined): Promise<void> => {
    await sql`select pg_terminate_backend(${pid})`.execute(database.db);
  };
  const one = connect({ connectionString: database.url, max: 1 });
  const pidOf = async (db: typeof one.db) => (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]?.pid;
  const inTransaction = one.db.transaction().execute(async (tx) => {
    await cut(await pidOf(tx));
    await sql`select 1`.execute(tx);
  });
  expect(await failure(inTransaction)).toMatchObject({ code: "db.unreachable" });
  const pid = await pidOf(one.db);
  const busy = sql`select pg_sleep(20)`.execute(one.db);
  const cutLater = sql`select pg_sleep(0.2), pg_terminate_backend(${pid})`.execute(database.db);
  expect(await failure(busy)).toMatchObject({ code: "db.unreachable" });
  await cutLater;
  await cut(await pidOf(one.db));
  await sql`select pg_sleep(0.1)`.execute(database.db);
  expect(await pidOf(one.db)).toBeGreaterThan(0);
  await one.close();
});

test("a connection that is cut while COMMIT runs says that the outcome is not known, and how to look", async () => {
  const one = connect({ connectionString: database.url, max: 1 });
  await sql`create table slow_commit (id integer)`.execute(database.db);
  await sql
    .raw(`create function wait_long() returns trigger language plpgsql as 'begin perform pg_sleep(20); return null; end'`)
    .execute(database.db);
  await sql`create constraint trigger slow after insert on slow_commit deferrable initially deferred for each row execute function wait_long()`.execute(
    database.db,
  );
  let pid: number | undefined;
  const work = one.db.transaction().execute(async (tx) => {
    pid = (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)).rows[0]?.pid;
    await sql`insert into slow_commit values (1)`.execute(tx);
    setTimeout(() => void sql`select pg_terminate_backend(${pid})`.execute(database.db), 200);
  });
  const error = await failure(work);
  expect(error).toMatchObject({ code: "db.unreachable", message: "Postgres went away during COMMIT: whether it took place is not known." });
  expect(error.hint).toContain("tidegate audit list");
  await one.close();
});

test("a statement that is used again goes on when another process has changed its table, inside a transaction with a new one", async () => {
  const one = connect({ connectionString: database.url, max: 1 });
  try {
    await sql`create table reshaped (id integer)`.execute(one.db);
    const read = (db: typeof one.db) => sql<{ id: number }>`select * from reshaped where id >= ${0}`.execute(db);
    await sql`insert into reshaped values (${7})`.execute(one.db);
    expect((await read(one.db)).rows).toEqual([{ id: 7 }]);
    await sql`alter table reshaped add column name text`.execute(database.db);
    expect((await read(one.db)).rows).toEqual([{ id: 7, name: null }]);
    await one.db.transaction().execute(read);
    await sql`alter table reshaped add column note text`.execute(database.db);
    const error = await one.db
      .transaction()
      .execute(read)
      .catch((reason: unknown) => reason);
    expect(isStalePlan(error)).toBe(true);
    expect((await one.db.transaction().execute(read)).rows).toEqual([{ id: 7, name: null, note: null }]);
  } finally {
    await one.close();
  }
});
