import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { showChange } from "../../src/changes/change-reads.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import type { Proposed } from "../../src/changes/propose-service.ts";
import { pin, unpin } from "../../src/rollouts/pins/pin-service.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { contractOnMain, importText, proposeText } from "../harness/changes.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { martOf } from "../harness/mart.ts";
import { rowsOf } from "../harness/reads.ts";

/* Rollouts of what is built from others, of new and dropped datasets, and of what foreign keys bind together. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 4 });
  await addConsumer(lake, "ana", { name: "board", kind: "dashboard", criticality: "normal", labels: {} });
});
afterAll(() => lake.close());

/** Merges what was proposed with a ring of one consumer before everyone; gives the release. */
async function toBoard({ change }: Proposed): Promise<string> {
  const id = change?.id ?? "";
  await setPlan(lake, { changeId: id, text: "steps: [{ ring: board }]", actor: "ana" });
  return (await lake.merge(id)).release.id;
}

const stateOf = async (id: string) => (await showRelease(lake.db, id)).release;

async function advanced(release: string): Promise<string> {
  lake.clock.advance(1000);
  const { state } = await advance(lake, { release, actor: "ana" });
  await lake.drain();
  return state;
}

const delaysOf = async (ns: string, consumer?: string) =>
  (await rowsOf(lake, `${ns}.delays`, { consumer })).map((row) => [row["city"], Number(row["flights"])]);

test("a mart is rolled out with what it is built from, and a batch of its other input is built into both sides of it", async () => {
  const mart = martOf(lake, "ring");
  await mart.build();
  const release = await toBoard(await mart.change("airports", "upsert", "iata,city\nDEN,Mile High\n"));
  expect((await showRelease(lake.db, release)).datasets.map(({ dataset }) => dataset).sort()).toEqual(["ring.airports", "ring.delays"]);
  expect((await delaysOf("ring", "board"))[0]).toEqual(["Mile High", 2]);
  expect((await delaysOf("ring"))[0]).toEqual(["Denver", 2]);

  await mart.batch("flights", "id,origin,delay\n10,DEN,50\n");
  await lake.drain();
  expect((await delaysOf("ring", "board"))[0]).toEqual(["Mile High", 3]);
  expect((await delaysOf("ring"))[0]).toEqual(["Denver", 3]);
  expect((await rowsOf(lake, "ring.flights", { consumer: "board" })).length).toBe(5);
  expect((await stateOf(release)).state).toBe("running");

  expect(await advanced(release)).toBe("completed");
  expect(await mart.delays("live")).toEqual(await mart.delays("main"));
  expect((await delaysOf("ring"))[0]).toEqual(["Mile High", 3]);
});

test("a rollback in the first ring takes the mart's readers back with its input, and what came meanwhile stays", async () => {
  const mart = martOf(lake, "turn");
  await mart.build();
  const proposed = await mart.change("airports", "upsert", "iata,city\nDEN,???\n");
  await toBoard(proposed);
  await mart.batch("flights", "id,origin,delay\n10,LAS,50\n");
  await lake.drain();
  expect((await delaysOf("turn", "board"))[0]).toEqual(["???", 2]);
  lake.clock.advance(1000);
  await mart.rollback("airports");
  expect(await delaysOf("turn", "board")).toEqual([
    ["Denver", 2],
    ["Las Vegas", 2],
    ["Chicago", 1],
  ]);
  await lake.drain();
  const [revert] = (await showChange(lake.db, proposed.change?.id ?? "")).revertedBy;
  await lake.merge(revert ?? "");
  await lake.drain();
  expect(await mart.delays("live")).toEqual(await mart.delays("main"));
  expect((await delaysOf("turn"))[0]).toEqual(["Denver", 2]);
});

test("a dropped dataset is gone for the ring first, and a new one is there for the ring first", async () => {
  await importText(lake, "gone.t", "id,v\n1,a\n", ["id"]);
  const drop = await toBoard(await lake.propose({ operations: [{ kind: "drop", dataset: "gone.t" }] }));
  await expect(rowsOf(lake, "gone.t", { consumer: "board" })).rejects.toMatchObject({ code: "dataset.not_found" });
  expect(await rowsOf(lake, "gone.t")).toHaveLength(1);
  await advanced(drop);
  await expect(rowsOf(lake, "gone.t")).rejects.toMatchObject({ code: "dataset.not_found" });

  const file = await lake.file("fresh.csv", "id,v\n1,a\n");
  const create = { kind: "create" as const, dataset: "fresh.t", source: source(file), key: ["id"] };
  const made = await toBoard(await lake.propose({ operations: [create] }));
  expect(await rowsOf(lake, "fresh.t", { consumer: "board" })).toHaveLength(1);
  await expect(rowsOf(lake, "fresh.t")).rejects.toMatchObject({ code: "dataset.not_found" });
  await advanced(made);
  expect(await rowsOf(lake, "fresh.t")).toHaveLength(1);
});

test("a change to what a foreign key binds to a rollout waits for it, whichever side is under way", async () => {
  await importText(lake, "keys.customers", "id,name\n1,Kim\n2,Lee\n", ["id"]);
  await importText(lake, "keys.orders", "id,customer\n1,1\n", ["id"]);
  const contract = await contractOnMain(lake, "keys.orders");
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((property) =>
      property.name === "customer" ? { ...property, relationships: [{ type: "foreignKey", to: "keys.customers.id" }] } : property,
    ),
  }));
  const bound = await lake.propose({ operations: [{ kind: "contract", dataset: "keys.orders", contract: { ...contract, schema } }] });
  await lake.merge(bound.change?.id ?? "");
  for (const [first, second] of [
    ["customers", "orders"],
    ["orders", "customers"],
  ] as const) {
    const rows = { customers: "id,name\n3,Max\n", orders: "id,customer\n2,2\n" };
    const path = await lake.file(`keys-${first}.csv`, rows[first]);
    const release = await toBoard(await lake.propose({ operations: [{ kind: "upsert", dataset: `keys.${first}`, source: source(path) }] }));
    const edit = second === "orders" ? "id,customer\n1,2\n" : "id,name\n1,Kim K\n";
    const other = await lake.merge(await proposeText(lake, `keys.${second}`, { kind: "upsert", csv: edit }));
    expect(other.release).toMatchObject({ state: "waiting", reason: `queued behind ${release}` });
    expect(await advanced(release)).toBe("completed");
    expect((await stateOf(other.release.id)).state).toBe("completed");
  }
});

test("a pin keeps what is bound to what it keeps: what a foreign key points at, and the mart with what it is built from", async () => {
  const until = new Date(lake.clock.now().getTime() + 86_400_000);
  const board = { environment: "production", consumer: "board", actor: "ana" };
  const pinned = async (dataset: string) => {
    const { versions } = await pin(lake, { ...board, dataset, until, reason: "audit", owner: "ana" });
    return versions.size;
  };
  const merged = async (dataset: string, csv: string) => lake.merge(await proposeText(lake, dataset, { kind: "upsert", csv }));
  // What is kept as it is needs nothing else until something that is bound to it moves; then that stays too.
  expect(await pinned("keys.orders")).toBe(1);
  const names = async (consumer?: string) => (await rowsOf(lake, "keys.customers", { consumer })).map((row) => row["name"]);
  const before = await names();
  expect((await merged("keys.customers", "id,name\n2,Moved\n")).release.state).toBe("completed_with_holds");
  expect([await names("board"), (await names()).includes("Moved")]).toEqual([before, true]);
  await unpin(lake, board);
  // What is put back takes back what was another version then.
  await merged("keys.orders", "id,customer\n7,2\n");
  const orders = async (consumer?: string) => (await rowsOf(lake, "keys.orders", { consumer })).length;
  const all = await orders();
  expect(await pinned("keys.orders@2")).toBe(2);
  expect([await orders("board"), (await names("board")).includes("Moved"), await orders()]).toEqual([1, false, all]);
  await unpin(lake, board);

  const mart = martOf(lake, "pinned");
  await mart.build();
  const cities = async (consumer?: string) => (await rowsOf(lake, "pinned.delays", { consumer })).map((row) => row["city"]);
  const city = await cities();
  await lake.merge((await mart.change("airports", "upsert", "iata,city\nDEN,Mile High\n")).change?.id ?? "");
  expect(await pinned("pinned.airports@1")).toBe(2);
  expect([await cities("board"), (await cities()).includes("Mile High")]).toEqual([city, true]);
  await mart.batch("flights", "id,origin,delay\n11,DEN,50\n");
  await lake.drain();
  expect((await rowsOf(lake, "pinned.flights", { consumer: "board" })).length).toBeLessThan((await rowsOf(lake, "pinned.flights")).length);
  await unpin(lake, board);
  expect(await cities("board")).toEqual(await cities());
});
