import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compiled } from "../../../../test/harness/compiled.ts";
import type { PrimitiveType } from "../../../lake/schema.ts";
import type { Sandbox } from "../../sandbox.ts";
import { duckdbSandbox } from "./duckdb-sandbox.ts";

const table = (name: string, columns: Record<string, PrimitiveType>) => ({
  name,
  columns: Object.entries(columns).map(([column, type]) => ({ name: column, type })),
});
const tables = [
  table("sales.orders", { id: "long", customer: "string", amount: "decimal(10, 2)", day: "timestamp" }),
  table("sales.customers", { name: "string", country: "string", user: "string" }),
];

let root: string;
let sandbox: Sandbox;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-derivation-"));
  sandbox = duckdbSandbox({ tempDir: root, size: 1, memoryMb: 256, threads: 1, entry: compiled("engine/duckdb/sandbox/child.ts") });
});
afterAll(async () => {
  await sandbox.close();
  rmSync(root, { recursive: true, force: true });
});

const derive = (sql: string) => sandbox.derivation({ sql, tables, milliseconds: 20_000 });

test("each column of a SELECT is traced to the columns that it comes from, through WITH, joins and *", async () => {
  const found = await derive(
    `with paid as (select * from orders where day >= '2026-01-01')
     select c.country, sum(p.amount) as total from paid p join sales.customers c on p.customer = c.name group by c.country -- the end`,
  );
  expect(found.columns).toEqual([
    { name: "country", type: "string" },
    { name: "total", type: "decimal(38, 2)" },
  ]);
  expect(found.from).toEqual([
    {
      column: "country",
      used: [
        { table: "sales.customers", columns: ["country", "name"] },
        { table: "sales.orders", columns: ["customer", "day"] },
      ],
    },
    {
      column: "total",
      used: [
        { table: "sales.customers", columns: ["country", "name"] },
        { table: "sales.orders", columns: ["amount", "customer", "day"] },
      ],
    },
  ]);
  expect(found.rows).toEqual([
    { table: "sales.customers", columns: ["country", "name"] },
    { table: "sales.orders", columns: ["customer", "day"] },
  ]);
  expect([found.changing, found.unordered]).toEqual([[], []]);
});

test.each([
  ["select id, random() as r from orders", ["random"]],
  ["select id from orders where day < now()", ["now"]],
  ["select id from orders where day < current_date", ["current_date"]],
  ["select id from orders where age(day) > interval 1 day", ["age"]],
  ["select id from orders using sample 10%", ["sample"]],
  ['select "user" from customers', []],
])("%s changes with the time by %j", async (sql, changing) => {
  expect((await derive(sql)).changing).toEqual(changing);
});

test.each([
  ["select id from orders limit 3", ["limit"]],
  ["select id from orders order by id limit 3", []],
  ["select customer, first(id) as f, list(id order by id) as l from orders group by customer", ["first"]],
  ["select id, row_number() over (partition by customer) as n from orders", ["row_number"]],
  ["select id, row_number() over (order by id) as n from orders", []],
  ["select distinct on (customer) customer, id from orders", ["distinct on"]],
])("%s depends on the order of rows by %j", async (sql, unordered) => {
  expect((await derive(sql)).unordered).toEqual(unordered);
});

test("the tables that a SELECT names are told without asking whether they are there", async () => {
  const sql = `with x as (select 1) select * from x, Orders, "sales.orders", nowhere.at.all`;
  const named = await sandbox.tablesNamed({ sql, milliseconds: 20_000 });
  expect(named.sort()).toEqual(["Orders", "nowhere.at.all", "sales.orders"]);
});

test.each([
  ["delete from orders", "sql.refused"],
  ["select 1; select 2", "sql.refused"],
  ["select * from read_csv('/etc/passwd')", "sql.refused"],
  ["select * fro orders", "sql.syntax"],
])("%s names no tables: %s", async (sql, code) => {
  await expect(sandbox.tablesNamed({ sql, milliseconds: 20_000 })).rejects.toMatchObject({ code });
  await expect(derive(sql)).rejects.toMatchObject({ code });
});
