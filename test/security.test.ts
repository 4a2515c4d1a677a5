import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addConsumer } from "../src/access/consumer-service.ts";
import { addPerson } from "../src/access/person-service.ts";
import { createToken, revokeToken } from "../src/access/token-service.ts";
import { setPlan } from "../src/changes/plan-service.ts";
import { createRouter } from "../src/http/app.ts";
import { serve } from "../src/http/serve.ts";
import { testApp, type TestApp } from "./harness/app.ts";
import { importText, proposeText } from "./harness/changes.ts";

/*
 * What is tried against the boundary of trust, in one place. Tried elsewhere, beside the part that refuses it:
 * - Iceberg's door with the warehouses, addresses and reports of others: src/http/iceberg-routes.test.ts;
 * - least roles route by route, paths outside of the import roots: src/http/access.test.ts;
 * - webhooks to private addresses under any name, names that move, redirects, and the verifier of the docs against a message that is
 *   changed, kept or sent again: test/slow/webhooks.test.ts, src/webhooks/address.test.ts;
 * - Host and Origin case by case: src/http/origin.test.ts; a server that others can reach: src/http/serve.test.ts;
 * - SQL of others by every door that takes it: test/slow/hostile-queries.test.ts; documents and the gate: test/gate-attacks.test.ts.
 */

let app: TestApp;
const tokens: Record<string, string> = {};
let open: string;
let release: string;

beforeAll(async () => {
  app = await testApp({ local: false, localToken: "the-token-of-server.json" });
  const { lake } = app;
  await addPerson(lake, "root", { name: "max", role: "maintainer" });
  tokens["max"] = (await createToken(lake, "root", { person: "max", label: "" })).token;
  for (const name of ["board", "other"]) {
    await addConsumer(lake, "root", { name, kind: "job", criticality: "normal", labels: {} });
    tokens[name] = (await createToken(lake, "root", { consumer: name, label: "" })).token;
  }
  await importText(lake, "shop.t", "id,v\n1,everybody\n2,everybody\n", ["id"]);
  const ring = await proposeText(lake, "shop.t", { kind: "upsert", csv: "id,v\n1,others-ring\n" });
  await setPlan(lake, { changeId: ring, text: "steps: [{ ring: other, wait: 1h }, { everyone: true }]", actor: "ana" });
  release = (await lake.merge(ring)).release.id;
  open = await proposeText(lake, "shop.t", { kind: "upsert", csv: "id,v\n2,on-the-branch\n" });
  await app.ask("POST", "/v1/tags", { ...as("max"), body: { name: "v1", at: "main" } });
});
afterAll(() => app.close());

const as = (name: string) => ({ token: tokens[name] ?? "" });

/** What the board is answered: the status, and the text. */
async function answerOf(method: string, path: string, body?: unknown, headers = {}): Promise<[number, string]> {
  const answer = await app.send(method, path, { ...as("board"), headers, ...(body === undefined ? {} : { body }) });
  return [answer.status, await answer.text()];
}

describe("a consumer's token", () => {
  const routes = () => createRouter(app.services, { local: false }).shapes;
  const placed = (path: string): string => path.replace("{name}", "t").replaceAll(/\{\w+\}/g, "x");

  test("is refused by every route but those of readers, before anything else is looked at", async () => {
    const closed = routes().filter(({ needs }) => needs !== "reader" && needs !== "anyone");
    expect(closed.length).toBeGreaterThan(80);
    const let_in: string[] = [];
    for (const { method, path } of closed) {
      const [status] = await answerOf(method.toUpperCase(), placed(path), method === "get" ? undefined : "{");
      if (status !== 403) let_in.push(`${method} ${path}: ${status}`);
    }
    expect(let_in).toEqual([]);
  });

  test("is let in by these routes alone, and by none of them to main, a change, a tag, a commit, live or another's view", async () => {
    const readers = routes().filter(({ needs }) => needs === "reader");
    expect(readers.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      "get /v1/datasets",
      "get /v1/datasets/{name}",
      "get /v1/datasets/{name}/contract",
      "get /v1/datasets/{name}/parquet",
      "get /v1/datasets/{name}/rows",
      "get /v1/datasets/{name}/rows/{key}",
      "get /v1/view",
      "get /v1/whoami",
      "post /v1/outcomes",
      "post /v1/query",
    ]);
    const states = ["main", `change/${open}`, "tag/v1", "live/production", release];
    const tried: [string, string, unknown?][] = readers
      .filter(({ method, path }) => method === "get" && path !== "/v1/whoami")
      .flatMap(({ path }): [string, string, unknown?][] => {
        const own = path.replace("{name}", "t").replace("{key}", "1");
        return [...states.map((at) => `at=${encodeURIComponent(at)}`), "as=other"].map((query) => ["GET", `${own}?${query}`]);
      });
    for (const at of states) tried.push(["POST", "/v1/query", { sql: "select * from t", at }]);
    tried.push(["POST", "/v1/query", { sql: "select * from t", as: "other" }]);
    for (const number of [1, 2, 3]) {
      tried.push(["GET", `/v1/datasets/t@${number}/rows`], ["GET", `/v1/datasets/shop.t%40${number}/parquet`]);
      tried.push(["GET", `/v1/datasets/t@${number}/rows/1`], ["POST", "/v1/query", { sql: `select * from "shop.t@${number}"` }]);
    }
    const got: string[] = [];
    for (const [method, path, body] of tried) {
      const [status, text] = await answerOf(method, path, body);
      if (status < 400 || /others-ring|on-the-branch/.test(text))
        got.push(`${method} ${path} ${JSON.stringify(body ?? "")}: ${status} ${text}`);
    }
    expect(got).toEqual([]);
  });

  test("reads what everybody has by each of these doors, whatever it says of itself in headers", async () => {
    for (const headers of [{}, { "tidegate-as": "max" }, { "tidegate-consumer": "other" }, { "x-forwarded-user": "max" }]) {
      const [status, text] = await answerOf("GET", "/v1/datasets/t/rows", undefined, headers);
      expect(status).toBe("tidegate-as" in headers ? 403 : 200);
      expect(text).not.toMatch(/others-ring|on-the-branch/);
    }
    expect(await answerOf("GET", "/v1/datasets/t/rows/1")).toEqual([200, expect.stringContaining("everybody")]);
    expect(await answerOf("POST", "/v1/query", { sql: "select v from t where id = 1" })).toEqual([
      200,
      expect.stringContaining("everybody"),
    ]);
  });

  test("of one does not open with a piece of it, another's secret, or the token of the machine's own user in its place", async () => {
    const [board, other] = [tokens["board"] ?? "", tokens["other"] ?? ""];
    const half = Math.floor(board.length / 2);
    const forged = [
      board.slice(0, -1),
      `${board}x`,
      board.slice(0, half) + other.slice(half),
      board.toUpperCase(),
      "the-token-of-server.jso",
    ];
    for (const token of forged) expect(await app.refused("GET", "/v1/whoami", { token })).toMatchObject({ status: 401 });
  });
});

describe("what a consumer reports", () => {
  const report = (about: Record<string, unknown>) => ({
    ...as("board"),
    body: { id: `r${(reports += 1)}`, dataset: "t", ok: true, ...about },
  });
  let reports = 0;

  test("counts for the side that it was served, whatever it says of its side, its step, its name or its run", async () => {
    await answerOf("GET", "/v1/datasets/t/rows");
    await (await app.send("GET", "/v1/datasets/t/rows?run=others-run", as("other"))).text();
    await app.lake.ledger.flush();
    for (const forged of [{ arm: "candidate" }, { side: "candidate" }, { step: 2 }, { consumer: "other" }, { as: "other" }, { view: "x" }])
      expect(await app.refused("POST", "/v1/outcomes", report(forged))).toMatchObject({ status: 400, code: "request.invalid" });
    expect(await app.ask("POST", "/v1/outcomes", report({}))).toMatchObject({ release, arm: "current" });
    expect(await app.ask("POST", "/v1/outcomes", report({ dataset: undefined, release }))).toMatchObject({ arm: "current" });
    // The run is another's: of the board's own runs none has this name.
    expect(await app.ask("POST", "/v1/outcomes", report({ run: "others-run" }))).toMatchObject({ release: null, arm: null });
    expect((await app.ask("GET", `/v1/releases/${release}`, as("max"))).release.state).toBe("running");
  });

  test("takes nothing back that it was not served, however loud, and its answer names no other consumer", async () => {
    const answer = await app.send("POST", "/v1/outcomes", report({ ok: false, reason: "all is lost" }));
    const text = await answer.text();
    expect([answer.status, JSON.parse(text).data.takenBack]).toEqual([200, false]);
    expect(text).not.toContain("other");
    expect((await app.ask("GET", `/v1/releases/${release}`, as("max"))).release.state).toBe("running");
  });
});

describe("a local server", () => {
  /** What a server answers to bytes, as no well-behaved client sends them. */
  const raw = (port: number, lines: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(port, "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
      socket.setEncoding("utf8").on("data", (more: string) => (text += more));
      socket.on("error", reject).on("close", () => resolve(text.split("\r\n")[0] ?? ""));
    });

  test("answers no page of another site and no name that was made to point to it, by whatever way they are said", async () => {
    const server = await serve(app.services, { host: "127.0.0.1", port: 0 });
    try {
      const port = Number(new URL(server.url).port);
      const ask = (...headers: string[]) => raw(port, [`GET /v1/health HTTP/1.1`, ...headers, "Connection: close"]);
      expect(await ask(`Host: 127.0.0.1:${port}`)).toContain("200");
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost.",
        "127.0.0.1:1:2",
        "evil@127.0.0.1",
        "127.0.0.1, evil.example",
        "2130706433",
        "0.0.0.0",
        "169.254.169.254",
        "",
      ])
        expect(await ask(`Host: ${host}`), host).toMatch(/ 40[03] /);
      expect(await ask("Host: evil.example", `X-Forwarded-Host: 127.0.0.1:${port}`, "Forwarded: host=127.0.0.1")).toContain("403");
      expect(await raw(port, [`GET http://evil.example/v1/health HTTP/1.1`, "Host: evil.example", "Connection: close"])).toContain("403");
      for (const origin of [
        "https://evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "null",
        "file://",
        "x",
      ])
        expect(await ask(`Host: 127.0.0.1:${port}`, `Origin: ${origin}`), origin).toContain("403");
      const form = ["POST /v1/gc HTTP/1.1", `Host: 127.0.0.1:${port}`, "Origin: https://evil.example", "Content-Type: text/plain"];
      expect(await raw(port, [...form, "Content-Length: 0", "Connection: close"])).toContain("403");
    } finally {
      await server.close();
    }
  });

  test("does not open to others before an admin can enter: tokens of anybody else, and one that was ended, do not count", async () => {
    const { lake } = app;
    const open = (host: string) => serve(app.services, { host, port: 0 });
    for (const host of ["0.0.0.0", "::", "127.0.0.2"]) await expect(open(host), host).rejects.toMatchObject({ code: "server.no_admin" });
    const { id } = await createToken(lake, "root", { person: "root", label: "" });
    await revokeToken(lake, "root", { id });
    await expect(open("0.0.0.0")).rejects.toMatchObject({ code: "server.no_admin" });
    await createToken(lake, "root", { person: "root", label: "" });
    await (await open("0.0.0.0")).close();
  });
});
