import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "../../test/harness/app.ts";
import { connect } from "../db/connect.ts";
import { createToken } from "../access/token-service.ts";
import type { Services } from "./services.ts";
import { readServerFile } from "../lib/server-file.ts";
import { serve, type RunningServer } from "./serve.ts";

let app: TestApp;
let server: RunningServer | undefined;

beforeAll(async () => {
  app = await testApp();
  await app.importCsv("t.numbers", `n\n${Array.from({ length: 5000 }, (_, n) => n).join("\n")}\n`);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(() => app.close());

const serverFile = () => join(app.lake.dir, "server.json");
const localToken = () => (JSON.parse(readFileSync(serverFile(), "utf8")) as { token: string }).token;
const start = async (services: Services = app.services, host = "127.0.0.1") => {
  server = await serve(services, { host, port: 0 });
  return server.url;
};
const authorized = () => ({ authorization: `Bearer ${localToken()}` });

test("a server publishes itself for its own user, and takes itself back", async () => {
  const url = await start();
  expect(statSync(serverFile()).mode & 0o777).toBe(0o600);
  expect(await readServerFile(app.lake.dir)).toMatchObject({ url, pid: process.pid });
  expect((await fetch(`${url}/v1/whoami`)).status).toBe(401);
  expect(((await (await fetch(`${url}/v1/whoami`, { headers: authorized() })).json()) as Data).data).toMatchObject({
    name: "root",
    role: "admin",
  });
  await expect(serve(app.services, { host: "127.0.0.1", port: 0 })).rejects.toMatchObject({ code: "server.running" });
  await server?.close();
  server = undefined;
  expect(existsSync(serverFile())).toBe(false);
});

test("a server file whose process or server is gone counts for nothing", async () => {
  const files = [
    "{",
    JSON.stringify({ url: "http://127.0.0.1:1", pid: process.pid, token: "x" }),
    JSON.stringify({ url: "http://127.0.0.1:1", pid: 2 ** 30, token: "x" }),
  ];
  for (const text of files) {
    writeFileSync(serverFile(), text);
    expect(await readServerFile(app.lake.dir)).toBeUndefined();
  }
  // Another server at the same address does not know the token.
  const stranger = createServer((_request, response) => response.writeHead(401).end("{}"));
  await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  writeFileSync(
    serverFile(),
    JSON.stringify({ url: `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`, pid: process.pid, token: "x" }),
  );
  expect(await readServerFile(app.lake.dir)).toBeUndefined();
  await new Promise((resolve) => stranger.close(resolve));
});

test("a request for another host, or from another site's page, is refused", async () => {
  const url = await start();
  const status = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      httpRequest(`${url}/v1/health`, { headers }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });
  expect(await status({})).toBe(200);
  expect(await status({ host: "evil.example" })).toBe(403);
  expect(await status({ origin: "https://evil.example" })).toBe(403);
});

test("a server that others can reach needs an admin with a token", async () => {
  await expect(start(app.services, "0.0.0.0")).rejects.toMatchObject({ code: "server.no_admin" });
  await createToken(app.lake, "root", { person: "root", label: "" });
  await start(app.services, "0.0.0.0");
  expect(await readServerFile(app.lake.dir)).toMatchObject({ url: expect.stringContaining("http://127.0.0.1:") as string });
});

test("a taken port is an error that says so", async () => {
  const url = await start();
  const other = { ...app.services, config: { ...app.services.config, dataDir: join(app.lake.dir, "other") } };
  await expect(serve(other, { host: "127.0.0.1", port: Number(new URL(url).port) })).rejects.toMatchObject({ code: "server.port" });
});

/** Services whose engine gives some rows, then fails. */
function failingAfter(batches: number): Services {
  const engine = Object.create(app.services.engine, {
    stream: {
      value: async function* () {
        for (let batch = 0; batch < batches; batch += 1) yield Array.from({ length: 2000 }, (_, n) => `{"n":${n}}`);
        throw new Error("the disk is on fire");
      },
    },
  }) as Services["engine"];
  return { ...app.services, engine };
}

test.each(["json", "ndjson", "csv"])("rows that fail midway end visibly broken as %s, never as a shorter result", async (format) => {
  const url = await start(failingAfter(3));
  const response = await fetch(`${url}/v1/datasets/numbers/rows?format=${format}`, { headers: authorized() });
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test("rows that fail at once are an error like any other", async () => {
  const url = await start(failingAfter(0));
  const response = await fetch(`${url}/v1/datasets/numbers/rows`, { headers: authorized() });
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("serve.test");
});

test("a reader that leaves stops the work behind its answer", async () => {
  let stopped = false;
  const engine = Object.create(app.services.engine, {
    stream: {
      value: async function* () {
        try {
          for (;;) yield Array.from({ length: 2000 }, (_, n) => `{"n":${n}}`);
        } finally {
          stopped = true;
        }
      },
    },
  }) as Services["engine"];
  const url = await start({ ...app.services, engine });
  const controller = new AbortController();
  const response = await fetch(`${url}/v1/datasets/numbers/rows?format=ndjson`, { headers: authorized(), signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  await expect.poll(() => stopped).toBe(true);
});

test("an upload is a file of its own until it is used; a broken one leaves nothing", async () => {
  const url = await start();
  const uploads = join(app.lake.dir, "tmp", "uploads");
  const send = (body: RequestInit["body"]) =>
    fetch(`${url}/v1/uploads/..%2Fnew%20rows.csv`, {
      method: "PUT",
      headers: authorized(),
      body: body ?? null,
      duplex: "half",
    } as RequestInit);
  const { data } = (await (await send("n\n1\n2\n")).json()) as Data;
  expect(data).toMatchObject({ bytes: 6 });
  expect(readdirSync(join(uploads, data.id))).toEqual(["new rows.csv"]);
  const body = JSON.stringify({ dataset: "t.uploaded", source: { uploads: [data.id] } });
  const imported = await fetch(`${url}/v1/imports`, {
    method: "POST",
    headers: { ...authorized(), "content-type": "application/json" },
    body,
  });
  expect(((await imported.json()) as Data).data.datasets[0]).toMatchObject({ inserted: 2 });
  expect(readdirSync(uploads)).toEqual([]);

  const broken = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("n\n1\n")),
    pull: (controller) => controller.error(new Error("the sender died")),
  });
  await expect(send(broken)).rejects.toThrow();
  await expect.poll(() => readdirSync(uploads)).toEqual([]);
  expect(await app.lake.db.selectFrom("uploads").selectAll().execute()).toEqual([]);
});

test("closing waits for what is under way", async () => {
  const url = await start();
  const asked = fetch(`${url}/v1/datasets/numbers/rows?format=csv`, { headers: authorized() });
  const response = await asked;
  await Promise.all([server?.close(), response.text().then((text) => expect(text.split("\n")).toHaveLength(5002))]);
  server = undefined;
  await expect(fetch(`${url}/v1/health`)).rejects.toThrow();
});

test("health says that the process answers, readiness that it can work, and metrics need a token", async () => {
  const url = await start();
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ live: true });
  const ready = async () => (await (await fetch(`${url}/readyz`)).json()) as Data;
  const good = { ok: true, reason: null };
  await expect
    .poll(async () => {
      app.lake.clock.advance(5000);
      return ready();
    })
    .toEqual({ ready: true, checks: { postgres: good, migrations: good, store: good, timer: good } });
  expect((await fetch(`${url}/metrics`)).status).toBe(401);
  await (await fetch(`${url}/v1/datasets/numbers/rows?columns=n`, { headers: authorized() })).text();
  await (await fetch(`${url}/v1/datasets/nothing/rows`, { headers: authorized() })).text();
  await (await fetch(`${url}/no/such/path`, { headers: authorized() })).text();
  const answer = await fetch(`${url}/metrics`, { headers: authorized() });
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  const values = new Map(
    text.split("\n").map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
  const route = 'method="GET",route="/v1/datasets/:name/rows"';
  expect(values.get(`tidegate_http_requests_total{${route},status="200"}`)).toBe(1);
  expect(values.get(`tidegate_http_requests_total{${route},status="404"}`)).toBe(1);
  expect(values.get('tidegate_http_requests_total{method="GET",route="other",status="404"}')).toBe(1);
  expect(values.get(`tidegate_http_request_duration_seconds_count{${route}}`)).toBe(2);
  expect(values.get('tidegate_reads_total{door="rows"}')).toBeGreaterThanOrEqual(1);
  expect(values.get('tidegate_changes{state="merged"}')).toBeGreaterThanOrEqual(1);
  expect(values.get('tidegate_releases{state="completed"}')).toBeGreaterThanOrEqual(1);
  expect(values.get("tidegate_postgres_up")).toBe(1);
  expect(values.get("tidegate_outbox_pending")).toBe(0);
  expect(values.get('tidegate_timer_last_run_timestamp_seconds{timer="outbox"}')).toBeGreaterThan(1.7e9);
  for (const line of text.trimEnd().split("\n"))
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+.\dein]+)$/i);
});

test("a server that cannot work is not ready and says why, and says nothing of its machine; it still answers", async () => {
  const { db, clock, store } = app.lake;
  const gone = connect({ connectionString: "postgres://127.0.0.1:1/nowhere" });
  const broken = Object.create(store, { put: { value: () => Promise.reject(new Error(`EROFS ${app.lake.dir}`)) } }) as typeof store;
  const stuck = { ...clock, every: () => ({ stop: () => undefined }) };
  const reasons = async (services: Partial<Services>, wait: number): Promise<Record<string, string>> => {
    const url = await start({ ...app.services, ...services });
    await app.lake.clock.idle();
    await fetch(`${url}/healthz`).then((response) => expect(response.status).toBe(200));
    const ask = async (): Promise<Response> => {
      clock.advance(wait);
      return fetch(`${url}/readyz`);
    };
    await expect.poll(async () => (await ask()).status).toBe(503);
    const { checks } = (await (await ask()).json()) as { checks: Record<string, { ok: boolean; reason: string }> };
    await server?.close();
    server = undefined;
    return Object.fromEntries(Object.entries(checks).flatMap(([name, { ok, reason }]) => (ok ? [] : [[name, reason]])));
  };
  expect(await reasons({ store: broken }, 5000)).toMatchObject({ store: "the store cannot be written" });
  expect(await reasons({ clock: stuck }, 120_000)).toEqual({ timer: expect.stringMatching(/^the timer has not run for \d+ s$/) as string });
  await db
    .insertInto("migrations" as never)
    .values({ name: "9999-later", hash: "", at: clock.now() } as never)
    .execute();
  expect(await reasons({}, 5000)).toMatchObject({ migrations: "the database has the migration 9999-later of a newer version" });
  await db
    .deleteFrom("migrations" as never)
    .where("name" as never, "=", "9999-later" as never)
    .execute();
  expect(await reasons({ db: gone.db }, 5000)).toMatchObject({ postgres: "Postgres does not answer" });
  await gone.close();
});
