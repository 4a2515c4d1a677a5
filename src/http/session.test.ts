import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";
import { manualClock } from "../edges/clock.ts";
import { systemIds } from "../edges/ids.ts";
import { consolePages } from "./console-pages.ts";
import { sessionLinks } from "./session.ts";

/* How a browser gets in: the app as a server has it, asked as a browser asks. */

let app: TestApp;
const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
const links = sessionLinks({ clock, ids: systemIds });
let ana: string;
let reader: string;
const folder = mkdtempSync(join(tmpdir(), "tidegate-pages-"));
const here = { host: "127.0.0.1:7420", origin: "http://127.0.0.1:7420" };

beforeAll(async () => {
  mkdirSync(join(folder, "assets"));
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>console</title>");
  writeFileSync(join(folder, "assets", "index-abc.js"), "export {};".repeat(100));
  app = await testApp({ local: false, localToken: "of-the-machine", pages: consolePages(folder), links });
  await app.ask("POST", "/v1/persons", { body: { name: "ana", role: "reviewer" }, token: "of-the-machine" });
  ana = ((await app.ask("POST", "/v1/tokens", { body: { person: "ana" }, token: "of-the-machine" })) as { token: string }).token;
  await app.ask("POST", "/v1/consumers", { body: { name: "board" }, token: "of-the-machine" });
  reader = ((await app.ask("POST", "/v1/tokens", { body: { consumer: "board" }, token: "of-the-machine" })) as { token: string }).token;
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

const codeOf = (path: string): string => /#link=([\w-]+)$/.exec(path)?.[1] ?? "";
const enter = (body: object, headers: Record<string, string> = {}) =>
  app.send("POST", "/v1/session", { body, headers: { ...here, ...headers } });
const cookieOf = (answer: Response): string => answer.headers.get("set-cookie")?.split(";")[0] ?? "";
const linkFor = async (token: string): Promise<string> =>
  codeOf(((await app.ask("POST", "/v1/session-links", { body: {}, token })) as { path: string }).path);

test("a link opens a session once, as the person who asked for it, by a cookie that no script and no other site gets", async () => {
  const code = await linkFor(ana);
  const answer = await enter({ link: code });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("set-cookie")).toMatch(/^tidegate_[0-9a-f]{8}=tg_[^;]+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Strict$/);
  expect(await answer.text()).not.toContain("tg_");
  expect(await app.ask("GET", "/v1/whoami", { headers: { cookie: cookieOf(answer) } })).toMatchObject({ name: "ana", role: "reviewer" });
  expect(await (await enter({ link: code })).json()).toMatchObject({ error: { code: "auth.link", hint: "tidegate console" } });
  expect(await app.ask("GET", "/v1/tokens", { token: ana })).toEqual(
    expect.arrayContaining([expect.objectContaining({ label: "console", person: "ana" })]),
  );
});

test("a link is good for half an hour", async () => {
  const { code } = links.make({ person: "ana", actor: "ana" });
  clock.advance(30 * 60_000);
  expect(await (await enter({ link: code })).json()).toMatchObject({ error: { code: "auth.link" } });
});

test("a person's token opens a session too, a consumer's and a wrong one do not", async () => {
  expect(await app.ask("GET", "/v1/whoami", { headers: { cookie: cookieOf(await enter({ token: ana })) } })).toMatchObject({ name: "ana" });
  expect((await enter({ token: reader })).status).toBe(403);
  expect((await enter({ token: "tg_x" })).status).toBe(401);
  expect((await enter({ token: ana, link: "x" })).status).toBe(400);
});

test("the cookie counts for our own page alone: to change something the browser must say that it comes from there", async () => {
  const cookie = cookieOf(await enter({ link: await linkFor(ana) }));
  const act = (headers: Record<string, string>) =>
    app.send("POST", "/v1/session-links", { body: {}, headers: { cookie, host: here.host, ...headers } });
  expect((await act({ origin: here.origin })).status).toBe(200);
  expect((await act({})).status).toBe(401);
  expect((await act({ origin: "http://127.0.0.1:9999" })).status).toBe(401);
  expect((await act({ origin: here.origin, "sec-fetch-site": "same-site" })).status).toBe(401);
  const look = (site: string) => app.send("GET", "/v1/whoami", { headers: { cookie, "sec-fetch-site": site } });
  expect((await look("same-origin")).status).toBe(200);
  expect((await look("cross-site")).status).toBe(401);
  // Who may act for others says so with a token of the machine, never by a page.
  expect((await app.send("GET", "/v1/whoami", { headers: { cookie, "tidegate-as": "root" } })).status).toBe(401);
});

test("signing out ends the session's token; who follows a second link while signed in gets no second one", async () => {
  const cookie = cookieOf(await enter({ link: await linkFor(ana) }));
  const again = await enter({ link: await linkFor(ana) }, { cookie });
  expect([again.status, again.headers.get("set-cookie")]).toEqual([200, null]);
  const out = await app.send("DELETE", "/v1/session", { headers: { ...here, cookie } });
  expect([out.status, out.headers.get("set-cookie")]).toEqual([200, expect.stringContaining("Max-Age=0")]);
  expect((await app.send("GET", "/v1/whoami", { headers: { cookie } })).status).toBe(401);
});

test("without a server there is no link, and the command says what to start", async () => {
  const alone = await testApp();
  try {
    expect(await alone.refused("POST", "/v1/session-links", { body: {} })).toMatchObject({
      code: "server.unreachable",
      hint: "tidegate serve",
    });
    expect(await alone.refused("POST", "/v1/session", { body: { link: "x" } })).toMatchObject({ code: "auth.link" });
  } finally {
    await alone.close();
  }
});

test("every address of the console is its page, never kept and with a strict policy; what it loads is kept for good", async () => {
  const html = { accept: "text/html,application/xhtml+xml" };
  for (const path of ["/", "/changes", "/changes/chg_1", "/datasets/demo.airports"]) {
    const page = await app.send("GET", path, { headers: html });
    expect([page.status, page.headers.get("cache-control")]).toEqual([200, "no-store"]);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(page.headers.get("content-security-policy")).not.toContain("unsafe");
    expect(await page.text()).toContain("<title>console</title>");
  }
  const script = await app.send("GET", "/assets/index-abc.js", { headers: { "accept-encoding": "gzip" } });
  expect(script.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  expect(script.headers.get("content-encoding")).toBe("gzip");
  const known = { "if-none-match": script.headers.get("etag") ?? "" };
  expect((await app.send("GET", "/assets/index-abc.js", { headers: known })).status).toBe(304);
  expect((await app.send("GET", "/iceberg/nothing", { headers: html })).headers.get("content-type")).toContain("json");
  for (const path of ["/v1/nothing", "/assets/index-old.js", "/v1"])
    expect((await app.send("GET", path, { headers: html })).status, path).toBe(404);
  expect((await app.send("POST", "/changes", { headers: html })).status).toBe(404);
});
