import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compiled } from "../../../../test/harness/compiled.ts";
import type { PrimitiveType } from "../../../lake/schema.ts";
import type { TablePlan } from "../../plan.ts";
import type { Sandbox, SandboxCaps, SandboxTable } from "../../sandbox.ts";
import { duckdbSandbox } from "./duckdb-sandbox.ts";

const caps: SandboxCaps = { rows: 1_000_000, bytes: 1 << 28, memoryMb: 256, milliseconds: 20_000 };
const orderColumns: [string, PrimitiveType][] = [
  ["id", "long"],
  ["name", "string"],
  ["amount", "double"],
  ["Country/Region", "boolean"],
];

let root: string;
let tempDir: string;
let sandbox: Sandbox;
let connection: DuckDBConnection;
let orders: SandboxTable;
let tables: SandboxTable[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "tidegate-sandbox-"));
  tempDir = join(root, "tmp");
  mkdirSync(join(root, "scratch"));
  connection = await (await DuckDBInstance.create(":memory:")).connect();
  const deleted = join(root, "deleted.parquet");
  const path = join(root, "orders.parquet");
  await connection.run(
    `copy (select i::bigint as id, 'n' || i as name, i * 1.5::double as amount, i % 2 = 0 as flag from range(1000) t(i)) to '${path}' (field_ids {id: 1, name: 2, amount: 3, flag: 4})`,
  );
  await connection.run(
    `copy (select '${path}' as file_path, i::bigint as pos from range(990, 1000) t(i)) to '${deleted}' (field_ids {file_path: 2147483546, pos: 2147483545})`,
  );
  const fields = orderColumns.map(([name, type], index) => ({ id: index + 1, name, required: false, type }));
  const plan = (deletes: string[]): TablePlan => ({ op: "table", files: [{ uri: `file://${path}`, rows: 1000, deletes }], fields });
  orders = { name: "sales.orders", plan: plan([]) };
  tables = [orders, { name: "b.orders", plan: plan([deleted]) }, { name: "b.items", plan: plan([]) }, { name: "x.y.deep", plan: plan([]) }];
  sandbox = duckdbSandbox({ tempDir, size: 2, memoryMb: 512, threads: 1, entry: compiled("engine/duckdb/sandbox/child.ts") });
});

afterAll(async () => {
  await sandbox.close();
  expect(readdirSync(tempDir)).toEqual([]);
  connection.closeSync();
  rmSync(root, { recursive: true, force: true });
});

async function query(sql: string, options: Partial<SandboxCaps> = {}) {
  const { columns, used, rows } = await sandbox.query({ sql, tables, caps: { ...caps, ...options } });
  const found: Record<string, unknown>[] = [];
  for await (const batch of rows) found.push(...batch.map((text) => JSON.parse(text) as Record<string, unknown>));
  return { columns, used, rows: found };
}

async function staged(plan: { paths: readonly string[] }, select: string): Promise<unknown> {
  return (await connection.runAndReadAll(`select ${select} from read_parquet('${plan.paths[0]}')`)).getRowsJson()[0];
}

const scratch = () => ({ dir: join(root, "scratch") });
const rewrite = (sql: string, target = "sales.orders", options: Partial<SandboxCaps> = {}) =>
  sandbox.rewrite({ sql, tables, target, caps: { ...caps, ...options } }, scratch());

/** Processes that stand in the sandbox's folders. */
function children(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && readlinkSync(`/proc/${pid}/cwd`).startsWith(tempDir);
      } catch {
        return false;
      }
    });
}

describe("query", () => {
  test("gives columns in our types, then rows as JSON, and says what it used", async () => {
    const { columns, rows, used } = await query(
      "select sum(id) as total, max(amount) as most, date '2020-01-31' as day, name from sales.orders where id < 3 group by name order by name -- the end",
    );
    expect(columns).toEqual([
      { name: "total", type: "decimal(38, 0)" },
      { name: "most", type: "double" },
      { name: "day", type: "date" },
      { name: "name", type: "string" },
    ]);
    expect(rows[2]).toEqual({ total: "2", most: 3, day: "2020-01-31", name: "n2" });
    expect(used).toEqual([{ table: "sales.orders", columns: ["amount", "id", "name"] }]);
  });

  test("a type that no table has comes as text; a name that comes twice is numbered", async () => {
    const { columns, rows } = await query("select interval 2 day as d, 1 as a, 2 as A;");
    expect(columns.map(({ name, type }) => [name, type])).toEqual([
      ["d", "string"],
      ["a", "int"],
      ["A_1", "int"],
    ]);
    expect(rows).toEqual([{ d: "2 days", a: 1, A_1: 2 }]);
  });

  test("datasets go by their name, their unique last part, and quoted", async () => {
    const { rows } = await query(
      'select count(*) as n from sales.orders o join items using (id) join deep using (id) join x.y.deep d using (id) join "sales.orders" q using (id)',
    );
    expect(rows).toEqual([{ n: 1000 }]);
    const both = await query("select * from orders").catch((error: unknown) => error);
    expect(both).toMatchObject({ code: "sql.failed", message: expect.stringContaining("sales.orders or b.orders") as string });
    await expect(query("select * from nothing")).rejects.toMatchObject({ code: "sql.unknown_table" });
    expect((await query('select "Country/Region" as c from deep limit 1')).rows).toEqual([{ c: true }]);
  });

  test("deleted rows are gone", async () => {
    expect((await query("select count(*) as n, max(id) as last from b.orders")).rows).toEqual([{ n: 990, last: 989 }]);
  });

  test("many rows keep their order, and a reader may be slow", async () => {
    const { rows } = await sandbox.query({
      sql: "select i, repeat('x', 100) as pad from range(200000) t(i) order by i desc",
      tables: [],
      caps: { ...caps, milliseconds: 8000 },
    });
    let next = 199_999;
    let batches = 0;
    for await (const batch of rows) {
      for (const text of batch) expect((JSON.parse(text) as { i: number }).i).toBe(next--);
      // Longer in all than the query may take: only waiting for the child counts.
      if (++batches % 50 === 0) await sleep(1100);
    }
    expect(next).toBe(-1);
  });

  test.each([
    ["rows", "select * from range(1000)", { rows: 999 }],
    ["bytes", "select repeat('x', 1000) as s from range(1000)", { bytes: 500_000 }],
    ["time", "select sleep_ms(60000)", { milliseconds: 600 }],
    ["memory", "select list(md5(range::varchar)) from range(50000000)", { memoryMb: 64 }],
  ])("too much %s is an error, never a shorter result", async (_, sql, options) => {
    await expect(query(sql, options)).rejects.toMatchObject({ code: "sql.limit" });
  });

  test("a child that dies midway is an error, never a shorter result", async () => {
    const { rows } = await sandbox.query({ sql: "select i, repeat('x', 100) as pad from range(1000000) t(i)", tables: [], caps });
    const read = async (): Promise<void> => {
      let first = true;
      for await (const _ of rows) {
        if (first) for (const pid of children()) process.kill(pid, "SIGKILL");
        first = false;
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "sql.crashed" });
    expect((await query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("a caller that goes away takes the child with it", async () => {
    const stop = new AbortController();
    const sleeping = async (): Promise<void> => {
      const { rows } = await sandbox.query({ sql: "select sleep_ms(60000)", tables: [], caps }, { signal: stop.signal });
      for await (const _ of rows);
    };
    setTimeout(() => stop.abort(), 300);
    await expect(sleeping()).rejects.toMatchObject({ code: "interrupted" });
    const { rows } = await sandbox.query({ sql: "select * from range(10000000)", tables: [], caps });
    for await (const _ of rows) break;
    await sleep(300);
    // One that waits for the next query, and one more that may be on its way.
    expect(children().length).toBeLessThanOrEqual(1);
  });

  test.each([
    ["select name from items", false],
    ["select name, amount from items order by amount desc, 1", false],
    ["select name, amount * 2 as double from items i order by amount * 2, double", false],
    ["select * from items order by all", false],
    ["select i.* from items i order by i.amount limit 3", false],
    ["select name from items union all select name from orders_of order by name", false],
    ["select name from items order by amount", true],
    ["select name from items order by -id", true],
    ["select * exclude (amount) from items order by amount", true],
    ["select i.* from items i join x.y.deep d using (id) order by d.amount", true],
    ["select upper(name) as name from items i order by i.name", true],
  ])("whether the order of rows says more than their values: %s", async (sql, expected) => {
    const { ordered, rows } = await sandbox.query({ sql: sql.replace("orders_of", "x.y.deep"), tables, caps });
    for await (const _ of rows);
    expect(ordered).toBe(expected);
  });

  test("how long the statement ran is known after the last row", async () => {
    const { rows, took } = await sandbox.query({ sql: "select sleep_ms(150)", tables, caps });
    expect(took()).toBeUndefined();
    for await (const _ of rows) await sleep(200);
    expect(took()).toBeGreaterThanOrEqual(150);
    expect(took()).toBeLessThan(350);
  });

  test("a profile tells rows scanned and the join that gives most", async () => {
    const sql = "select sum(a.amount) from items a join deep b on a.id % 5 = b.id % 5 join sales.orders c on c.id = a.id";
    const profile = await sandbox.profile({ sql, tables, caps });
    expect(profile.rowsScanned).toBe(3000);
    expect(profile.joins[0]?.rows).toBe(200_000);
    expect(profile.joins.map(({ on }) => on)).toContain("id = id");
    await expect(sandbox.profile({ sql: "select * from read_text('/etc/passwd')", tables, caps })).rejects.toMatchObject({
      code: "sql.refused",
    });
  });

  test("each query has a process of its own, without our environment", async () => {
    await query("select 1");
    await sleep(300);
    const [first] = children();
    expect(readFileSync(`/proc/${first}/environ`, "utf8").replaceAll("\0", "")).toBe("TZ=UTC");
    await query("select 1");
    await sleep(300);
    expect(children()).not.toContain(first);
  });

  test.each([
    ["sql.syntax", "selec 1"],
    ["sql.syntax", ""],
    ["sql.refused", "select 1; select 2"],
    ["sql.refused", "-- nothing"],
    ["sql.refused", "delete from sales.orders"],
    ["sql.refused", "select * from read_text('/etc/passwd')"],
    ["sql.refused", "from '/etc/passwd'"],
    ["sql.failed", "select nope from sales.orders"],
    ["sql.failed", "select name::int from sales.orders"],
  ])("%s: %s", async (code, sql) => {
    const error = await query(sql).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/./) as string });
  });
});

describe("rewrite", () => {
  const sums = "count(*), sum(id)::bigint, sum(amount)";
  test.each([
    ["update", "update sales.orders set amount = 0 where id < 10", ["1000", "499500", 749182.5]],
    ["update", "update sales.orders o set amount = i.amount + 1 from b.items i where i.id = o.id", ["1000", "499500", 750250]],
    ["delete", "delete from sales.orders where id in (select id from b.items where id < 10);", ["990", "499455", 749182.5]],
    ["delete", "truncate sales.orders", ["0", null, null]],
    ["insert", "insert into sales.orders by name select id + 10000 as id, amount from b.items where id < 2", ["1002", "519501", 749251.5]],
    ["merge", "merge into sales.orders o using b.items i on o.id = i.id when matched and i.id < 5 then delete", ["995", "499490", 749235]],
  ])("%s: %s", async (statement, sql, expected) => {
    const result = await rewrite(sql);
    expect(result.statement).toBe(statement);
    expect(result.columns).toEqual(orderColumns.map(([name, type]) => ({ name, type })));
    expect(await staged(result.plan, sums)).toEqual(expected);
  });

  test("a SELECT is the new content, with its own columns", async () => {
    const result = await rewrite("select id, sum(id) over () as total, amount::decimal(9, 2) as amount from sales.orders");
    expect(result.statement).toBe("select");
    expect(result.columns).toEqual([
      { name: "id", type: "long" },
      { name: "total", type: "decimal(38, 0)" },
      { name: "amount", type: "decimal(9, 2)" },
    ]);
    expect(await staged(result.plan, "count(*), max(total)")).toEqual(["1000", "499500"]);
  });

  test("a target whose last part is unique may be called by it", async () => {
    expect(await staged((await rewrite("update items set id = 1", "b.items")).plan, "sum(id)::bigint")).toEqual(["1000"]);
  });

  test.each([
    ["sql.failed", "delete from b.items"],
    ["sql.failed", "insert into x.y.deep select * from sales.orders"],
    ["sql.failed", "insert into sales.orders (id) values ('x')"],
    ["sql.refused", "drop table sales.orders"],
    ["sql.refused", "create table t as select 1"],
    ["sql.refused", "copy sales.orders to '/tmp/evil.csv'"],
    ["sql.refused", "insert into sales.orders select * from read_csv('/etc/passwd')"],
    ["sql.refused", "insert into sales.orders (name) select name from duckdb_settings()"],
    ["sql.refused", "insert into sales.orders (name) values (current_setting('threads'))"],
    ["type.unsupported", "select interval 1 day as d"],
  ])("%s: %s", async (code, sql) => {
    await expect(rewrite(sql)).rejects.toMatchObject({ code });
  });

  test("too many rows are an error", async () => {
    await expect(rewrite("insert into sales.orders (id) from range(1000)", "sales.orders", { rows: 1500 })).rejects.toMatchObject({
      code: "sql.limit",
    });
  });

  test("a copy larger than the memory spills into the child's own folder", async () => {
    const sql = "insert into sales.orders (id, name) select i, repeat('x', 500) from range(400000) t(i)";
    expect(await staged((await rewrite(sql, "sales.orders", { memoryMb: 100 })).plan, "count(*)")).toEqual(["401000"]);
  });
});

describe("update", () => {
  const update = async (set: Record<string, string>, where?: string) => {
    const list = Object.entries(set).map(([column, expression]) => ({ column, expression }));
    const { plan } = await sandbox.update({ target: orders, set: list, ...(where === undefined ? {} : { where }), caps }, scratch());
    return staged(plan, "count(*), sum(amount), count(distinct name)");
  };

  test.each([
    [{ amount: "0" }, "id = 17", ["1000", 749224.5, "1000"]],
    [{ amount: "amount * 2 -- twice", NAME: "'a'" }, undefined, ["1000", 1498500, "1"]],
    [{ amount: "(select max(id) from sales.orders)" }, "id = 0", ["1000", 750249, "1000"]],
    [{ amount: "case when id > 500 then null else amount end" }, '"Country/Region" /* odd */', ["1000", 562125.5, "1000"]],
  ])("%j where %s", async (set, where, expected) => {
    const found = (await update(set, where)) as unknown[];
    expect([found[0], found[2]]).toEqual([expected[0], expected[2]]);
    if (where !== '"Country/Region" /* odd */') expect(found[1]).toBe(expected[1]);
  });

  test.each([
    ["sql.refused", { amount: "1), (2" }, undefined],
    ["sql.refused", { amount: "1) from sales.orders where (1=1" }, undefined],
    ["sql.refused", { amount: "*" }, undefined],
    ["sql.refused", { amount: "?" }, undefined],
    ["sql.refused", { amount: "1" }, "1=1) limit (1"],
    ["sql.refused", { amount: "1" }, "exists (select 1 from read_text('/etc/passwd'))"],
    ["sql.syntax", { amount: "1" }, "id = 1) returning (id"],
    ["sql.syntax", { amount: "1" }, "id = 1 /* open"],
    ["column.not_found", { nope: "1" }, undefined],
    ["sql.failed", { amount: "'x'" }, undefined],
    ["usage.invalid", {}, undefined],
  ])("%s: %j where %s", async (code, set, where) => {
    await expect(update(set, where)).rejects.toMatchObject({ code });
  });
});

describe("columns used", () => {
  test.each([
    ["select * from items", [["b.items", ["Country/Region", "amount", "id", "name"]]]],
    ["select name from items where amount > 3", [["b.items", ["amount", "name"]]]],
    ["select count(*) from items", [["b.items", []]]],
    ["with x as (select id, amount from items) select avg(amount) from x", [["b.items", ["amount"]]]],
    ["select 1", []],
    [
      "select i.name from items i where exists (select 1 from sales.orders o where o.id = i.id and o.amount > 2)",
      [
        ["b.items", ["id", "name"]],
        ["sales.orders", ["amount", "id"]],
      ],
    ],
    ["select name from items where false", [["b.items", ["name"]]]],
  ])("%s", async (sql, expected) => {
    const named = tables.map(({ name, plan }) => ({ name, columns: plan.fields }));
    const [planned] = await sandbox.planAll({ queries: [{ sql, tables: named }], milliseconds: 5000 });
    expect(planned?.ok === true ? planned.used.map(({ table, columns }) => [table, columns]) : planned).toEqual(expected);
  });
});
