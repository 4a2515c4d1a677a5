import { afterEach, expect, test } from "vitest";
import { verifyAudit } from "../../src/audit/audit-reads.ts";
import { historyOf, lightLimits, type History } from "./history.ts";
import { lightHouse, LightDriver, type LightHouse } from "./light-driver.ts";
import { seedsOf, type Share } from "./seeds.ts";
import { simulate, Violated, type Done } from "./simulate.ts";

/*
 * Histories of the whole system on versions that carry no rows, on real Postgres. In each a few datasets (now and then bound by a foreign key)
 * and four consumers; somebody brings changes and batches, takes them back, pins, holds, sets the clock forward and back; and the process dies
 * between any two of its calls to Postgres and files. After each act the oracle says what each reader may have and must have.
 * `npm run simulate -- --seed N` replays one.
 */

/** So many share a lakehouse. */
const together = 250;

/** One share of the histories: each runs on a core of its own. */
export function lightSuite(share: Share): void {
  const { seeds, isReplay } = seedsOf(share, { few: 60, many: 2000 });
  let house: LightHouse | undefined;
  afterEach(() => house?.close());
  const sum: Done = { acts: 0, refused: 0, crashes: 0, reads: 0 };
  let calls = 0;

  /** A lakehouse with the datasets of some histories; the one before it goes. */
  const houseFor = async (histories: readonly History[]): Promise<LightHouse> => {
    await house?.close();
    house = await lightHouse();
    await house.prepare(histories);
    return house;
  };

  /** Runs a history; gives what it found. */
  const run = async (on: LightHouse, history: History): Promise<string | undefined> => {
    const lines: string[] = [];
    const before = on.process.calls;
    try {
      const done = await simulate(new LightDriver(on, history), history, (line) => lines.push(line));
      for (const key of Object.keys(sum) as (keyof Done)[]) sum[key] += done[key];
      return undefined;
    } catch (error) {
      const what = error instanceof Violated ? error.message : String((error as Error).stack);
      return `seed ${history.seed}: ${what}${await leftBehind(on)}\nnpm run simulate -- --seed ${history.seed}`;
    } finally {
      calls += on.process.calls - before;
      if (isReplay) console.info([`plan ${JSON.stringify(history.plan)}`, ...lines].join("\n"));
    }
  };

  test(`whatever happens in whatever order, and wherever a process dies, every reader has what it may and must have (${seeds.length} seeded histories)`, async () => {
    const histories = seeds.map((seed) => historyOf(seed, lightLimits));
    const failed: string[] = [];
    const began = performance.now();
    for (let from = 0; from < histories.length && failed.length < 3; from += together) {
      const some = histories.slice(from, from + together);
      let on = await houseFor(some);
      for (const [at, history] of some.entries()) {
        const wrong = await run(on, history);
        if (wrong === undefined) continue;
        failed.push(wrong);
        const rest = some.slice(at + 1);
        if (failed.length === 3 || rest.length === 0) break;
        // What it left open is in nobody's way.
        on = await houseFor(rest);
      }
      if (failed.length === 0) expect(await verifyAudit(on.lake.db)).toMatchObject({ ok: true });
    }
    const each = ((performance.now() - began) / histories.length).toFixed(0);
    console.info(`${JSON.stringify(sum)}, ${each} ms and ${(calls / histories.length).toFixed(0)} calls per history`);
    expect(failed.join("\n\n")).toBe("");
  });
}

/** What ought to follow from what was committed, and has failed so far. */
async function leftBehind({ lake }: LightHouse): Promise<string> {
  const rows = await lake.db.selectFrom("outbox").select(["topic", "payload", "last_error"]).where("done_at", "is", null).execute();
  return rows.map((row) => `\n  not done: ${row.topic} ${JSON.stringify(row.payload)}: ${row.last_error ?? ""}`).join("");
}
