import { afterEach, beforeEach, expect, test } from "vitest";
import { connect } from "../db/connect.ts";
import { manualClock } from "../edges/clock.ts";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { mutate } from "./mutation.ts";
import { StandingAnswers, type Answered } from "./standing.ts";

let database: TestDatabase;
const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
let standing: StandingAnswers;
beforeEach(async () => {
  database = await testDatabase();
  standing = new StandingAnswers({ db: database.db, clock });
});
afterEach(() => database.close());

const commit = (db = database.db, group?: string) =>
  mutate({ db, clock }, "ana", async (m) => {
    if (group !== undefined) await m.tx.insertInto("groups").values({ id: group, name: group, created_at: m.at }).execute();
    m.record({ action: "test", subject: group ?? "thing", payload: {} });
  });

/** A question that counts how often it was asked. */
function counted<T>(give: () => Promise<Answered<T>>): { asked: number; ask: (key?: string) => Promise<T> } {
  const question = {
    asked: 0,
    ask: (key = "question") =>
      standing.ask(key, () => {
        question.asked += 1;
        return give();
      }),
  };
  return question;
}

test("an answer stands until something is committed, by whatever process", async () => {
  const question = counted(async () => ({ value: "given" }));
  for (let times = 0; times < 3; times += 1) expect(await question.ask()).toBe("given");
  expect(question.asked).toBe(1);
  await commit();
  await question.ask();
  await question.ask();
  expect(question.asked).toBe(2);
  const other = connect({ connectionString: database.url });
  await commit(other.db);
  await other.close();
  await question.ask();
  expect(question.asked).toBe(3);
});

test("an answer that ends by itself is asked again then, and also before it was asked when the clock goes back", async () => {
  const until = new Date(clock.now().getTime() + 60_000);
  const question = counted(async () => ({ value: clock.now().getTime(), until }));
  await question.ask();
  clock.advance(59_999);
  await question.ask();
  expect(question.asked).toBe(1);
  clock.advance(1);
  expect(await question.ask()).toBe(clock.now().getTime());
  expect(question.asked).toBe(2);
  clock.advance(-120_000);
  await question.ask();
  expect(question.asked).toBe(3);
});

test("what is not there is not kept, nor what failed, nor what has a key without end", async () => {
  const nothing = counted(async () => ({ value: undefined }));
  await nothing.ask();
  await nothing.ask();
  expect(nothing.asked).toBe(2);
  const failing = counted(() => Promise.reject(new Error("broken")));
  await expect(failing.ask()).rejects.toThrow("broken");
  await expect(failing.ask()).rejects.toThrow("broken");
  expect(failing.asked).toBe(2);
  const long = counted(async () => ({ value: 1 }));
  await long.ask("x".repeat(501));
  await long.ask("x".repeat(501));
  expect(long.asked).toBe(2);
});

test("who asks after a commit is not served by a look that began before it", async () => {
  let held: (() => void) | undefined;
  let hold = false;
  const slow = database.db.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      if (hold) await new Promise<void>((resolve) => (held = resolve));
      return result;
    },
  });
  standing = new StandingAnswers({ db: slow, clock });
  let value = "before";
  const question = counted(async () => ({ value }));
  await question.ask();
  hold = true;
  const before = question.ask();
  while (held === undefined) await new Promise((resolve) => setImmediate(resolve));
  await commit();
  value = "after";
  const after = question.ask();
  hold = false;
  held();
  expect(await before).toBe("before");
  expect(await after).toBe("after");
});

test("many questions at a time share their looks, and no answer is older than its question", async () => {
  let committed = 0;
  const groups = counted(async () => {
    const { count } = await database.db
      .selectFrom("groups")
      .select((eb) => eb.fn.countAll<bigint>().as("count"))
      .executeTakeFirstOrThrow();
    return { value: Number(count) };
  });
  let done = false;
  let answers = 0;
  const readers = Array.from({ length: 40 }, async () => {
    while (!done) {
      const known = committed;
      const got = await groups.ask();
      expect(got).toBeGreaterThanOrEqual(known);
      answers += 1;
    }
  });
  for (let at = 0; at < 30; at += 1) {
    await commit(database.db, `g${at}`);
    committed += 1;
    // Some answers are given from memory between two commits.
    for (const before = answers; answers < before + 200;) await new Promise((resolve) => setImmediate(resolve));
  }
  done = true;
  await Promise.all(readers);
  expect(await groups.ask()).toBe(30);
  expect(answers).toBeGreaterThan(6000);
  // At most all readers ask after each commit.
  expect(groups.asked).toBeLessThan(answers / 3);
});
