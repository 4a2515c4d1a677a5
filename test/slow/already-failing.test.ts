import { afterAll, beforeAll, expect, test } from "vitest";
import { checkChange, importText, proposeContract, proposeText, treeOf } from "../harness/checks.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { mainRef } from "../../src/catalog/ref-store.ts";
import { treeSide } from "../../src/catalog/side.ts";
import type { Contract } from "../../src/contracts/contract.ts";

/* What a rule of a dataset that the change leaves alone says when it fails before the change as after it. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

type Quality = { id: string; query: string; [bound: string]: unknown };

/** A source of five rows, two of them negative, and a dataset whose rules read it. */
async function pair(ns: string, quality: readonly Quality[]): Promise<void> {
  await importText(lake, `${ns}.source`, "id,x\n1,-1\n2,-2\n3,3\n4,4\n5,5\n", ["id"]);
  await importText(lake, `${ns}.reader`, "id\n1\n", ["id"]);
  const rules = quality.map((item) => ({ ...item, type: "sql", query: item.query.replaceAll("source", `${ns}.source`) }));
  const edit = (contract: Contract): Contract => ({ ...contract, schema: contract.schema.map((table) => ({ ...table, quality: rules })) });
  await lake.merge(await proposeContract(lake, `${ns}.reader`, edit));
}

/** Verdict, effect and reason of each rule of the reader, when the source changes so. */
async function after(ns: string, sql: string): Promise<Record<string, unknown[]>> {
  const { change } = await lake.propose({
    operations: [{ kind: "sql", dataset: `${ns}.source`, sql: sql.replaceAll("source", `${ns}.source`) }],
  });
  const checks = (await checkChange(lake, change?.id ?? "")).find(({ dataset }) => dataset === `${ns}.reader`)?.checks ?? [];
  return Object.fromEntries(checks.map(({ rule, verdict, effect, reason }) => [rule.id, [verdict, effect, reason]]));
}

const already = ["fail", "info", "already_failing"];
const blocks = ["fail", "block", null];

test("a query that finds as many bad rows as on base, or fewer, blocks nothing; one more blocks; passing ones are untouched", async () => {
  await pair("count", [
    { id: "negative", query: "select count(*) from source where x < 0", mustBe: 0 },
    { id: "rows", query: "select count(*) from source", mustBeLessThan: 8 },
  ]);
  expect(await after("count", "update source set x = 30 where id = 3")).toEqual({ negative: already, rows: ["pass", "none", null] });
  expect(await after("count", "update source set x = 1 where id = 1")).toEqual({ negative: already, rows: ["pass", "none", null] });
  expect(await after("count", "update source set x = -3 where id = 3")).toMatchObject({ negative: blocks });
  expect(await after("count", "insert into source select i, 1 from range(6, 12) t(i)")).toEqual({ negative: already, rows: blocks });
});

test("a number that comes out on the other side of its bound is no longer the failure that base has", async () => {
  await pair("side", [{ id: "sum", query: "select sum(x) from source", mustBe: 5 }]);
  expect(await after("side", "update source set x = x - 1 where id = 3")).toEqual({ sum: already });
  expect(await after("side", "update source set x = x - 8 where id = 3")).toEqual({ sum: blocks });
});

test("a yes or no does not tell how bad it is: it waits for a person", async () => {
  await pair("boolean", [{ id: "none", query: "select bool_and(x > 0) from source", mustBe: 1 }]);
  expect(await after("boolean", "update source set x = -30 where id = 3")).toEqual({ none: ["fail", "warn", "already_failing"] });
});

test("what could not be told of base excuses nothing", async () => {
  await pair("unknown", [{ id: "cast", query: "select sum(cast(if(x = 5, 'five', '1') as integer)) from source", mustBe: 0 }]);
  expect(await after("unknown", "update source set x = 6 where id = 5")).toEqual({ cast: blocks });
  expect(await after("unknown", "update source set x = 6 where id = 4")).toMatchObject({ cast: ["inconclusive", "block", "rule_error"] });
});

test("the change's own datasets are not excused, nor is a reader that the change touches itself", async () => {
  await pair("own", [{ id: "negative", query: "select count(*) from source where x < 0", mustBe: 0 }]);
  const file = await lake.file("own.csv", "id\n2\n");
  const { change } = await lake.propose({
    operations: [
      { kind: "sql", dataset: "own.source", sql: "update own.source set x = 30 where id = 3" },
      { kind: "append", dataset: "own.reader", source: source(file) },
    ],
  });
  const found = (await checkChange(lake, change?.id ?? "")).find(({ dataset }) => dataset === "own.reader")?.checks;
  expect(found?.find(({ rule }) => rule.id === "negative")).toMatchObject({ verdict: "fail", effect: "block" });
});

test("a foreign key is compared row by row: one row that finds its partner makes no room for another that loses it", async () => {
  await importText(lake, "fk.customers", "id,name\n1,a\n2,b\n", ["id"]);
  await importText(lake, "fk.orders", "id,customer\n10,1\n11,2\n12,9\n", ["id"]);
  const pointing = (contract: Contract): Contract => ({
    ...contract,
    schema: contract.schema.map((table) => ({
      ...table,
      properties: table.properties.map((property) =>
        property.name === "customer" ? { ...property, relationships: [{ type: "foreignKey", to: "fk.customers.id" }] } : property,
      ),
    })),
  });
  await lake.merge(await proposeContract(lake, "fk.orders", pointing));
  const standing = async (changeId: string) => {
    const [check] = (await checkChange(lake, changeId)).find(({ dataset }) => dataset === "fk.orders")?.checks ?? [];
    return [check?.verdict, check?.effect, check?.reason, check?.bad];
  };
  expect(await standing(await proposeText(lake, "fk.customers", "append", "id,name\n3,c\n"))).toEqual([...already, 1]);
  expect(await standing(await proposeText(lake, "fk.customers", "replace", "id,name\n1,a\n9,i\n"))).toEqual([...blocks, 1]);
  expect(await standing(await proposeText(lake, "fk.customers", "replace", "id,name\n1,a\n"))).toEqual([...blocks, 2]);
  expect(await standing(await proposeText(lake, "fk.customers", "append", "id,name\n9,i\n"))).toEqual(["pass", "none", null, 0]);
});

test("of the datasets whose rules look at others only those that look at a changed one are opened", async () => {
  await importText(lake, "near.changed", "id\n1\n", ["id"]);
  await importText(lake, "near.other", "id\n1\n", ["id"]);
  for (const [name, to] of [
    ["near.looks", "near.changed"],
    ["near.away", "near.other"],
  ] as const) {
    await importText(lake, name, "id,ref\n1,1\n", ["id"]);
    await lake.merge(
      await proposeContract(lake, name, (contract) => ({
        ...contract,
        schema: contract.schema.map((table) => ({
          ...table,
          properties: table.properties.map((property) =>
            property.name === "ref" ? { ...property, relationships: [{ type: "foreignKey", to: `${to}.id` }] } : property,
          ),
        })),
      })),
    );
  }
  const change = await proposeText(lake, "near.changed", "append", "id\n2\n");
  const opened = new Set<string>();
  const tables = {
    open: (version: Parameters<typeof lake.tables.open>[0]) => {
      opened.add(version.metadataKey);
      return lake.tables.open(version);
    },
  } as typeof lake.tables;
  const found = await checkChange(lake, change, { deps: { tables } });
  expect(found.map(({ dataset }) => dataset)).toEqual(["near.changed", "near.looks"]);
  const side = treeSide(lake.db, "main", await treeOf(lake, mainRef));
  const keys = await Promise.all(["near.looks", "near.away"].map(async (name) => (await side.named(name))?.content.metadataKey ?? ""));
  expect(keys.map((key) => opened.has(key))).toEqual([true, false]);
});
