import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { unbar } from "../../src/rollouts/rollback/unbar-service.ts";
import { whyServed } from "../../src/rollouts/views/why-reads.ts";
import { contractOnMain, importText, proposeText, rollBack } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/* No reader gets a view in which a foreign key does not hold that holds on main: orders come to readers with their customers, not before. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  await addConsumer(lake, "ana", { name: "board", kind: "job", criticality: "normal", labels: {} });
});
afterAll(() => lake.close());

const rings = "steps: [{ ring: board, wait: 1h }, { everyone: true, wait: 1h }]\nguardrails: []\n";
const hours = (count: number): void => lake.clock.advance(count * 3_600_000);

/** Customers 1 and 2, an order of 1, and the foreign key from orders to customers. */
async function shop(ns: string): Promise<void> {
  await importText(lake, `${ns}.customers`, "id,name\n1,Kim\n2,Lee\n", ["id"]);
  await importText(lake, `${ns}.orders`, "id,customer\n1,1\n", ["id"]);
  const contract = await contractOnMain(lake, `${ns}.orders`);
  const [object, ...others] = contract.schema;
  const properties = object?.properties?.map((item) =>
    item.name === "customer" ? { ...item, relationships: [{ type: "foreignKey", to: `${ns}.customers.id` }] } : item,
  );
  const operations = [
    {
      kind: "contract" as const,
      dataset: `${ns}.orders`,
      contract: { ...contract, schema: [{ ...object, properties } as never, ...others] },
    },
  ];
  await lake.merge((await lake.propose({ operations })).change?.id ?? "");
}

/** A person's change, merged; with a plan where one is given. Gives its release. */
async function merged(dataset: string, csv: string, plan?: string, kind: "upsert" | "delete" = "upsert"): Promise<string> {
  const change = await proposeText(lake, dataset, { kind, csv });
  if (plan !== undefined) await setPlan(lake, { changeId: change, text: plan, actor: "ana" });
  const { release } = await lake.merge(change);
  await lake.drain();
  return release.id;
}

/** An ordinary batch, merged by rule alone. Gives its release. */
async function batch(dataset: string, csv: string): Promise<string> {
  const id = await proposeText(lake, dataset, { kind: "upsert", csv }, { origin: "feed" });
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  lake.clock.advance(1000);
  const { release } = await merge(lake, { changeId: id, actor: "ana", ordinary: true, byPerson: true });
  await lake.drain();
  return release.id;
}

/** Lifts the bar on a change, so that readers get it after all. Gives its release. */
async function lifted(changeId: string | null): Promise<string> {
  lake.clock.advance(1000);
  const { release } = await unbar(lake, { changeId: changeId ?? "", actor: "ana", reason: "right after all", environment: "production" });
  await lake.drain();
  // Its first step starts once it was tried beside what readers have; what waits for the step is tried after it.
  await lake.drain();
  return release.id;
}

const idsOf = async (dataset: string, consumer?: string): Promise<string> =>
  (await rowsOf(lake, dataset, { consumer })).map((row) => String(row["id"])).join(" ");
/** Orders that the board and all others have. */
const orders = async (ns: string): Promise<[string, string]> => [await idsOf(`${ns}.orders`, "board"), await idsOf(`${ns}.orders`)];
const stateOf = async (id: string): Promise<[string, string]> => {
  const { release } = await showRelease(lake.db, id);
  return [release.state, release.reason];
};
const broken = (ns: string, rows: string) =>
  expect.stringMatching(new RegExp(`${ns}\\.orders: .*${ns}\\.customers.*found ${rows.replace(" of", " rows? of")}`)) as string;

test("an ordinary batch of orders of customers that are only in ring 1 goes to ring 1, and to all others when the customers do", async () => {
  await shop("ring");
  const rollout = await merged("ring.customers", "id,name\n3,Max\n", rings);
  const waits = await batch("ring.orders", "id,customer\n2,3\n3,3\n");
  expect(await orders("ring")).toEqual(["1 2 3", "1"]);
  expect(await stateOf(waits)).toEqual(["waiting", broken("ring", "2 of 3")]);
  expect((await stateOf(waits))[1]).toContain(`readers of ${rollout} have it; for all others waits: `);
  const at = { environment: "production", dataset: await resolveDataset(lake.db, "ring.orders"), at: lake.clock.now() };
  expect((await whyServed(lake.db, { ...at, consumer: "board" })).reason).toBe(`ring 1 of ${rollout}`);
  expect((await whyServed(lake.db, { ...at, consumer: "board" })).says.map(({ text }) => text)).toContainEqual(broken("ring", "2 of 3"));
  expect((await showRelease(lake.db, rollout)).datasets.map(({ dataset }) => dataset)).toEqual(["ring.customers", "ring.orders"]);
  expect((await stateOf(rollout))[0]).toBe("running");

  // Batches without new customers flow on at once, and what waits stays as it is.
  expect((await stateOf(await batch("ring.orders", "id,customer\n4,2\n")))[0]).toBe("completed");
  expect(await orders("ring")).toEqual(["1 2 3 4", "1 4"]);
  expect((await stateOf(waits))[0]).toBe("waiting");

  hours(1);
  await lake.drain();
  expect(await orders("ring")).toEqual(["1 2 3 4", "1 2 3 4"]);
  expect(await stateOf(waits)).toEqual(["superseded", "readers have it already"]);
});

test("a batch whose keys are all there reaches all readers at once beside a rollout of what it points at", async () => {
  await shop("calm");
  await merged("calm.customers", "id,name\n2,Leo\n", rings);
  expect((await stateOf(await batch("calm.orders", "id,customer\n2,2\n")))[0]).toBe("completed");
  expect(await orders("calm")).toEqual(["1 2", "1 2"]);
});

test("after an abort a batch and a release that need what was taken back wait, and follow once it is there again", async () => {
  await shop("back");
  const rollout = await merged("back.customers", "id,name\n3,Max\n", rings);
  const needs = await batch("back.orders", "id,customer\n2,3\n");
  const queued = await merged("back.orders", "id,customer\n5,3\n");
  expect((await stateOf(queued))[1]).toBe(`queued behind ${rollout}`);

  await rollBack(lake, rollout);
  expect(await orders("back")).toEqual(["1", "1"]);
  expect(await stateOf(needs)).toEqual(["waiting", broken("back", "1 of 2")]);
  // The queued one would bring what main has: both orders. Nothing of the orders is barred.
  expect(await stateOf(queued)).toEqual(["waiting", broken("back", "2 of 3")]);
  // What needs nothing flows on.
  expect((await stateOf(await batch("back.orders", "id,customer\n3,1\n")))[0]).toBe("completed");
  expect(await orders("back")).toEqual(["1 3", "1 3"]);

  // The customers come again, in rings as before: ring 1 has the batch with them, and at the end all have all.
  await lifted((await showRelease(lake.db, rollout)).release.changeId);
  expect(await orders("back")).toEqual(["1 2 3", "1 3"]);
  expect((await stateOf(queued))[0]).toBe("waiting");
  hours(1);
  await lake.drain();
  expect(await orders("back")).toEqual(["1 2 3", "1 2 3"]);
  hours(1);
  await lake.drain();
  expect(await orders("back")).toEqual(["1 2 3 5", "1 2 3 5"]);
  expect((await stateOf(queued))[0]).toBe("completed");
});

test("a step whose view would break a foreign key is held with the rule and the count, and goes on by itself once it holds", async () => {
  await shop("step");
  // Orders are rolled out; customer 2, to whom one of them belongs, is then gone from what readers have.
  const change = await merged("step.customers", "id,name\n3,Max\n");
  const rollout = await merged("step.orders", "id,customer\n2,3\n", rings);
  expect(await stateOf(rollout)).toEqual(["running", "step 1 of 2"]);
  await rollBack(lake, change);
  hours(1);
  await lake.drain();
  expect(await stateOf(rollout)).toEqual(["held", broken("step", "1 of 2")]);
  await expect(advance(lake, { release: rollout, actor: "ana" })).resolves.toMatchObject({ state: "held", step: 1 });
  expect(await orders("step")).toEqual(["1 2", "1"]);
  await lifted((await showRelease(lake.db, change)).release.changeId);
  lake.clock.advance(60_000);
  await lake.drain();
  expect(await stateOf(rollout)).toEqual(["running", "step 2 of 2, baking"]);
  expect(await orders("step")).toEqual(["1 2", "1 2"]);
});

test("a batch of what no reader has yet waits on all sides, and follows what it needs", async () => {
  await shop("late");
  const rollout = await merged("late.customers", "id,name\n2,Leo\n", rings);
  const queued = await merged("late.customers", "id,name\n4,Ida\n");
  const waits = await batch("late.orders", "id,customer\n2,4\n");
  expect(await stateOf(waits)).toEqual(["waiting", expect.stringMatching(/^waits: what its readers would have does not fit together/)]);
  expect((await stateOf(rollout))[0]).toBe("running");
  hours(1);
  await lake.drain();
  hours(1);
  await lake.drain();
  expect([await stateOf(rollout), await stateOf(queued), await stateOf(waits)].map(([state]) => state)).toEqual(Array(3).fill("completed"));
  expect(await orders("late")).toEqual(["1 2", "1 2"]);
});

test("a batch that fits on what all have and not beside the candidates waits, and the rollout is held and says so", async () => {
  await shop("gone");
  const rollout = await merged("gone.customers", "id\n2\n", rings, "delete");
  const again = await merged("gone.customers", "id,name\n2,Lee\n");
  const waits = await batch("gone.orders", "id,customer\n2,2\n");
  expect(await stateOf(waits)).toEqual(["waiting", broken("gone", "1 of 2")]);
  expect(await stateOf(rollout)).toEqual(["held", expect.stringMatching(/cannot be carried to both sides: beside rel_.*gone\.customers/)]);
  expect(await orders("gone")).toEqual(["1", "1"]);
  await rollBack(lake, rollout);
  expect(await orders("gone")).toEqual(["1 2", "1 2"]);
  expect((await stateOf(again))[0]).toBe("waiting");
});
