import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { trySessionLock, withSessionLock } from "./advisory.ts";
import { connect, type Connected } from "./connect.ts";

let database: TestDatabase;
let other: Connected;
beforeAll(async () => {
  database = await testDatabase();
  other = connect({ connectionString: database.url, max: 2 });
});
afterAll(async () => {
  await other.close();
  await database.close();
});

test("one holder at a time, in this process and in others; the lock is free afterwards", async () => {
  const outcome = await trySessionLock(database.db, "one", async () => {
    expect(await trySessionLock(database.db, "one", async () => "same process")).toEqual({ held: false });
    expect(await trySessionLock(other.db, "one", async () => "other process")).toEqual({ held: false });
    return trySessionLock(other.db, "two", async () => "another name");
  });
  expect(outcome).toEqual({ held: true, value: { held: true, value: "another name" } });
  expect(await trySessionLock(other.db, "one", async () => "free")).toEqual({ held: true, value: "free" });
});

test("who waits comes one after the other, and waiting takes nothing from the pool that the work needs", async () => {
  let inside = 0;
  let most = 0;
  const step = (db: typeof other.db) =>
    withSessionLock(db, "queue", async () => {
      inside += 1;
      most = Math.max(most, inside);
      await db.transaction().execute((tx) => sql`select pg_sleep(0.01)`.execute(tx));
      inside -= 1;
    });
  await Promise.all(Array.from({ length: 40 }, (_, index) => step(index % 2 === 0 ? database.db : other.db)));
  expect(most).toBe(1);
});

test("work that throws frees the lock", async () => {
  await expect(withSessionLock(database.db, "throws", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await trySessionLock(other.db, "throws", async () => 1)).toEqual({ held: true, value: 1 });
});

test("a lock whose connection is cut tells its holder, and is free for others", async () => {
  const outcome = await withSessionLock(database.db, "cut", async (lost) => {
    const gone = new Promise((resolve) => lost.addEventListener("abort", resolve));
    await sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`.execute(
      other.db,
    );
    await gone;
    return withSessionLock(other.db, "cut", async () => "taken over");
  });
  expect(outcome).toBe("taken over");
});
