import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyAudit } from "../../src/audit/audit-reads.ts";
import { collectGarbage } from "../../src/catalog/gc-service.ts";
import { getVersions } from "../../src/catalog/version-store.ts";
import { getChange } from "../../src/changes/change-store.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { overridePolicy } from "../../src/changes/review-service.ts";
import { outboxHandlers } from "../../src/changes/outbox-handlers.ts";
import { drainOutbox } from "../../src/db/outbox.ts";
import type { AppError } from "../../src/lib/errors.ts";
import { examine } from "../../src/reading/doctor-service.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { proposeContract } from "../harness/checks.ts";
import { builtByHand, type MartPart } from "../harness/derived-oracle.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { martOf } from "../harness/mart.ts";
import { BrokenConnections, FaultyFiles } from "../harness/planted-faults.ts";

/*
 * Two sources, a mart of both and a mart of the mart, with contracts and a consumer's test on the last, while the n-th file operation or the
 * n-th SQL statement of a merge fails, and the n-th file operation of what a rollback orders. After each failure the derived datasets of main and of readers are what their SELECTs
 * give on the files that stand there, and the retry needs no hand. Every fifth step of a merge and every fifteenth of a rollback; all in the soak.
 */

const isSoak = process.env["TIDEGATE_SOAK"] === "1";
const [stride, rollbackStride] = isSoak ? [1, 1] : [5, 15];
const disk = new FaultyFiles();
const wire = new BrokenConnections();
wire.install();

let lake: Lakehouse;
let mart: ReturnType<typeof martOf>;
const late = "select iata, city, delay * 2 as twice from df.delays where delay > 0";
let parts: MartPart[] = [];

beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 4, files: disk.files });
  mart = martOf(lake, "df");
  await mart.build();
  await mart.merged(await mart.derive("late", late, ["iata"]));
  parts = [{ name: "df.airports" }, { name: "df.flights" }, { name: "df.delays", sql: mart.sql }, { name: "df.late", sql: late }];
  for (const name of ["df.flights", "df.delays", "df.late"]) {
    const bounded = await proposeContract(lake, name, (contract) => ({
      ...contract,
      schema: contract.schema.map((table) => ({
        ...table,
        properties: table.properties.map((column) => (column.name === "iata" ? { ...column, required: true } : column)),
        quality: [{ type: "library", metric: "rowCount", mustBeGreaterThan: 0, id: "some rows" }],
      })),
    }));
    await lake.merge(bounded);
  }
  const text = "tests:\n  - name: total\n    query: { sql: select sum(twice) as total from df.late }\n";
  const { change } = await lake.propose({ operations: [], documents: [{ path: "consumers/board", text }] });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

/** All that must hold after a step, whatever failed in it. */
async function whole(what: string): Promise<void> {
  await builtByHand(lake, parts, "main", `${what}, main`);
  await builtByHand(lake, parts, undefined, `${what}, live`);
  expect(await verifyAudit(lake.db), what).toMatchObject({ ok: true });
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

let edits = 0;

/** A flight more; its delay moves the marts and the consumer's number. */
async function flight(origin: string): Promise<string> {
  edits += 1;
  const { change } = await mart.change("flights", "append", `id,origin,delay\n${100 + edits},${origin},${edits}\n`);
  return change?.id ?? "";
}

/** All that people have to say of a change is said, so that what fails is the merge itself: the board's number moves with each of them. */
async function ready(changeId: string): Promise<string> {
  await overridePolicy(lake, { changeId, person: "ana", actor: "ana", reason: "the test means it" });
  return changeId;
}

const merging = (changeId: string) => merge(lake, { changeId, actor: "ana", byPerson: true });

/** Two changes of one source, the first of them merged: merging the second writes its source and both marts anew. */
async function threeWay(): Promise<string> {
  const [first, second] = [await flight("DEN"), await flight("LAS")];
  await lake.merge(first);
  return ready(second);
}

test("a merge that builds two marts survives the failure of its file operations", async () => {
  let change = await threeWay();
  let [n, failed] = [1, 0];
  for (; ; n += stride) {
    disk.code = n % 2 === 0 ? "ENOSPC" : "EIO";
    disk.arm(n);
    const failure = await failureOf(merging(change));
    const fired = disk.disarm();
    const what = `file operation ${n}, ${disk.code}`;
    if (!fired) expect(failure, what).toBeUndefined();
    await whole(what);
    if (!fired) break;
    failed += 1;
    expect((failure as AppError).code, what).toBe(disk.code === "EIO" ? "store.unreachable" : "store.full");
    expect((await getChange(lake.db, change)).state, what).toBe("open");
    if (failed % 4 !== 0) continue;
    await merging(change);
    await whole(`${what}, retried`);
    change = await threeWay();
  }
  console.info(`merge with two marts: ${failed} of ${n - 1} file operations failed`);
  expect(n).toBeGreaterThan(20);
}, 1_800_000);

test("a merge that builds two marts survives connections that break at its SQL statements", async () => {
  let change = await threeWay();
  const outcomes = { undone: 0, done: 0 };
  let n = 1;
  for (; ; n += stride) {
    wire.moment = n % 2 === 0 ? "before" : "after";
    wire.arm(n);
    const failure = await failureOf(merging(change));
    const fired = wire.disarm();
    const what = `statement ${n}, ${wire.moment}: ${String(failure)}`;
    if (failure !== undefined) expect((failure as AppError).code, what).toBe("db.unreachable");
    const { state } = await getChange(lake.db, change);
    if (failure === undefined) expect(state, what).toBe("merged");
    else expect(["open", "queued", "merged"], what).toContain(state);
    await whole(what);
    if (!fired) break;
    outcomes[state === "merged" ? "done" : "undone"] += 1;
    if (state === "merged") change = await threeWay();
  }
  console.info(
    `merge with two marts: connections broke at every ${stride}. of ${n - 1} statements; ${outcomes.undone} times it was undone`,
  );
  expect(outcomes.undone).toBeGreaterThan(10);
}, 1_800_000);

/** A bad city to take back, and a later flight that has to be carried over it, marts and all. */
async function badAndLater(): Promise<{ bad: string; release: string }> {
  edits += 1;
  const { change } = await mart.change("airports", "upsert", `iata,city\nDEN,bad ${edits}\n`);
  const { release } = await lake.merge(change?.id ?? "");
  await lake.merge(await flight("ORD"));
  return { bad: change?.id ?? "", release: release.id };
}

const back = (target: string) => rollback(lake, { target, reason: "fault", actor: "ana", environment: "production" });
const drain = async () => drainOutbox({ db: lake.db, clock: lake.clock, handlers: outboxHandlers(lake) });

/** What the rollback ordered is done in the end, with no hand but time; then its revert is merged. */
async function settled(bad: string, what: string): Promise<void> {
  lake.clock.advance(60_000);
  expect((await drain()).failures, what).toEqual([]);
  await whole(`${what}, settled`);
  expect(
    (await mart.rows("late", "live")).some((row) => String(row["city"]).startsWith("bad")),
    what,
  ).toBe(false);
  const reverts = await lake.db.selectFrom("changes").select("id").where("reverts", "=", bad).where("state", "=", "open").execute();
  expect(reverts.length, what).toBe(1);
  await lake.merge(reverts[0]?.id ?? "");
  await whole(`${what}, reverted`);
  expect(await mart.rows("late", "live"), what).toEqual(await mart.rows("late", "main"));
}

test("a rollback of a source takes its marts along, whichever file operation of what follows fails", async () => {
  let [n, failed] = [1, 0];
  for (; ; n += rollbackStride) {
    const what = `rollback, file operation ${n}`;
    const { bad, release } = await badAndLater();
    disk.code = n % 2 === 0 ? "ENOSPC" : "EIO";
    await back(release);
    await whole(`${what}, at once`);
    disk.arm(n);
    await drain();
    const fired = disk.disarm();
    await whole(what);
    await settled(bad, what);
    if (!fired) break;
    failed += 1;
  }
  console.info(`rollback with two marts: ${failed} of ${n - 1} file operations of what follows failed`);
  expect(n).toBeGreaterThan(20);
}, 1_800_000);

test("afterwards every version reads in full, and gc lists nothing that a version names", async () => {
  expect((await examine(lake, {})).findings).toEqual([]);
  const root = join(lake.dir, "lake");
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const old = new Date(lake.clock.now().getTime() - 7_200_000);
  for (const entry of files) utimesSync(join(entry.parentPath, entry.name), old, old);
  lake.clock.advance(7_200_000);
  const dry = await collectGarbage(lake, { dryRun: true, actor: "ana" });
  const condemned = new Set(dry.condemned.map((item) => item.key));
  const ids = await lake.db.selectFrom("versions").select("id").execute();
  const versions = await getVersions(
    lake.db,
    ids.map((row) => row.id),
  );
  let named = 0;
  for (const version of versions.values()) {
    const { state } = await lake.tables.open(version);
    for (const key of [version.metadataKey, ...state.files.map((live) => live.file.key)]) {
      expect(condemned.has(key), key).toBe(false);
      named += 1;
    }
  }
  expect(condemned.size).toBeGreaterThan(0);
  expect(condemned.size + dry.kept).toBe(files.length);
  await collectGarbage(lake, { dryRun: false, actor: "ana" });
  lake.clock.advance(7_200_000);
  const swept = await collectGarbage(lake, { dryRun: false, actor: "ana" });
  expect(swept.deleted.length).toBe(condemned.size);
  expect((await examine(lake, {})).findings).toEqual([]);
  await whole("swept");
  console.info(`${versions.size} versions name ${named} files; ${condemned.size} orphans of ${files.length} files`);
});
