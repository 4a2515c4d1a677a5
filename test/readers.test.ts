import { afterAll, beforeAll, expect, test } from "vitest";
import { runQuery } from "../src/reading/query-service.ts";
import { answerFor, readRows } from "../src/reading/read-service.ts";
import { readersOf } from "../src/usage/usage-reads.ts";
import { importText } from "./harness/changes.ts";
import { lakehouse, source, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const reader = (consumer: string) => ({ consumer, run: undefined, at: undefined });

test("an open change that creates a dataset of the same last part disturbs no reader of the one that stands", async () => {
  await importText(lake, "sales.trips", "id\n1\n");
  const file = await lake.file("other.csv", "id\n7\n8\n");
  await lake.propose({ operations: [{ kind: "create", dataset: "other.trips", source: source(file), key: [] }] });
  expect(await rowsOf(lake, "trips")).toEqual([{ id: 1 }]);
  expect(await rowsOf(lake, "trips", { at: "main" })).toEqual([{ id: 1 }]);
});

test("reads that begin at the same moment are all counted, and one of many hours is when it ends", async () => {
  await importText(lake, "counted.t", "id\n1\n2\n");
  const { version } = await answerFor(lake, reader("board"), "counted.t");
  const slow = await readRows(lake, reader("slow"), "counted.t", {});
  await Promise.all(Array.from({ length: 5 }, () => rowsOf(lake, "counted.t", reader("board"))));
  lake.clock.advance(5 * 3_600_000);
  await lake.ledger.flush();
  for await (const _batch of slow.rows);
  await lake.ledger.flush();
  expect((await readersOf(lake.db, [version.id])).map((line) => [line.consumer, line.reads, line.rows])).toEqual([
    ["board", 5, 10],
    ["slow", 1, 2],
  ]);
});

async function ownOf(from: string): Promise<string> {
  const answer = await runQuery(lake, reader("sql"), `select own from ${from}`);
  const rows: string[] = [];
  for await (const batch of answer.rows) rows.push(...batch);
  return `${rows.join()} of ${answer.versions.map((item) => item.dataset.name).join()}`;
}

test("names of the engine's own, and names that are parts of one another, are told apart in SQL and stand in nobody's way", async () => {
  const plain = ["pa.pb.pc", "pb.pc", "pa.pc", "pc.pc", "pa.pa", "main.pc"];
  const quoted = ["memory.main.pc", "system.pc", "temp.x.pc", "information_schema.pc", "pa.pg_catalog.pc", "main.main.pc"];
  for (const name of [...plain, ...quoted]) await importText(lake, name, `own\n${name}\n`);
  for (const name of plain) expect(await ownOf(name)).toBe(`{"own":"${name}"} of ${name}`);
  for (const name of quoted) expect(await ownOf(`"${name}"`)).toBe(`{"own":"${name}"} of ${name}`);
  for (const name of quoted) await expect(ownOf(name)).rejects.toMatchObject({ code: "sql.unknown_table" });
  await expect(ownOf("pc")).rejects.toMatchObject({ code: "sql.failed" });
}, 120_000);
