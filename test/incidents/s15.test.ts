import { afterAll, beforeAll, expect, test } from "vitest";
import { addPerson } from "../../src/access/person-service.ts";
import type { Data } from "../harness/app.ts";
import { against, csvOf, incident, range, type Incident } from "../harness/incident.ts";

/*
 * S15: new reward data makes the headline number better by 2 %, and what people think of the answers worse by 15 %. Two of five who tried it
 * said that it feels wrong.
 */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  for (const name of ["jon", "kim", "lea"]) await addPerson(replay.lake, "root", { name, role: "reviewer" });
  await replay.table("reward.pairs", csvOf("id,prompt,preferred", pairs(0)), ["id"]);
  for (const { name, region } of servers)
    await replay.consumer(name, { kind: "model", owner: "ben", criticality: "high", labels: { region } }, {});
  for (const { name } of servers) await replay.read(name, "reward.pairs", { limit: 1 });
});
afterAll(() => replay.close());

const pairs = (flatter: number) => range(500, (at) => [at, `prompt-${at}`, at % 10 < flatter ? "flattering" : "useful"]);
const flattering = csvOf("id,prompt,preferred", pairs(4));
const servers = range(20, (at) => ({ name: `chat-${at + 1}`, region: at < 10 ? "east" : "west" }));
const steps = `
steps:
  - { ring: [chat-1, chat-2], wait: 1h }
  - { labels: { region: east }, wait: 1d }
  - everyone: true`;
const headline = "{ outcome: engaged, worse: lower, kind: rate, margin: 0.05 }";
const guardrail = "{ outcome: satisfied, worse: lower, kind: rate, margin: 0.05 }";
const reviewers = ["ben", "ina", "jon", "kim", "lea"];

const proposed = () => replay.change("reward.pairs", "upsert", flattering);

/** A model server answers on what it was trained with, and reports both numbers of so many answers. */
async function answers(name: string, count: number): Promise<void> {
  const { rows } = await replay.read(name, "reward.pairs");
  const isNew = rows.some((row) => row["preferred"] === "flattering");
  const shares = isNew ? { engaged: 0.51, satisfied: 0.68 } : { engaged: 0.5, satisfied: 0.8 };
  for (const [metric, share] of Object.entries(shares)) {
    const sum = Math.round(share * count);
    await replay.report(name, { dataset: "reward.pairs", metric, sums: { n: count, sum, sumSquares: sum }, ok: true });
  }
}

test("two of five reviewers say that it feels wrong: one block is enough, whatever the others approve", async () => {
  const id = await proposed();
  const say = (person: string, body: object) =>
    replay.app.ask("POST", `/v1/changes/${id}/reviews`, { body, headers: { "tidegate-as": person } });
  for (const person of reviewers.slice(0, 3)) await say(person, { kind: "approve" });
  await replay.app.ask("POST", `/v1/changes/${id}/acknowledge`, { body: {} });
  expect((await replay.verdict(id)).decision.outcome).toBe("ready");
  for (const person of reviewers.slice(3)) await say(person, { kind: "block", text: "feels wrong" });
  expect(against(await replay.verdict(id), "block")).toEqual(["kim blocks it: feels wrong", "lea blocks it: feels wrong"]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
  await replay.app.ask("POST", `/v1/changes/${id}/withdraw`, { body: {}, headers: { "tidegate-as": "kim" } });
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("forced over the blocks, the guardrail takes it back in the first ring, though the headline number is better", async () => {
  const release = await replay.force(await proposed(), `${steps}\nguardrails: [${headline}, ${guardrail}]`);
  let before: Data = await replay.release(release);
  for (let now = before, round = 0; now.release.state === "running" && round < 160; round += 1) {
    before = now;
    await answers(servers[round % 4]?.name ?? "", 100);
    now = await replay.release(release);
  }
  const [, engaged, satisfied] = before.judged.guardrails;
  expect([engaged.guardrail, satisfied.guardrail]).toEqual(["engaged", "satisfied"]);
  expect(engaged.difference).toBeLessThan(0);
  const { release: back, steps: done, ...shown } = await replay.release(release);
  expect(back).toMatchObject({
    state: "rolled_back",
    step: 1,
    reason: expect.stringMatching(/^HARM: satisfied 0\.68 against 0\.8 /) as string,
  });
  expect(shown.judged).toBeNull();
  expect(done[0].moved).toEqual(["chat-1", "chat-2"]);
  expect((await replay.read("chat-1", "reward.pairs")).reason).toBe("live");
  await replay.lake.drain();
  await replay.merge((await replay.app.ask("GET", `/v1/changes/${back.change as string}`)).revertedBy[0] as string);
  await replay.lake.drain();
});

test("with the guardrail left out the headline alone lets it go on: what nobody named, nobody judges", async () => {
  const release = await replay.force(await proposed(), `${steps}\nguardrails: [${headline}]`);
  for (let round = 0; round < 12; round += 1) for (const { name } of servers.slice(0, 4)) await answers(name, 250);
  const { judged } = await replay.release(release);
  expect(judged).toMatchObject({ verdict: "SAFE" });
  await replay.later(61);
  expect((await replay.release(release)).release).toMatchObject({ state: "running", step: 2 });
});
