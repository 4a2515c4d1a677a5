import { afterAll, beforeAll, expect, test } from "vitest";
import type { Data } from "../harness/app.ts";
import { against, csvOf, failing, incident, range, type Incident } from "../harness/incident.ts";

/* S3: one policy of 5 000 has an empty limit, and whoever checks quotas crashes on it. Its readers are services of three regions. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("quota.policies", csvOf(head, policies), ["id"]);
  for (const { name, region } of services)
    await replay.consumer(name, { kind: "service", owner: "ben", criticality: "high", labels: { region } }, {});
  for (const { name } of services) await checksQuotas(name);
});
afterAll(() => replay.close());

const head = "id,service,quota_limit";
const policies = range(5000, (at) => [at, `service-${at % 40}`, 100 + (at % 900)]);
const blank = `${head}\n4711,service-31,\n`;
const regions = ["us-central", "europe-west", "asia-east"];
const services = regions.flatMap((region) => ["quota", "billing"].map((kind) => ({ name: `${kind}-${region}`, region })));
const plan = `
steps:
${regions.map((region) => `  - { labels: { region: ${region} }, wait: 2h }`).join("\n")}
  - everyone: true
`;
/** A share so small that a rule on shares says nothing, beside one that counts. */
const contract = (severity: string) => `- name: quota_limit
  logicalType: integer
  quality:
  - { id: share-of-nulls, type: custom, engine: tidegate, implementation: { rule: drift, by: nulls } }
  - { id: no-nulls, type: library, metric: nullValues, mustBe: 0, severity: ${severity} }`;

/** A service reads the policies and checks every quota; one without a limit is more than it can bear. */
async function checksQuotas(name: string): Promise<{ up: boolean; reason: string }> {
  const { rows, reason } = await replay.read(name, "quota.policies", { columns: "id,quota_limit" });
  const up = rows.every((row) => (row["quota_limit"] ?? null) !== null);
  await replay.report(name, { dataset: "quota.policies", ok: up, ...(up ? {} : { reason: "null pointer in the quota check" }) });
  return { up, reason };
}

const proposed = () => replay.change("quota.policies", "upsert", blank);
const blankVersion = async (release: string): Promise<string> =>
  `quota.policies@${(await replay.release(release)).datasets[0].after as number}`;
const readersOf = async (version: string): Promise<string[]> =>
  (await replay.app.ask("GET", `/v1/who-read/${version}`)).readers.map((line: Data) => line.consumer as string);

/** Takes away what a release left behind it on main. */
async function reverted(change: string): Promise<void> {
  await replay.lake.drain();
  await replay.merge((await replay.app.ask("GET", `/v1/changes/${change}`)).revertedBy[0] as string);
  await replay.lake.drain();
}

test("a contract inferred from the table alone refuses the first empty limit", async () => {
  const { text } = await replay.app.ask("GET", "/v1/datasets/quota.policies/contract/inferred");
  const set = await replay.app.ask("POST", "/v1/datasets/quota.policies/contract", { body: { text } });
  await replay.lake.merge(set.change.id as string);
  const id = await proposed();
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([expect.stringContaining("quota_limit")]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with a warning in its place, one in 5 000 is not hidden by its share: it says 1, and waits for somebody", async () => {
  await replay.contract("quota.policies", contract("warning"));
  const id = await proposed();
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["no-nulls"]);
  expect(against(verdict, "check")).toEqual([expect.stringMatching(/quota_limit.*expected 0.*found 1/)]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});

test("let through, it stops at the first region: its services crash, are back, and the two others never had it", async () => {
  const id = await proposed();
  const release = await replay.force(id, plan);
  const version = await blankVersion(release);
  expect((await replay.release(release)).steps[0].moved).toEqual(["billing-us-central", "quota-us-central"]);
  const down: string[] = [];
  for (const { name } of services) if (!(await checksQuotas(name)).up) down.push(name);
  // The first that says so takes the release back; the second of the region reads after that.
  expect(down).toEqual(["quota-us-central"]);
  expect((await replay.release(release)).release).toMatchObject({
    state: "rolled_back",
    step: 1,
    reason: "HARM: quota-us-central fails on the candidate and did not before: null pointer in the quota check",
  });
  await replay.later(7 * 60);
  for (const { name } of services) expect(await checksQuotas(name)).toEqual({ up: true, reason: "live" });
  expect(await readersOf(version)).toEqual(["quota-us-central"]);
  await reverted(id);
});

test("when the services of the first region die without a word, the second is not moved either: nobody has said that it is safe", async () => {
  const id = await proposed();
  const release = await replay.force(id, plan);
  for (const minutes of [121, 60, 24 * 60]) {
    await replay.later(minutes);
    const { release: now, steps } = await replay.release(release);
    expect(now).toMatchObject({
      state: "held",
      step: 1,
      reason: "NO_DATA: billing-us-central, quota-us-central have not read the candidate yet",
    });
    expect(steps.slice(1).flatMap((step: Data) => step.moved as string[])).toEqual([]);
  }
  for (const { name } of services.slice(2)) expect(await checksQuotas(name)).toEqual({ up: true, reason: "live" });
  expect(await readersOf(await blankVersion(release))).toEqual([]);
});
