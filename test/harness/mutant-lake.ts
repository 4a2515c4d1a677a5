import { createRequire } from "node:module";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { sidesOfChange } from "../../src/changes/change-sides.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import type { DatasetChecks } from "../../src/checks/check.ts";
import type { CommandSettings } from "../../src/consumers/command-settings.ts";
import type { TestResult } from "../../src/consumers/consumer-test.ts";
import { testConsumers } from "../../src/consumers/test-service.ts";
import type { Contract } from "../../src/contracts/contract.ts";
import { duckdbSandbox } from "../../src/engine/duckdb/sandbox/duckdb-sandbox.ts";
import type { FieldType } from "../../src/lake/schema.ts";
import { checkChange, proposeContract } from "./checks.ts";
import { compiled } from "./compiled.ts";
import { lakehouse, source, type Lakehouse } from "./lakehouse.ts";
import { martQueries, martSql } from "./mutant-mart.ts";
import { makeShop, ordersCsv, type Shop } from "./mutant-model.ts";

/* The little shop of the mutants on real parts: three datasets, a mart, their contracts, and consumers of each kind. */

const commands: CommandSettings = { allow: true, timeoutMs: 60_000, outputBytes: 100_000 };

const queries: Readonly<Record<string, string>> = {
  ordered: "select region, amount from orders where id <= 400 order by placed_at, id",
  unordered: "select id, customer, amount, weight, coupon, discount from orders where region in ('at', 'ch')",
  aggregate: `select count(*) as orders, sum(amount) as revenue, avg(weight) as weight, count(discount) as discounted,
sum(coalesce(discount, 0)) as discount from orders`,
  "by day": "select date_trunc('day', placed_at) as day, count(*) as n from orders group by day",
  join: "select c.country, count(*) as n, sum(o.amount) as revenue from orders o join customers c on o.customer = c.id group by c.country",
  cast: "select sum(cast(substr(code, 2) as integer)) as total from orders",
  "fan out": `select count(distinct o.id) as n, max(sin(o.id * s.i)) > 2 as odd
from orders o join regions r on o.region = r.code join range(1000) s(i) on true where o.id <= 500`,
};

const own = (id: string, implementation: Record<string, unknown>, scope?: string) => ({
  id,
  type: "custom",
  engine: "tidegate",
  implementation,
  ...(scope === undefined ? {} : { customProperties: [{ property: "tidegate.scope", value: scope }] }),
});

/** Rules by column; those of the table under an empty name. */
type Rules = Readonly<Record<string, readonly unknown[]>>;

const shopContract: Rules = {
  amount: [own("positive", { rule: "range", minimum: 0.01, maximum: 1000 }), own("amount unit", { rule: "scaled" })],
  region: [
    own("known region", { rule: "in", values: ["at", "be", "ch", "de", "es"] }),
    own("region drift", { rule: "drift", by: "categories" }),
  ],
  weight: [own("weight unit", { rule: "scaled" }), own("weight drift", { rule: "drift", by: "quantiles" })],
  discount: [own("discount nulls", { rule: "nullShare", mustBeBetween: [0.85, 0.95] }, "snapshot")],
  placed_at: [own("fresh", { rule: "freshness", within: "53 h" })],
  "": [
    own("content twice", { rule: "duplicatedContent" }),
    own("volume", { rule: "rowCountChange", mustBeGreaterOrEqualTo: 90 }),
    { id: "once per moment", metric: "duplicateValues", arguments: { properties: ["customer", "placed_at"] }, mustBe: 0 },
    { id: "discount below amount", type: "sql", query: "select count(*) from shop.orders where discount > amount", mustBe: 0 },
  ],
};

const martContract: Rules = {
  revenue: [own("revenue positive", { rule: "range", minimum: 0 }, "snapshot"), own("revenue unit", { rule: "scaled" })],
  discount: [own("some without discount", { rule: "nullShare", mustBeGreaterThan: 0 }, "snapshot")],
  "": [
    own("as many groups", { rule: "rowCountChange", mustBeBetween: [99.5, 150] }),
    { id: "each group once", metric: "duplicateValues", arguments: { properties: ["region", "day"] }, mustBe: 0 },
  ],
};

export interface MutantLake {
  lake: Lakehouse;
  shop: Shop;
  /** Queries that were run so far. */
  asked(): number;
  /** All that is said of one candidate; of one consumer only its tests. */
  judged(operations: OperationRequest[], consumer?: string): Promise<{ tests: TestResult[]; checks: DatasetChecks[] }>;
  close(): Promise<void>;
}

export async function mutantLake(): Promise<MutantLake> {
  const lake = await lakehouse();
  const sandbox = duckdbSandbox({
    size: 2,
    warm: 2,
    memoryMb: 256,
    threads: 1,
    tempDir: join(lake.dir, "tests"),
    entry: compiled("engine/duckdb/sandbox/child.ts"),
  });
  let asked = 0;
  const counting = {
    ...sandbox,
    query: (...request: Parameters<typeof sandbox.query>) => {
      asked += 1;
      return sandbox.query(...request);
    },
  };
  const shop = makeShop(7, 3000);
  await fill(lake, shop);
  await addTests(lake);
  return {
    lake,
    shop,
    asked: () => asked,
    judged: async (operations, consumer) => {
      const { change } = await lake.propose({ operations });
      if (change === undefined) throw new Error("nothing changed");
      const tests = await testConsumers({ ...lake, commands, sandbox: counting }, await sidesOfChange(lake.db, change));
      if (consumer !== undefined) return { tests: tests.filter((item) => item.consumer === consumer), checks: [] };
      return { tests, checks: await checkChange(lake, change.id) };
    },
    close: async () => {
      await sandbox.close();
      await lake.close();
    },
  };
}

async function contract(lake: Lakehouse, dataset: string, rules: Rules): Promise<void> {
  const edit = (given: Contract): Contract => ({
    ...given,
    schema: given.schema.map((table) => ({
      ...table,
      quality: rules[""] ?? [],
      properties: table.properties.map((property) => ({
        ...property,
        quality: rules[property.name] ?? [],
        ...(property.name === "customer" ? { relationships: [{ id: "customer", type: "foreignKey", to: "shop.customers.id" }] } : {}),
      })),
    })),
  });
  await lake.merge(await proposeContract(lake, dataset, edit));
}

/** Creates a dataset with these columns, and fills it. */
async function create(
  lake: Lakehouse,
  dataset: string,
  columns: Readonly<Record<string, FieldType>>,
  key: string[],
  csv: string,
): Promise<void> {
  const file = await lake.file(`${dataset}.csv`, csv);
  const named = Object.entries(columns).map(([name, type]) => ({ name, type }));
  const { change } = await lake.propose({
    operations: [
      { kind: "create", dataset, columns: named, key },
      { kind: "append", dataset, source: source(file) },
    ],
  });
  await lake.merge(change?.id ?? "");
}

/** A program that reads one side's files and prints numbers of them. */
async function program(lake: Lakehouse, name: string, dataset: string, select: string): Promise<string> {
  const path = join(lake.dir, `${name}.cjs`);
  const duckdb = createRequire(import.meta.url).resolve("@duckdb/node-api");
  const text = `const { DuckDBInstance } = require(${JSON.stringify(duckdb)});
(async () => {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const file = process.env.TIDEGATE_DATA + "/${dataset}.parquet";
  const reader = await connection.runAndReadAll("select ${select} from read_parquet('" + file + "')");
  console.log(JSON.stringify(Object.fromEntries(reader.getRowObjects().flatMap(Object.entries).map(([name, value]) => [name, Number(value)]))));
})();
`;
  await writeFile(path, text);
  return `${process.execPath} ${path}`;
}

const csv = (head: string, rows: readonly (readonly unknown[])[]): string => `${head}\n${rows.map((row) => row.join(",")).join("\n")}\n`;
const quoted = (text: string): string => JSON.stringify(text);
const testsText = (found: Readonly<Record<string, string>>): string =>
  Object.entries(found)
    .map(([name, sql]) => `  - name: ${name}\n    query: { sql: ${quoted(sql)} }\n`)
    .join("");
const commandText = (name: string, line: string, dataset: string): string =>
  `  - name: ${name}\n    run: { command: ${quoted(line)}, reads: [${dataset}] }\n`;

async function fill(lake: Lakehouse, shop: Shop): Promise<void> {
  await create(
    lake,
    "shop.orders",
    {
      id: "long",
      customer: "long",
      region: "string",
      amount: "decimal(10, 2)",
      weight: "double",
      placed_at: "timestamp",
      coupon: "string",
      discount: "decimal(10, 2)",
      code: "string",
      touched: "int",
    },
    ["id"],
    ordersCsv(shop.orders),
  );
  const customers = csv(
    "id,country,note",
    shop.customers.map(({ id, country }) => [id, country, "-"]),
  );
  await create(lake, "shop.customers", { id: "long", country: "string", note: "string" }, ["id"], customers);
  await create(
    lake,
    "shop.regions",
    { code: "string", place: "string" },
    [],
    csv(
      "code,place",
      shop.regions.map((code) => [code, code.toUpperCase()]),
    ),
  );
  await contract(lake, "shop.orders", shopContract);
}

async function addTests(lake: Lakehouse): Promise<void> {
  const sums = await program(lake, "sums", "shop.orders", "count(*) as orders, sum(amount) as revenue, sum(weight) as weight");
  const dice = `echo "{\\"dice\\": 1$(date +%N)}"`;
  const documents = [
    { path: "consumers/shop", text: `tests:\n${testsText(queries)}${commandText("command", sums, "orders")}` },
    {
      path: "consumers/dice",
      text: `tests:\n${testsText({ query: "select random() as r from customers limit 1" })}${commandText("command", dice, "customers")}`,
    },
  ];
  for (const name of ["shop", "dice"]) await addConsumer(lake, "ana", { name, kind: "dashboard", criticality: "normal", labels: {} });
  const { change } = await lake.propose({ operations: [], documents });
  await lake.merge(change?.id ?? "");
}

/** What is made of the orders by one SELECT, with a contract and a consumer of its own. */
export async function addMart(lake: Lakehouse): Promise<void> {
  const derived = await lake.propose({ operations: [{ kind: "derive", dataset: "mart.daily", sql: martSql }] });
  await lake.merge(derived.change?.id ?? "");
  await contract(lake, "mart.daily", martContract);
  const totals = await program(lake, "totals", "mart.daily", "count(*) as lines, sum(revenue) as revenue");
  await addConsumer(lake, "ana", { name: "mart", kind: "dashboard", criticality: "normal", labels: {} });
  const documents = [{ path: "consumers/mart", text: `tests:\n${testsText(martQueries)}${commandText("command", totals, "daily")}` }];
  const { change } = await lake.propose({ operations: [], documents });
  await lake.merge(change?.id ?? "");
}
