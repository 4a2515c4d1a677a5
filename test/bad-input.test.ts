import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createToken } from "../src/access/token-service.ts";
import { ensureAdmin } from "../src/access/person-service.ts";
import { testApp, type Asked, type TestApp } from "./harness/app.ts";

/*
 * What people and jobs get wrong, in one table: each is refused with its code, what was expected and found, and the next command, and leaves
 * everything as it was. A full disk and a Postgres that goes away are in slow/faults, a data folder of a newer version in db/migrate.
 */

let app: TestApp;
let closedChange: string;
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("t.rows", "id,n,word\n1,10,a\n2,20,b\n", ["id"]);
  const path = await file("more.csv", "id,n,word\n3,30,c\n");
  const { change } = await app.ask("POST", "/v1/changes", {
    body: { operations: [{ kind: "append", dataset: "t.rows", source: { paths: [path] } }] },
  });
  closedChange = change.id;
  await app.ask("POST", `/v1/changes/${closedChange}/close`, { body: { reason: "not needed" } });
});
afterAll(() => app.close());

async function file(name: string, content: string): Promise<string> {
  const path = join(app.lake.dir, name);
  await writeFile(path, content);
  return path;
}

const propose = (operation: object): [string, string, Asked] => [
  "POST",
  "/v1/changes",
  { body: { operations: [{ dataset: "t.rows", ...operation }] } },
];
const rows = (kind: string, name: string, content: string) => async (): Promise<[string, string, Asked]> =>
  propose({ kind, source: { paths: [await file(name, content)] } });
const query = (text: string) => async (): Promise<[string, string, Asked]> => ["POST", "/v1/query", { body: { sql: text } }];

interface Case {
  what: string;
  code: string;
  ask: () => Promise<[string, string, Asked]>;
  /** In the message, in what was expected and in what was found. */
  says: RegExp;
}

const cases: Case[] = [
  { what: "a file that is no Parquet", code: "input.format", ask: rows("append", "a.parquet", "id,n,word\n"), says: /a\.parquet/ },
  { what: "a ragged CSV", code: "input.ragged", ask: rows("append", "ragged.csv", "id,n,word\n3,30,c\n4,40\n"), says: /3/ },
  { what: "an empty file", code: "input.empty", ask: rows("append", "empty.csv", ""), says: /empty\.csv/ },
  { what: "a cell of another type", code: "input.cell", ask: rows("append", "cell.csv", "id,n,word\n3,many,c\n"), says: /many/ },
  { what: "a column too few", code: "input.column_missing", ask: rows("append", "few.csv", "id,n\n3,30\n"), says: /word/ },
  { what: "a column too many", code: "input.column_unknown", ask: rows("append", "many.csv", "id,n,word,x\n3,3,c,1\n"), says: /«x»/ },
  { what: "a key twice", code: "key.duplicate", ask: rows("upsert", "twice.csv", "id,n,word\n3,1,c\n3,2,d\n"), says: /3/ },
  { what: "a row without a key", code: "key.null", ask: rows("upsert", "null.csv", "id,n,word\n,1,c\n"), says: /NULL/ },
  { what: "rows to delete without the key", code: "key.missing", ask: rows("delete", "nokey.csv", "n\n10\n"), says: /id/ },
  {
    what: "an import whose key column is not there",
    code: "key.missing",
    ask: async () => [
      "POST",
      "/v1/imports",
      { body: { dataset: "t.new", key: ["nr"], source: { paths: [await file("k.csv", "id\n1\n")] } } },
    ],
    says: /nr/,
  },
  {
    what: "an import of a name that is taken",
    code: "dataset.exists",
    ask: async () => ["POST", "/v1/imports", { body: { dataset: "t.rows", source: { paths: [await file("k.csv", "id\n1\n")] } } }],
    says: /t\.rows/,
  },
  {
    what: "a retype that the values do not survive",
    code: "type.loses_digits",
    ask: async () => propose({ kind: "schema", edits: [{ edit: "retype", name: "word", type: "long" }] }),
    says: /./,
  },
  {
    what: "a file that was deleted meanwhile",
    code: "input.not_found",
    ask: async () => {
      const path = await file("gone.csv", "id,n,word\n3,30,c\n");
      await rm(path);
      return propose({ kind: "append", source: { paths: [path] } });
    },
    says: /gone\.csv/,
  },
  {
    what: "a branch that is not there",
    code: "branch.not_found",
    ask: async () => ["GET", "/v1/datasets/t.rows/rows?at=mian", {}],
    says: /mian/,
  },
  {
    what: "a merge of a closed change",
    code: "change.closed",
    ask: async () => ["POST", `/v1/changes/${closedChange}/merge`, {}],
    says: /closed/,
  },
  { what: "two statements", code: "sql.refused", ask: query("select 1; select 2"), says: /./ },
  { what: "DDL", code: "sql.refused", ask: query("create table x as select 1"), says: /./ },
  { what: "a file function", code: "sql.refused", ask: query("select * from read_csv('/etc/passwd')"), says: /./ },
  {
    what: "a token that has run out",
    code: "auth.expired",
    ask: async () => {
      const person = await ensureAdmin(app.lake, "root");
      const { token } = await createToken(app.lake, "root", { person: person.name, label: "short", days: 1 });
      app.lake.clock.advance(2 * 86_400_000);
      return ["GET", "/v1/datasets", { token }];
    },
    says: /./,
  },
];

/** What a request may change; counters of field ids are not part of it, because no id is given out twice. */
async function state(): Promise<string> {
  const tables = [
    "refs",
    "ref_history",
    "commits",
    "versions",
    "changes",
    "change_datasets",
    "operations",
    "releases",
    "resolutions",
    "sources",
  ];
  const counts = await Promise.all(
    tables.map(
      async (name) =>
        (
          await sql<{ all: string }>`select md5(string_agg(t::text, '|' order by t::text)) as all from ${sql.table(name)} t`.execute(
            app.lake.db,
          )
        ).rows[0]?.all,
    ),
  );
  return counts.join(" ");
}

test.each(cases)("$what is refused with $code", async ({ code, ask, says }) => {
  const before = await state();
  const [method, path, asked] = await ask();
  const error = await app.refused(method, path, asked);
  expect({ code: error.code, hint: typeof error.hint }).toEqual({ code, hint: "string" });
  expect(`${error.message} ${error.expected} ${error.found}`).toMatch(says);
  expect([error.expected, error.found]).toEqual([expect.any(String), expect.any(String)]);
  expect(await state()).toBe(before);
});
