import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DuckDBInstance } from "@duckdb/node-api";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { answerFor } from "../../src/reading/read-service.ts";
import type { LiveFile } from "../../src/lake/data-file.ts";
import { defaultRowsPerFile } from "../../src/effects/table-state.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";

const rows = 10_000_000;
let lake: Lakehouse;

beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: defaultRowsPerFile });
  await generate(
    "base.parquet",
    `select i * 10 as id, (i * 7919) % 100000 as amount, 'customer ' || (i % 5000) as customer, i % 2 = 0 as paid from range(${rows}) t(i)`,
  );
  const created: OperationRequest = { kind: "create", dataset: "cost.orders", source: source(join(lake.dir, "base.parquet")), key: ["id"] };
  const { change } = await lake.propose({ operations: [created], origin: "import" });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

async function generate(name: string, sql: string): Promise<string> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const path = join(lake.dir, name);
  await connection.run(`copy (${sql}) to '${path}' (format parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

async function filesOf(branch: string): Promise<Map<string, LiveFile>> {
  const answer = await answerFor(lake, { consumer: undefined, run: undefined, at: branch }, "cost.orders");
  const { state } = await lake.tables.open(answer.version);
  return new Map(state.files.map((live) => [live.file.key, live]));
}

const bytesOf = (files: Iterable<LiveFile>): number => [...files].reduce((sum, { file }) => sum + file.bytes, 0);

/** What a change writes anew, and what it takes over, by paths and bytes. */
async function costOf(
  operation: OperationRequest,
): Promise<{ written: LiveFile[]; kept: number; of: number; share: number; rowsAfter: bigint }> {
  const before = await filesOf("main");
  const { change, datasets } = await lake.propose({ operations: [operation] });
  const after = await filesOf(change?.id ?? "");
  const written = [...after].filter(([key]) => !before.has(key)).map(([, live]) => live);
  const kept = [...before.keys()].filter((key) => after.has(key)).length;
  return {
    written,
    kept,
    of: before.size,
    share: bytesOf(written) / bytesOf(before.values()),
    rowsAfter: datasets[0]?.candidate?.rows ?? 0n,
  };
}

test("a one-row upsert in 10 million rows writes at most 1/16 of the bytes", async () => {
  const file = await generate("one.parquet", "select 50000000::bigint as id, 1::bigint as amount, 'changed' as customer, true as paid");
  const cost = await costOf({ kind: "upsert", dataset: "cost.orders", source: source(file) });
  console.info(`one-row upsert: ${cost.written.length} of ${cost.of} files, ${(cost.share * 100).toFixed(2)} % of the bytes`);
  expect(cost.written).toHaveLength(1);
  expect(cost.share).toBeLessThanOrEqual(1 / 16);
  expect(cost.rowsAfter).toBe(BigInt(rows));
});

test("a replace whose changed 1 % lies in one key range keeps at least 90 % of the files", async () => {
  const file = await generate(
    "replace.parquet",
    `select i * 10 as id, (i * 7919) % 100000 + (case when i between 4000000 and 4099999 then 1 else 0 end) as amount, 'customer ' || (i % 5000) as customer, i % 2 = 0 as paid from range(${rows}) t(i)`,
  );
  const cost = await costOf({ kind: "replace", dataset: "cost.orders", source: source(file) });
  console.info(`replace of 1 %: ${cost.kept} of ${cost.of} files kept`);
  expect(cost.kept / cost.of).toBeGreaterThanOrEqual(0.9);
});

test("an insert near the front does not shift the other files", async () => {
  const file = await generate("insert.parquet", "select 15::bigint as id, 1::bigint as amount, 'new' as customer, true as paid");
  const cost = await costOf({ kind: "append", dataset: "cost.orders", source: source(file) });
  expect(cost.kept).toBe(cost.of - 1);
  expect(cost.rowsAfter).toBe(BigInt(rows + 1));
});

test("an SQL update leaves untouched files at their paths", async () => {
  const cost = await costOf({
    kind: "sql",
    dataset: "cost.orders",
    sql: "update cost.orders set amount = 0 where id between 70000000 and 70000100",
  });
  expect(cost.kept).toBe(cost.of - 1);
});

test("the dataset under test is the one that was imported", async () => {
  expect((await resolveDataset(lake.db, "orders")).name).toBe("cost.orders");
});
