import { createHash } from "node:crypto";
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyAudit } from "../../src/audit/audit-reads.ts";
import { collectGarbage } from "../../src/catalog/gc-service.ts";
import { getRef } from "../../src/catalog/ref-store.ts";
import { getChange } from "../../src/changes/change-store.ts";
import { outboxHandlers } from "../../src/changes/outbox-handlers.ts";
import { drainOutbox } from "../../src/db/outbox.ts";
import { AppError } from "../../src/lib/errors.ts";
import { examine } from "../../src/reading/doctor-service.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { BrokenConnections, FaultyFiles } from "../harness/planted-faults.ts";
import { rowsOf } from "../harness/reads.ts";

/*
 * Full disks, disks that fail, and connections that break when Postgres has done the work and only its answer is lost. Before each retry
 * everything is wholly before or wholly after, and whatever was acknowledged is read with the checksum that it had. Connections break at every
 * fifth statement, at every one in the soak (nth-failure.test.ts fails each statement in any case).
 */

const stride = process.env["TIDEGATE_SOAK"] === "1" ? 1 : 5;

const disk = new FaultyFiles();
const wire = new BrokenConnections();
wire.install();
const name = "faults.rows";
const codeOf = { EIO: "store.unreachable", ENOSPC: "store.full" } as const;

let lake: Lakehouse;
const model = new Map<number, number>();
/** Commits that were acknowledged, and the checksum of what they held. */
const acknowledged = new Map<string, string>();

beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 10, files: disk.files });
  for (let id = 0; id < 40; id += 1) model.set(id, 0);
  const file = await lake.file("base.csv", csv([...model]));
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset: name, source: source(file), key: ["id"] }] });
  await mergeAndKeep(change?.id ?? "");
});
afterAll(() => lake.close());

type Row = readonly [number, number];
const csv = (rows: readonly Row[]): string => `id,value\n${rows.map(([id, value]) => `${id},${value}\n`).join("")}`;
const sorted = (rows: Iterable<Row>): Row[] => [...rows].sort(([a], [b]) => a - b);

async function content(at?: string): Promise<Row[]> {
  const rows = await rowsOf(lake, name, at === undefined ? {} : { at });
  return sorted(rows.map((row): Row => [Number(row["id"]), Number(row["value"])]));
}

const checksum = (rows: readonly Row[]): string => createHash("sha256").update(csv(rows)).digest("hex");

let edits = 0;
async function propose(rows: readonly Row[]): Promise<string> {
  const file = await lake.file(`edit-${(edits += 1)}.csv`, csv(rows));
  const { change } = await lake.propose({ operations: [{ kind: "upsert", dataset: name, source: source(file) }] });
  return change?.id ?? "";
}

async function mergeAndKeep(change: string): Promise<string> {
  const { commit, release } = await lake.merge(change);
  await keep(commit);
  return release.id;
}

async function keep(commit: string): Promise<void> {
  acknowledged.set(commit, checksum(await content(commit)));
}

/** Two changes of neighbouring rows, the first one merged: merging the second must write files. */
async function threeWay(): Promise<string> {
  const id = 2 * (edits % 20);
  const rows: Row[] = [
    [id, edits + 1000],
    [id + 1, edits + 1000],
  ];
  const [first, second] = [await propose(rows.slice(0, 1)), await propose(rows.slice(1))];
  await mergeAndKeep(first);
  model.set(...(rows[0] as [number, number]));
  next = rows[1] as Row;
  return second;
}
let next: Row = [0, 0];

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

const back = (target: string) => rollback(lake, { target, reason: "fault", actor: "ana", environment: "production" });

async function drain(): Promise<string[]> {
  const { failures } = await drainOutbox({ db: lake.db, clock: lake.clock, handlers: outboxHandlers(lake) });
  return failures.map((failure) => failure.message);
}

/** The newest commits still hold what they held, and the audit chain is whole. */
async function wholeAfter(what: string): Promise<void> {
  for (const [commit, sum] of [...acknowledged].slice(-2)) expect(checksum(await content(commit)), what).toBe(sum);
  expect(await verifyAudit(lake.db), what).toMatchObject({ ok: true });
}

test("a merge whose n-th file operation finds the disk full or broken leaves all as it was, says which, and works when tried again", async () => {
  let change = await threeWay();
  let n = 1;
  for (let fired = true; fired; n += 1) {
    for (const code of ["ENOSPC", "EIO"] as const) {
      const [main, live] = [await getRef(lake.db, "main"), await getRef(lake.db, "live/production")];
      disk.code = code;
      disk.arm(n);
      const failure = await failureOf(lake.merge(change));
      fired = disk.disarm();
      if (!fired) break;
      const what = `file operation ${n}, ${code}`;
      expect(failure, what).toBeInstanceOf(AppError);
      expect((failure as AppError).code, what).toBe(codeOf[code]);
      expect((await getChange(lake.db, change)).state, what).toBe("open");
      expect([await getRef(lake.db, "main"), await getRef(lake.db, "live/production")], what).toEqual([main, live]);
      expect(await content("main"), what).toEqual(sorted(model));
      await wholeAfter(what);
    }
    if (!fired) break;
    if (n % 5 === 0) {
      await mergeAndKeep(change);
      model.set(...(next as [number, number]));
      change = await threeWay();
    }
  }
  await keep((await getRef(lake.db, "main")).commitId);
  model.set(...(next as [number, number]));
  expect(await content("main")).toEqual(sorted(model));
  console.info(`merge: ${n - 1} file operations failed, each with ENOSPC and with EIO`);
  expect(n).toBeGreaterThan(8);
}, 1_800_000);

test("a merge whose connection breaks at the n-th statement is wholly done or not at all, before the statement and after it", async () => {
  for (const moment of ["before", "after"] as const) {
    const outcomes = { before: 0, after: 0 };
    let change = await threeWay();
    let n = moment === "before" ? 1 : 2;
    for (; ; n += stride) {
      wire.moment = moment;
      wire.arm(n);
      const failure = await failureOf(lake.merge(change));
      const fired = wire.disarm();
      if (!fired) expect(failure).toBeUndefined();
      const what = `statement ${n}, ${moment}: ${String(failure)}`;
      if (failure !== undefined) expect((failure as AppError).code, what).toBe("db.unreachable");
      const { state } = await getChange(lake.db, change);
      const merged = state === "merged";
      outcomes[merged ? "after" : "before"] += 1;
      if (failure === undefined) expect(merged, what).toBe(true);
      if (merged) model.set(...(next as [number, number]));
      else expect(["open", "queued"], what).toContain(state);
      const queue = await lake.db.selectFrom("merge_queue").select("state").where("change_id", "=", change).execute();
      expect(queue.filter((entry) => entry.state === "merged").length, what).toBe(merged ? 1 : 0);
      const events = await lake.db.selectFrom("audit_events").select("action").where("subject", "=", change).orderBy("seq").execute();
      if (merged) expect(events.at(-1)?.action, what).toBe("change.merge");
      expect(await content("main"), what).toEqual(sorted(model));
      expect(await content(), what).toEqual(sorted(model));
      await wholeAfter(what);
      if (!fired) break;
      if (merged) {
        await keep((await getRef(lake.db, "main")).commitId);
        change = await threeWay();
      }
    }
    const broken = outcomes.before + outcomes.after - 1;
    console.info(`merge: the connection broke ${moment} ${broken} of ${n - 1} statements; ${outcomes.before} times it was undone`);
    expect(n).toBeGreaterThan(20);
  }
}, 1_800_000);

let pairs = 0;

/** A release to take back, and a later one of a neighbouring row that has to be carried over it. */
async function badAndLater(n: number): Promise<{ bad: string; release: string; good: Map<number, number> }> {
  const id = 2 * (n % 20);
  pairs += 1;
  const bad = await propose([[id, -pairs]]);
  const release = await mergeAndKeep(bad);
  const later = await propose([[id + 1, 5000 + pairs]]);
  await mergeAndKeep(later);
  model.set(id + 1, 5000 + pairs);
  return { bad, release, good: new Map(model) };
}

/** Everything that a rollback orders is done in the end, with no hand but time. */
async function settled(bad: string, good: ReadonlyMap<number, number>, what: string): Promise<void> {
  lake.clock.advance(60_000);
  expect(await drain(), what).toEqual([]);
  expect(await content(), what).toEqual(sorted(good));
  const reverts = await lake.db.selectFrom("changes").select("id").where("reverts", "=", bad).where("state", "=", "open").execute();
  expect(reverts.length, what).toBe(1);
  await mergeAndKeep(reverts[0]?.id ?? "");
  expect(await content("main"), what).toEqual(sorted(good));
  expect(await content(), what).toEqual(sorted(good));
  await wholeAfter(what);
}

test("what a rollback orders is written in the end, whichever of its file operations fails", async () => {
  let n = 1;
  for (; ; n += 1) {
    const code = n % 2 === 0 ? "ENOSPC" : "EIO";
    const what = `file operation ${n}, ${code}`;
    const { bad, release, good } = await badAndLater(n);
    disk.code = code;
    disk.arm(n);
    await back(release);
    expect(
      (await content()).some(([, value]) => value === -n),
      `${what}: readers are back at once`,
    ).toBe(false);
    const failures = await drain();
    const fired = disk.disarm();
    if (fired) expect(failures.length, what).toBe(1);
    await settled(bad, good, what);
    if (!fired) break;
  }
  console.info(`rollback: ${n - 1} file operations of what follows failed`);
  expect(n).toBeGreaterThan(8);
}, 1_800_000);

test("a rollback whose connection breaks after its n-th statement is done or not, and what it orders happens once", async () => {
  let n = 1;
  let { bad, release, good } = await badAndLater(n);
  for (; ; n += stride) {
    const what = `statement ${n}`;
    const before = await content();
    wire.moment = "after";
    wire.arm(n);
    const failure = await failureOf(back(release));
    if (failure === undefined) await failureOf(drain());
    const fired = wire.disarm();
    const { state } = await lake.db.selectFrom("releases").select("state").where("id", "=", release).executeTakeFirstOrThrow();
    if (failure !== undefined) expect((failure as AppError).code, what).toBe("db.unreachable");
    if (state !== "rolled_back") {
      expect(failure, what).toBeDefined();
      expect(await content(), what).toEqual(before);
      continue;
    }
    await settled(bad, good, what);
    if (!fired) break;
    ({ bad, release, good } = await badAndLater(n));
  }
  console.info(`rollback and what follows: the connection broke after every ${stride === 1 ? "" : "fifth "}of ${n - 1} statements`);
  expect(n).toBeGreaterThan(20);
}, 1_800_000);

test("afterwards every version reads as it did, gc lists what failed writes left and takes it, and nothing else", async () => {
  const intact = async (): Promise<void> => {
    for (const [commit, sum] of acknowledged) expect(checksum(await content(commit)), commit).toBe(sum);
    const report = await examine(lake, {});
    expect(report.findings).toEqual([]);
  };
  await intact();
  const root = join(lake.dir, "lake");
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const old = new Date(lake.clock.now().getTime() - 7_200_000);
  for (const entry of files) utimesSync(join(entry.parentPath, entry.name), old, old);
  lake.clock.advance(7_200_000);
  const dry = await collectGarbage(lake, { dryRun: true, actor: "ana" });
  expect(dry.condemned.length).toBeGreaterThan(0);
  expect(dry.condemned.length + dry.kept).toBe(files.length);
  await collectGarbage(lake, { dryRun: false, actor: "ana" });
  lake.clock.advance(7_200_000);
  const swept = await collectGarbage(lake, { dryRun: false, actor: "ana" });
  expect(swept.deleted.map((item) => item.key).toSorted()).toEqual(dry.condemned.map((item) => item.key).toSorted());
  await intact();
  expect(await verifyAudit(lake.db)).toMatchObject({ ok: true });
  console.info(`${acknowledged.size} commits read in full; ${swept.deleted.length} orphans swept of ${files.length} files`);
}, 1_800_000);
