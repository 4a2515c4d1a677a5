import { afterEach, beforeEach, expect, test } from "vitest";
import { mutate } from "../audit/mutation.ts";
import { manualClock } from "../edges/clock.ts";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { connect } from "./connect.ts";
import type { Topic } from "./events.ts";
import { drainOutbox } from "./outbox.ts";

let database: TestDatabase;
const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.close());

async function enqueue(...events: [topic: string, payload: unknown][]): Promise<void> {
  await mutate({ db: database.db, clock }, "ana", async (m) => {
    for (const [topic, payload] of events) m.enqueue(topic as Topic, payload as never);
    m.record({ action: "test", subject: "outbox", payload: {} });
  });
}

/** A handler that keeps what it saw. */
function keeper() {
  const seen: unknown[] = [];
  return { seen, handler: async (payload: unknown) => void seen.push(payload) };
}

test("events are numbered from one, done in order, once", async () => {
  const { seen, handler } = keeper();
  await enqueue(["a", { n: 1 }], ["nobody.asks", {}], ["a", { n: 2 }]);
  await enqueue(["a", { n: 3 }]);
  const handlers = { a: handler };
  expect(await drainOutbox({ db: database.db, clock, handlers })).toEqual({ done: 4, failed: 0, failures: [] });
  expect(await drainOutbox({ db: database.db, clock, handlers })).toEqual({ done: 0, failed: 0, failures: [] });
  expect(seen).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const rows = await database.db.selectFrom("outbox").select("seq").orderBy("seq").execute();
  expect(rows.map(({ seq }) => seq)).toEqual([1n, 2n, 3n, 4n]);
});

test("rows that fail wait longer each time and hold up no other, even a whole batch of them", async () => {
  const { seen, handler } = keeper();
  let failing = true;
  const handlers = {
    bad: async () => {
      if (failing) throw new Error("not yet");
    },
    good: handler,
  };
  await enqueue(...Array.from({ length: 150 }, (_, n): [string, unknown] => ["bad", { n }]), ["good", { n: 1 }]);
  const drain = () => drainOutbox({ db: database.db, clock, handlers });
  expect(await drain()).toMatchObject({ done: 1, failed: 150 });
  expect(seen).toEqual([{ n: 1 }]);
  expect(await drain()).toMatchObject({ done: 0, failed: 0 });
  clock.advance(1000);
  expect(await drain()).toMatchObject({ done: 0, failed: 150 });
  clock.advance(1999);
  expect(await drain()).toMatchObject({ done: 0, failed: 0 });
  const row = await database.db.selectFrom("outbox").selectAll().where("seq", "=", 1n).executeTakeFirstOrThrow();
  expect(row).toMatchObject({ attempts: 2, last_error: "not yet", done_at: null });
  failing = false;
  clock.advance(1);
  expect(await drain()).toMatchObject({ done: 150, failed: 0 });
});

test("two processes at once do each event once, and the one that comes second returns when all is done", async () => {
  const other = connect({ connectionString: database.url });
  const seen: unknown[] = [];
  const handlers = {
    slow: async (payload: unknown) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      seen.push(payload);
    },
  };
  await enqueue(...Array.from({ length: 6 }, (_, n): [string, unknown] => ["slow", n]));
  await Promise.all(
    [database.db, other.db].map(async (db) => {
      await drainOutbox({ db, clock, handlers });
      expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
    }),
  );
  await other.close();
});
