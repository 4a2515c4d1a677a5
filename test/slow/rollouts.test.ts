import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { showChange } from "../../src/changes/change-reads.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { AppError } from "../../src/lib/errors.ts";
import { holdBack, unhold } from "../../src/rollouts/pins/hold-service.ts";
import { listPins } from "../../src/rollouts/pins/pin-reads.ts";
import { pin, unpin } from "../../src/rollouts/pins/pin-service.ts";
import { listReleases } from "../../src/rollouts/release-reads.ts";
import { advance, pause, resume } from "../../src/rollouts/release-service.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { whatDid } from "../../src/reading/history-service.ts";
import { answerFor } from "../../src/reading/read-service.ts";
import { importText, proposeText } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/*
 * Random histories of one dataset on real parts: planned changes, batches of a feed, time, people's verbs, holds, pins, rollbacks, reverts, in any
 * order.
 * Each change adds one row of its own, so that what a reader sees tells which changes its version has.
 */

let lake: Lakehouse;
const consumers = ["c1", "c2", "c3", "c4"];
beforeAll(async () => {
  lake = await lakehouse();
  for (const name of consumers) await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", labels: {} });
});
afterAll(() => lake.close());

const plan = "steps: [{ ring: c1, wait: 1h }, { percent: 50, wait: 1h }, { everyone: true, wait: 1h }]\nguardrails: []";

type Act =
  | { do: "plan" | "feed" | "hour" | "drain" | "advance" | "pause" | "resume" | "rollback" | "revert" }
  | { do: "read"; consumer: string; run: number }
  | { do: "pin"; consumer: string; back: number; hours: number; whole: boolean }
  | { do: "unpin" | "hold" | "unhold"; consumer: string };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom("plan", "feed", "feed", "hour", "hour", "drain", "rollback", "revert" as const) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("advance", "pause", "resume" as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), consumer: fc.constantFrom(...consumers), run: fc.nat(3) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("pin" as const),
      consumer: fc.constantFrom(...consumers),
      back: fc.nat(3),
      hours: fc.integer({ min: 1, max: 4 }),
      whole: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("unpin", "hold", "unhold" as const), consumer: fc.constantFrom(...consumers) }) },
);

class World {
  readonly dataset: string;
  #next = 1;
  readonly #moments: { consumer: string; at: Date; version: number }[] = [];
  readonly barred = new Set<string>();
  readonly fed: string[] = [];
  /** Row that each change adds, and the changes whose reverts wait. */
  readonly rows = new Map<string, string>();
  readonly had = new Map<string, Set<string>>();
  readonly runs = new Map<string, string>();
  /** What each pinned consumer has, until its pin ends. */
  readonly pinned = new Map<string, { rows: Set<string>; until: Date }>();

  constructor(dataset: string) {
    this.dataset = dataset;
  }

  async propose(kind: "p" | "f"): Promise<{ change: string; row: string }> {
    const row = `${kind}${(this.#next += 1)}`;
    const origin = kind === "f" ? "feed" : "person";
    const change = await proposeText(lake, this.dataset, { kind: "append", csv: `id,v\n${this.#next},${row}\n` }, { origin });
    this.rows.set(change, row);
    return { change, row };
  }

  async open(): Promise<string | undefined> {
    const lines = await listReleases(lake.db, "production", { state: "open", limit: 50 });
    return lines.find((line) => line.state !== "waiting" && line.datasets.includes(this.dataset))?.id;
  }

  async seen(consumer: string | undefined, run?: string): Promise<Set<string>> {
    return new Set((await rowsOf(lake, this.dataset, { consumer, run })).map((row) => String(row["v"])));
  }

  /** Whoever is pinned sees what it was pinned on, until the pin ends by its time, or because it holds what was rolled back. */
  #checkPin(consumer: string, now: ReadonlySet<string>): void {
    const kept = this.pinned.get(consumer);
    if (kept === undefined) return;
    const isOver = kept.until <= lake.clock.now() || [...kept.rows].some((row) => this.barred.has(row));
    if (isOver) this.pinned.delete(consumer);
    else expect([...now].sort(), `${consumer} was moved though it is pinned`).toEqual([...kept.rows].sort());
  }

  /** The record tells later what each had at each moment. */
  async checkRecord(): Promise<void> {
    for (const { consumer, at, version } of this.#moments) {
      const { datasets, reason } = await whatDid(lake.db, { environment: "production", consumer, at });
      const told = datasets.find((item) => item.dataset === this.dataset)?.had;
      expect(told, `${consumer} at ${at.toISOString()}: ${reason}`).toBe(version);
    }
  }

  /** What holds for every reader at every moment. */
  async check(): Promise<void> {
    // Moves of one moment stand a millisecond apart in the record.
    lake.clock.advance(20);
    for (const consumer of [...consumers, undefined]) {
      const now = await this.seen(consumer);
      this.#checkPin(consumer ?? "nobody", now);
      if (consumer !== undefined) {
        const { version } = await answerFor(lake, { consumer, run: undefined, at: undefined }, this.dataset);
        this.#moments.push({ consumer, at: lake.clock.now(), version: version.number });
      }
      for (const row of this.barred) expect(now, `${consumer ?? "nobody"} sees what was rolled back`).not.toContain(row);
      const name = consumer ?? "nobody";
      for (const row of this.had.get(name) ?? []) if (!this.barred.has(row)) expect(now, `${name} has lost ${row}`).toContain(row);
      this.had.set(name, now);
    }
    // The record is as fine as the clock: what happens next happens later.
    lake.clock.advance(1000);
  }
}

/** In place of a row: what brought none. */
const aRevert = "a revert";

const refusals = ["release.state", "rollback.nothing", "pin.exists", "pin.not_found", "pin.not_released", "pin.barred", "hold.not_found"];

/** Verbs that the release does not take now are refused, and change nothing. */
async function maybe(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AppError) || !refusals.includes(error.code)) throw error;
  }
}

async function perform(world: World, todo: Act): Promise<void> {
  lake.clock.advance(1000);
  if (todo.do === "read") return readInRun(world, todo.consumer, `r${todo.run}`);
  if (todo.do === "hour") lake.clock.advance(3_600_000);
  if (todo.do === "drain" || todo.do === "hour") return lake.drain();
  if (todo.do === "plan") {
    const { change } = await world.propose("p");
    await setPlan(lake, { changeId: change, text: plan, actor: "ana" });
    await lake.merge(change);
  }
  if (todo.do === "feed") {
    const { change, row } = await world.propose("f");
    await acknowledge(lake, { changeId: change, person: "ana", actor: "ana" });
    await merge(lake, { changeId: change, actor: "ana", ordinary: true, byPerson: true });
    world.fed.push(row);
  }
  if (todo.do === "rollback") {
    await maybe(async () => {
      const back = await rollback(lake, { target: world.dataset, reason: "bad", actor: "ana", environment: "production" });
      for (const change of back.barred) world.barred.add(world.rows.get(change) ?? aRevert);
    });
  }
  if (todo.do === "revert") await mergeReverts(world);
  if (todo.do === "pin") await maybe(() => pinOne(world, todo));
  if (todo.do === "unpin") await maybe(() => unpinOne(world, todo.consumer));
  const open = await world.open();
  if (open === undefined) return;
  if (todo.do === "hold") await maybe(() => holdOne(world, open, todo.consumer));
  if (todo.do === "unhold") await maybe(() => unhold(lake, { release: open, consumer: todo.consumer, actor: "ana" }));
  if (todo.do === "advance") await maybe(() => advance(lake, { release: open, actor: "ana" }));
  if (todo.do === "pause") await maybe(() => pause(lake, { release: open, actor: "ana" }));
  if (todo.do === "resume") await maybe(() => resume(lake, { release: open, actor: "ana" }));
}

/** Pins a consumer on what it has, on its whole view, or on one of the versions before. */
async function pinOne(world: World, todo: Extract<Act, { do: "pin" }>): Promise<void> {
  const { consumer, back } = todo;
  const until = new Date(lake.clock.now().getTime() + todo.hours * 3_600_000);
  const { version } = await answerFor(lake, { consumer, run: undefined, at: undefined }, world.dataset);
  const number = Math.max(1, version.number - back);
  const dataset = todo.whole ? undefined : back === 0 ? world.dataset : `${world.dataset}@${number}`;
  await pin(lake, { environment: "production", consumer, dataset, until, reason: "kept", owner: "ana", actor: "ana" });
  world.pinned.set(consumer, { rows: await world.seen(consumer), until });
  // A pin may put a consumer back: that is a cause.
  world.had.delete(consumer);
}

async function unpinOne(world: World, consumer: string): Promise<void> {
  await unpin(lake, { environment: "production", consumer, actor: "ana" });
  world.pinned.delete(consumer);
}

/** Somebody holds a consumer back from what is under way: what it had of it is taken back, for this cause. */
async function holdOne(world: World, release: string, consumer: string): Promise<void> {
  const until = new Date(lake.clock.now().getTime() + 3 * 3_600_000);
  await holdBack(lake, { release, consumer, until, reason: "held", owner: "ana", actor: "ana" });
  world.had.delete(consumer);
}

async function mergeReverts(world: World): Promise<void> {
  await lake.drain();
  for (const change of world.rows.keys()) {
    const { revertedBy, barred } = await showChange(lake.db, change);
    if (!barred || revertedBy[0] === undefined) continue;
    const revert = await showChange(lake.db, revertedBy[0]);
    if (revert.change.state !== "merged") await lake.merge(revertedBy[0]);
  }
}

/** All reads of a run see one state, or the run is told that it ended. */
async function readInRun(world: World, consumer: string, run: string): Promise<void> {
  const key = `${consumer} ${world.dataset}.${run}`;
  try {
    const now = [...(await world.seen(consumer, `${world.dataset}.${run}`))].sort().join(" ");
    const before = world.runs.get(key);
    if (before !== undefined) expect(now, `${key} saw two states`).toBe(before);
    world.runs.set(key, now);
    for (const row of world.barred) expect(now.split(" ")).not.toContain(row);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "view.lease_ended") throw error;
  }
}

let round = 0;

test("whatever happens in whatever order, nobody sees what was rolled back, loses what was not, sees two states in one run or is moved while pinned; feeds reach all, and the record tells what each had when", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 8, maxLength: 22 }), async (acts) => {
      const world = new World(`sim.t${(round += 1)}`);
      await importText(lake, world.dataset, "id,v\n1,first\n", ["id"]);
      for (const todo of acts) {
        await perform(world, todo);
        await world.check();
      }
      await lake.drain();
      const now = await world.seen(undefined);
      for (const row of world.fed) expect(now, `the feed's ${row} has not arrived`).toContain(row);
      await mergeReverts(world);
      for (const line of await listPins(lake.db, { environment: "production", at: lake.clock.now() })) await unpinOne(world, line.consumer);
      for (let hour = 0; hour < 40; hour += 1) {
        const open = await world.open();
        if (open !== undefined) await maybe(() => resume(lake, { release: open, actor: "ana" }));
        lake.clock.advance(3_600_000);
        await lake.drain();
        if ((await world.open()) === undefined) break;
      }
      // Whoever was held back until now has what all have.
      lake.clock.advance(4 * 3_600_000);
      await world.check();
      await world.checkRecord();
      // Whoever rolled back a revert is asked what shall be: until somebody merges what opened, what came later waits for it.
      if (world.barred.has(aRevert)) return;
      const all = await world.seen(undefined);
      const wanted = [...world.rows.values()].filter((row) => !world.barred.has(row));
      expect([...all].sort()).toEqual(["first", ...wanted].sort());
      for (const consumer of consumers) expect(await world.seen(consumer)).toEqual(all);
    }),
    // A history takes seconds: the seed and the path tell the whole of it, and making it shorter would take an hour.
    { numRuns: 12, endOnFailure: true },
  );
});
