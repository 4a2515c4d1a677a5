import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";
import { readServerFile } from "../lib/server-file.ts";
import { serve, type RunningServer } from "./serve.ts";

/* The event log over a real connection, as a browser reads it. */

let app: TestApp;
let server: RunningServer;
let token: string;

beforeAll(async () => {
  app = await testApp();
  await app.importCsv("t.items", "id,n\n1,1\n2,2\n", ["id"]);
});
beforeAll(async () => {
  server = await serve(app.services, { host: "127.0.0.1", port: 0 });
  token = (await readServerFile(app.lake.dir))?.token ?? "";
});
const open: Stream[] = [];
afterEach(async () => {
  for (const stream of open.splice(0)) await stream.leave();
});
afterAll(async () => {
  await server.close();
  await app.close();
});

interface Told {
  id: string | undefined;
  event: string;
  data: unknown;
}

interface Stream {
  status: number;
  type: string | null;
  /** The next event; undefined when the stream has ended. Comments are told as events of that name. */
  next(): Promise<Told | undefined>;
  leave(): Promise<void>;
}

async function follow(headers: Record<string, string> = {}, bearer = token): Promise<Stream> {
  const answer = await fetch(`${server.url}/v1/events`, { headers: { authorization: `Bearer ${bearer}`, ...headers } });
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  const stream: Stream = {
    status: answer.status,
    type: answer.headers.get("content-type"),
    next: async () => {
      while (!text.includes("\n\n")) {
        const { done, value } = await reader.read();
        if (done) return undefined;
        text += decoder.decode(value, { stream: true });
      }
      const end = text.indexOf("\n\n");
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      if (block.startsWith(":")) return { id: undefined, event: "comment", data: undefined };
      return { id: field("id"), event: field("event") ?? "", data: JSON.parse(field("data") ?? "null") };
    },
    leave: () => reader.cancel().catch(() => {}),
  };
  open.push(stream);
  return stream;
}

async function post(path: string, body: object): Promise<{ id: string; change?: { id: string } }> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${server.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  return ((await answer.json()) as { data: { id: string; change?: { id: string } } }).data;
}

const propose = async (value: number): Promise<string> => {
  const operations = [{ kind: "update", dataset: "t.items", set: [{ column: "n", expression: `n + ${value}` }] }];
  return (await post("/v1/changes", { operations })).change?.id ?? "";
};

test("what is committed is told at once, with a number, to whoever listens", async () => {
  const [one, two] = [await follow(), await follow()];
  expect([one.status, one.type]).toEqual([200, "text/event-stream; charset=utf-8"]);
  const begin = await one.next();
  expect([begin?.event, (await two.next())?.event]).toEqual(["ready", "ready"]);
  const change = await propose(1);
  for (const stream of [one, two]) {
    const told = await stream.next();
    expect(told).toMatchObject({ event: "change.written", data: { change, at: expect.stringMatching(/Z$/) as string } });
    expect(Number(told?.id)).toBe(Number(begin?.id) + 1);
  }
});

test("who comes back with the last number is told what was missed, in order, none twice", async () => {
  const first = await follow();
  const place = (await first.next())?.id ?? "";
  await first.leave();
  const changes = [await propose(2), await propose(3), await propose(4)];
  const back = await follow({ "last-event-id": place });
  expect(await back.next()).toMatchObject({ event: "ready", id: place });
  const told = [await back.next(), await back.next(), await back.next()];
  expect(told.map((item) => (item?.data as { change: string } | undefined)?.change)).toEqual(changes);
  expect(told.map((item) => Number(item?.id) - Number(place))).toEqual([1, 2, 3]);
});

test("a place that the log never had, and one that is no number, are told apart", async () => {
  const other = await follow({ "last-event-id": "999999999" });
  expect((await other.next())?.event).toBe("reset");
  expect((await follow({ "last-event-id": "x'; drop" })).status).toBe(400);
});

test("persons may listen, nobody else; whose token is revoked is told nothing more", async () => {
  await post("/v1/persons", { name: "eve", role: "viewer" });
  await post("/v1/consumers", { name: "board" });
  const eve = (await post("/v1/tokens", { person: "eve" })) as unknown as { id: string; token: string };
  const board = (await post("/v1/tokens", { consumer: "board" })) as unknown as { token: string };
  expect((await follow({}, board.token)).status).toBe(403);
  expect((await follow({}, "tg_nobody")).status).toBe(401);
  const stream = await follow({}, eve.token);
  expect((await stream.next())?.event).toBe("ready");
  // Silence is broken by a comment, so that nothing in between takes the connection for dead.
  app.lake.clock.advance(15_000);
  expect((await stream.next())?.event).toBe("comment");
  await fetch(`${server.url}/v1/tokens/${eve.id}`, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
  app.lake.clock.advance(15_000);
  expect(await stream.next()).toBeUndefined();
});

test("a server that stops ends those who listen, and does not wait for them", async () => {
  const stream = await follow();
  expect((await stream.next())?.event).toBe("ready");
  const stopped = server.close();
  expect(await stream.next()).toBeUndefined();
  await stopped;
  server = await serve(app.services, { host: "127.0.0.1", port: 0 });
  token = (await readServerFile(app.lake.dir))?.token ?? "";
});
