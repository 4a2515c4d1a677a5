import { afterAll, beforeAll, expect, test } from "vitest";
import type { Data } from "../harness/app.ts";
import { against, csvOf, failing, incident, range, testsOf, type Incident } from "../harness/incident.ts";

/*
 * S2: a rule file that fills its 21st parameter for the first time. Half of the sensors were built for 20 and crash as they load it. The check
 * that should have seen it is wrong, and passes.
 */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("sensor.rules", csvOf(head, rules("")), ["id"]);
  await replay.contract("sensor.rules", wrongCheck);
  for (const { name, type } of sensors)
    await replay.consumer(name, { kind: "service", owner: "ben", criticality: "critical", labels: { type } }, {});
  for (const { name } of sensors) await boots(name);
});
afterAll(() => replay.close());

const params = range(21, (at) => `param_${at + 1}`);
const head = ["id", ...params].join(",");
const rules = (last: string) =>
  range(200, (at) => [at, ...params.map((_, place) => (place === 20 ? (at === 170 ? last : "") : `p${at}-${place}`))]);
const filled = csvOf("id," + params.join(","), rules("named-pipe"));
const sensors = range(20, (at) => ({ name: `sensor-${String(at + 1).padStart(2, "0")}`, type: at % 2 === 0 ? "A" : "B" }));
/** Meant to say that there are no more parameters than sensors know; it counts columns, and there were always 21. */
const wrongCheck = `- { name: id, logicalType: integer, required: true, unique: true }
- name: param_21
  logicalType: string
  quality:
  - { id: as-many-as-known, type: sql, query: select count(*) from sensor.rules where param_20 is null, mustBe: 0 }`;
const load =
  "select case when count(param_21) > 0 then error('read past the end of 20 inputs') else 'loaded' end as state from sensor.rules";
const crash = "read past the end of 20 inputs";
const plan = `
steps:
  - { ring: sensor-14, wait: 1h }
  - { percent: 25, wait: 1d }
  - everyone: true
`;

/** A sensor starts: it reads the rules and loads them. A type B crashes on a 21st input, and its watchdog reports that. */
async function boots(name: string): Promise<{ loaded: boolean; reason: string }> {
  const { rows: read, reason } = await replay.read(name, "sensor.rules");
  const type = sensors.find((sensor) => sensor.name === name)?.type;
  const loaded = type === "A" || read.every((row) => (row["param_21"] ?? null) === null);
  await replay.report(name, { dataset: "sensor.rules", ok: loaded, ...(loaded ? {} : { reason: crash }) });
  return { loaded, reason };
}

async function fleet(): Promise<string[]> {
  const down: string[] = [];
  for (const { name } of sensors) if (!(await boots(name)).loaded) down.push(name);
  return down;
}

const proposed = () => replay.change("sensor.rules", "upsert", filled);

test("the wrong check passes, and the load of a type B sensor refuses the merge", async () => {
  await replay.consumer("sensor-02", {}, { load });
  const id = await proposed();
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  expect(testsOf(verdict, "sensor-02")).toMatchObject([{ outcome: "broken", owner: "ben" }]);
  expect(against(verdict, "test")).toEqual([expect.stringContaining(crash)]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("without the test one sensor of 20 gets it, crashes and is back on the rules it had; the other 19 never had them", async () => {
  await replay.consumer("sensor-02", {}, {});
  const id = await proposed();
  expect((await replay.verdict(id)).assessment.tests).toEqual([]);
  const release = await replay.force(id, plan);
  expect((await replay.release(release)).steps[0].moved).toEqual(["sensor-14"]);
  expect(await fleet()).toEqual(["sensor-14"]);
  expect((await replay.release(release)).release).toMatchObject({
    state: "rolled_back",
    step: 1,
    reason: `HARM: sensor-14 fails on the candidate and did not before: ${crash}`,
  });
  // It starts again, on what it had; and nothing moves anybody later.
  expect(await boots("sensor-14")).toEqual({ loaded: true, reason: "live" });
  await replay.later(25 * 60);
  expect(await fleet()).toEqual([]);
  const version = (await replay.release(release)).datasets[0].after as number;
  const { readers } = await replay.app.ask("GET", `/v1/who-read/sensor.rules@${version}`);
  expect(readers.map((line: Data) => [line.consumer, line.columns.length])).toEqual([["sensor-14", 22]]);
  await replay.merge((await replay.app.ask("GET", `/v1/changes/${id}`)).revertedBy[0] as string);
  await replay.lake.drain();
});

test("a sensor that dies without a word is noticed by its own query; one that no longer comes at all holds the step", async () => {
  const id = await proposed();
  const release = await replay.force(id, plan);
  const query = async (name: string) => {
    const answer = await replay.app.send("POST", "/v1/query", { token: await replay.token(name), body: { sql: load } });
    await answer.text();
    return answer.status;
  };
  await replay.later(61);
  expect((await replay.release(release)).release).toMatchObject({
    state: "held",
    step: 1,
    reason: "NO_DATA: sensor-14 has not read the candidate yet",
  });
  expect(await query("sensor-15")).toBe(200);
  expect(await query("sensor-14")).toBe(400);
  expect((await replay.release(release)).release).toMatchObject({ state: "rolled_back", step: 1 });
  expect(await query("sensor-14")).toBe(200);
});
