import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect } from "vitest";
import { buildCommand, must, start, type Running } from "../harness/command.ts";
import { dataTest } from "../harness/test-data.ts";

/* The command as users run it, a process per call, on one server. */

const data = mkdtempSync(join(tmpdir(), "tidegate-taxi-"));
let server: Running | undefined;
beforeAll(async () => {
  buildCommand();
  server = start(data, ["serve", "--port", "0"]);
  let said = "";
  server.child.stdout?.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
  for (let tries = 0; tries < 600 && !said.includes('"url"'); tries += 1) await sleep(100);
  expect(said).toContain('"url"');
});
afterAll(async () => {
  server?.child.kill("SIGINT");
  await server?.done;
  rmSync(data, { recursive: true, force: true });
});

interface Brought {
  known: boolean;
  change?: { id: string; state: string } | null;
  merged: { change: { id: string } } | null;
}

/** What an hourly job does: the same call for each month, again and again. */
async function bring(path: string, month: string, first: boolean): Promise<{ known: boolean; id: string | undefined }> {
  const how = first ? ["import", "taxi.trips", path] : ["propose", "taxi.trips", "--append", path, "--auto"];
  const { known, change, merged } = await must<Brought>(data, ...how, "--source-id", month);
  return { known, id: change?.id ?? merged?.change.id };
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
    const pass = async (): Promise<{ known: boolean; id: string | undefined }[]> => {
      const brought: { known: boolean; id: string | undefined }[] = [];
      for (const [index, file] of files.entries()) brought.push(await bring(join(folder, file), monthOf(file), index === 0));
      return brought;
    };
    const [first, log] = [await pass(), () => must<{ lines: unknown[] }>(data, "log")];
    expect(first.map(({ known }) => known)).toEqual(files.map(() => false));
    expect(new Set(first.map(({ id }) => id)).size).toBe(21);
    const before = await log();
    const again = await pass();
    expect(again).toEqual(first.map(({ id }) => ({ known: true, id })));
    expect(await log()).toEqual(before);

    for (const consumer of ["fare-model", "city-board"]) await must(data, "consumer", "add", consumer, "--kind", "model");
    const lines = files.reduce(
      (sum, file) =>
        sum +
        readFileSync(join(folder, file), "utf8")
          .split("\n")
          .filter((line) => line.trim() !== "").length -
        1,
      0,
    );
    const reads = [
      ["fare-model", "fare_amount,trip_distance"],
      ["fare-model", "fare_amount,trip_distance"],
      ["city-board", "payment_type"],
    ] as const;
    for (const [consumer, columns] of reads) {
      const csv = join(data, "out.csv");
      await must(data, "read", "taxi.trips", "--columns", columns, "--as", consumer, "--out", csv);
      expect(readFileSync(csv, "utf8").trimEnd().split("\n")).toHaveLength(lines + 1);
    }
    type Reader = { consumer: string; version: number; columns: string[]; reads: number };
    const { readers } = await must<{ readers: Reader[] }>(data, "who-read", "taxi.trips");
    const byName = readers.toSorted((a, b) => (a.consumer < b.consumer ? -1 : 1));
    expect(byName.map(({ consumer, version, columns, reads: count }) => ({ consumer, version, columns, count }))).toEqual([
      { consumer: "city-board", version: 21, columns: ["payment_type"], count: 1 },
      { consumer: "fare-model", version: 21, columns: ["fare_amount", "trip_distance"], count: 2 },
    ]);
  },
);
