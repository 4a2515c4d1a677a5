import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { manualClock } from "../edges/clock.ts";
import { sha256 } from "../lib/json.ts";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { listAudit, verifyAudit } from "./audit-reads.ts";
import { eventHash, genesis } from "./event-hash.ts";
import { appendingHeadFile, type HeadFile } from "./head-file.ts";
import { mutate } from "./mutation.ts";

let database: TestDatabase;
let folder: string;
let headFile: HeadFile;
const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
beforeEach(async () => {
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), "tidegate-audit-"));
  headFile = appendingHeadFile(join(folder, "audit.head"));
  for (let index = 1; index <= 5; index += 1) await write(`subject-${index % 2}`);
});
afterEach(async () => {
  await database.close();
  await rm(folder, { recursive: true });
});

async function write(subject: string): Promise<void> {
  clock.advance(1000);
  await mutate({ db: database.db, clock, headFile }, "ana", async (m) => m.record({ action: "test", subject, payload: { subject } }));
}

const run = (statement: string) => sql.raw(statement).execute(database.db);
const withFile = () => verifyAudit(database.db, { headFile: headFile.path });

describe("tampering is found", () => {
  test.each([
    ["seq", "update audit_events set seq = 30 where seq = 3", 3n, "missing"],
    ["seq, out of the front", "update audit_events set seq = -1 where seq = 3", 1n, "missing"],
    ["at", "update audit_events set at = at + interval '1 day' where seq = 3", 3n, "content"],
    ["at, by a microsecond", "update audit_events set at = at + interval '1 microsecond' where seq = 3", 3n, "time"],
    ["actor", "update audit_events set actor = 'bob' where seq = 3", 3n, "content"],
    ["action", "update audit_events set action = 'nothing' where seq = 3", 3n, "content"],
    ["subject", "update audit_events set subject = 'x' where seq = 3", 3n, "content"],
    ["payload_hash", "update audit_events set payload_hash = repeat('a', 64) where seq = 3", 3n, "content"],
    ["prev_hash", "update audit_events set prev_hash = repeat('a', 64) where seq = 3", 3n, "does not follow"],
    ["hash", "update audit_events set hash = repeat('a', 64) where seq = 3", 3n, "content"],
    ["payload", `update audit_payloads set body = '{}' where seq = 3`, 3n, "payload"],
    [
      "payload of another event",
      "update audit_payloads p set body = (select body from audit_payloads where seq = p.seq + 1) where seq = 3",
      3n,
      "payload",
    ],
    ["an event in the middle", "delete from audit_events where seq = 3", 3n, "missing"],
    ["the first event", "delete from audit_events where seq = 1", 1n, "missing"],
    ["the last event", "delete from audit_events where seq = 5", 5n, "before its head"],
    ["the number of the head, down", "update audit_head set seq = 4", 5n, "behind its head"],
    ["the number of the head, up", "update audit_head set seq = 9", 6n, "before its head"],
    ["the hash of the head", "update audit_head set hash = repeat('a', 64)", 5n, "another hash"],
    ["the row of the head", "delete from audit_head", 6n, "row of the chain's head"],
  ])("%s", async (_, statement, seq, reason) => {
    expect(await withFile()).toMatchObject({ ok: true, events: 5n, broken: undefined });
    await run("alter table audit_payloads drop constraint audit_payloads_seq_fkey");
    await run(statement);
    const verdict = await verifyAudit(database.db);
    expect(verdict.ok).toBe(false);
    expect(verdict.broken).toMatchObject({ seq, reason: expect.stringContaining(reason) as string });
  });
});

test("an erased payload is fine", async () => {
  await run("delete from audit_payloads where seq in (2, 5)");
  expect(await withFile()).toMatchObject({ ok: true, events: 5n });
});

test("an empty chain holds", async () => {
  const empty = await testDatabase();
  expect(await verifyAudit(empty.db, { expectHead: genesis })).toEqual({ ok: true, events: 0n, head: genesis, broken: undefined });
  await empty.close();
});

test("a cut tail with a matching head is found by a hash seen earlier and by the head file, not without them", async () => {
  const { head: seen } = await verifyAudit(database.db);
  const middle = (await listAudit(database.db, { limit: 3 })).at(-1)?.hash ?? "";
  await run("delete from audit_payloads where seq > 3");
  await run("delete from audit_events where seq > 3");
  await run("update audit_head set seq = 3, hash = (select hash from audit_events where seq = 3)");
  expect((await verifyAudit(database.db)).ok).toBe(true);
  expect((await verifyAudit(database.db, { expectHead: middle })).ok).toBe(true);
  expect((await verifyAudit(database.db, { expectHead: seen })).broken).toMatchObject({ seq: 4n, expected: seen });
  expect((await withFile()).broken).toMatchObject({ seq: 4n, expected: "event 5" });
});

test("a chain that was written anew with right hashes is found by the head file", async () => {
  const events = await database.db.selectFrom("audit_events").selectAll().orderBy("seq").execute();
  let previous = genesis;
  for (const event of events) {
    const actor = event.seq === 3n ? "bob" : event.actor;
    const content = { ...event, actor, prev_hash: previous };
    previous = eventHash(content);
    await database.db
      .updateTable("audit_events")
      .set({ actor, prev_hash: content.prev_hash, hash: previous })
      .where("seq", "=", event.seq)
      .execute();
  }
  await database.db.updateTable("audit_head").set({ hash: previous }).execute();
  expect((await verifyAudit(database.db)).ok).toBe(true);
  expect((await withFile()).broken).toMatchObject({ seq: 3n, reason: expect.stringContaining("written anew") as string });
});

test("the head file has one line per commit; a line cut by a crash harms neither the next one nor the verdict", async () => {
  const text = await readFile(headFile.path, "utf8");
  const hashes = (await listAudit(database.db, { limit: 10 })).map(({ hash }) => hash).reverse();
  expect(
    text
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ")[1]),
  ).toEqual(hashes);
  await appendFile(headFile.path, "6 abcdef");
  await write("after the crash");
  expect((await readFile(headFile.path, "utf8")).split("\n").slice(5)).toEqual([
    "6 abcdef",
    expect.stringMatching(/^6 [0-9a-f]{64} 2026-11-01T08:\d\d:\d\d.000Z$/) as string,
    "",
  ]);
  expect(await withFile()).toMatchObject({ ok: true, events: 6n });
});

test("commits at the same moment all reach the head file", async () => {
  await Promise.all(Array.from({ length: 20 }, (_, index) => write(`at-once-${index}`)));
  expect((await readFile(headFile.path, "utf8")).trimEnd().split("\n")).toHaveLength(25);
  expect(await withFile()).toMatchObject({ ok: true, events: 25n });
});

test("a head file that cannot be written is reported once, and the commit stands", async () => {
  const reports: string[] = [];
  const nowhere = appendingHeadFile(join(folder, "no", "such", "folder"), (message) => reports.push(message));
  for (const subject of ["a", "b"]) {
    await mutate({ db: database.db, clock, headFile: nowhere }, "ana", async (m) => m.record({ action: "test", subject, payload: 1 }));
  }
  expect(reports).toEqual([expect.stringContaining("ENOENT")]);
  expect(await verifyAudit(database.db)).toMatchObject({ ok: true, events: 7n });
});

test("a missing head file proves nothing and breaks nothing", async () => {
  expect((await verifyAudit(database.db, { headFile: join(folder, "none") })).ok).toBe(true);
  await writeFile(join(folder, "noise"), "not a head\n");
  expect((await verifyAudit(database.db, { headFile: join(folder, "noise") })).ok).toBe(true);
});

test("events are listed by page and by subject, the newest first", async () => {
  const page = await listAudit(database.db, { limit: 2 });
  expect(page.map(({ seq }) => seq)).toEqual([5n, 4n]);
  expect((await listAudit(database.db, { limit: 2, before: 4n })).map(({ seq }) => seq)).toEqual([3n, 2n]);
  expect((await listAudit(database.db, { limit: 9, subject: "subject-0" })).map(({ seq }) => seq)).toEqual([4n, 2n]);
  expect(page[0]?.payload).toBe('{"subject":"subject-1"}');
});

test("the hash of an event is SHA-256 of its canonical JSON, for ever", () => {
  const event = {
    seq: 1n,
    at: new Date("2026-11-01T08:00:01Z"),
    actor: "ana",
    action: "test",
    subject: "thing",
    payload_hash: sha256("{}"),
    prev_hash: genesis,
  };
  const longhand = `{"action":"test","actor":"ana","at":"2026-11-01T08:00:01.000Z","payload_hash":"${sha256("{}")}","prev_hash":"${genesis}","seq":1,"subject":"thing"}`;
  expect(eventHash(event)).toBe(sha256(longhand));
});
