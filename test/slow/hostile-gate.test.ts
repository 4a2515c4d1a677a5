import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildCommand, command, must } from "../harness/command.ts";
import { hostileContracts, hostilePolicies, hostileTexts, type HostileDocument } from "../hostile-documents.ts";
import { hostileQueries } from "../hostile-queries.ts";

/* Hostile documents, statements and commands through the doors of the gate, at a real server. */

const secret = "SECRET-9f2c1d";
const rssBoundMb = 1500;
const main = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.js");

let root: string;
let data: string;
let server: ChildProcess;
let url: string;
let token: string;
let trap: Server;
let trapped = 0;
let before: unknown;
const lines: string[] = [];
const watch = { rssMb: 0, startMb: 0, slowestMs: 0, lagMs: 0 };
let watching: NodeJS.Timeout;

interface Answer {
  status: number;
  code: string | undefined;
  // oxlint-disable-next-line typescript/no-explicit-any
  data: any;
  text: string;
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = JSON.parse(text) as { data?: unknown; error?: { code: string } };
  return { status: response.status, code: answer.error?.code, data: answer.data, text };
}

const rssOf = (pid: number | undefined): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

/** How long a request for health takes all the while; how late our own timer is says how busy the machine is. */
async function look(): Promise<void> {
  const began = performance.now();
  await fetch(`${url}/v1/health`).catch(() => undefined);
  watch.slowestMs = Math.max(watch.slowestMs, performance.now() - began);
  watch.rssMb = Math.max(watch.rssMb, rssOf(server.pid));
}

const state = async (): Promise<unknown> => {
  const [log, live, policy] = await Promise.all([ask("GET", "/v1/log"), ask("GET", "/v1/log?live=true"), ask("GET", "/v1/policy")]);
  return [log.data, live.data, policy.data];
};

beforeAll(async () => {
  buildCommand();
  root = mkdtempSync(join(tmpdir(), "tidegate-gate-"));
  data = join(root, "data");
  writeFileSync(join(root, "secret.csv"), `${secret}\n`);
  writeFileSync(
    join(root, "orders.csv"),
    `id,name,amount\n${Array.from({ length: 2000 }, (_, at) => `${at},${"a".repeat(40)}!,${at}.5`).join("\n")}\n`,
  );
  await must(data, "init");
  await must(data, "import", "sales.orders", join(root, "orders.csv"), "--key", "id");
  await must(data, "import", "sales.items", join(root, "orders.csv"), "--key", "id");
  await must(data, "consumer", "add", "board", "--kind", "dashboard");
  trap = createServer((_request, response) => {
    trapped += 1;
    response.end("rules: []");
  });
  await new Promise<void>((done) => trap.listen(0, "127.0.0.1", done));
  trap.on("connection", () => (trapped += 1));
  server = spawn(process.execPath, [main, "serve", "--port", "0", "--json"], {
    env: { ...process.env, TIDEGATE_DATA: data, TIDEGATE_MEMORY_MB: "512" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((done) => server.stdout?.once("data", () => done()));
  ({ url, token } = JSON.parse(readFileSync(join(data, "server.json"), "utf8")) as { url: string; token: string });
  before = await state();
  watch.startMb = rssOf(server.pid);
  let due = performance.now() + 250;
  watching = setInterval(() => {
    watch.lagMs = Math.max(watch.lagMs, performance.now() - due);
    due = performance.now() + 250;
    void look();
  }, 250);
});

afterAll(async () => {
  clearInterval(watching);
  const ended = new Promise((done) => server.once("close", done));
  server.kill("SIGTERM");
  await ended;
  trap.close();
  rmSync(root, { recursive: true, force: true });
  process.stdout.write(`${lines.join("\n")}\n`);
});

const filled = (text: string): string =>
  text
    .replaceAll("{secret}", join(root, "secret.csv"))
    .replaceAll("{data}", join(root, "orders.csv"))
    .replaceAll("{dir}", root)
    .replaceAll("{url}", `http://127.0.0.1:${(trap.address() as AddressInfo).port}`);

function told(input: string, door: string, outcome: string): void {
  lines.push(`${input.replaceAll(/\s+/g, " ").slice(0, 48).padEnd(50)}${door.padEnd(18)}${outcome}`);
}

/** No answer fails, or says anything of this machine. */
function harmless(answer: Answer, what: string): void {
  expect(answer.status, `${what}: ${answer.text.slice(0, 300)}`).toBeLessThan(500);
  expect(answer.text, what).not.toMatch(/SECRET-9f2c1d|root:x:/);
}

const folder = (path: string, text: string, more: object = {}): object => ({ files: [{ path, text }], dryRun: true, ...more });

/** What is the same through every door comes through each in part. */
const third = (table: readonly HostileDocument[]): HostileDocument[] => table.filter((_, at) => at % 3 === 0);

describe("documents", () => {
  const doors: readonly [string, readonly HostileDocument[], (text: string) => [string, object]][] = [
    ["contract lint", [...hostileTexts, ...hostileContracts], (text) => ["/v1/contracts/lint", { text, dataset: "sales.orders" }]],
    ["contract set", [...third(hostileTexts), ...hostileContracts], (text) => ["/v1/datasets/sales.orders/contract", { text }]],
    ["apply contract", third([...hostileTexts, ...hostileContracts]), (text) => ["/v1/apply", folder("contracts/orders.odcs.yaml", text)]],
    ["policy set", [...hostileTexts, ...hostilePolicies], (text) => ["/v1/policy", { text }]],
    ["apply policy", third([...hostileTexts, ...hostilePolicies]), (text) => ["/v1/apply", folder("policy.yaml", text)]],
    ["apply consumer", third(hostileTexts), (text) => ["/v1/apply", folder("consumers/board.yaml", text)]],
  ];
  test.each(doors)(
    "%s refuses each hostile text with a code, or takes what is harmless, and answers others meanwhile",
    async (door, table, request) => {
      for (const { name, text, fine } of table) {
        const [path, body] = request(filled(text));
        const began = performance.now();
        const answer = await ask("POST", path, body);
        harmless(answer, `${name} through ${door}`);
        const isTaken = answer.status === 200 && answer.data?.valid !== false;
        if (fine !== true) expect(isTaken, `${name} through ${door}: ${answer.text.slice(0, 300)}`).toBe(false);
        const id = (answer.data?.change?.id ?? answer.data?.id) as string | undefined;
        if (id !== undefined) await ask("POST", `/v1/changes/${id}/close`, {});
        told(name, door, `${answer.code ?? (isTaken ? "taken" : "problems told")}, ${(performance.now() - began).toFixed(0)} ms`);
      }
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    },
  );

  test("the command prints what such documents say without a sign that steers the terminal", async () => {
    const path = join(root, "steering.odcs.yaml");
    writeFileSync(path, hostileTexts.find(({ name }) => name === "names that steer a terminal")!.text);
    const child = spawn(process.execPath, [main, "contract", "lint", path], { env: { ...process.env, TIDEGATE_DATA: data } });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
    const exit = await new Promise((done) => child.once("close", done));
    expect(exit).not.toBe(0);
    expect(said).not.toBe("");
    // eslint-disable-next-line no-control-regex
    expect(said).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    told("names that steer a terminal", "contract lint, CLI", `exit ${String(exit)}`);
  });
});

/** A share of the table that the sandbox's own test goes through whole; those that eat the machine come apart. */
const greedy = "with recursive t as (select 1 as x union all select x + 1 from t) select count(*) from t";
const statements = hostileQueries.filter(
  ({ fine, plansWell, sql }, at) => fine === undefined && plansWell !== true && sql.trim() !== "" && at % 5 === 0,
);

describe("statements", () => {
  test.each<[string, (at: number) => string]>([
    ["derived", (at) => `derived/mart.h${at}.sql`],
    ["consumer query", (at) => `consumers/board/h${at}.sql`],
  ])("as a file of %s in a folder: every one is named as a mistake of its file, and nothing is proposed", async (door, path) => {
    const files = statements.map(({ sql }, at) => ({ path: path(at), text: filled(sql) }));
    const answer = await ask("POST", "/v1/apply", { files });
    harmless(answer, door);
    expect(answer.status).toBe(400);
    for (const [at, { sql }] of statements.entries()) {
      expect(answer.text.includes(`"${path(at)}"`), `${sql} through ${door}`).toBe(true);
      told(sql, `apply ${door}`, answer.code ?? "");
    }
  });

  test("as a rule of a contract: refused, or inconclusive alone, and its neighbour passes", async () => {
    const { data: document } = await ask("GET", "/v1/datasets/sales.orders/contract");
    const item = (sql: string) => ({
      type: "sql",
      name: `hostile: ${sql.slice(0, 60)}`,
      query: filled(sql),
      mustBe: 1,
      severity: "warning",
    });
    const withRules = (quality: unknown[]): string => {
      const [table, ...rest] = document.schema as object[];
      return JSON.stringify({ ...document, schema: [{ ...table, quality }, ...rest] });
    };
    const healthy = { metric: "rowCount", name: "healthy neighbour", mustBeGreaterThan: 0 };
    const taken: string[] = [];
    for (const { sql } of statements) {
      const lint = await ask("POST", "/v1/contracts/lint", { text: withRules([item(sql)]), dataset: "sales.orders" });
      harmless(lint, sql);
      if (lint.data?.valid === true) taken.push(sql);
      else told(sql, "contract rule", lint.code ?? "refused by lint");
    }
    const set = await ask("POST", "/v1/datasets/sales.orders/contract", { text: withRules([healthy, ...taken.map(item)]) });
    expect(set.status, set.text.slice(0, 500)).toBe(200);
    const checks = await ask("GET", `/v1/changes/${set.data.change.id}/checks`);
    harmless(checks, "checks of hostile rules");
    // oxlint-disable-next-line typescript/no-explicit-any
    const found = checks.data.flatMap((dataset: any) => dataset.checks) as any[];
    const neighbour = found.find((check) => check.rule.title === "healthy neighbour");
    expect(neighbour, checks.text.slice(0, 1000)).toMatchObject({ verdict: "pass" });
    const hostile = found.filter((check) => String(check.rule.title).startsWith("hostile: "));
    expect(taken.length).toBeGreaterThan(3);
    expect(new Set(hostile.map((check) => String(check.rule.title))).size).toBe(taken.length);
    for (const check of hostile) {
      expect(check, String(check.rule.title)).toMatchObject({ verdict: "inconclusive" });
      told(String(check.rule.title), "contract rule", `inconclusive, ${String(check.reason)}`);
    }
    await ask("POST", `/v1/changes/${set.data.change.id}/close`, {});
  });

  test("as the SQL of a derived dataset that is proposed: refused with a code, and no change is left behind", async () => {
    for (const { sql } of statements.filter((_, at) => at % 2 === 0)) {
      const answer = await ask("POST", "/v1/changes", { operations: [{ kind: "derive", dataset: "mart.hostile", sql: filled(sql) }] });
      harmless(answer, sql);
      expect(answer.status, `${sql}: ${answer.text.slice(0, 300)}`).toBeGreaterThanOrEqual(400);
      told(sql, "propose --derive", answer.code ?? "");
    }
    expect((await ask("GET", "/v1/changes?state=waiting")).data).toEqual([]);
  });

  test("as the condition of a rule: a mistake of its line, whatever it is", async () => {
    const { data: document } = await ask("GET", "/v1/datasets/sales.orders/contract");
    const [table, ...rest] = document.schema as object[];
    for (const { sql } of hostileQueries) {
      const rule = { metric: "rowCount", mustBeGreaterThan: 0, customProperties: [{ property: "tidegate.where", value: filled(sql) }] };
      const text = JSON.stringify({ ...document, schema: [{ ...table, quality: [rule] }, ...rest] });
      const answer = await ask("POST", "/v1/contracts/lint", { text, dataset: "sales.orders" });
      harmless(answer, sql);
      expect(answer.data, sql).toMatchObject({
        valid: false,
        problems: [{ path: expect.stringMatching(/customProperties\[0\]\.value$/) }],
      });
    }
    told(`${hostileQueries.length} statements`, "condition of a rule", "refused by lint");
  });

  const asTests = (queries: readonly string[]) =>
    queries.map((sql, at) => ({ name: `h${at}`, query: { sql: filled(sql), timeout: "1500ms" } }));

  test("as tests of a consumer: refused by name, and no change is left behind", async () => {
    const tests = asTests(statements.slice(0, 12).map(({ sql }) => sql));
    const answer = await ask("POST", "/v1/consumers/board/tests", { tests });
    harmless(answer, "tests of a consumer");
    expect([answer.code, answer.text.includes("h0")]).toEqual(["consumer.query_invalid", true]);
    told("12 statements", "consumer tests", answer.code ?? "");
  });

  test("as tests of a consumer that may be stored: none merges by itself, one without end is stopped at its limit", async () => {
    const tests = asTests([greedy, "select count(*) from orders a, orders b, orders c, orders d"]);
    const answer = await ask("POST", "/v1/consumers/board/tests", { tests });
    harmless(answer, "tests of a consumer");
    if (answer.status === 200) {
      expect(answer.data.waits, answer.text.slice(0, 500)).not.toBeNull();
      await ask("POST", `/v1/changes/${answer.data.change.id}/close`, {});
    }
    told("2 statements", "consumer tests", answer.code ?? `waits: ${String(answer.data.waits)}`);
  });
});

describe("patterns", () => {
  /** Each would try without end on forty times «a» and a «!», were it tried. */
  const exploding = ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "^(([a-z])+.)+[A-Z]$", "(x+x+)+y"];
  const unbuildable = "(a{1000}){1000}";

  test("that would explode run on rows on which they would, and say of each row what holds; one that cannot be built is inconclusive alone", async () => {
    const { data: document } = await ask("GET", "/v1/datasets/sales.orders/contract");
    const own = (rule: string, patterns: string[]) => ({ type: "custom", engine: "tidegate", implementation: { rule, patterns } });
    const customProperties = [{ property: "tidegate.scope", value: "snapshot" }];
    const quality = [
      ...exploding.map((pattern) => ({ ...own("matches", [pattern]), name: `matches ${pattern}` })),
      { ...own("matches", [unbuildable]), name: "unbuildable" },
      { ...own("like", [`${"%a".repeat(20)}_b`]), name: "like" },
      { ...own("notLike", [`${"%a".repeat(20)}_%a_`]), name: "not like" },
      { metric: "invalidValues", arguments: { pattern: exploding[0] }, mustBe: 0, name: "invalid values" },
    ].map((item) => ({ ...item, severity: "warning", customProperties }));
    const [table, ...rest] = document.schema as { properties: { name: string }[] }[];
    const options = { logicalType: "string", logicalTypeOptions: { pattern: exploding[0] } };
    const properties = table?.properties.map((column) =>
      column.name === "name" ? { ...column, ...options, quality, customProperties } : column,
    );
    const text = JSON.stringify({ ...document, schema: [{ ...table, properties }, ...rest] });
    const set = await ask("POST", "/v1/datasets/sales.orders/contract", { text });
    expect(set.status, set.text.slice(0, 800)).toBe(200);
    const checks = await ask("GET", `/v1/changes/${set.data.change.id}/checks`);
    harmless(checks, "checks of patterns");
    // oxlint-disable-next-line typescript/no-explicit-any
    const found = checks.data.flatMap((dataset: any) => dataset.checks) as any[];
    const said = new Map(found.map((check) => [String(check.rule.title), check]));
    const everyRow = { verdict: "fail", bad: 2000 };
    for (const title of [...exploding.map((pattern) => `matches ${pattern}`), "like", "invalid values"])
      expect(said.get(title), `${title} of ${[...said.keys()].join(", ")}`).toMatchObject(everyRow);
    expect(said.get("not like")).toMatchObject(everyRow);
    expect(said.get("unbuildable")).toMatchObject({ verdict: "inconclusive", reason: "rule_error" });
    expect(found.find((check) => check.rule.id === "name/pattern")).toMatchObject(everyRow);
    told("patterns that explode", "rules", "each says what holds of 2000 rows");
    await ask("POST", `/v1/changes/${set.data.change.id}/close`, {});
  });

  test("that would explode end as quickly in SQL", async () => {
    const where = exploding.map((pattern) => `regexp_matches(name, '${pattern}')`).join(" or ");
    const answer = await fetch(`${url}/v1/query`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ sql: `select count(*) as n from sales.orders where ${where}` }),
    });
    expect(await answer.text()).toContain('"n":0');
  });
});

describe("commands that the configuration does not allow", () => {
  const mark = (): string => join(root, "mark");
  const run = { command: "touch {dir}/mark; echo '{}'", reads: ["orders"] };

  test("through the API they are not run, and their change waits", async () => {
    const answer = await ask("POST", "/v1/consumers/board/tests", {
      tests: [{ name: "cmd", run: { ...run, command: filled(run.command) } }],
    });
    harmless(answer, "run: through the API");
    if (answer.data?.change?.id !== undefined) await ask("POST", `/v1/changes/${answer.data.change.id}/close`, {});
    expect(answer.data?.waits ?? answer.code, answer.text).toBeTruthy();
    expect(existsSync(mark())).toBe(false);
    told("run:", "API", answer.code ?? `waits: ${String(answer.data.waits)}`);
  });

  test("through apply on the command line neither", async () => {
    const at = join(root, "folder");
    mkdirSync(join(at, "consumers"), { recursive: true });
    writeFileSync(
      join(at, "consumers", "board.yaml"),
      `tests:\n  - name: cmd\n    run:\n      command: ${JSON.stringify(filled(run.command))}\n      reads: [orders]\n`,
    );
    const ran = await command(data, "apply", at, "--wait", "--auto");
    expect(existsSync(mark())).toBe(false);
    const id = (ran.data as { change?: { id: string } } | undefined)?.change?.id;
    if (id !== undefined) await ask("POST", `/v1/changes/${id}/close`, {});
    told("run:", "apply, CLI", ran.code ?? `exit ${String(ran.exit)}`);
  });
});

test("afterwards all stands as before, nobody was called, and the server stayed small and awake", async () => {
  expect(await state()).toEqual(before);
  expect((await ask("POST", "/v1/audit/verify", {})).data).toMatchObject({ ok: true });
  expect((await ask("POST", "/v1/query", { sql: "select count(*) as n from sales.orders" })).text).toContain('"n":2000');
  expect(trapped).toBe(0);
  const { startMb, rssMb, slowestMs, lagMs } = watch;
  lines.push(
    `server: ${startMb.toFixed(0)} MB at first, ${rssMb.toFixed(0)} MB at most (bound ${rssBoundMb}); slowest request for health ${slowestMs.toFixed(0)} ms; our own timer late by ${lagMs.toFixed(0)} ms at most`,
  );
  expect(rssMb).toBeLessThan(rssBoundMb);
  // What a busy machine adds to our own timer it adds to the server's several times over: it shares two processors with all others.
  expect(slowestMs).toBeLessThan(2500 + 10 * lagMs);
});
