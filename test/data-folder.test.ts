import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openServices, relocate } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { migrate } from "../src/db/migrate.ts";
import { migrations } from "../src/db/migrations/index.ts";
import { systemClock } from "../src/edges/clock.ts";
import { createRouter } from "../src/http/app.ts";
import type { Services } from "../src/http/services.ts";
import { parseJson, sha256 } from "../src/lib/json.ts";
import type { Data } from "./harness/app.ts";
import { fixtureHash, restoreState, unpackFolder, type UnpackedFolder } from "./harness/data-folder.ts";
import { emptyDatabase, type TestDatabase } from "./harness/postgres.ts";

/** A data folder that an earlier Tidegate wrote (docs/decisions/0006), opened by the present one. */

const fixture = "data-folder-a";
let folder: UnpackedFolder;
let database: TestDatabase;
let services: Services;
let app: ReturnType<typeof createRouter>["app"];

const config = (url: string) => readConfig({ TIDEGATE_DATA: folder.dir, DATABASE_URL: url, TIDEGATE_MEMORY_MB: "1024" }, folder.dir);

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return app.request(`http://in.process${path}`, { method, ...init });
}

async function ask(method: string, path: string, body?: unknown): Promise<Data> {
  const answer = parseJson(await send(method, path, body).then((response) => response.text())) as Data;
  if (answer.ok !== true) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
  return answer.data;
}

async function checksum(path: string): Promise<{ rows: number; sha256: string }> {
  const answer = await send("GET", path);
  const text = await answer.text();
  expect(answer.status, `${path}: ${text.slice(0, 300)}`).toBe(200);
  const lines = text.split("\n").filter((line) => line !== "");
  return { rows: lines.length, sha256: createHash("sha256").update(lines.sort().join("\n")).digest("hex") };
}

const rowsAt = async (name: string, at?: string): Promise<Data[]> => {
  const text = await send("GET", `/v1/datasets/${name}/rows?format=ndjson${at === undefined ? "" : `&at=${at}`}`).then((r) => r.text());
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => parseJson(line) as Data);
};

beforeAll(async () => {
  folder = unpackFolder(fixture);
  database = await emptyDatabase();
  await restoreState(database.db, folder);
});
afterAll(async () => {
  await services?.close();
  await database.close();
  await rm(folder.dir, { recursive: true, force: true });
});

test("the fixture is what was written once: nobody has made it again", () => {
  expect(fixtureHash(fixture), "make-fixture.mjs writes a new one for the next letter; this one stays as it is").toBe(
    "864fceaa83d43458070f76e8a9cfc5b561b1ccc462bace54a4f3e9d5bdaab01b",
  );
});

test("the migrations that made the folder are those of today, to the letter: a later one is a new one", () => {
  const today = migrations.map(({ name, sql: text }) => ({ name, hash: sha256(text) }));
  expect(folder.applied).toMatchObject(today.slice(0, folder.applied.length));
  expect(folder.applied.length).toBeGreaterThanOrEqual(3);
});

test("a pending migration runs over the rows that are there, and one that was edited after it ran is refused", async () => {
  const other = await emptyDatabase();
  try {
    await restoreState(other.db, folder);
    const before = await sql<{ n: bigint }>`select count(*) as n from changes`.execute(other.db);
    const pending = {
      name: "9999-pending",
      sql: "alter table changes add column weight integer; update changes set weight = length(title); alter table changes alter column weight set not null",
    };
    await migrate(other.db, systemClock, [...migrations, pending]);
    const after = await sql<{ n: bigint }>`select count(*) as n from changes where weight = length(title)`.execute(other.db);
    expect(after.rows).toEqual(before.rows);
    expect(Number(before.rows[0]?.n)).toBeGreaterThan(20);
    // The folder is now one of a newer version, and a migration of its is locked by its hash.
    await expect(migrate(other.db, systemClock)).rejects.toMatchObject({ code: "db.newer", found: "9999-pending" });
    const edited = [...migrations, { ...pending, sql: `${pending.sql} ` }];
    await expect(migrate(other.db, systemClock, edited)).rejects.toMatchObject({ code: "db.migration_changed" });
    const first = migrations.map((item, at) => (at === 0 ? { ...item, sql: `${item.sql}-- a comment\n` } : item));
    await expect(migrate(other.db, systemClock, first)).rejects.toMatchObject({ code: "db.migration_changed" });
  } finally {
    await other.close();
  }
});

test("in its new place it is refused until it is relocated, and then it opens with all migrations run", async () => {
  await expect(openServices(config(database.url))).rejects.toMatchObject({ code: "store.moved", hint: "tidegate doctor --relocate" });
  expect((await relocate(config(database.url))).versions).toBeGreaterThan(20);
  services = await openServices(config(database.url));
  app = createRouter(services, { local: true }).app;
  const { rows } = await sql<{ name: string }>`select name from migrations order by name`.execute(services.db);
  expect(rows.map(({ name }) => name)).toEqual(migrations.map(({ name }) => name));
});

/** So many rows of a kind a diff shows unless it is asked for more. */
const mostShown = 20;

// Before anything is read: the ledger counts the reads of this test too.
/**
 * An answer without what is free to differ: the keys of evidence, the order of rows that have no key, and which of many such rows are shown,
 * which was chance where only their lists and structs tell them apart.
 */
function comparable(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(comparable);
  if (answer === null || typeof answer !== "object") return answer;
  return Object.fromEntries(
    Object.entries(answer).flatMap(([key, value]): [string, unknown][] => {
      if (key === "evidence") return [];
      const inner = comparable(value);
      const isBag =
        (key === "samples" || key === "rows") && Array.isArray(inner) && inner.some((row: { key?: unknown }) => row.key === null);
      const isPart = isBag && inner.length >= mostShown;
      return [[key, isPart ? inner.length : isBag ? inner.map((row) => JSON.stringify(row)).sort() : inner]];
    }),
  );
}

test("changes, diffs, people, consumers, the log and who read what are told as on that day", async () => {
  const paths = Object.keys(folder.expected.answers);
  expect(paths.length).toBeGreaterThan(70);
  // Under which key an answer is kept is nobody's business but ours: it moves when the same question is asked in another way.
  for (const path of paths)
    expect(comparable(await ask("GET", path)), path).toMatchObject(comparable(folder.expected.answers[path]) as object);
});

test("every version, tag, branch and live state is read with the rows of its day", async () => {
  const paths = Object.keys(folder.expected.rows);
  expect(paths.length).toBeGreaterThan(30);
  for (const path of paths) expect(await checksum(path), path).toEqual(folder.expected.rows[path]);
});

test("the audit chain is whole, from its first event to the relocation, and the doctor finds nothing", async () => {
  const verdict = await ask("POST", "/v1/audit/verify", {});
  expect(verdict).toMatchObject({ ok: true });
  expect(verdict.events).toBeGreaterThan(folder.expected.audit.events);
  expect(await ask("POST", "/v1/audit/verify", { head: folder.expected.audit.head })).toMatchObject({ ok: true });
  expect(await ask("POST", "/v1/doctor", {})).toMatchObject({ findings: [] });
});

test("a diff of old versions is computed anew from their files", async () => {
  const [{ result }] = await ask("GET", "/v1/diff?before=shop.orders@1&after=shop.orders@2&samples=7");
  expect(result.rows).toMatchObject({ added: 0, removed: 0, modified: 1 });
});

/** Several people are in the folder, and none of them is here to approve. */
async function mergeAnyway(change: string): Promise<void> {
  await ask("POST", `/v1/changes/${change}/override`, { reason: "the test means it" });
  await ask("POST", `/v1/changes/${change}/merge`);
}

test("the change that waited is merged and read, rolled back, and its revert opens by itself", async () => {
  const { waiting } = folder.expected.roles;
  const before = await rowsAt("shop.stock");
  await mergeAnyway(waiting);
  expect(await rowsAt("shop.stock")).toContainEqual(expect.objectContaining({ store: "w7", "Units in stock": 7, "Country/Region": "SE" }));
  expect((await rowsAt("shop.late")).map((row) => Number(row.id)).sort()).toEqual([1, 2, 3]);
  const back = await ask("POST", "/v1/rollback", { target: "shop.stock", reason: "a drill" });
  expect(back.barred).toEqual([waiting]);
  expect(await rowsAt("shop.stock")).toEqual(before);
  expect(await rowsAt("shop.stock", "main")).not.toEqual(before);
  await services.drainOutbox();
  const [revert] = (await ask("GET", `/v1/changes/${waiting}`)).revertedBy;
  await mergeAnyway(revert);
  expect(await rowsAt("shop.stock", "main")).toEqual(before);
});

test("what was barred is barred still, its revert is merged, and the conflict is settled", async () => {
  const { barred, openRevert, conflicted, closed } = folder.expected.roles;
  expect((await ask("GET", `/v1/changes/${barred}`)).barred).toBe(true);
  expect((await rowsAt("shop.orders", "main")).filter((row) => row.note === "lost again").length).toBeGreaterThan(0);
  await mergeAnyway(openRevert);
  expect(await rowsAt("shop.orders")).toEqual(await rowsAt("shop.orders", "main"));
  expect((await rowsAt("shop.orders")).filter((row) => /lost/.test(row.note ?? ""))).toEqual([]);
  expect((await send("POST", `/v1/changes/${conflicted}/merge`)).status).toBe(409);
  await ask("POST", `/v1/changes/${conflicted}/resolve`, { side: "ours" });
  await mergeAnyway(conflicted);
  expect(await rowsAt("shop.stock", "main")).toContainEqual(expect.objectContaining({ store: "w1", item: 1, "Units in stock": 41 }));
  expect((await send("POST", `/v1/changes/${closed}/merge`)).status).toBe(409);
  expect(await ask("POST", "/v1/audit/verify", {})).toMatchObject({ ok: true });
  expect(await ask("POST", "/v1/doctor", {})).toMatchObject({ findings: [] });
});
