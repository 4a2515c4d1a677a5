import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { contractOnMain, importText, proposeText } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/*
 * An ordinary batch is tested on each side that gets it: its merge has tested it on what main has, and beside a rollout readers have something
 * else. Who would be broken by it does not get it; all others do.
 */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  for (const name of ["board", "report"])
    await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", owner: undefined, labels: {} });
});
afterAll(() => lake.close());

const rings = "steps: [{ ring: board, wait: 1h }, { everyone: true, wait: 1h }]\nguardrails: []\n";
const hours = (count: number): void => lake.clock.advance(count * 3_600_000);

/** The only test of a consumer from now on. */
async function stored(consumer: string, sql: string): Promise<void> {
  const text = `tests:\n  - name: total\n    query: { sql: "${sql}" }\n`;
  const { change } = await lake.propose({ operations: [], documents: [{ path: `consumers/${consumer}`, text }] });
  await lake.merge(change?.id ?? "");
  await lake.drain();
}

/** A person's change, merged with a plan; gives its release. */
async function planned(dataset: string, csv: string, kind: "upsert" | "delete" = "upsert"): Promise<string> {
  const change = await proposeText(lake, dataset, { kind, csv });
  await setPlan(lake, { changeId: change, text: rings, actor: "ana" });
  const { release } = await lake.merge(change);
  await lake.drain();
  return release.id;
}

/** An ordinary batch, merged by rule alone; gives its change and its release. */
async function batch(dataset: string, csv: string, kind: "upsert" | "append" = "upsert"): Promise<{ change: string; release: string }> {
  const id = await proposeText(lake, dataset, { kind, csv }, { origin: "feed" });
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  lake.clock.advance(1000);
  const { release } = await merge(lake, { changeId: id, actor: "ana", ordinary: true, byPerson: true });
  await lake.drain();
  return { change: id, release: release.id };
}

const idsOf = async (dataset: string, consumer?: string): Promise<string> =>
  (await rowsOf(lake, dataset, { consumer })).map((row) => String(row["id"])).join(" ");
/** Rows that the board, which the first step moves, and all others have. */
const sides = async (dataset: string): Promise<[string, string]> => [await idsOf(dataset, "board"), await idsOf(dataset)];
const stateOf = async (id: string): Promise<[string, string]> => {
  const { release } = await showRelease(lake.db, id);
  return [release.state, release.reason];
};
const saying = (text: string) => expect.stringContaining(text) as string;

/** A rule of severity error: the values of u are unique. */
async function withUnique(dataset: string): Promise<void> {
  const contract = await contractOnMain(lake, dataset);
  const [object, ...others] = contract.schema;
  const properties = object?.properties?.map((item) => (item.name === "u" ? { ...item, unique: true } : item));
  const edited = { ...contract, schema: [{ ...object, properties } as never, ...others] };
  await lake.merge((await lake.propose({ operations: [{ kind: "contract", dataset, contract: edited }] })).change?.id ?? "");
  await lake.drain();
}

/** Sums a column, and fails on a value above 900 where this holds of the dataset. */
const failing = (dataset: string, when: string): string =>
  `select sum(case when v > 900 and (select ${when} from ${dataset}) then cast('no ' || v as bigint) else v end) as total from ${dataset}`;

test("a batch that breaks a consumer beside what all have of another dataset goes to the candidates, and to all others once its owner mends the test", async () => {
  await importText(lake, "live.rates", "id,v\n1,10\n", ["id"]);
  await importText(lake, "live.trips", "id,v\n1,10\n", ["id"]);
  await stored("report", failing("live.trips", "(select max(v) from live.rates) = 10 and count(*) > 0"));
  const rollout = await planned("live.rates", "id,v\n1,-1\n");
  // Nothing but the consumer's test binds the two. On main the rates are new.
  const waits = await batch("live.trips", "id,v\n2,901\n");
  expect(await sides("live.trips")).toEqual(["1 2", "1"]);
  const why = "what its readers would have breaks test total of report: ";
  expect(await stateOf(waits.release)).toEqual(["waiting", saying(`readers of ${rollout} have it; for all others waits: ${why}`)]);
  expect((await stateOf(rollout))[0]).toBe("running");
  await stored("report", "select sum(v) as total from live.trips");
  expect((await stateOf(waits.release))[0]).toBe("completed");
  expect(await sides("live.trips")).toEqual(["1 2", "1 2"]);
});

test("a batch that fails a rule on what all have waits for them, also of its own dataset; what fails there already keeps no batch", async () => {
  for (const [name, rows] of [
    ["rule.t", "id,u\n1,5\n2,6\n"],
    ["rule.bad", "id,u\n1,5\n2,5\n5,8\n"],
  ] as const) {
    await importText(lake, name, rows, ["id"]);
    await withUnique(name);
  }
  const rollout = await planned("rule.t", "id,u\n1,50\n");
  const waits = await batch("rule.t", "id,u\n3,5\n");
  expect(await sides("rule.t")).toEqual(["1 2 3", "1 2"]);
  expect(await stateOf(waits.release)).toEqual(["waiting", saying("waits: what its readers would have fails rule.t: u is unique, found")]);
  const other = await planned("rule.bad", "id,u\n2,6\n5,88\n");
  // Rows 1 and 2 are alike to all others until the release reaches them.
  expect((await stateOf((await batch("rule.bad", "id,u\n3,9\n")).release))[0]).toBe("completed");
  expect(await sides("rule.bad")).toEqual(["1 2 3 5", "1 2 3 5"]);
  expect((await stateOf((await batch("rule.bad", "id,u\n4,8\n")).release))[0]).toBe("waiting");
  hours(1);
  await lake.drain();
  expect(await sides("rule.t")).toEqual(["1 2 3", "1 2 3"]);
  expect(await sides("rule.bad")).toEqual(["1 2 3 4 5", "1 2 3 4 5"]);
  expect([await stateOf(rollout), await stateOf(other)].map(([, reason]) => reason)).toEqual(Array(2).fill("step 2 of 2, baking"));
});

test("a batch that breaks a moved consumer does without the candidates: the rollout is held, says so, and catches up by itself", async () => {
  await importText(lake, "ring.t", "id,v\n1,10\n2,20\n", ["id"]);
  await stored("board", failing("ring.t", "count(case when v = -1 then 1 end) = 1 and count(case when v = -2 then 1 end) = 0"));
  const rollout = await planned("ring.t", "id,v\n1,-1\n");
  // Queued behind it, and on main: there the batch breaks nobody.
  const queued = await planned("ring.t", "id,v\n2,-2\n");
  const bad = await batch("ring.t", "id,v\n3,901\n");
  expect(await sides("ring.t")).toEqual(["1 2", "1 2 3"]);
  const why = `do without it: what its readers would have breaks test total of board`;
  expect(await stateOf(bad.release)).toEqual(["completed", saying(`readers of ${rollout} ${why}`)]);
  expect(await stateOf(rollout)).toEqual(["held", saying(`its candidates do without ${bad.change}, which all others have: `)]);
  // Nobody goes over it, neither by hand nor by time.
  expect((await advance(lake, { release: rollout, actor: "ana" })).state).toBe("held");
  hours(2);
  await lake.drain();
  expect(await stateOf(rollout)).toEqual(["held", saying(`its candidates do without ${bad.change}`)]);
  await stored("board", "select sum(v) as total from ring.t");
  lake.clock.advance(60_000);
  await lake.drain();
  expect(await sides("ring.t")).toEqual(["1 2 3", "1 2 3"]);
  expect((await stateOf(bad.release))[1]).not.toContain("do without");
  expect((await stateOf(rollout))[0]).not.toBe("held");
  expect((await stateOf(queued))[0]).toBe("waiting");
});
