import { afterAll, beforeAll, expect, test } from "vitest";
import { testDatabase } from "../../test/harness/postgres.ts";
import { manualClock } from "../edges/clock.ts";
import { systemIds } from "../edges/ids.ts";
import { endLease, withWriteLease, type WriteLease } from "./write-lease.ts";

let database: Awaited<ReturnType<typeof testDatabase>>;
const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
const deps = () => ({ db: database.db, clock, ids: systemIds });
const end = (lease: WriteLease) => database.db.transaction().execute((tx) => endLease(tx, lease, clock.now()));
const leases = () => database.db.selectFrom("write_leases").select("prefix").execute();

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

test("a write keeps its lease by heartbeat, however long it takes; its commit ends it", async () => {
  await withWriteLease(deps(), "ana", ["tables/a/main"], async (lease) => {
    for (let hour = 0; hour < 24; hour += 1) {
      clock.advance(3_600_000);
      await clock.idle();
    }
    expect(await leases()).toEqual([{ prefix: "tables/a/main" }]);
    await end(lease);
    expect(await leases()).toEqual([]);
  });
});

test("a write whose lease the clean-up has taken is refused", async () => {
  await withWriteLease(deps(), "ana", ["tables/a/main"], async (lease) => {
    await database.db.deleteFrom("write_leases").execute();
    await expect(end(lease)).rejects.toMatchObject({ code: "lease.lost" });
  });
});

test("a lease goes with work that fails, and its heart beats no more", async () => {
  const failing = withWriteLease(deps(), "ana", ["tables/a/main"], async () => {
    throw new Error("disk on fire");
  });
  await expect(failing).rejects.toThrow("disk on fire");
  expect(await leases()).toEqual([]);
  clock.advance(3_600_000);
  await clock.idle();
  expect(await leases()).toEqual([]);
});
