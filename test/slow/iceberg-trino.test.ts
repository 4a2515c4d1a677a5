import { rename } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { createToken } from "../../src/access/token-service.ts";
import { relocateStore } from "../../src/catalog/relocate-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { TableReader } from "../../src/effects/version-writer.ts";
import { serve, type RunningServer } from "../../src/http/serve.ts";
import { localStore } from "../../src/lake/local-store.ts";
import { examine } from "../../src/reading/doctor-service.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { testApp, type Data, type TestApp } from "../harness/app.ts";
import { importText, proposeText } from "../harness/changes.ts";
import { rowsOf } from "../harness/reads.ts";
import { installReaders } from "./strict/readers.ts";
import { openSession, type Client } from "./strict/sessions.ts";
import { installTrino, startTrino, type TrinoServer } from "./strict/trino.ts";

/*
 * A Trino server reads a consumer's view through a rollout and its rollback. Its file system wants addresses with a scheme, so the store is one
 * whose files are named by `file://`; everybody else reads such a store too.
 */

let app: TestApp;
let server: RunningServer | undefined;
let trino: TrinoServer | undefined;
let missing: { trino: string | undefined; readers: string | undefined };
const dataset = "shop.orders";
const [old, next] = [30, 61];

async function tokenOf(consumer: string): Promise<string> {
  await addConsumer(app.lake, "root", { name: consumer, kind: "job", criticality: "normal", labels: {} });
  return (await createToken(app.lake, "root", { consumer, label: "" })).token;
}

beforeAll(async () => {
  missing = { trino: await installTrino(), readers: await installReaders() };
  app = await testApp({}, {}, { addresses: "file" });
  await importText(app.lake, dataset, "id,v,w\n1,10,a\n2,20,b\n", ["id"]);
  await importText(app.lake, "shop.eu.orders", "id,v\n1,10\n", ["id"]);
  server = await serve(app.services, { host: "127.0.0.1", port: 0 });
  if (missing.trino !== undefined) return;
  trino = await startTrino(join(app.lake.dir, "trino"));
  const settings = {
    "iceberg.catalog.type": "rest",
    "iceberg.rest-catalog.uri": `${server.url}/iceberg`,
    "iceberg.rest-catalog.warehouse": "consumer/tri",
    "iceberg.rest-catalog.security": "OAUTH2",
    "iceberg.rest-catalog.oauth2.token": await tokenOf("tri"),
    "iceberg.rest-catalog.nested-namespace-enabled": "true",
    "iceberg.security": "read_only",
    "fs.native-local.enabled": "true",
    "local.location": "/",
  };
  const properties = Object.entries(settings).map(([key, value]) => `"${key}" = '${value}'`);
  await trino.query(`create catalog tide using iceberg with (${properties.join(", ")})`);
}, 900_000);
afterAll(async () => {
  trino?.close();
  await server?.close();
  await app.close();
});

const sum = async (): Promise<unknown> => (await trino?.query(`select sum(v) from tide.${dataset}`))?.[0]?.[0];

test("Trino is installed, where there is a Java that it runs on", (context) => {
  if (missing.trino !== undefined && (process.env["TIDEGATE_CI"] !== "1" || missing.trino.startsWith("no Java"))) {
    context.skip(`not run: ${missing.trino}`);
  }
  expect(missing.trino).toBeUndefined();
});

test("a Trino session flips at its step and back at the rollback, with the settings that it began with", async (context) => {
  if (trino === undefined) return context.skip(`not run: ${missing.trino}`);
  const { lake } = app;
  expect(await trino.query("show tables from tide.shop")).toEqual([["orders"]]);
  expect(await trino.query('select sum(v) from tide."shop.eu".orders')).toEqual([[10]]);
  expect(await sum()).toBe(old);
  const change = await proposeText(lake, dataset, { kind: "upsert", csv: "id,v,w\n2,21,b\n3,30,c\n" });
  await setPlan(lake, { changeId: change, text: "steps: [{ ring: tri }, { everyone: true }]", actor: "root" });
  await lake.merge(change);
  expect(await sum()).toBe(next);
  expect(await trino.query(`select count(*) from tide.shop."orders$snapshots"`)).toEqual([[1]]);
  lake.clock.advance(60_000);
  await rollback(lake, { target: dataset, reason: "bad", actor: "root", environment: "production" });
  const since = performance.now();
  expect(await sum()).toBe(old);
  const took = Math.round(performance.now() - since);
  process.stdout.write(`\nfirst read of the old version after rollback returned\ntrino          default              ${took} ms\n`);
  await lake.drain();
  const { readers } = (await app.ask("GET", `/v1/who-read/${dataset}@2`)) as Data;
  expect(readers).toMatchObject([{ consumer: "tri", doors: ["iceberg"], columns: expect.arrayContaining(["v"]) as string[] }]);
  await expect(trino.query(`insert into tide.${dataset} select * from tide.${dataset}`)).rejects.toThrow("Access Denied");
});

test("a store whose files are named with a scheme is read by pyiceberg, DuckDB and Spark as well", async (context) => {
  if (missing.readers !== undefined) return context.skip(`not run: ${missing.readers}`);
  const sums: Record<string, unknown> = {};
  for (const client of ["pyiceberg", "duckdb", "spark"] as Client[]) {
    const session = openSession(client, `${server?.url ?? ""}/iceberg`, app.lake.dir);
    await session.ask({ do: "open", name: "own", warehouse: null, token: await tokenOf(client) });
    const found = await session.ask({ do: "read", name: "own", table: dataset, column: "v" });
    sums[client] = found.sum ?? found.error;
    session.close();
  }
  expect(sums).toEqual({ pyiceberg: old, duckdb: old, spark: old });
});

test("such a store is written, examined and moved like any other", async () => {
  const { lake, services } = app;
  await importText(lake, "shop.moved", "id,v\n1,a\n2,b\n", ["id"]);
  await lake.merge(await proposeText(lake, "shop.moved", { kind: "upsert", csv: "id,v\n2,B\n3,c\n" }));
  await lake.merge(await proposeText(lake, "shop.moved", { kind: "delete", csv: "id\n1\n" }));
  const values = async () => (await rowsOf(lake, "shop.moved", { consumer: undefined, run: undefined })).map((row) => row["v"]);
  expect(await values()).toEqual(["B", "c"]);
  expect((await examine(services, {})).findings).toEqual([]);
  const root = join(lake.dir, "moved 100%");
  await rename(join(lake.dir, "lake"), root);
  const store = await localStore(root, undefined, "file");
  await relocateStore({ ...lake, store }, { root, actor: "ana" });
  const there = { ...services, store, tables: new TableReader(store) };
  expect((await examine(there, {})).findings).toEqual([]);
  const { metadata_key: key } = await lake.db.selectFrom("versions").select("metadata_key").limit(1).executeTakeFirstOrThrow();
  const text = Buffer.from(await store.get(key)).toString("utf8");
  expect(text).toContain(`"location":"file://${root}/`);
});
