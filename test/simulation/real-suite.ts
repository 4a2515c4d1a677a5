import { afterAll, beforeAll, expect, test } from "vitest";
import { must } from "../harness/command.ts";
import { historyOf, realLimits, type History } from "./history.ts";
import { RealDriver, RealHouse } from "./real-driver.ts";
import { seedsOf, type Share } from "./seeds.ts";
import { simulate, Violated, type Done } from "./simulate.ts";

/*
 * The histories of light-suite.ts on real files, over HTTP, with kill -9 of the server at moments that the seed gives. The clock is real, so a
 * seed gives the same acts each time, and the same moments only about. `npm run simulate -- --seed N --real` replays one.
 */

/** One share of the histories, on a data folder and a server of its own. */
export function realSuite(share: Share): void {
  const { seeds, isReplay } = seedsOf(share, { few: 12, many: 1000 });
  const house = new RealHouse();
  beforeAll(() => house.open());
  afterAll(() => house.close());
  const sum: Done = { acts: 0, refused: 0, crashes: 0, reads: 0 };

  /** Runs a history; gives what it found. */
  const run = async (history: History): Promise<string | undefined> => {
    const lines: string[] = [];
    const driver = new RealDriver(house, history);
    try {
      const done = await simulate(driver, history, (line) => lines.push(line));
      for (const key of Object.keys(sum) as (keyof Done)[]) sum[key] += done[key];
      return undefined;
    } catch (error) {
      const what = error instanceof Violated ? error.message : String((error as Error).stack);
      return `seed ${history.seed}: ${what}\nnpm run simulate -- --seed ${history.seed} --real`;
    } finally {
      await driver.recover();
      if (isReplay) console.info([`plan ${JSON.stringify(history.plan)}`, ...lines].join("\n"));
    }
  };

  test(`whatever happens in whatever order, and whenever the server is killed, every reader has what it may and must have (${seeds.length} seeded histories)`, async () => {
    const histories = seeds.map((seed) => historyOf(seed, realLimits));
    await house.prepare(histories);
    const failed: string[] = [];
    const began = performance.now();
    for (const history of histories) {
      const wrong = await run(history);
      // What it left open would be in the way of the next.
      if (wrong === undefined) continue;
      failed.push(wrong);
      break;
    }
    const each = ((performance.now() - began) / histories.length).toFixed(0);
    console.info(`${JSON.stringify(sum)}, ${house.kills} kills, ${each} ms per history`);
    expect(failed.join("\n\n")).toBe("");
  });

  test("after all that the audit chain is whole, and the doctor finds nothing", async () => {
    await must(house.data, "audit", "verify");
    await must(house.data, "doctor");
  });
}
