import { sql } from "kysely";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Tx } from "../db/db.ts";
import { manualClock } from "../edges/clock.ts";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { listAudit, verifyAudit } from "./audit-reads.ts";
import { mutate, RetryMutation, type Mutation, type MutationDeps } from "./mutation.ts";

let database: TestDatabase;
let deps: MutationDeps;
beforeEach(async () => {
  database = await testDatabase();
  deps = { db: database.db, clock: manualClock(new Date("2026-11-01T08:00:00Z")) };
});
afterEach(() => database.close());

const event = { action: "test", subject: "thing", payload: { b: 1, a: [1n, "two"] } };

async function addGroup(tx: Tx, id: string): Promise<void> {
  await tx
    .insertInto("groups")
    .values({ id, name: id, created_at: new Date(0) })
    .execute();
}

async function counts(): Promise<{ groups: bigint; events: bigint; outbox: bigint }> {
  const { rows } = await sql<{ groups: bigint; events: bigint; outbox: bigint }>`
    select (select count(*) from groups) as groups, (select count(*) from audit_events) as events, (select count(*) from outbox) as outbox`.execute(
    database.db,
  );
  return rows[0] ?? { groups: -1n, events: -1n, outbox: -1n };
}

test("state, audit events and outbox rows appear together, at one time", async () => {
  const result = await mutate(deps, "ana", async (m) => {
    await addGroup(m.tx, "grp_1");
    m.record(event);
    m.record({ ...event, subject: "other" });
    m.enqueue("change.merged", { change: "chg_1", n: 9007199254740993n } as never);
    return m.at;
  });
  expect(result).toEqual(new Date("2026-11-01T08:00:00Z"));
  const events = await listAudit(database.db, { limit: 10 });
  expect(events.map(({ seq, actor, action, subject, payload, at }) => ({ seq, actor, action, subject, payload, at }))).toEqual([
    { seq: 2n, actor: "ana", action: "test", subject: "other", payload: '{"a":[1,"two"],"b":1}', at: result },
    { seq: 1n, actor: "ana", action: "test", subject: "thing", payload: '{"a":[1,"two"],"b":1}', at: result },
  ]);
  const row = await database.db
    .selectFrom("outbox")
    .select(["seq", "topic", "at", sql<string>`payload::text`.as("text")])
    .executeTakeFirstOrThrow();
  expect(row).toEqual({ seq: 1n, topic: "change.merged", at: result, text: '{"n": 9007199254740993, "change": "chg_1"}' });
});

test("work that throws leaves nothing", async () => {
  const work = async (m: Mutation): Promise<void> => {
    await addGroup(m.tx, "grp_1");
    m.record(event);
    m.enqueue("change.written", { change: "chg_1" });
    throw new Error("changed my mind");
  };
  await expect(mutate(deps, "ana", work)).rejects.toThrow("changed my mind");
  expect(await counts()).toEqual({ groups: 0n, events: 0n, outbox: 0n });
});

test("a mutation that records nothing is a programmer's error and leaves nothing", async () => {
  await expect(mutate(deps, "ana", (m) => addGroup(m.tx, "grp_1"))).rejects.toThrow("must record");
  expect(await counts()).toEqual({ groups: 0n, events: 0n, outbox: 0n });
});

test("thousands of events in one mutation", async () => {
  await mutate(deps, "ana", async (m) => {
    for (let index = 0; index < 12_000; index += 1) m.record({ ...event, subject: `thing ${index}` });
  });
  expect(await verifyAudit(database.db)).toMatchObject({ ok: true, events: 12_000n });
});

test("8 writers at once make one unbroken chain without a gap, and one row of outbox each", async () => {
  const writer = async (name: string): Promise<void> => {
    for (let index = 0; index < 25; index += 1) {
      await mutate(deps, name, async (m) => {
        await addGroup(m.tx, `${name} ${index}`);
        m.record({ action: "write", subject: name, payload: { index } });
        m.enqueue("change.written", { change: `${name} ${index}` });
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, index) => writer(`writer-${index}`)));
  expect(await counts()).toEqual({ groups: 200n, events: 200n, outbox: 200n });
  expect(await verifyAudit(database.db)).toMatchObject({ ok: true, events: 200n });
});

test("a deadlock is resolved by running one of the two again", async () => {
  const seed = async (id: string) =>
    mutate(deps, "ana", async (m) => {
      await addGroup(m.tx, id);
      m.record(event);
    });
  await seed("x");
  await seed("y");
  let runs = 0;
  let arrived = 0;
  const inOrder = (first: string, second: string, suffix: string) =>
    mutate(deps, suffix, async (m) => {
      runs += 1;
      const touch = (id: string) =>
        m.tx
          .updateTable("groups")
          .set({ name: sql`name || ${suffix}` })
          .where("id", "=", id)
          .execute();
      await touch(first);
      arrived += 1;
      while (arrived < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      await touch(second);
      m.record(event);
    });
  await Promise.all([inOrder("x", "y", "-1"), inOrder("y", "x", "-2")]);
  expect(runs).toBe(3);
  const rows = await database.db.selectFrom("groups").select("name").orderBy("id").execute();
  for (const { name } of rows) expect(name).toMatch(/^[xy](-1-2|-2-1)$/);
  expect(await verifyAudit(database.db)).toMatchObject({ ok: true, events: 4n });
});

test("a lost compare-and-set is tried again on what is there then", async () => {
  let runs = 0;
  await mutate(deps, "ana", async (m) => {
    runs += 1;
    await addGroup(m.tx, "grp_1");
    m.record(event);
    if (runs < 3) throw new RetryMutation("the ref moved");
  });
  expect(runs).toBe(3);
  expect(await counts()).toEqual({ groups: 1n, events: 1n, outbox: 0n });
});

test("after 8 lost races it gives up with merge.lost_race, and nothing is left", async () => {
  let runs = 0;
  const work = async (): Promise<void> => {
    runs += 1;
    throw new RetryMutation("the ref moved");
  };
  await expect(mutate(deps, "ana", work)).rejects.toMatchObject({ code: "merge.lost_race", found: "the ref moved" });
  expect(runs).toBe(8);
  expect(await counts()).toEqual({ groups: 0n, events: 0n, outbox: 0n });
});

test("a mutation whose table another process changes meanwhile is run again", async () => {
  let runs = 0;
  const read = (m: Mutation) => m.tx.selectFrom("groups").selectAll().where("id", "=", "grp_1").execute();
  const work = async (m: Mutation): Promise<number> => {
    runs += 1;
    m.record(event);
    return Object.keys((await read(m))[0] ?? {}).length;
  };
  await mutate(deps, "ana", async (m) => {
    await addGroup(m.tx, "grp_1");
    await read(m);
    m.record(event);
  });
  const before = await mutate(deps, "ana", work);
  await sql`alter table groups add column note text`.execute(database.db);
  expect(await mutate(deps, "ana", work)).toBe(before + 1);
  expect(runs).toBe(3);
});
