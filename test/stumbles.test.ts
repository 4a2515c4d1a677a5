import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "./harness/app.ts";

/** Where newcomers stumble: what they are told then is what helps them on. */

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("t.rows", "id,n,word\n1,10,a\n2,20,b\n3,30,c\n", ["id"]);
});
afterAll(() => app.close());

let files = 0;
async function csv(content: string): Promise<{ paths: string[] }> {
  const path = join(app.lake.dir, `stumble-${(files += 1)}.csv`);
  await writeFile(path, content);
  return { paths: [path] };
}

const open = async (operation: object, about: object = {}, headers: Record<string, string> = {}): Promise<Data> =>
  (await app.ask("POST", "/v1/changes", { body: { operations: [{ dataset: "t.rows", ...operation }], ...about }, headers })).change;
const merge = (id: string): Promise<Data> => app.ask("POST", `/v1/changes/${id}/merge`);

test("a key twice in the input asks for another input, not for the command that was typed; a key of the dataset asks for an upsert", async () => {
  const source = await csv("id,v\n1,a\n1,b\n");
  const first = await app.refused("POST", "/v1/imports", { body: { dataset: "t.dup", key: ["id"], source } });
  expect(first).toMatchObject({ code: "key.duplicate", hint: "leave one row per key in the input, then run the same command again" });
  const operation = { kind: "append", dataset: "t.rows", source: await csv("id,n,word\n1,1,x\n") };
  const again = await app.refused("POST", "/v1/changes", { body: { operations: [operation] } });
  expect(again).toMatchObject({ code: "key.duplicate", hint: "tidegate propose t.rows --upsert <file>" });
});

test("a name that is taken, a type that is none and a time that is none each come with what to type", async () => {
  const schema = (edit: object) => ({ body: { operations: [{ kind: "schema", dataset: "t.rows", edits: [edit] }] } });
  expect(await app.refused("POST", "/v1/changes", schema({ edit: "add", name: "N", type: "long" }))).toMatchObject({
    code: "column.exists",
    hint: expect.stringContaining("--rename"),
  });
  expect(await app.refused("POST", "/v1/changes", schema({ edit: "add", name: "m", type: "text[]" }))).toMatchObject({
    code: "type.unsupported",
    hint: expect.stringContaining("--add"),
  });
  expect(await app.refused("GET", "/v1/log?since=yesterday")).toMatchObject({ code: "usage.invalid", hint: "--since 2d" });
});

test("a query of a dataset that is not there says what it takes", async () => {
  const refused = await app.refused("POST", "/v1/query", { body: { sql: "select * from nope" } });
  expect(refused).toMatchObject({ code: "sql.unknown_table", found: "nope", hint: "tidegate dataset list" });
  expect(refused.expected).not.toContain("no table");
});

test("text where the key is a number is no key, and the answer names the column and its type", async () => {
  expect(await app.refused("GET", "/v1/datasets/t.rows/rows/abc")).toMatchObject({
    code: "key.type",
    expected: "id: long",
    found: "abc",
    hint: "tidegate dataset show t.rows",
  });
});

test("Accept chooses the form of rows, and a form that is said wins", async () => {
  const type = async (accept: string, query = "") =>
    (await app.send("GET", `/v1/datasets/t.rows/rows${query}`, { headers: { accept } })).headers.get("content-type");
  expect(await type("text/csv")).toMatch(/^text\/csv/);
  expect(await type("text/html, application/x-ndjson;q=0.5")).toMatch(/^application\/x-ndjson/);
  expect(await type("*/*")).toMatch(/^application\/json/);
  expect(await type("text/csv", "?format=json")).toMatch(/^application\/json/);
});

test("who acts for another person is refused in that person's name", async () => {
  await app.ask("POST", "/v1/persons", { body: { name: "ben", role: "viewer" } });
  const change = await open({ kind: "append", source: await csv("id,n,word\n8,1,x\n") });
  const refused = await app.refused("POST", `/v1/changes/${change.id}/merge`, { headers: { "tidegate-as": "ben" } });
  expect(refused).toMatchObject({ code: "auth.denied", message: "ben may not do that.", found: "the role viewer" });
  await app.ask("POST", `/v1/changes/${change.id}/close`, { body: { reason: "a test" } });
  await app.ask("POST", "/v1/persons/ben", { body: { disabled: true } });
});

test("nobody reads in the name of a consumer that is disabled", async () => {
  await app.ask("POST", "/v1/consumers", { body: { name: "board" } });
  await app.ask("POST", "/v1/consumers/board", { body: { disabled: true } });
  expect(await app.refused("GET", "/v1/datasets/t.rows/rows?as=board")).toMatchObject({
    code: "auth.denied",
    hint: "tidegate consumer set board --enable",
  });
});

test("changes of columns are told apart by their titles", async () => {
  const titles: string[] = [];
  for (const edits of [
    [{ edit: "rename", name: "n", to: "total" }],
    [{ edit: "add", name: "note", type: "string" }],
    [
      { edit: "drop", name: "word" },
      { edit: "reorder", names: ["n", "id"] },
    ],
  ]) {
    const change = await open({ kind: "schema", edits });
    titles.push(change.title);
    await app.ask("POST", `/v1/changes/${change.id}/close`, { body: { reason: "a test" } });
  }
  expect(titles).toEqual(["rename n to total on t.rows", "add note on t.rows", "drop word, reorder columns on t.rows"]);
});

test("a rolled back change is marked in the list, and its revert takes the title that a person gives it", async () => {
  const change = await open({ kind: "upsert", source: await csv("id,n,word\n1,11,bad\n") });
  await merge(change.id);
  await app.ask("POST", "/v1/rollback", { body: { target: "t.rows" } });
  const lines = await app.ask("GET", "/v1/changes");
  expect(lines.find((line: Data) => line.id === change.id)).toMatchObject({ state: "merged", barred: true });
  await app.lake.drain();
  const [opened] = (await app.ask("GET", `/v1/changes/${change.id}`)).revertedBy;
  const titled = await app.ask("POST", "/v1/revert", { body: { change: change.id, title: "The bad feed" } });
  expect(titled).toMatchObject({ id: opened, title: "The bad feed" });
  expect((await app.ask("GET", `/v1/changes/${opened}`)).change.title).toBe("The bad feed");
  await merge(opened);
});

test("when the revert of a rolled back change cannot open, the change says why and what to do", async () => {
  const bad = await open({ kind: "upsert", source: await csv("id,n,word\n2,21,bad\n") });
  const released = await merge(bad.id);
  const later = await open({ kind: "upsert", source: await csv("id,n,word\n2,22,later\n") });
  await merge(later.id);
  await app.ask("POST", "/v1/rollback", { body: { target: released.release.id } });
  expect((await app.ask("GET", `/v1/changes/${bad.id}`)).revertWaits).toBeNull();
  await app.lake.drain();
  const shown = await app.ask("GET", `/v1/changes/${bad.id}`);
  expect(shown).toMatchObject({ barred: true, revertedBy: [] });
  expect(shown.revertWaits.message).toContain("1 row changed since");
  expect(shown.revertWaits.hint).toMatch(/^tidegate restore t\.rows --to /);
});
