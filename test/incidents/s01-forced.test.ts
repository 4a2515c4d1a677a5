import { afterAll, beforeAll, expect, test } from "vitest";
import { runMonitors } from "../../src/monitors/monitor-service.ts";
import type { Data } from "../harness/app.ts";
import { csvOf, incident, range, testsOf, type Incident } from "../harness/incident.ts";

/*
 * S1, forced: the feature file with every name twice is merged by break-glass. The rollout's rings and the judge stand behind the gate. Then a
 * producer that makes good and bad files in turn.
 */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("bots.features", good);
  for (const name of proxies) await replay.consumer(name, { kind: "service", owner: "ben", criticality: "critical" }, {});
  for (const name of proxies) await loads(name);
});
afterAll(() => replay.close());

const proxies = ["canary-proxy", "paris-proxy", "tokyo-proxy"];
const features = range(60, (at) => [`feature_${at}`, at % 3 === 0 ? "bool" : "float"]);
const good = csvOf("name,type", features);
const doubled = csvOf("name,type", [...features, ...features]);
const unique = "- { name: name, logicalType: string, required: true, unique: true }";
const loadSql =
  "select case when count(*) > 100 then error('more than 100 features: ' || count(*)) else 'loaded' end as state from bots.features";
const interval = 5;
const plan = `
steps:
  - { ring: canary-proxy, wait: ${interval}m }
  - { ring: paris-proxy, wait: ${interval}m }
  - everyone: true
`;

/** A proxy reads the file and loads it: above 100 features it stops, and its watchdog says so. */
async function loads(proxy: string): Promise<{ features: number; reason: string; takenBack: boolean }> {
  const { rows, reason } = await replay.read(proxy, "bots.features");
  const ok = rows.length <= 100;
  const told = await replay.report(proxy, { dataset: "bots.features", ok, ...(ok ? {} : { reason: "exit 1: more than 100 features" }) });
  return { features: rows.length, reason, takenBack: told.takenBack };
}

const sizes = async (): Promise<number[]> => {
  const found: number[] = [];
  for (const proxy of proxies) found.push((await loads(proxy)).features);
  return found;
};

test("forced past the rule and the consumer's test, nobody is moved whose test breaks: the rollout holds with no reader on it", async () => {
  await replay.contract("bots.features", unique);
  await replay.consumer("canary-proxy", {}, { load: loadSql });
  const id = await replay.change("bots.features", "replace", doubled);
  expect(testsOf(await replay.verdict(id), "canary-proxy")).toMatchObject([{ outcome: "broken" }]);
  const release = await replay.force(id, plan);
  await replay.later(0);
  expect(await sizes()).toEqual([60, 60, 60]);
  await replay.later(interval);
  const shown = await replay.release(release);
  expect(shown.release).toMatchObject({ state: "held", step: 1, reason: expect.stringMatching(/^NO_DATA/) as string });
  expect(shown.steps[0].moved).toEqual([]);
  expect(await sizes()).toEqual([60, 60, 60]);
  await undone(release, id);
});

test("without a stored test the first proxy takes it and fails, and within that interval all are back; the others never had it", async () => {
  await replay.consumer("canary-proxy", {}, {});
  const id = await replay.change("bots.features", "replace", doubled);
  const release = await replay.force(id, plan);
  const began = replay.lake.clock.now().getTime();
  const seen: number[] = [];
  for (const proxy of ["paris-proxy", "tokyo-proxy", "canary-proxy"]) seen.push((await loads(proxy)).features);
  expect(seen).toEqual([60, 60, 120]);
  const { release: back } = await replay.release(release);
  expect(back).toMatchObject({
    state: "rolled_back",
    step: 1,
    reason: "HARM: canary-proxy fails on the candidate and did not before: exit 1: more than 100 features",
  });
  expect(Date.parse(back.finishedAt as string) - began).toBeLessThan(interval * 60_000);
  expect(await loads("canary-proxy")).toEqual({ features: 60, reason: "live", takenBack: false });
  const list: Data[] = await replay.app.ask("GET", `/v1/releases/${release}/follow-ups`);
  expect(list.map((item) => item.consumer)).toEqual(["canary-proxy"]);
  await replay.lake.drain();

  // The feed is frozen: what is built on the bad file reaches nobody, however good it looks, and forced like the first.
  const fresh = csvOf("name,type", [...features.slice(0, 59), ["feature_new", "float"]]);
  const next = await replay.force(await replay.change("bots.features", "replace", fresh));
  await replay.later(interval);
  expect((await replay.release(next)).release).toMatchObject({ state: "waiting", reason: `waits for the revert of ${id}` });
  expect(await replay.rows("bots.features", "live/production")).toBe(60);
  expect((await replay.read("canary-proxy", "bots.features")).rows.map((row) => row["name"])).not.toContain("feature_new");
  // On main the good file has taken the bad one's place, so the bar has nothing left to keep out.
  await replay.app.ask("POST", "/v1/unbar", { body: { change: id, reason: "replaced by a good file" } });
  await replay.later(0);
  // It goes to the same rings, and this time all of them load it.
  for (let step = 0; step < 3; step += 1) {
    expect(await sizes()).toEqual([60, 60, 60]);
    await replay.later(interval);
  }
  for (const proxy of proxies) {
    const { rows, reason: why } = await replay.read(proxy, "bots.features");
    expect([rows.some((row) => row["name"] === "feature_new"), why]).toEqual([true, "live"]);
  }
});

/** Takes a release back that nobody had, and merges the revert that opened by itself. */
async function undone(release: string, change: string): Promise<void> {
  await replay.app.ask("POST", `/v1/releases/${release}/abort`, { body: { reason: "nobody may have it" } });
  await replay.lake.drain();
  const { revertedBy } = await replay.app.ask("GET", `/v1/changes/${change}`);
  await replay.merge(revertedBy[0] as string);
  await replay.lake.drain();
}

test("ten files, good and bad in turn: one feed that flaps and one message about it, no incident for each bad one", async () => {
  await replay.policy(`rules:
  - { name: files of the producer, when: { dataset: "bots.*" }, automatic: true, untested: allow, warnings: acknowledge }
  - { name: flapping feeds wait, when: { feed: flapping } }
`);
  await replay.contract("bots.features", unique);
  await replay.app.ask("POST", "/v1/webhooks", { body: { name: "on-call", url: "https://alerts.example.com/tidegate" } });
  const answers: string[] = [];
  for (let at = 0; at < 10; at += 1) {
    await replay.later(interval);
    const fresh = csvOf("name,type", [...features.slice(0, 59), [`feature_of_${at}`, "float"]]);
    const path = await replay.lake.file(`made-${at}.csv`, at % 2 === 0 ? fresh : `${doubled}feature_of_${at},float\n`);
    const operations = [{ kind: "replace", dataset: "bots.features", source: { paths: [path] } }];
    const answer = await replay.app.send("POST", "/v1/changes", { body: { operations, sourceId: `features-${at}`, auto: true } });
    const said = (await answer.json()) as Data;
    answers.push(said.ok === true ? said.data.change.state : said.error.code);
    expect(await replay.rows("bots.features", "live/production")).toBe(60);
  }
  const bad = "merge.blocked";
  expect(answers).toEqual(["merged", bad, "merged", bad, "merged", bad, "merge.waits", bad, "merge.waits", bad]);
  const feeds: Data[] = await replay.app.ask("GET", "/v1/feeds");
  expect(feeds.map(({ feed, flap }) => [feed, flap])).toEqual([
    ["bots.features/features", { isFlapping: true, alternations: 7, batches: 8, bad: 4 }],
  ]);
  expect(await sizes()).toEqual([60, 60, 60]);
  await replay.later(1);
  const { deliveries } = await replay.app.ask("GET", "/v1/webhooks/on-call");
  const told = (deliveries as Data[]).map(({ type }) => type as string).filter((type) => type !== "release.completed");
  expect(told.toSorted()).toEqual(["change.waits", "change.waits", "feed.flapping"]);
  await runMonitors(replay.lake, { environment: "production", startedAt: new Date(0) });
  expect(await replay.app.ask("GET", "/v1/incidents")).toEqual([]);
});
