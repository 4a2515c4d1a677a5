import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { getVersionByNumber } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { diffVersions } from "../diffs/version-diff.ts";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { rowsOf } from "../../test/harness/reads.ts";
import type { OperationRequest } from "./operation.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

async function opened(dataset: string, operation: "create" | "append" | "upsert" | "replace", csv: string): Promise<string> {
  const file = await lake.file(`${dataset}.csv`, csv);
  const rows = { dataset, source: source(file) };
  const wanted: OperationRequest = operation === "create" ? { kind: operation, ...rows, key: ["id"] } : { kind: operation, ...rows };
  return (await lake.propose({ operations: [wanted] })).change?.id ?? "";
}

async function merged(...of: Parameters<typeof opened>): Promise<void> {
  await lake.merge(await opened(...of));
}

async function version(dataset: string, number: number): Promise<Version> {
  return getVersionByNumber(lake.db, await resolveDataset(lake.db, dataset), number);
}

async function columnsOf(dataset: string, number: number): Promise<Record<string, { id: number; type: unknown; doc?: string }>> {
  const { state } = await lake.tables.open(await version(dataset, number));
  return Object.fromEntries(
    state.schema.fields.map(({ name, id, type, doc }) => [name, { id, type, ...(doc === undefined ? {} : { doc }) }]),
  );
}

test.each(["append", "upsert", "replace"] as const)(
  "the first values of an all-null column give it its type, by %s, and no old file is written",
  async (kind) => {
    const dataset = `first.${kind}`;
    await merged(dataset, "create", "id,at,n\n1,,\n2,,\n");
    const before = await columnsOf(dataset, 1);
    expect(before).toMatchObject({ at: { type: "string", doc: expect.stringContaining("tentative") }, n: { type: "string" } });
    const old = kind === "replace" ? "1,,\n2,,\n" : "";
    await merged(dataset, kind, `id,at,n\n${old}3,2026-01-02,7\n`);
    const after = await columnsOf(dataset, 2);
    expect(after).toMatchObject({ at: { type: "date" }, n: { type: "long" } });
    expect([after["at"]?.id, after["n"]?.id]).not.toEqual([before["at"]?.id, before["n"]?.id]);
    expect([after["at"]?.doc, after["n"]?.doc]).toEqual([undefined, undefined]);
    expect(await rowsOf(lake, dataset)).toEqual([
      { id: 1, at: null, n: null },
      { id: 2, at: null, n: null },
      { id: 3, at: "2026-01-02", n: 7 },
    ]);
    const [v1, v2] = [await version(dataset, 1), await version(dataset, 2)];
    const { result } = await diffVersions(lake, { datasetId: v1.datasetId, before: v1, after: v2 }, { statistics: "none", samples: 5 });
    const items = result.schema.map(({ kind: what, effect, column, text }) => ({ what, effect, column, text }));
    expect(items).toEqual([
      { what: "retyped", effect: "additive", column: "at", text: "at held only nulls on one side; the other has date" },
      { what: "retyped", effect: "additive", column: "n", text: "n held only nulls on one side; the other has long" },
    ]);
    expect(result.rows).toMatchObject({ added: 1, removed: 0, modified: 0 });
  },
);

test("text in an all-null column makes it text: a later retype converts it and is breaking", async () => {
  await merged("text.rows", "create", "id,code\n1,\n");
  await merged("text.rows", "append", "id,code\n2,17\n3,A9\n");
  expect(await columnsOf("text.rows", 2)).toMatchObject({ code: { type: "string" } });
  expect((await columnsOf("text.rows", 2))["code"]?.doc).toBeUndefined();
  await merged("text.rows", "upsert", "id,code\n3,18\n");
  const retype = await lake.propose({
    operations: [{ kind: "schema", dataset: "text.rows", edits: [{ edit: "retype", name: "code", type: "long" }] }],
  });
  await lake.merge(retype.change?.id ?? "");
  expect(await rowsOf(lake, "text.rows")).toEqual([
    { id: 1, code: null },
    { id: 2, code: 17 },
    { id: 3, code: 18 },
  ]);
  const [v3, v4] = [await version("text.rows", 3), await version("text.rows", 4)];
  const { result } = await diffVersions(lake, { datasetId: v3.datasetId, before: v3, after: v4 }, { statistics: "none", samples: 5 });
  expect(result.schema).toMatchObject([{ kind: "retyped", effect: "breaking", column: "code" }]);
});

test("values that SQL writes into it keep its type, and a retype after that loses none of them", async () => {
  await merged("sql.rows", "create", "id,n\n1,\n2,\n");
  const set = await lake.propose({ operations: [{ kind: "sql", dataset: "sql.rows", sql: "UPDATE sql.rows SET n = '5' WHERE id = 1" }] });
  await lake.merge(set.change?.id ?? "");
  const retype = await lake.propose({
    operations: [{ kind: "schema", dataset: "sql.rows", edits: [{ edit: "retype", name: "n", type: "long" }] }],
  });
  await lake.merge(retype.change?.id ?? "");
  expect(await rowsOf(lake, "sql.rows")).toEqual([
    { id: 1, n: 5 },
    { id: 2, n: null },
  ]);
});

test("more nulls leave it tentative", async () => {
  await merged("null.rows", "create", "id,n\n1,\n");
  await merged("null.rows", "append", "id,n\n2,\n");
  expect((await columnsOf("null.rows", 2))["n"]).toMatchObject({ type: "string", doc: expect.stringContaining("tentative") });
});

test("it merges with rows that came meanwhile without a value; two sides that give it a type conflict", async () => {
  await merged("both.rows", "create", "id,n\n1,\n");
  const [typed, other] = [await opened("both.rows", "append", "id,n\n2,7\n"), await opened("both.rows", "append", "id,n\n3,x\n")];
  await merged("both.rows", "append", "id,n\n4,\n");
  await lake.merge(typed);
  expect(await rowsOf(lake, "both.rows")).toEqual([
    { id: 1, n: null },
    { id: 2, n: 7 },
    { id: 4, n: null },
  ]);
  await expect(lake.merge(other)).rejects.toMatchObject({ code: "merge.conflict" });
});
