import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "../../test/harness/app.ts";
import { createRouter } from "./app.ts";

const token = "own-token-of-this-machine";
const reports: { error: unknown; id: string | undefined }[] = [];
let app: TestApp;

beforeAll(async () => {
  app = await testApp({ local: false, localToken: token, report: (error, id) => reports.push({ error, id }) });
  const path = await app.lake.file("orders.csv", "id,amount\n1,5\n2,7\n");
  const { change } = await app.lake.propose({
    operations: [{ kind: "create", dataset: "shop.orders", source: { paths: [path], names: ["orders.csv"] }, key: ["id"] }],
    origin: "import",
  });
  await app.lake.merge(change?.id ?? "");
});
afterAll(() => app.close());

async function failed(method: string, path: string, body?: unknown): Promise<Data> {
  reports.length = 0;
  return app.refused(method, path, { token, ...(body === undefined ? {} : { body }) });
}

const driverText = /relation|exposures|does not exist|postgres|select|column|\/tmp|\.sock/i;

test("a driver's error reaches a remote client as an id alone, under which the server's log has its text", async () => {
  await sql`alter table exposures rename to exposures_away`.execute(app.lake.db);
  try {
    const answer = await failed("GET", "/v1/usage");
    expect(answer).toMatchObject({ status: 500, code: "internal", details: { id: expect.stringMatching(/^err_\w{12}$/) as string } });
    expect(JSON.stringify(answer)).not.toMatch(driverText);
    expect(reports).toHaveLength(1);
    expect(reports[0]?.id).toBe(answer.details.id);
    expect(String(reports[0]?.error)).toContain('relation "exposures" does not exist');
    const again = await failed("GET", "/v1/usage");
    expect(again.details.id).not.toBe(answer.details.id);
  } finally {
    await sql`alter table exposures_away rename to exposures`.execute(app.lake.db);
  }
});

test("in process the person at the machine is told what the driver said", async () => {
  await sql`alter table exposures rename to exposures_away`.execute(app.lake.db);
  try {
    const local = createRouter(app.services, { local: true }).app;
    const response = await local.request("http://in.process/v1/usage");
    expect(((await response.json()) as Data).error).toMatchObject({
      code: "internal",
      message: expect.stringContaining("exposures") as string,
    });
  } finally {
    await sql`alter table exposures_away rename to exposures`.execute(app.lake.db);
  }
});

test("a merge that a driver's error ends leaves no word of the driver in the record or with who waits", async () => {
  const { change } = await app.lake.propose({
    operations: [{ kind: "sql", dataset: "shop.orders", sql: "update shop.orders set amount = 6 where id = 1" }],
  });
  await sql`alter table releases rename to releases_away`.execute(app.lake.db);
  try {
    const answer = await failed("POST", `/v1/changes/${change?.id ?? ""}/merge`, {});
    expect(answer).toMatchObject({ status: 500, code: "internal" });
    expect(JSON.stringify(answer)).not.toMatch(driverText);
    expect(String(reports[0]?.error)).toContain("releases");
  } finally {
    await sql`alter table releases_away rename to releases`.execute(app.lake.db);
  }
  const audit = await app.ask("GET", "/v1/audit", { token });
  const record = audit.find((line: Data) => line.action === "change.merge_failed");
  expect(record?.payload).toContain("nobody foresaw");
  expect(record?.payload).not.toMatch(driverText);
});

test("a store that is gone keeps its code, and its paths to itself", async () => {
  const files = readdirSync(app.lake.dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".parquet"));
  expect(files).not.toEqual([]);
  for (const [code, spoil] of [
    ["store.corrupt", (path: string) => writeFileSync(path, "no Parquet")] as const,
    ["store.missing", rmSync] as const,
  ]) {
    for (const name of files) spoil(join(app.lake.dir, name));
    const answer = await failed("GET", "/v1/datasets/shop.orders/rows");
    expect(answer.code).toBe(code);
    expect(JSON.stringify(answer)).not.toContain(app.lake.dir);
    expect(reports[0]?.id).toBe(answer.details.id);
  }
});
