import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("app.keyed", 'id,v\n"a,b",1\nplain,3\n', ["id"]);
  await app.importCsv("app.wide", `id,text\n${Array.from({ length: 20_000 }, (_, i) => `${i},${Math.sin(i)}${Math.cos(i)}`).join("\n")}\n`);
});
afterAll(() => app.close());

const nul = "\u0000";
const drop = { kind: "drop", dataset: "app.keyed" };
const deep = (levels: number) => `{"operations":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`;

test.each([
  ["GET", "/v1/datasets/a%00b", undefined],
  ["GET", "/v1/datasets/app.keyed/rows?run=%00", undefined],
  ["GET", "/v1/datasets/app.keyed/rows?at=%00", undefined],
  ["GET", "/v1/who-read/%00@1", undefined],
  ["GET", "/v1/log?since=-271821-04-20", undefined],
  ["GET", "/v1/usage?since=%2B275760-09-13", undefined],
  ["GET", "/v1/audit?before=99999999999999999999999999", undefined],
  ["GET", "/v1/audit?subject=%00", undefined],
  ["POST", "/v1/query", { sql: "select 1", run: nul }],
  ["POST", "/v1/rollback", { target: `app.keyed${nul}` }],
  ["POST", "/v1/changes", { operations: [drop], title: nul }],
  [
    "POST",
    "/v1/changes",
    { operations: [{ kind: "schema", dataset: "app.keyed", edits: [{ edit: "add", name: "ok", type: "int", doc: nul }] }] },
  ],
  ["POST", "/v1/changes", deep(50_000)],
  ["PUT", "/v1/uploads/a%00b", "x"],
  ["PUT", "/v1/uploads/%2F", "x"],
  ["PUT", `/v1/uploads/${"%C3%A9".repeat(200)}`, "x"],
])("a request that nothing can hold is refused, and is no fault of ours: %s %s", async (method, path, body) => {
  const headers = method === "PUT" ? { "content-type": "application/octet-stream" } : undefined;
  const { status, code } = await app.refused(method, path, { ...(body === undefined ? {} : { body }), ...(headers && { headers }) });
  expect([status, code]).toEqual([400, expect.stringMatching(/^(request|usage|name)\.invalid$/)]);
});

test("a key of one part is looked up as it is, commas and all", async () => {
  expect(await app.ask("GET", "/v1/datasets/app.keyed/rows/a%2Cb")).toEqual({ id: "a,b", v: 1 });
});

test("HEAD of a large file leaves no file behind", async () => {
  const head = await app.send("HEAD", "/v1/datasets/app.wide/parquet");
  expect(Number(head.headers.get("content-length"))).toBeGreaterThan(200_000);
  const folder = join(app.services.config.dataDir, "tmp");
  const left = () => (existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("req_")) : []);
  await expect.poll(left).toEqual([]);
});
