import { readdir, readFile } from "node:fs/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";

/*
 * db/schema.json says what the migrations make: `npx vitest run --project fast src/db/schema.test.ts -u` writes it. The row types,
 * tables.ts and its neighbours, are written by hand and must say the same.
 */

interface Column {
  type: string;
  nullable: boolean;
  generated: boolean;
}

interface Table {
  columns: Record<string, Column>;
  constraints: string[];
  indexes: string[];
}

let database: TestDatabase;
let schema: Record<string, Table>;
beforeAll(async () => {
  database = await testDatabase();
  schema = await readSchema();
});
afterAll(() => database.close());

async function readSchema(): Promise<Record<string, Table>> {
  const { rows: columns } = await sql<Column & { table: string; name: string }>`
    select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
      a.attidentity <> '' or a.atthasdef as generated
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    order by c.relname collate "C", a.attnum`.execute(database.db);
  const { rows: constraints } = await sql<{ table: string; text: string }>`
    select conrelid::regclass::text as table, conname || ': ' || pg_get_constraintdef(oid) as text
    from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n' order by conname collate "C"`.execute(database.db);
  const { rows: indexes } = await sql<{ table: string; text: string }>`
    select tablename as table, indexdef as text from pg_indexes where schemaname = 'public' order by indexname collate "C"`.execute(
    database.db,
  );
  const tables: Record<string, Table> = {};
  for (const { table, name, ...column } of columns) {
    tables[table] ??= { columns: {}, constraints: [], indexes: [] };
    tables[table].columns[name] = column;
  }
  for (const { table, text } of constraints) tables[table]?.constraints.push(text);
  for (const { table, text } of indexes) tables[table]?.indexes.push(text);
  return tables;
}

test("schema.json is what the migrations make", async () => {
  const short = ({ type, nullable, generated }: Column): string => `${type}${nullable ? "" : " not null"}${generated ? " generated" : ""}`;
  const shown = Object.entries(schema).map(([table, { columns, ...rest }]) => [
    table,
    { columns: Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, short(column)])), ...rest },
  ]);
  await expect(`${JSON.stringify(Object.fromEntries(shown), null, 2)}\n`).toMatchFileSnapshot("schema.json");
});

/** The TypeScript type that a column comes out as, as tables.ts writes it. */
function typeOf({ type, nullable, generated }: Column): string {
  const plain: Record<string, string> = {
    text: "string",
    boolean: "boolean",
    integer: "number",
    bigint: "bigint",
    "double precision": "number",
    jsonb: "JsonColumn",
    "timestamp with time zone": "Date",
    "text[]": "string[]",
    "integer[]": "number[]",
  };
  const base = plain[type] ?? `no type for ${type}`;
  return `${generated ? `Generated<${base}>` : base}${nullable ? " | null" : ""}`;
}

test("the row types have each table and column with its type, and no other", async () => {
  const files = (await readdir(new URL(".", import.meta.url))).filter((name) => name.endsWith("tables.ts"));
  const text = (await Promise.all(files.map((name) => readFile(new URL(name, import.meta.url), "utf8")))).join("\n");
  const interfaces = new Map<string, Record<string, string>>();
  for (const [, name, body] of text.matchAll(/export interface (\w+) \{\n([^}]*)\}/g)) {
    const lines = [...(body ?? "").matchAll(/^ {2}(\w+): (.+);$/gm)];
    interfaces.set(name ?? "", Object.fromEntries(lines.map(([, column, type]) => [column, type])));
  }
  const written = Object.entries(interfaces.get("Database") ?? {}).map(([table, name]) => [table, interfaces.get(name)]);
  const { migrations: _, ...ours } = schema;
  const made = Object.entries(ours).map(([table, { columns }]) => [
    table,
    Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, typeOf(column)])),
  ]);
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(made));
});

test("no table takes the time from Postgres", () => {
  const defaults = Object.entries(schema).flatMap(([table, { columns }]) =>
    Object.entries(columns).flatMap(([name, { type, generated }]) =>
      generated && type.startsWith("timestamp") ? [`${table}.${name}`] : [],
    ),
  );
  expect(defaults).toEqual([]);
});
