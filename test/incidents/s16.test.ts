import { afterAll, beforeAll, expect, test } from "vitest";
import { csvOf, failing, incident, range, seeded, type Incident } from "../harness/incident.ts";

/*
 * S16: prices drift by 0.3 % a day, and whether an offer was too high is known 30 days later. A model that is released meanwhile can be proved
 * neither safe nor harmful.
 */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("homes.training", csvOf(head, homes(0, 0)), ["id"]);
  await replay.table("homes.sales", csvOf(head, homes(0, 0)));
  for (const name of buyers) await replay.consumer(name, { kind: "model", owner: "ben", criticality: "critical" }, {});
  for (const name of buyers) await offers(name);
});
afterAll(() => replay.close());

const head = "id,price";
const buyers = ["phoenix", "atlanta", "dallas", "denver"];
const day = 24 * 60;
/** 200 sales of one day. */
const homes = (onDay: number, from: number) => {
  const random = seeded(1600 + onDay);
  return range(200, (at): [number, string] => [from + at, (300_000 * 1.003 ** onDay * (0.9 + 0.2 * random())).toFixed(0)]);
};
const retrained = csvOf(head, homes(10, 0));
const plan = (more = "") => `
steps:
  - { ring: phoenix, wait: 7d }
  - { percent: 50, wait: 7d }
  - everyone: true
guardrails: [{ outcome: overpaid, worse: higher, kind: rate, margin: 0.05 }]
${more}`;

/** A model reads what it is trained on and makes its offers of the day; all that it can say of them is that it made them. */
async function offers(name: string): Promise<void> {
  const { rows } = await replay.read(name, "homes.training", { limit: 20 });
  await replay.report(name, { dataset: "homes.training", ok: rows.length > 0, latencyMs: 40 });
}

/** Whether offers of an earlier day were too high, once the homes are sold. */
async function labels(name: string, at: Date, overpaid: number): Promise<void> {
  const sums = { n: 200, sum: overpaid, sumSquares: overpaid };
  await replay.report(name, { dataset: "homes.training", metric: "overpaid", sums, at: at.toISOString() });
}

const drifting = `- name: price
  logicalType: integer
  quality:
  - { id: prices, type: custom, engine: tidegate, severity: warning, implementation: { rule: drift, by: quantiles } }`;

const proposed = () => replay.change("homes.training", "upsert", retrained);

test("while labels are missing it stays in its first ring: no wait, however long, lets it go on, and what comes late counts for its day", async () => {
  const release = await replay.force(await proposed(), plan());
  const days: Date[] = [];
  for (let at = 1; at <= 29; at += 1) {
    for (const name of buyers) await offers(name);
    days.push(replay.lake.clock.now());
    await replay.later(day);
    const { release: now, steps, judged } = await replay.release(release);
    expect([now.step, steps[1].moved]).toEqual([1, []]);
    expect(now.state).toBe(at < 7 ? "running" : "held");
    if (at >= 7)
      expect(judged).toMatchObject({
        verdict: "NO_DATA",
        reason: "overpaid: 0 reports on the candidate, 0 on current; it needs 100 of each",
      });
  }
  expect(
    (await replay.release(release)).judged.guardrails.map(({ guardrail, verdict }: { guardrail: string; verdict: string }) => [
      guardrail,
      verdict,
    ]),
  ).toEqual([
    ["consumers", "SAFE"],
    ["overpaid", "NO_DATA"],
  ]);
  // The first labels: too few to tell.
  const [first, second] = [days[0] as Date, days[1] as Date];
  await labels("phoenix", first, 24);
  await labels("dallas", first, 20);
  await replay.later(1);
  expect((await replay.release(release)).release).toMatchObject({ state: "held", step: 1 });
  expect((await replay.release(release)).judged).toMatchObject({ verdict: "INCONCLUSIVE" });
  // Then they say that it overpays, and what only one city had is taken back from it.
  for (const when of [second, days[2] as Date]) {
    await labels("dallas", when, 20);
    await labels("phoenix", when, 100);
  }
  expect((await replay.release(release)).release).toMatchObject({
    state: "rolled_back",
    step: 1,
    reason: expect.stringMatching(/^HARM: overpaid /) as string,
  });
});

test("where the plan lets the consumers alone decide, it goes on without a label; the sales themselves have drifted long before", async () => {
  await replay.lake.drain();
  const undone = (await replay.app.ask("GET", "/v1/changes?state=open")) as { id: string; origin: string }[];
  await replay.merge(undone.find(({ origin }) => origin === "revert")?.id ?? "");
  await replay.lake.drain();
  const release = await replay.force(await proposed(), plan("exact: decides"));
  for (const name of buyers) await offers(name);
  await replay.later(7 * day + 1);
  expect((await replay.release(release)).release).toMatchObject({ state: "running", step: 2 });

  await replay.contract("homes.sales", drifting);
  let noticed = 0;
  for (let at = 1; at < 30 && noticed === 0; at += 1) {
    const id = await replay.change("homes.sales", "append", csvOf(head, homes(at, at * 1000)));
    if (failing(await replay.verdict(id)).includes("prices")) noticed = at;
    else await replay.lake.merge(id);
  }
  expect(noticed).toBe(5);
});
