import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { createToken } from "../../src/access/token-service.ts";
import type { Version } from "../../src/catalog/version.ts";
import { collectGarbage } from "../../src/catalog/gc-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { parseJson } from "../../src/lib/json.ts";
import { projectVersion } from "../../src/effects/projections.ts";
import { scan } from "../../src/effects/table-state.ts";
import { answerFor } from "../../src/reading/read-service.ts";
import { examine } from "../../src/reading/doctor-service.ts";
import { testApp, type Data, type TestApp } from "../harness/app.ts";
import { importText, proposeText, rollBack } from "../harness/changes.ts";
import { seeded } from "../harness/seeded.ts";

/*
 * A consumer that a release would break, because columns have other names and places, goes on with the columns that it knows over the new rows.
 * What it is asked for here is asked through the doors, as it does it; between any two steps it asks, and never sees an error.
 */

let app: TestApp;
const tokens = new Map<string, string>();
const query = "select sum(fare) as total, count(*) as n from trips";

beforeAll(async () => {
  app = await testApp();
  const { lake } = app;
  for (const [name, owner] of [["board", "bo"], ["report"], ["scratch"]] as const) {
    await addConsumer(lake, "root", { name: name!, kind: "job", criticality: "normal", owner, labels: {} });
    tokens.set(name!, (await createToken(lake, "root", { consumer: name!, label: "" })).token);
  }
  await importText(lake, "sales.trips", "id,fare,zone\n1,10,a\n2,20,b\n", ["id"]);
  const documents = [{ path: "consumers/board", text: `tests:\n  - name: total\n    query: { sql: "${query}" }\n` }];
  const { change } = await lake.propose({ operations: [], documents });
  await lake.merge(change?.id ?? "");
});
afterAll(() => app.close());

const hour = async (): Promise<void> => {
  app.lake.clock.advance(3_600_000);
  await app.lake.drain();
};
const get = (who: string, path: string) => app.send("GET", path, { token: tokens.get(who) ?? "" });

/** What a consumer reads by rows: the version, why, the columns and how many rows. */
async function rows(who: string) {
  const response = await get(who, "/v1/datasets/sales.trips/rows");
  const found = parseJson(await response.text()) as Record<string, unknown>[];
  const { headers } = response;
  return {
    version: headers.get("tidegate-version"),
    reason: headers.get("tidegate-reason"),
    columns: Object.keys(found[0] ?? {}).join(),
    n: found.length,
  };
}

/** The board's own work: its query by its names. It works at any time. */
async function total(): Promise<string> {
  const response = await app.send("POST", "/v1/query", { token: tokens.get("board") ?? "", body: { sql: query, format: "csv" } });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return text.trim().split("\n")[1] ?? "";
}

type Edits = Extract<OperationRequest, { kind: "schema" }>["edits"];

async function columns(edits: Edits, plan?: string): Promise<string> {
  const { lake } = app;
  const { change } = await lake.propose({ operations: [{ kind: "schema", dataset: "sales.trips", edits }] });
  if (plan !== undefined) await setPlan(lake, { changeId: change?.id ?? "", text: plan, actor: "ana" });
  const { release } = await lake.merge(change?.id ?? "");
  await lake.drain();
  return release.id;
}

async function feed(csv: string): Promise<void> {
  const { lake } = app;
  const id = await proposeText(lake, "sales.trips", { kind: "append", csv }, { origin: "feed" });
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  await merge(lake, { changeId: id, actor: "ana", ordinary: true, byPerson: true });
  await lake.drain();
}

const shown = (release: string): Promise<Data> => app.ask("GET", `/v1/releases/${release}`);
const why = async (): Promise<Data> => app.ask("GET", "/v1/consumers/board/why?dataset=sales.trips");

async function table(who: string): Promise<{ tag: string | null; schema: Data; metadata: Data; version: string | null }> {
  const config = parseJson(await (await get(who, "/iceberg/v1/config")).text()) as Data;
  const response = await get(who, `/iceberg/v1/${config.overrides.prefix}/namespaces/sales/tables/trips`);
  const { metadata } = parseJson(await response.text()) as Data;
  const schema = metadata.schemas.find((item: Data) => item["schema-id"] === metadata["current-schema-id"]);
  return { tag: response.headers.get("etag"), schema, metadata, version: response.headers.get("tidegate-version") };
}

let release = "";

describe("a release that renames, adds and moves columns", () => {
  test("moves the consumer that it would break at its step, with the columns that it knows", async () => {
    expect(await total()).toBe("30,2");
    release = await columns(
      [
        { edit: "rename", name: "fare", to: "fare_amount" },
        { edit: "add", name: "tip", type: "double" },
        { edit: "reorder", names: ["zone", "id"] },
      ],
      "steps: [{ ring: board, wait: 1h }, { ring: report, wait: 1h }]",
    );
    const { steps, holds } = await shown(release);
    expect(steps[0]).toMatchObject({ state: "running", moved: ["board"] });
    expect(holds).toMatchObject([
      { consumer: "board", owner: "bo", as: [{ dataset: "sales.trips", version: 1 }], noRowsSince: null, stopped: null, endedAt: null },
    ]);
    expect(await rows("board")).toEqual({
      version: "sales.trips@2 as @1",
      reason: `ring 1 of ${release}, as @1`,
      columns: "id,fare,zone",
      n: 2,
    });
    expect(await rows("report")).toMatchObject({ version: "sales.trips@1", reason: "live", columns: "id,fare,zone" });
    expect(await total()).toBe("30,2");
  });

  test("every door says so, and gives the old columns", async () => {
    const view = parseJson(await (await get("board", "/v1/view?datasets=trips")).text()) as Data;
    expect(view.data).toMatchObject({ reason: `ring 1 of ${release}, as @1`, datasets: [{ dataset: "sales.trips", version: 2, as: 1 }] });
    const listed = parseJson(await (await get("board", "/v1/datasets")).text()) as Data;
    expect(listed.data).toMatchObject([{ name: "sales.trips", version: { number: 2, as: 1 } }]);
    const named = await get("board", "/v1/datasets/sales.trips/rows?columns=zone,fare&format=csv");
    expect(await named.text()).toBe("zone,fare\na,10\nb,20\n");
    expect((await get("board", "/v1/datasets/sales.trips/rows?columns=fare_amount")).status).toBe(404);
    const parquet = await get("board", "/v1/datasets/sales.trips/parquet");
    expect(parquet.headers.get("tidegate-version")).toBe("sales.trips@2 as @1");
    // The footer of a Parquet file names its columns.
    const footer = Buffer.from(await parquet.arrayBuffer())
      .subarray(-3000)
      .toString("latin1");
    expect([footer.includes("fare_amount"), footer.includes("fare"), footer.includes("tip")]).toEqual([false, true, false]);
    const [own, plain] = [await table("board"), await table("report")];
    expect(own.schema.fields.map((field: Data) => [field.id, field.name])).toEqual(
      plain.schema.fields.map((field: Data) => [field.id, field.name]),
    );
    expect(own.version).toBe("sales.trips@2 as @1");
    expect(own.metadata.properties["tidegate.version"]).toBe("sales.trips@2 as @1");
    expect(own.tag).not.toBe(plain.tag);
    expect(await why()).toMatchObject({ version: 2, as: 1, reason: `ring 1 of ${release}, as @1` });
    const has = await app.ask("GET", "/v1/who-has/sales.trips");
    expect(has.consumers[0]).toMatchObject({ consumer: "board", version: 2, as: 1, lastRead: { version: 2, as: 1 } });
    const did = await app.ask("GET", "/v1/consumers/board/history?at=1s");
    expect(did).toMatchObject({ reason: `ring 1 of ${release}, as @1`, datasets: [{ had: 2, as: 1, live: 1 }] });
  });

  test("feeds flow on: the consumer has the new rows, and so have all others", async () => {
    await feed("id,fare_amount,zone,tip\n3,30,c,1.5\n");
    expect(await total()).toBe("60,3");
    expect((await rows("board")).version).toMatch(/^sales\.trips@\d as @1$/);
    expect(await rows("report")).toMatchObject({ columns: "id,fare,zone", n: 3 });
    await hour();
    expect(await rows("report")).toMatchObject({ reason: `ring 2 of ${release}`, columns: "zone,id,fare_amount,tip", n: 3 });
    expect(await total()).toBe("60,3");
  });

  test("when all others have it, it goes on so, and the release has completed with holds", async () => {
    await hour();
    const { release: done, holds } = await shown(release);
    expect(done.state).toBe("completed_with_holds");
    expect(holds).toMatchObject([{ consumer: "board", as: [{ dataset: "sales.trips", version: 1 }], noRowsSince: null }]);
    expect(await rows("scratch")).toMatchObject({ reason: "live", columns: "zone,id,fare_amount,tip" });
    expect(await rows("board")).toMatchObject({ reason: "live, as @1", columns: "id,fare,zone", n: 3 });
    await feed("id,fare_amount,zone,tip\n4,40,d,1.5\n");
    expect(await total()).toBe("100,4");
  });

  test("who read a version counts who read it with other columns, and a bar reaches them", async () => {
    const [, number] = /@(\d+) as @1/.exec((await rows("board")).version ?? "") ?? [];
    const { readers } = await app.ask("GET", `/v1/who-read/sales.trips@${number}`);
    expect(readers.find((line: Data) => line.consumer === "board")).toMatchObject({ version: Number(number), as: 1 });
    const id = await proposeText(app.lake, "sales.trips", { kind: "upsert", csv: "id,fare_amount,zone,tip\n1,1000,a,0\n" });
    const bad = (await app.lake.merge(id)).release.id;
    await app.lake.drain();
    expect(await total()).toBe("1090,4");
    await rollBack(app.lake, bad);
    expect(await total()).toBe("100,4");
    expect(await rows("board")).toMatchObject({ version: `sales.trips@${number} as @1`, reason: "live, as @1" });
    const { readers: had } = await app.ask("GET", "/v1/who-read/sales.trips");
    expect(had.filter((line: Data) => line.consumer === "board" && line.version > Number(number))).toMatchObject([{ as: 1 }]);
    const followUps = await app.ask("GET", "/v1/follow-ups");
    expect(followUps.map((line: Data) => [line.release, line.consumer])).toEqual([[bad, "board"]]);
    const revert = await app.lake.db.selectFrom("changes").select("id").where("reverts", "=", id).executeTakeFirstOrThrow();
    await app.lake.merge(revert.id);
    await app.lake.drain();
    expect(await total()).toBe("100,4");
  });

  test("what cannot be given with its columns leaves it on what it has, and says since when; taken back, it goes on", async () => {
    const dropped = await columns([{ edit: "drop", name: "zone" }]);
    expect(await rows("scratch")).toMatchObject({ columns: "id,fare_amount,tip" });
    expect(await rows("board")).toMatchObject({ reason: `held by ${release}, as @1`, columns: "id,fare,zone", n: 4 });
    await feed("id,fare_amount,tip\n5,50,1.5\n");
    expect(await total()).toBe("100,4");
    const { says, next } = await why();
    expect(says.map(({ text }: Data) => text).join()).toMatch(/no new rows since 20.*zone was dropped in sales\.trips@/);
    expect(next).toMatchObject({ text: `the projection by ${release} ends, and it has what all have` });
    const [hold] = (await shown(release)).holds;
    expect(hold).toMatchObject({
      noRowsSince: expect.any(String) as string,
      stopped: expect.stringContaining("zone was dropped") as string,
    });
    await rollBack(app.lake, dropped);
    expect(await rows("board")).toMatchObject({ reason: "live, as @1", columns: "id,fare,zone", n: 5 });
    expect(await total()).toBe("150,5");
  });

  test("the doctor finds nothing wrong with it, and the clean-up keeps it while it is served", async () => {
    const { lake } = app;
    expect((await examine(lake, { dataset: "sales.trips" })).findings).toEqual([]);
    for (let turn = 0; turn < 2; turn += 1) {
      lake.clock.advance(7_200_000);
      await collectGarbage(lake, { dryRun: false, actor: "ana" });
    }
    expect(await rows("board")).toMatchObject({ reason: "live, as @1", columns: "id,fare,zone", n: 5 });
  });

  test("its owner lets it go: it has what all have, and the release is completed", async () => {
    const done = await app.ask("POST", `/v1/releases/${release}/unhold`, { body: { consumer: "board" } });
    expect(done.state).toBe("completed");
    expect(await rows("board")).toMatchObject({ reason: "live", columns: "zone,id,fare_amount,tip", n: 5 });
    const past = await app.ask("GET", "/v1/consumers/board/history?at=10s");
    expect(past).toMatchObject({ reason: "live, as @1", datasets: [{ as: 1 }] });
  });
});

/** A version's rows as plain values by field id, sorted by their text. */
async function byField(version: Version): Promise<{ names: Map<number, string>; rows: string[] }> {
  const { state } = await app.lake.tables.open(version);
  const { fields } = state.schema;
  const found = await app.lake.engine.rows(scan(app.lake.store, state.files, fields));
  const old = fields.filter(({ id }) => id <= 4);
  const rows = found.map((row) => JSON.stringify(old.map(({ id, name }) => [id, String(row[name])]).sort()));
  return { names: new Map(fields.map(({ id, name }) => [id, name])), rows: rows.sort() };
}

test.each([1, 2, 3])("whatever is added, renamed and moved (seed %d), the old columns come with the new rows", async (seed) => {
  const { lake } = app;
  const random = seeded(seed);
  const dataset = `laws.t${seed}`;
  await importText(lake, dataset, "id,a,b,c\n1,10,x,1.5\n2,20,y,2.5\n", ["id"]);
  const present = async () => (await answerFor(lake, { consumer: undefined, run: undefined, at: "main" }, dataset)).version;
  const first = await present();
  const old = (await lake.tables.open(first)).state.schema;
  for (let turn = 0; turn < 4; turn += 1) {
    const { fields } = (await lake.tables.open(await present())).state.schema;
    const known = fields.filter(({ id }) => id <= 4);
    const { name } = known[1 + Math.floor(random() * (known.length - 1))]!;
    const edits: Edits = [
      ...(turn === 0 || random() < 0.5 ? [{ edit: "rename" as const, name, to: `r${turn}` }] : []),
      ...(random() < 0.5 ? [{ edit: "add" as const, name: `n${turn}`, type: "long" as const }] : []),
      ...(random() < 0.5 ? [{ edit: "reorder" as const, names: [fields[Math.floor(random() * fields.length)]!.name] }] : []),
    ].filter(
      (edit, _at, all) => edit.edit !== "reorder" || !all.some((other) => other.edit === "rename" && edit.names.includes(other.name)),
    );
    if (edits.length > 0) {
      const { change } = await lake.propose({ operations: [{ kind: "schema", dataset, edits }] });
      if (change !== undefined) await lake.merge(change.id);
    }
    const now = (await lake.tables.open(await present())).state.schema.fields;
    const line = (id: number): string =>
      now.map((field) => ({ 1: String(id), 2: String(id * 10), 3: `t${turn}`, 4: "0.5" })[field.id] ?? String(turn)).join();
    const csv = `${now.map((field) => field.name).join()}\n${line(2 - (turn % 2))}\n${line(10 + turn)}\n`;
    await lake.merge(await proposeText(lake, dataset, { kind: "upsert", csv }));
  }
  const latest = await present();
  const projected = await projectVersion(lake, latest, first);
  expect(projected.kind).toBe("draft");
  if (projected.kind !== "draft") return;
  const [want, found] = [await byField(latest), await byField({ ...first, ...projected.version })];
  expect([...found.names]).toEqual(old.fields.map(({ id, name }) => [id, name]));
  expect([...want.names]).not.toEqual([...found.names]);
  expect(found.rows).toHaveLength(6);
  expect(found.rows).toEqual(want.rows);
  // Asked again, the file that is there is taken.
  expect(await projectVersion(lake, latest, first)).toMatchObject({ version: { metadataKey: projected.version.metadataKey } });
});
