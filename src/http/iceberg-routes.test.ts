import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importText, proposeText, rollBack } from "../../test/harness/changes.ts";
import { testApp, type Data, type TestApp } from "../../test/harness/app.ts";
import { addConsumer } from "../access/consumer-service.ts";
import { addPerson } from "../access/person-service.ts";
import { createToken } from "../access/token-service.ts";
import { getRef, mainRef } from "../catalog/ref-store.ts";
import { createTag } from "../catalog/tag-service.ts";
import { setPlan } from "../changes/plan-service.ts";
import { parseJson } from "../lib/json.ts";
import { parseWarehouse } from "../reading/warehouse.ts";
import { readersOf } from "../usage/usage-reads.ts";
import { serve, type RunningServer } from "./serve.ts";

let app: TestApp;
let server: RunningServer;
const tokens: Record<string, string> = {};
const changes: Record<string, string> = {};

beforeAll(async () => {
  app = await testApp();
  const { lake } = app;
  await addPerson(lake, "root", { name: "vic", role: "viewer" });
  tokens["vic"] = (await createToken(lake, "root", { person: "vic", label: "" })).token;
  for (const name of ["board", "report", "spark"]) {
    await addConsumer(lake, "root", { name, kind: "dashboard", criticality: "normal", labels: {} });
    tokens[name] = (await createToken(lake, "root", { consumer: name, label: "" })).token;
  }
  for (const dataset of ["shop.orders", "shop.eu.orders", "shop.eu.stock", "logs.hits"])
    await importText(lake, dataset, "id,v\n1,a\n2,b\n", ["id"]);
  changes["open"] = await proposeText(lake, "shop.orders", { kind: "append", csv: "id,v\n3,open\n" });
  await createTag(lake, { name: "v1", at: "main", actor: "root" });
  server = await serve(app.services, { host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server.close();
  await app.close();
});

interface Got {
  status: number;
  body: Data;
  headers: Headers;
}

async function get(who: string, path: string, init: RequestInit = {}): Promise<Got> {
  app.lake.clock.advance(1000);
  const headers = { ...(tokens[who] === undefined ? {} : { authorization: `Bearer ${tokens[who]}` }), ...init.headers };
  const response = await fetch(`${server.url}/iceberg/v1/${path}`, { ...init, headers });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : parseJson(text), headers: response.headers };
}

const config = (who: string, warehouse?: string) =>
  get(who, `config${warehouse === undefined ? "" : `?warehouse=${encodeURIComponent(warehouse)}`}`);

async function prefix(who: string, warehouse?: string): Promise<string> {
  const { status, body } = await config(who, warehouse);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.overrides.prefix as string;
}

async function load(who: string, warehouse: string | undefined, table: string, init: RequestInit = {}, query = ""): Promise<Got> {
  const parts = table.split(".");
  const namespace = parts.slice(0, -1).join("%1F");
  return get(who, `${await prefix(who, warehouse)}/namespaces/${namespace}/tables/${parts.at(-1)}${query}`, init);
}

const versionOf = ({ headers }: Got): string | null => headers.get("tidegate-version");
const failure = (type: string, code: number) => ({
  status: code,
  body: { error: { type, code, message: expect.stringMatching(/\[[a-z_]+\.[a-z_]+\]$/) as string } },
});

describe("warehouses", () => {
  test("config tells the prefix, the same each time, and what can be asked", async () => {
    const { body } = await config("vic", "consumer/board");
    expect(body).toMatchObject({ defaults: {}, overrides: { prefix: expect.stringMatching(/^[\w-]+$/) as string } });
    expect(body.endpoints).toContain("POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics");
    expect(body.endpoints).toHaveLength(7);
    expect((await config("board", "consumer/board")).body).toEqual(body);
  });

  test("an omitted warehouse is the token's own view", async () => {
    expect(await prefix("board")).toBe(await prefix("vic", "consumer/board"));
    expect(await prefix("board", "")).toBe(await prefix("board"));
    expect(await prefix("vic")).toBe(await prefix("vic", "live/production"));
  });

  test.each([
    "consumer/nobody",
    "nobody",
    "tag/none",
    "change/chg_none",
    "live/none",
    "commit/abcdef12",
    "commit/main",
    "consumer/a/b",
    "main/",
    "consumer/\u0000",
  ])("%j is none, and is told so in the protocol's form", async (name) =>
    expect(await config("vic", name)).toMatchObject(failure("NoSuchWarehouseException", 404)),
  );

  test("main, a change, a tag, a commit and live are read by persons, and a commit id may be cut short", async () => {
    const { commitId } = await getRef(app.lake.db, mainRef);
    const versions = ["main", `change/${changes["open"]}`, "tag/v1", `commit/${commitId.slice(0, 10)}`, "live/production", undefined];
    const found = await Promise.all(versions.map(async (name) => versionOf(await load("vic", name, "shop.orders"))));
    expect(found).toEqual(["shop.orders@1", "shop.orders@2", "shop.orders@1", "shop.orders@1", "shop.orders@1", "shop.orders@1"]);
    expect(await prefix("vic", `commit/${commitId.slice(0, 10)}`)).toBe(await prefix("vic", `commit/${commitId}`));
  });

  test("names are read as they are written", () => {
    expect(parseWarehouse("consumer/a/run/2026-11-01 08:00/x")).toEqual({ of: "consumer", consumer: "a", run: "2026-11-01 08:00/x" });
    expect(parseWarehouse("commit/abcdef")).toEqual({ of: "state", at: "abcdef" });
    expect(parseWarehouse("consumer/a/run/")).toBeUndefined();
    expect(parseWarehouse("change/a/b")).toBeUndefined();
  });
});

describe("a consumer's token opens its own view and nothing else", () => {
  const others = () => [
    "main",
    "consumer/report",
    "consumer/nobody",
    `change/${changes["open"]}`,
    "tag/v1",
    "live/production",
    "consumer/report/run/r1",
  ];

  test("not at the config, and not by an address that somebody else was given", async () => {
    for (const warehouse of others()) {
      expect(await config("board", warehouse), warehouse).toMatchObject(failure("ForbiddenException", 403));
      const address = Buffer.from(warehouse).toString("base64url");
      for (const path of ["namespaces", "namespaces/shop", "namespaces/shop/tables", "namespaces/shop/tables/orders"])
        expect(await get("board", `${address}/${path}`), `${warehouse} ${path}`).toMatchObject(failure("ForbiddenException", 403));
      const report = { method: "POST", body: JSON.stringify({ "report-type": "scan-report", "snapshot-id": 1 }) };
      expect(await get("board", `${address}/namespaces/shop/tables/orders/metrics`, report)).toMatchObject(
        failure("ForbiddenException", 403),
      );
    }
    expect(versionOf(await load("board", "consumer/board", "shop.orders"))).toBe("shop.orders@1");
  });

  test("not a version by number, in any part of a name", async () => {
    for (const name of ["shop.orders@1", "shop.orders%401", "orders", "eu.orders"])
      expect(
        await get("board", `${await prefix("board")}/namespaces/${name.split(".")[0]}/tables/${name.split(".")[1] ?? "x"}`),
      ).toMatchObject(failure("NoSuchTableException", 404));
  });

  test("without a token, or with none that counts, nothing is told", async () => {
    expect(await config("nobody", "main")).toMatchObject(failure("NotAuthorizedException", 401));
    expect(await get("nobody", "config", { headers: { authorization: "Bearer None" } })).toMatchObject(
      failure("NotAuthorizedException", 401),
    );
    expect(await get("nobody", "nothing/at/all")).toMatchObject(failure("NotAuthorizedException", 401));
  });

  test("a page of another site is refused in the protocol's form", async () => {
    expect(await get("vic", "config", { headers: { origin: "https://evil.example" } })).toMatchObject(failure("ForbiddenException", 403));
  });
});

describe("namespaces and tables", () => {
  test("are what the datasets' names say, listed level by level", async () => {
    const own = await prefix("board");
    const listed = async (query: string) => (await get("board", `${own}/namespaces${query}`)).body as Data;
    expect(await listed("")).toEqual({ namespaces: [["logs"], ["shop"]], "next-page-token": null });
    expect((await listed("?parent=shop")).namespaces).toEqual([["shop", "eu"]]);
    expect((await listed("?parent=shop%1Feu")).namespaces).toEqual([]);
    expect(await get("board", `${own}/namespaces?parent=none`)).toMatchObject(failure("NoSuchNamespaceException", 404));
    expect((await get("board", `${own}/namespaces/shop%1Feu`)).body).toMatchObject({ namespace: ["shop", "eu"] });
    expect((await get("board", `${own}/namespaces/shop%1Feu/tables`)).body.identifiers).toEqual([
      { namespace: ["shop", "eu"], name: "orders" },
      { namespace: ["shop", "eu"], name: "stock" },
    ]);
    expect((await get("board", `${own}/namespaces/shop/tables`)).body.identifiers).toHaveLength(1);
    expect(await get("board", `${own}/namespaces/none/tables`)).toMatchObject(failure("NoSuchNamespaceException", 404));
  });

  test("are given in pages to who can take them, and a page goes on where the last one ended", async () => {
    const path = `${await prefix("board")}/namespaces/shop%1Feu/tables`;
    const first = (await get("board", `${path}?pageToken=&pageSize=1`)).body;
    const second = (await get("board", `${path}?pageSize=1&pageToken=${first["next-page-token"]}`)).body;
    expect([first.identifiers[0].name, second.identifiers[0].name, second["next-page-token"]]).toEqual(["orders", "stock", null]);
    expect(await get("board", `${path}?pageToken=&pageSize=0`)).toMatchObject(failure("BadRequestException", 400));
  });

  test("are asked for without their content by HEAD", async () => {
    const own = await prefix("board");
    const heads = ["shop", "none", "shop/tables/orders", "shop/tables/none"].map((path) =>
      get("board", `${own}/namespaces/${path}`, { method: "HEAD" }),
    );
    expect((await Promise.all(heads)).map(({ status }) => status)).toEqual([204, 404, 204, 404]);
  });

  test("a table in a namespace that is not there is a table that is not there", async () => {
    // Spark asks for `db.t.snapshots` as a table before it looks into `db.t`.
    expect(await load("board", undefined, "shop.orders.snapshots")).toMatchObject(failure("NoSuchTableException", 404));
    expect(await load("board", undefined, "none.orders")).toMatchObject(failure("NoSuchTableException", 404));
  });
});

describe("a load", () => {
  test("gives the metadata and where its file is, with a place for new files that is no table's, and 304 to who has it", async () => {
    const { body, headers } = await load("board", undefined, "shop.orders");
    expect(body["metadata-location"]).toMatch(/^\/.*\/metadata\/.*\.metadata\.json$/);
    expect(body).toMatchObject({
      config: {},
      metadata: { "format-version": 2, properties: { "gc.enabled": "false", "tidegate.version": "shop.orders@1" } },
    });
    expect(body.metadata.location).toMatch(/\/outside\/[0-9a-f]{16}\/shop\.orders$/);
    const etag = headers.get("etag") ?? "";
    const again = await load("board", undefined, "shop.orders", { headers: { "if-none-match": etag } });
    expect([again.status, again.body, versionOf(again)]).toEqual([304, undefined, "shop.orders@1"]);
    expect((await load("report", undefined, "shop.orders", { headers: { "if-none-match": etag } })).status).toBe(200);
  });

  test("stands in the ledger before it is answered, a repeated one too, with all columns unless the client reports them", async () => {
    await importText(app.lake, "kept.reads", "id,v,w\n1,a,x\n", ["id"]);
    const loaded = await load("board", undefined, "kept.reads");
    const java = { "x-client-version": "Apache Iceberg 1.12.0" };
    const snapshot = (await load("spark", undefined, "kept.reads", { headers: java })).body.metadata["current-snapshot-id"] as number;
    const ids = await app.lake.db.selectFrom("versions").select("id").where("snapshot_id", "=", BigInt(snapshot)).execute();
    const readers = async () => {
      await app.lake.ledger.flush();
      const found = await readersOf(
        app.lake.db,
        ids.map(({ id }) => id),
      );
      return found.map(({ consumer, columns, doors, reads, bytes, rows }) => ({ consumer, columns, doors, reads, bytes, rows }));
    };
    const board = { consumer: "board", columns: ["id", "v", "w"], doors: ["iceberg"], reads: 1, bytes: 0, rows: 0 };
    expect(await readers()).toEqual([board, { ...board, consumer: "spark", columns: ["*"] }]);

    await load("board", undefined, "kept.reads", { headers: { "if-none-match": loaded.headers.get("etag") ?? "" } });
    const metrics = `${await prefix("spark")}/namespaces/kept/tables/reads/metrics`;
    const send = (report: object | string, who = "spark") =>
      get(who, metrics, { method: "POST", body: typeof report === "string" ? report : JSON.stringify(report) });
    const scan = {
      "report-type": "scan-report",
      "table-name": "kept.reads",
      "snapshot-id": snapshot,
      "schema-id": 0,
      "projected-field-ids": [2],
      filter: { type: "eq", term: "w", value: "(2-digit-int)" },
      metrics: { "total-file-size-in-bytes": { unit: "bytes", value: 700 } },
    };
    expect((await send(scan)).status).toBe(204);
    expect((await send({ ...scan, filter: true })).status).toBe(204);
    expect(await readers()).toEqual([
      { ...board, reads: 2 },
      { ...board, consumer: "spark", columns: ["v", "w"], bytes: 1400, rows: 1 },
    ]);

    const kept = await readers();
    // What one was not given is not one's to report on; other reports are taken and not kept.
    for (const report of [{ ...scan, "snapshot-id": 77 }, { "report-type": "commit-report" }])
      expect((await send(report)).status).toBe(204);
    for (const report of ["{", "[]", "{}", JSON.stringify({ ...scan, "snapshot-id": "x" })])
      expect(await send(report), report).toMatchObject(failure("BadRequestException", 400));
    // In process: a server closes the connection on which it refuses what it has not read.
    const large = await app.send("POST", `/iceberg/v1/${metrics}`, { token: tokens["spark"] ?? "", body: `"${"x".repeat(2 ** 20)}"` });
    expect({ status: large.status, body: (await large.json()) as Data }).toMatchObject(failure("BadRequestException", 400));
    expect(await readers()).toEqual(kept);
  });

  test("tells that a version was cleaned up, or that the file of its metadata is gone, as what it is", async () => {
    await importText(app.lake, "kept.gone", "id\n1\n");
    const { body } = await load("vic", "main", "kept.gone");
    await app.lake.store.delete(app.lake.store.key(body["metadata-location"] as string));
    expect(await load("vic", "main", "kept.gone")).toMatchObject(failure("NotFoundException", 404));
    const cleaned = app.lake.db.updateTable("versions").set({ collected_at: app.lake.clock.now() });
    await cleaned.where("metadata_key", "=", app.lake.store.key(body["metadata-location"] as string)).execute();
    const { body: told } = await load("vic", "main", "kept.gone");
    expect(told.error).toMatchObject({ type: "NotFoundException", message: expect.stringContaining("[version.collected]") as string });
  });

  test("of the history a person gets what there is or what refs name; a consumer the present alone", async () => {
    await importText(app.lake, "kept.history", "id,v\n1,a\n", ["id"]);
    for (const id of [2, 3]) await app.lake.merge(await proposeText(app.lake, "kept.history", { kind: "append", csv: `id,v\n${id},b\n` }));
    const counts = async (who: string, warehouse?: string, query?: string) => {
      const { metadata } = (await load(who, warehouse, "kept.history", {}, query)).body;
      return [metadata.snapshots.length, metadata["snapshot-log"].at(-1)["snapshot-id"] === metadata["current-snapshot-id"]];
    };
    expect(await counts("vic", "main")).toEqual([3, true]);
    expect(await counts("vic", "main", "?snapshots=refs")).toEqual([1, true]);
    expect(await counts("board")).toEqual([1, true]);
  });

  test("through this door nothing is written, and what is not there is told", async () => {
    const own = await prefix("board");
    for (const [method, path] of [
      ["POST", "namespaces"],
      ["POST", "namespaces/shop/tables/orders"],
      ["DELETE", "namespaces/shop/tables/orders?purgeRequested=true"],
      ["POST", "transactions/commit"],
    ] as const)
      expect(await get("board", `${own}/${path}`, { method }), path).toMatchObject(failure("ForbiddenException", 403));
    expect(await get("board", `${own}/namespaces/shop/views`)).toMatchObject(failure("NotFoundException", 404));
  });
});

describe("a rollout", () => {
  const plan = "{ steps: [{ ring: board, wait: 1h }, { everyone: true, wait: 1h }], guardrails: [] }";
  let dataset = "";

  async function started(name: string): Promise<void> {
    dataset = name;
    await importText(app.lake, name, "id,v\n1,a\n", ["id"]);
    const change = await proposeText(app.lake, name, { kind: "append", csv: "id,v\n2,b\n" });
    await setPlan(app.lake, { changeId: change, text: plan, actor: "root" });
    await app.lake.merge(change);
  }
  /** The server's own chores may be at it when the test is. */
  async function nextStep(): Promise<void> {
    app.lake.clock.advance(3_600_000);
    const steps = () => app.lake.db.selectFrom("releases").select("step").where("reason", "like", "%baking").execute();
    await expect.poll(async () => (await app.lake.drain(), await steps()), { timeout: 30_000 }).toHaveLength(1);
  }
  const seen = async (who: string, warehouse?: string) => versionOf(await load(who, warehouse, dataset));

  test("moves a consumer at its step and back at the rollback, at one and the same address", async () => {
    await started("steps.a");
    const first = await load("board", undefined, dataset);
    expect([versionOf(first), first.headers.get("tidegate-reason")]).toEqual(["steps.a@2", expect.stringMatching(/^ring 1 of rel_/)]);
    expect(await seen("vic", "consumer/board")).toBe("steps.a@2");
    expect([await seen("report"), await seen("vic")]).toEqual(["steps.a@1", "steps.a@1"]);
    await nextStep();
    expect([await seen("report"), await seen("vic")]).toEqual(["steps.a@2", "steps.a@2"]);
    await rollBack(app.lake, dataset);
    for (const who of ["board", "report"]) {
      const back = await load(who, undefined, dataset, { headers: { "if-none-match": first.headers.get("etag") ?? "" } });
      expect([back.status, versionOf(back), back.body.metadata.snapshots.length]).toEqual([200, "steps.a@1", 1]);
    }
  });

  test("leaves a run that is named in the warehouse with what it began with, and ends it when that is rolled back", async () => {
    await started("steps.b");
    const [early, late] = ["consumer/report/run/early", "consumer/board/run/late"];
    expect([await seen("report", early), await seen("board", late)]).toEqual(["steps.b@1", "steps.b@2"]);
    await nextStep();
    expect([await seen("report", early), await seen("report")]).toEqual(["steps.b@1", "steps.b@2"]);
    await rollBack(app.lake, dataset);
    expect(await load("board", late, dataset)).toMatchObject(failure("ForbiddenException", 403));
    expect([await seen("report", early), await seen("board", "consumer/board/run/next")]).toEqual(["steps.b@1", "steps.b@1"]);
  });

  test("that passes between two loads of one consumer leaves the mark «mixed» on the second, also when it is of another table", async () => {
    await importText(app.lake, "steps.other", "id\n1\n");
    await started("steps.c");
    const mixed = async () => {
      await app.lake.ledger.flush();
      const rows = app.lake.db
        .selectFrom("exposures")
        .innerJoin("versions", "versions.id", "exposures.version_id")
        .innerJoin("datasets", "datasets.id", "versions.dataset_id");
      const found = await rows
        .select("datasets.name")
        .distinct()
        .where("exposures.mixed", "=", true)
        .where("exposures.consumer", "=", "report")
        .where("datasets.name", "in", ["steps.c", "steps.other"])
        .execute();
      return found.map(({ name }) => name);
    };
    app.lake.clock.advance(60_000);
    await load("report", undefined, "steps.other");
    await load("report", undefined, "steps.c");
    expect(await mixed()).toEqual([]);
    await nextStep();
    await load("report", undefined, "steps.c");
    expect(await mixed()).toEqual([]);
    await app.lake.ledger.flush();
    await rollBack(app.lake, "steps.c");
    await load("report", undefined, "steps.other");
    expect(await mixed()).toEqual(["steps.other"]);
  });
});
