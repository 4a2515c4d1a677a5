import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { propose } from "../../src/changes/propose-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { answerFor, readRows } from "../../src/reading/read-service.ts";
import { readersOf } from "../../src/usage/usage-reads.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { dataTest } from "../harness/test-data.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

/** What an hourly job does: the same call for each month, again and again. */
async function bring(path: string, month: string, first: boolean): Promise<{ known: boolean; changeId: string }> {
  const kind = first ? ("create" as const) : ("append" as const);
  const operation =
    kind === "create"
      ? { kind, dataset: "taxi.trips", source: source(path), key: [] }
      : { kind, dataset: "taxi.trips", source: source(path) };
  const proposed = await propose(lake, { operations: [operation], actor: "job", origin: "pipeline", sourceId: month });
  const { change } = proposed;
  if (change === undefined) throw new Error(`${month} brought nothing`);
  if (change.state !== "merged") await merge(lake, { changeId: change.id, actor: "job", ordinary: true });
  return { known: proposed.known, changeId: change.id };
}

dataTest(
  "21 months go in as 21 changes, the same commands again change nothing, and who-read is exact",
  "nyc-taxi-monthly",
  async (folder) => {
    const files = readdirSync(folder)
      .filter((file) => file.endsWith(".csv"))
      .sort();
    expect(files).toHaveLength(21);
    const monthOf = (file: string) => /\d{4}-\d{2}/.exec(file)?.[0] ?? file;
    const changes: string[] = [];
    for (const [index, file] of files.entries()) {
      const brought = await bring(join(folder, file), monthOf(file), index === 0);
      expect(brought.known).toBe(false);
      changes.push(brought.changeId);
    }
    expect(new Set(changes).size).toBe(21);
    const before = await answerFor(lake, { consumer: undefined, run: undefined, at: undefined }, "taxi.trips");
    for (const [index, file] of files.entries()) {
      // The first month created the dataset; brought again it is an append under the same id.
      const again = await bring(join(folder, file), monthOf(file), false);
      expect(again).toEqual({ known: true, changeId: changes[index] });
    }
    const after = await answerFor(lake, { consumer: undefined, run: undefined, at: undefined }, "taxi.trips");
    expect(after.version).toEqual(before.version);
    const reads = [
      { consumer: "fare-model", columns: ["fare_amount", "trip_distance"] },
      { consumer: "fare-model", columns: ["fare_amount", "trip_distance"] },
      { consumer: "city-board", columns: ["payment_type"] },
    ];
    for (const { consumer, columns } of reads) {
      const stream = await readRows(lake, { consumer, run: undefined, at: undefined }, "taxi.trips", { columns });
      let rows = 0;
      for await (const batch of stream.rows) rows += batch.length;
      expect(BigInt(rows)).toBe(after.version.rows);
    }
    await lake.ledger.flush();
    const total = Number(after.version.rows);
    const readers = await readersOf(lake.db, [after.version.id]);
    expect(readers.map(({ consumer, reads: count, rows, columns }) => ({ consumer, count, rows, columns }))).toEqual([
      { consumer: "city-board", count: 1, rows: total, columns: ["payment_type"] },
      { consumer: "fare-model", count: 2, rows: 2 * total, columns: ["fare_amount", "trip_distance"] },
    ]);
  },
);
