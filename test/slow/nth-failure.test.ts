import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyAudit } from "../../src/audit/audit-reads.ts";
import { getChange } from "../../src/changes/change-store.ts";
import { examine } from "../../src/reading/doctor-service.ts";
import { nodeFileSystem, type FileSystem } from "../../src/lake/local-store.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/*
 * The n-th file operation and the n-th SQL statement of a merge and of a rollback fail, for every n. Afterwards everything is wholly before
 * or wholly after, the same command works with no hand needed, every version is read in full, and the audit chain is whole.
 */

class Faults {
  #left = Number.POSITIVE_INFINITY;
  #code = "EIO";
  fired = false;

  arm(n: number, code = "EIO"): void {
    this.#left = n;
    this.#code = code;
    this.fired = false;
  }

  disarm(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }

  tick(): void {
    this.#left -= 1;
    if (this.#left !== 0) return;
    this.fired = true;
    throw Object.assign(new Error(`${this.#code}: planted`), { code: this.#code });
  }
}

const fileFaults = new Faults();
const sqlFaults = new Faults();

const files: FileSystem = {
  write: async (path, bytes) => {
    fileFaults.tick();
    await nodeFileSystem.write(path, bytes);
  },
  sync: async (path) => {
    fileFaults.tick();
    await nodeFileSystem.sync(path);
  },
  publish: async (from, to) => {
    fileFaults.tick();
    await nodeFileSystem.publish(from, to);
  },
  makeFolder: async (path) => {
    fileFaults.tick();
    await nodeFileSystem.makeFolder(path);
  },
};

/** Every statement of every connection of this process passes here, BEGIN and COMMIT too. */
const send = pg.Client.prototype.query as (...args: unknown[]) => unknown;
pg.Client.prototype.query = function query(this: pg.Client, ...args: unknown[]): unknown {
  sqlFaults.tick();
  return send.apply(this, args);
} as typeof pg.Client.prototype.query;

let lake: Lakehouse;
const model = new Map<number, number>();
const name = "faults.rows";
const person = { consumer: undefined, run: undefined, at: undefined };

beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 10, files });
  for (let id = 0; id < 40; id += 1) model.set(id, 0);
  const file = await lake.file("base.csv", csv([...model]));
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset: name, source: source(file), key: ["id"] }] });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

const csv = (rows: readonly (readonly [number, number])[]): string => `id,value\n${rows.map(([id, value]) => `${id},${value}\n`).join("")}`;

type Row = readonly [number, number];
let count = 0;
async function proposed(rows: readonly Row[]): Promise<string> {
  const file = await lake.file(`edit-${(count += 1)}.csv`, csv(rows));
  const { change } = await lake.propose({ operations: [{ kind: "upsert", dataset: name, source: source(file) }] });
  return change?.id ?? "";
}

async function propose(rows: readonly Row[]): Promise<string> {
  const change = await proposed(rows);
  for (const [id, value] of rows) model.set(id, value);
  return change;
}

const begun: { change: string; row: Row }[] = [];

/** A change from before main moved the rows beside its own: merging it must write files. Twenty are begun at a time. */
async function threeWay(): Promise<string> {
  if (begun.length === 0) {
    const value = 10_000 + count;
    for (let id = 1; id < 40; id += 2) begun.push({ change: await proposed([[id, value]]), row: [id, value] });
    await lake.merge(await propose(Array.from({ length: 20 }, (_, at): Row => [2 * at, value])));
  }
  const { change, row } = begun.pop() as { change: string; row: Row };
  model.set(...(row as [number, number]));
  return change;
}

async function contentIs(expected: ReadonlyMap<number, number>, at?: string): Promise<void> {
  const rows = await rowsOf(lake, name, { ...person, ...(at === undefined ? {} : { at }) });
  const content = rows.map((row): [number, number] => [Number(row["id"]), Number(row["value"])]).sort(([a], [b]) => a - b);
  expect(content).toEqual([...expected].sort(([a], [b]) => a - b));
}

/** Runs `work` with its n-th step failing, n = 1, 2, 3 … until nothing fails any more; gives how many steps there were. */
async function everyN(faults: Faults, round: (n: number, arm: () => void) => Promise<void>): Promise<number> {
  for (let n = 1; ; n += 1) {
    await round(n, () => faults.arm(n, n % 7 === 0 ? "ENOSPC" : "EIO"));
    faults.disarm();
    if (!faults.fired) return n - 1;
    expect(n).toBeLessThan(1000);
  }
}

test.each([
  ["file operation", fileFaults],
  ["SQL statement", sqlFaults],
])(
  "a merge survives the failure of every %s",
  async (_what, faults) => {
    const steps = await everyN(faults, async (_n, arm) => {
      const change = await threeWay();
      arm();
      const failure: unknown = await lake.merge(change).then(
        () => undefined,
        (error: unknown) => error,
      );
      faults.disarm();
      const { state } = await getChange(lake.db, change);
      if (failure !== undefined) expect(["open", "queued", "merged"]).toContain(state);
      if (state !== "merged") await lake.merge(change);
      await contentIs(model, "main");
      await contentIs(model);
    });
    console.info(`merge: ${steps} steps failed, one after the other`);
    expect(steps).toBeGreaterThan(10);
  },
  400_000,
);

test("a rollback survives the failure of every SQL statement", async () => {
  const steps = await everyN(sqlFaults, async (n, arm) => {
    const before = new Map(model);
    const change = await propose([[n % 40, 1000 + n]]);
    await lake.merge(change);
    arm();
    const back = () => rollback(lake, { target: name, reason: "fault", actor: "ana", environment: "production" });
    const failure: unknown = await back().then(
      () => undefined,
      (error: unknown) => error,
    );
    await lake.drain().catch(() => undefined);
    sqlFaults.disarm();
    const live = await rowsOf(lake, name);
    const done = live.every((row) => Number(row["value"]) !== 1000 + n);
    // A failure that was reported left readers where they were, or the rollback had been committed before it.
    if (!done) {
      expect(failure).toBeDefined();
      await back();
    }
    model.clear();
    for (const [id, value] of before) model.set(id, value);
    await contentIs(model);
    lake.clock.advance(3_700_000);
    await lake.drain();
    const revert = await lake.db.selectFrom("changes").select("id").where("reverts", "=", change).executeTakeFirstOrThrow();
    await lake.merge(revert.id);
    await contentIs(model, "main");
  });
  console.info(`rollback: ${steps} statements failed, one after the other`);
  expect(steps).toBeGreaterThan(10);
}, 1_800_000);

test("after all that every version is read in full, and the audit chain is whole", async () => {
  const report = await examine(lake, {});
  expect(report.findings).toEqual([]);
  expect(report.checked).toBeGreaterThan(20);
  expect(await verifyAudit(lake.db)).toMatchObject({ ok: true });
});
