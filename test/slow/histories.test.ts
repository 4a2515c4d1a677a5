import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../harness/app.ts";
import { contractOnMain } from "../harness/changes.ts";

/*
 * Seeded histories over HTTP, on real parts: six people with tokens of their own propose, write good and bad rows, approve, block, withdraw
 * and merge. Each merge is compared with an oracle that knows the story alone. `HISTORIES_SEED` replays one.
 */

const runs = process.env["TIDEGATE_SOAK"] === "1" ? 1000 : 100;
const start = Number(process.env["HISTORIES_SEED"] ?? 1);

const people = { ana: "admin", ben: "maintainer", cid: "reviewer", dot: "reviewer", eve: "editor", fay: "editor" } as const;
type Name = keyof typeof people;
const names = Object.keys(people) as Name[];
const mayReview = (name: Name): boolean => people[name] !== "editor";
const mayMerge = (name: Name): boolean => people[name] === "admin" || people[name] === "maintainer";

let app: TestApp;
const tokens = new Map<Name, string>();

beforeAll(async () => {
  app = await testApp();
  for (const name of names) {
    await app.ask("POST", "/v1/persons", { body: { name, role: people[name] } });
    tokens.set(name, (await app.ask("POST", "/v1/tokens", { body: { person: name, label: "" } })).token as string);
  }
  // The machine's own user takes no part: with it gone, the six are all there are.
  await app.ask("POST", "/v1/persons/root", { body: { disabled: true } });
});
afterAll(() => app.close());

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39) >>> 0;
    return mixed % below;
  };
}

interface Story {
  content: number;
  authors: Set<Name>;
  approvals: Map<Name, number>;
  blocks: Set<Name>;
  /** Rows of the change that break the rule. */
  bad: Set<number>;
  said: string[];
}

const isReady = (story: Story): boolean =>
  story.bad.size === 0 &&
  story.blocks.size === 0 &&
  [...story.approvals].some(([name, content]) => content === story.content && !story.authors.has(name) && mayReview(name));

async function send(
  who: Name,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ ok: boolean; code: string | undefined; data: never }> {
  const response = await app.send(method, path, { token: tokens.get(who) ?? "", ...(body === undefined ? {} : { body }) });
  const answer = (await response.json()) as { ok: boolean; error?: { code: string }; data: never };
  return { ok: answer.ok, code: answer.error?.code, data: answer.data };
}

async function upload(who: Name, csv: string): Promise<string> {
  const headers = { "content-type": "application/octet-stream" };
  const response = await app.send("PUT", "/v1/uploads/rows.csv", { token: tokens.get(who) ?? "", body: csv, headers });
  return ((await response.json()) as { data: { id: string } }).data.id;
}

/** The rule that bad rows break: no value below 0. */
async function setMinimum(dataset: string): Promise<void> {
  const contract = await contractOnMain(app.lake, dataset);
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((item) => (item.name === "v" ? { ...item, logicalTypeOptions: { minimum: 0 } } : item)),
  }));
  const { change } = await app.lake.propose({ operations: [{ kind: "contract", dataset, contract: { ...contract, schema } }] });
  await app.lake.merge(change?.id ?? "");
}

test(`${runs} histories: a change merges when the story says so, and never else`, async () => {
  let merged = 0;
  let refused = 0;
  for (let seed = start; seed < start + runs; seed += 1) {
    const below = random(seed);
    const dataset = `h.t${seed}`;
    const rows = Array.from({ length: 10 }, (_, id) => `${id},1`).join("\n");
    const ids = [await upload("ben", `id,v\n${rows}\n`)];
    expect((await send("ben", "POST", "/v1/imports", { dataset, key: ["id"], source: { uploads: ids } })).ok).toBe(true);
    await setMinimum(dataset);
    let story: Story = { content: 0, authors: new Set(), approvals: new Map(), blocks: new Set(), bad: new Set(), said: [] };
    let change: string | undefined;
    for (let step = 0; step < 24; step += 1) {
      const who = names[below(names.length)] as Name;
      const what = change === undefined ? 0 : below(12);
      if (what <= 1) {
        const id = below(10);
        const isBad = below(8) === 0;
        // A value of its own each time, so that each write is one.
        const upsert = await upload(who, `id,v\n${id},${isBad ? -1 - story.content : 2 + story.content}\n`);
        const operations = [{ kind: "upsert", dataset, source: { uploads: [upsert] } }];
        const path = change === undefined ? "/v1/changes" : `/v1/changes/${change}/operations`;
        const written = await send(who, "POST", path, { operations });
        expect([seed, story.said, written.code, written.ok]).toEqual([seed, story.said, undefined, true]);
        change = (written.data as { change: { id: string } }).change.id;
        story.content += 1;
        story.authors.add(who);
        if (isBad) story.bad.add(id);
        else story.bad.delete(id);
        story.said.push(`${who} writes ${isBad ? "bad" : "good"} ${id}`);
      } else if (what <= 6) {
        const kind = what === 6 ? "block" : "approve";
        const given = await send(who, "POST", `/v1/changes/${change ?? ""}/reviews`, { kind, text: "so" });
        story.said.push(`${who} ${kind}s: ${given.code ?? "taken"}`);
        const isTaken = mayReview(who) && (kind === "block" || !story.authors.has(who));
        expect([seed, story.said, given.ok]).toEqual([seed, story.said, isTaken]);
        if (!isTaken) continue;
        story.approvals.delete(who);
        story.blocks.delete(who);
        if (kind === "block") story.blocks.add(who);
        else story.approvals.set(who, story.content);
      } else if (what === 7) {
        const taken = await send(who, "POST", `/v1/changes/${change ?? ""}/withdraw`, {});
        expect([seed, story.said, taken.ok]).toEqual([seed, story.said, story.approvals.has(who) || story.blocks.has(who)]);
        story.approvals.delete(who);
        story.blocks.delete(who);
        story.said.push(`${who} withdraws`);
      } else {
        const done = await send(who, "POST", `/v1/changes/${change ?? ""}/merge`, {});
        story.said.push(`${who} merges: ${done.code ?? "done"}`);
        expect([seed, story.said, done.ok]).toEqual([seed, story.said, mayMerge(who) && isReady(story)]);
        if (!done.ok) {
          refused += 1;
          continue;
        }
        merged += 1;
        // The history goes on with a next change.
        change = undefined;
        story = { ...story, authors: new Set(), approvals: new Map(), blocks: new Set(), bad: new Set() };
      }
    }
  }
  console.info(`${merged} merged, ${refused} refused`);
  expect(merged).toBeGreaterThan(runs / 4);
  expect(refused).toBeGreaterThan(runs / 4);
});
