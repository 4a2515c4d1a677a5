import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { terminal, type Terminal } from "../harness/typed.ts";
import type { Data } from "../harness/app.ts";
import { importText, proposeText } from "../harness/changes.ts";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { addPerson } from "../../src/access/person-service.ts";
import { createToken } from "../../src/access/token-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { systemOutbound } from "../../src/edges/outbound.ts";
import { review } from "../../src/changes/review-service.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { tellWebhooks } from "../../src/webhooks/tell-service.ts";
import { retryAfterMs } from "../../src/webhooks/webhook.ts";

/* A server and its webhooks, told over real HTTP: the receivers are servers of this process. */

interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

let at: Terminal;
let receiver: Server;
let base = "";
let got: Got[] = [];
/** What the receiver answers, one after the other; 200 when none is left. */
let answers: { status: number; headers?: Record<string, string> }[] = [];
/** What the name service says of a host. */
const names = new Map<string, string[]>();

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      got.push({ path: request.url ?? "", headers: request.headers, body });
      const { status, headers = {} } = answers.shift() ?? { status: 200 };
      response.writeHead(status, headers).end("ok");
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const addressesOf = (host: string): Promise<string[]> => {
    const found = names.get(host);
    return found === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(found);
  };
  at = await terminal({
    outbound: { ...systemOutbound, addressesOf },
    webhookSettings: { http: true, privateHosts: ["127.0.0.1"] },
  });
  for (const name of ["board", "report"])
    await addConsumer(at.app.lake, "root", { name, kind: "dashboard", criticality: "normal", labels: {} });
});
afterAll(async () => {
  await at.close();
  await new Promise((resolve) => receiver.close(resolve));
});
beforeEach(async () => {
  for (const { name } of await at.app.ask("GET", "/v1/webhooks")) await at.app.ask("DELETE", `/v1/webhooks/${name as string}`);
  got = [];
  answers = [];
});

const add = (name: string, path: string, events: string[] = []): Promise<Data> =>
  at.app.ask("POST", "/v1/webhooks", { body: { name, url: `${base}${path}`, events } });

/** Lets a time pass, and does what is due then. */
async function pass(milliseconds = 0): Promise<void> {
  at.app.lake.clock.advance(milliseconds);
  await at.app.lake.clock.idle();
  await at.app.lake.drain();
  await at.app.services.deliverWebhooks();
  await at.app.lake.clock.idle();
}

const bodies = (path = "/a"): Data[] => got.filter((item) => item.path === path).map(({ body }) => JSON.parse(body) as Data);
const deliveries = async (name: string): Promise<Data[]> => (await at.app.ask("GET", `/v1/webhooks/${name}`)).deliveries;
const rings = "steps: [{ ring: board, wait: 2h }, { ring: report, approval: true }, { everyone: true }]";

let round = 0;
async function released(): Promise<{ dataset: string; change: string; release: string }> {
  const dataset = `told.t${(round += 1)}`;
  await importText(at.app.lake, dataset, "id,v\n1,secret-before\n", ["id"]);
  const change = await proposeText(at.app.lake, dataset, { kind: "upsert", csv: "id,v\n1,secret-after\n" });
  await setPlan(at.app.lake, { changeId: change, text: rings, actor: "root" });
  return { dataset, change, release: (await at.app.lake.merge(change)).release.id };
}

test("what waits, is held, rolled back and completed is told once to each who asked, in a form for people and one for machines", async () => {
  await add("all", "/a");
  await add("back", "/b", ["release.rolled_back"]);
  const { lake } = at.app;
  const first = await released();
  const waiting = await proposeText(lake, first.dataset, { kind: "upsert", csv: "id,v\n2,secret-more\n" });
  await pass(1000);
  await pass(60_000);
  expect(bodies().map(({ type }) => type as string)).toEqual(["change.waits"]);
  await pass(2 * 3_600_000);
  await advance(lake, { release: first.release, actor: "root" });
  await advance(lake, { release: first.release, actor: "root" });
  await pass();
  const second = await released();
  await at.app.ask("POST", `/v1/releases/${second.release}/abort`, { body: { reason: "half of the flights <!channel>" } });
  await pass();
  await lake.db
    .updateTable("releases")
    .set({ state: "held", reason: "chg_1 cannot be carried to both sides: row secret-key" })
    .where("id", "=", second.release)
    .execute();
  const told = { topic: "release.stopped", event: { release: second.release, reason: "" } } as const;
  for (let again = 0; again < 2; again += 1) await tellWebhooks(lake, told, { seq: 1_000_000n, at: lake.clock.now() });
  await pass();
  const types = bodies().map(({ type, data }) => `${type as string} ${(data.change ?? data.release) as string}`);
  expect(types).toEqual([
    `change.waits ${waiting}`,
    `release.waits ${first.release}`,
    `release.completed ${first.release}`,
    `release.rolled_back ${second.release}`,
    `release.held ${second.release}`,
  ]);
  expect(bodies("/b").map(({ type }) => type as string)).toEqual(["release.rolled_back"]);
  const [waits, , completed, back, held] = bodies();
  expect(waits).toMatchObject({ data: { datasets: [first.dataset], state: "open", author: "ana" } });
  expect(waits.text).toContain(`${waiting} of ${first.dataset} waits for you`);
  expect(completed.data).toMatchObject({ datasets: [first.dataset], step: 3, steps: 3, held: [] });
  expect(back.data).toMatchObject({ reason: "half of the flights <!channel>", by: "root", changes: [second.change] });
  // Slack would call everybody.
  expect(back.blocks[0].text.text).toContain("half of the flights &lt;!channel&gt;");
  expect(held.data.reason).toBe("chg_1 cannot be carried to both sides");
  expect(JSON.stringify(got)).not.toContain("secret-");
});

test("a first step that waits for somebody is told, of a merge and of what comes out of the queue", async () => {
  await add("all", "/a", ["release.waits"]);
  const { lake } = at.app;
  const first = await released();
  await pass();
  const next = await proposeText(lake, first.dataset, { kind: "upsert", csv: "id,v\n2,b\n" });
  const plan = "steps: [{ ring: board, approval: true }, { everyone: true }]";
  await setPlan(lake, { changeId: next, text: plan, actor: "root" });
  const { release } = await lake.merge(next);
  await pass();
  expect([release.state, bodies()]).toEqual(["waiting", []]);
  for (let step = 1; step <= 2; step += 1) await advance(lake, { release: first.release, actor: "root" });
  await pass();
  expect((await showRelease(lake.db, first.release)).release.state).toBe("completed");
  expect(bodies().map(({ data }) => [data.release as string, data.step as number])).toEqual([[release.id, 0]]);
  expect(bodies()[0].text).toContain("waits for you to start step 1 of 2");
});

test("a change that merges by itself waits for nobody; one whose merge is refused does, once for the same content", async () => {
  await add("all", "/a", ["change.waits"]);
  const { lake } = at.app;
  await importText(lake, "told.gone", "id,v\n1,a\n", ["id"]);
  const merged = await proposeText(lake, "told.gone", { kind: "upsert", csv: "id,v\n1,b\n" });
  await lake.drain();
  await lake.merge(merged);
  await pass(60_000);
  expect(bodies()).toEqual([]);
  const dropped = (await deliveries("all")).filter(({ subject }) => subject === merged);
  expect(dropped).toMatchObject([{ state: "dropped", attempts: 0, lastError: "it was over before it was told" }]);
  const refused = await proposeText(lake, "told.gone", { kind: "append", csv: "id,v\n9,secret-z\n" }, { origin: "feed" });
  await review(lake, { changeId: refused, person: "root", actor: "root", kind: "block", text: "secret-why" });
  for (let tries = 0; tries < 2; tries += 1) {
    await at.app.refused("POST", `/v1/changes/${refused}/merge`);
    await pass();
    await pass(60_000);
  }
  const [told, ...more] = bodies();
  expect(told).toMatchObject({ data: { change: refused, origin: "feed", code: "merge.blocked", open: { block: 1 } } });
  expect(told.blocks[0].text.text).toContain("Its merge was refused (merge.blocked): 1 person's block not met.");
  expect(more).toEqual([]);
  expect(JSON.stringify(got)).not.toContain("secret-");
});

test("what is not taken is tried again under the same id with a new time and signature, and is dead in the end", async () => {
  await add("all", "/a", ["release.rolled_back"]);
  const { release } = await released();
  await pass(1000);
  answers = [{ status: 500 }, { status: 302, headers: { location: `${base}/elsewhere` } }];
  await at.app.ask("POST", `/v1/releases/${release}/abort`, { body: {} });
  await pass();
  await pass(6_000);
  await pass(40_000);
  expect(bodies().map(({ type }) => type as string)).toEqual(["release.rolled_back", "release.rolled_back", "release.rolled_back"]);
  const [a, b, c] = got as [Got, Got, Got];
  expect(new Set([a, b, c].map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(new Set([a, b, c].map(({ headers }) => headers["webhook-signature"])).size).toBe(3);
  expect((await deliveries("all"))[0]).toMatchObject({ state: "delivered", attempts: 3, lastStatus: 200, lastError: null });

  got = [];
  answers = Array.from({ length: 20 }, () => ({ status: 503 }));
  const other = await released();
  await at.app.ask("POST", `/v1/releases/${other.release}/abort`, { body: {} });
  await pass();
  for (const wait of retryAfterMs) await pass(wait * 1.2);
  const [dead] = (await deliveries("all")).filter(({ subject, type }) => subject === other.release && type === "release.rolled_back");
  expect(dead).toMatchObject({ state: "dead", attempts: retryAfterMs.length + 1, dueAt: null, lastStatus: 503, lastError: "answered 503" });
  expect((await at.app.ask("GET", "/v1/webhooks"))[0].dead).toBeGreaterThan(0);
});

test("a private address is refused when a webhook is added, under whatever name, and again before each message", async () => {
  names.set("inside.example", ["10.0.0.5"]);
  names.set("both.example", ["1.1.1.1", "127.0.0.1"]);
  for (const url of [
    "https://localhost./x",
    "https://inside.example/x",
    "https://both.example/x",
    "https://169.254.169.254/latest/meta-data",
    "https://0x7f.2/x",
    "https://0177.0.0.2/x",
    "https://2130706434/x",
    "https://0.0.0.0/x",
    "https://0/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
  ]) {
    names.set("localhost.", ["127.0.0.1"]);
    expect(await at.app.refused("POST", "/v1/webhooks", { body: { name: "in", url } }), url).toMatchObject({
      status: 403,
      code: "webhook.address",
    });
  }
  expect(await at.app.refused("POST", "/v1/webhooks", { body: { name: "in", url: "https://nowhere.example/x" } })).toMatchObject({
    status: 400,
    code: "webhook.host",
  });
  const { port } = receiver.address() as AddressInfo;
  names.set("moves.example", ["1.1.1.1"]);
  await at.app.ask("POST", "/v1/webhooks", { body: { name: "moves", url: `http://moves.example:${port}/inside` } });
  names.set("moves.example", ["127.0.0.1"]);
  const sent = await at.app.ask("POST", "/v1/webhooks/moves/test");
  expect(sent).toMatchObject({
    state: "dead",
    lastStatus: null,
    lastError: expect.stringContaining("moves.example is not a host of the Internet") as string,
  });
  expect(got).toEqual([]);
});

test("the connection goes to the address that was checked, with the name as its host", async () => {
  const { port } = receiver.address() as AddressInfo;
  names.set("relay.internal", ["127.0.0.1"]);
  Object.assign(at.app.services, { webhookSettings: { http: true, privateHosts: ["127.0.0.1", `relay.internal:${port}`] } });
  await at.app.ask("POST", "/v1/webhooks", { body: { name: "relay", url: `http://relay.internal:${port}/r?x=1` } });
  expect(await at.app.ask("POST", "/v1/webhooks/relay/test")).toMatchObject({ state: "delivered", lastStatus: 200 });
  expect(got).toMatchObject([{ path: "/r?x=1", headers: { host: `relay.internal:${port}`, "content-type": "application/json" } }]);
  expect(await at.app.refused("POST", "/v1/webhooks", { body: { name: "other", url: "http://relay.internal:1/x" } })).toMatchObject({
    code: "webhook.address",
  });
});

test("the verifier of the docs takes a message once, and nothing that was changed, kept or signed by another", async () => {
  const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "webhooks.md"), "utf8");
  const file = join(at.cwd, "verify.mjs");
  writeFileSync(file, /```js verify\.mjs\n([\s\S]*?)```/.exec(page)?.[1] ?? "");
  const { verify } = (await import(pathToFileURL(file).href)) as {
    verify(headers: IncomingHttpHeaders, body: string, secret: string, now: number): Data;
  };
  const { secret } = await add("all", "/a");
  const other = (await add("other", "/b")).secret as string;
  await at.app.ask("POST", "/v1/webhooks/all/test");
  const [{ headers, body }] = got as [Got];
  const now = at.app.lake.clock.now().getTime();
  expect(() => verify(headers, `${body} `, secret, now)).toThrow("not signed");
  expect(() => verify({ ...headers, "webhook-id": "msg_other" }, body, secret, now)).toThrow("not signed");
  expect(() => verify({ ...headers, "webhook-timestamp": String(Math.floor(now / 1000) + 60) }, body, secret, now)).toThrow("not signed");
  expect(() => verify(headers, body, other, now)).toThrow("not signed");
  expect(() => verify(headers, body, secret, now + 400_000)).toThrow("too old");
  expect(verify(headers, body, secret, now)).toMatchObject({ type: "webhook.test", data: { webhook: "all" } });
  expect(() => verify(headers, body, secret, now + 1000)).toThrow("seen before");
});

test("webhooks are an admin's: others see none, and neither the record nor a repeated answer holds the secret or the path", async () => {
  await addPerson(at.app.lake, "root", { name: "max", role: "maintainer" });
  const { token } = await createToken(at.app.lake, "root", { person: "max", label: "" });
  for (const [method, path] of [
    ["GET", "/v1/webhooks"],
    ["GET", "/v1/webhooks/all"],
    ["POST", "/v1/webhooks/all/test"],
    ["DELETE", "/v1/webhooks/all"],
  ] as const)
    expect(await at.app.refused(method, path, { token })).toMatchObject({ status: 403 });
  const asked = { body: { name: "all", url: `${base}/hidden-path` }, headers: { "idempotency-key": "once" } };
  const made = await at.app.ask("POST", "/v1/webhooks", asked);
  const again = await at.app.ask("POST", "/v1/webhooks", asked);
  expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(again).toEqual({ webhook: made.webhook });
  const record = JSON.stringify(await at.app.ask("GET", "/v1/audit?subject=all"));
  expect(record).toContain("webhook.add");
  expect(record).not.toContain("hidden-path");
  expect(record).not.toContain("whsec_");
  expect(await at.app.refused("POST", "/v1/webhooks", { body: asked.body })).toMatchObject({ status: 409, code: "webhook.exists" });
  expect(await at.app.refused("GET", "/v1/webhooks/nobody")).toMatchObject({ status: 404, code: "webhook.not_found" });
});

test("the commands of the list to work through after a rollback, and the message that brings them", async () => {
  await add("all", "/a", ["release.rolled_back"]);
  const { dataset, release } = await released();
  const { token } = await createToken(at.app.lake, "root", { consumer: "board", label: "" });
  await (await at.app.send("GET", `/v1/datasets/${dataset}/rows`, { token })).text();
  await at.type("release", "abort", release);
  await pass();
  expect(bodies()).toMatchObject([{ data: { readers: [{ consumer: "board", owner: null }], next: `tidegate follow-up list ${release}` } }]);
  expect(bodies()[0].blocks[0].text.text).toContain("Had read it: board.");
  const shown = await at.type("release", "show", release);
  expect(shown.text).toContain(`had read what is barred: 1 open, 0 notified, 0 done\n→ tidegate follow-up list ${release}`);
  const list = await at.type("follow-up", "list", dataset);
  expect(list.text).toMatch(new RegExp(`^1 consumer had read what is barred; 1 open\\.[\\s\\S]*board +open +${dataset}@2 +id v`));
  expect(list.text).toContain(`→ tidegate follow-up mark ${release} board notified`);
  expect((await at.type("follow-up", "list")).text).toContain(release);
  expect((await at.type("follow-up", "mark", release, "board", "forgotten")).exit).toBe(2);
  expect((await at.type("follow-up", "mark", release, "board", "waived")).text).toContain("follow_up.note_missing");
  const marked = await at.type("follow-up", "mark", release, "board", "recomputed", "--note", "ran again");
  expect([marked.exit, marked.text]).toEqual([0, expect.stringContaining("board is recomputed.")]);
  expect((await at.type("follow-up", "list", release)).text).toContain("1 consumer had read what is barred; 0 open.");
});

test("the commands add, test, list, show and remove", async () => {
  const added = await at.type("webhook", "add", "on-call", `${base}/a`, "--on", "release.held");
  expect([added.exit, added.text]).toEqual([0, expect.stringMatching(/^on-call is told release\.held\.\n {2}secret {2}whsec_/)]);
  expect((await at.type("webhook", "add", "x", `${base}/a`, "--on", "rain")).exit).toBe(2);
  expect((await at.type("webhook", "add", "x", "https://10.0.0.1/a")).text).toContain("webhook.address");
  expect((await at.type("webhook", "test", "on-call")).text).toContain("✓ on-call took it and answered 200.");
  answers = [{ status: 404 }];
  const failed = await at.type("webhook", "test", "on-call");
  expect([failed.exit, failed.text]).toEqual([1, expect.stringContaining("✗ on-call did not take it: answered 404.")]);
  expect((await at.type("webhook", "list")).text).toMatch(/^1 webhook\.[\s\S]*on-call +127\.0\.0\.1/);
  const shown = await at.type("webhook", "show", "on-call");
  expect(shown.text).toMatch(/2 messages, the newest first\.[\s\S]*webhook\.test +on-call +dead +1 +answered 404/);
  expect((await at.type("webhook", "remove", "on-call")).exit).toBe(2);
  expect((await at.type("webhook", "remove", "on-call", "--yes")).text).toContain("on-call is told nothing any more.");
  expect((await at.type("webhook", "list")).text).toContain("0 webhooks.");
});
