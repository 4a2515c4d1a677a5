import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";
import type { Data } from "../harness/app.ts";
import { importText, proposeText } from "../harness/changes.ts";
import { terminal, type Terminal } from "../harness/typed.ts";

/* A server's monitors over weeks of a clock that is moved by hand: what they open and close, by themselves, on the server's timer. */

const hour = 3_600_000;
const day = 24 * hour;
let at: Terminal;
let receiver: Server;
const told: Data[] = [];
let next = 1000;

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      told.push(JSON.parse(body));
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  at = await terminal({ webhookSettings: { http: true, privateHosts: ["127.0.0.1"] } });
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  await at.app.ask("POST", "/v1/webhooks", { body: { name: "on-call", url, events: ["incident.opened", "incident.closed"] } });
  await addConsumer(at.app.lake, "root", { name: "board", kind: "dashboard", criticality: "critical", labels: {} });
});
afterAll(async () => {
  await at.close();
  await new Promise((resolve) => receiver.close(resolve));
});

/** Lets a time pass; the server's timers do their work, and what follows from it is told. */
async function pass(milliseconds: number): Promise<void> {
  const { lake, services } = at.app;
  lake.clock.advance(milliseconds);
  await lake.clock.idle();
  await lake.drain();
  await services.deliverWebhooks();
  await lake.clock.idle();
}

const csv = (rows: number): string => `id,v\n${Array.from({ length: rows }, () => `${(next += 1)},x\n`).join("")}`;

/** A batch that rules let through, or a change that a person merges. */
async function batch(dataset: string, rows: number, ordinary = true): Promise<void> {
  const { lake } = at.app;
  const id = await proposeText(lake, dataset, { kind: "append", csv: csv(rows) }, { origin: ordinary ? "feed" : "person" });
  await acknowledge(lake, { changeId: id, person: "root", actor: "root" });
  await merge(lake, { changeId: id, actor: "root", ordinary, byPerson: true });
  await lake.drain();
}

async function read(dataset: string, consumer: string): Promise<void> {
  const { lake } = at.app;
  const rows = await lake.db
    .selectFrom("versions")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .select("versions.id")
    .where("datasets.name", "=", dataset)
    .orderBy("versions.number", "desc")
    .limit(1)
    .execute();
  (await lake.ledger.open([{ consumer, versionId: rows[0]?.id ?? "", columns: ["v"], door: "rows", run: "" }])).done({ rows: 1, bytes: 1 });
}

const open = async (): Promise<Data[]> => at.app.ask("GET", "/v1/incidents");
const seen = (lines: Data[]): string[] => lines.map(({ kind, subject }) => `${kind as string} ${subject as string}`).sort();

test("a daily feed that does not come is one incident, told once, and over when it comes; a reader that stops is another", async () => {
  await importText(at.app.lake, "mon.orders", csv(100), ["id"]);
  for (let n = 0; n < 16; n += 1) {
    await pass(day);
    await batch("mon.orders", 100 + (n % 3));
    await read("mon.orders", "board");
  }
  await pass(day);
  expect(await open()).toEqual([]);
  await pass(hour * 13);
  const [late, ...others] = await open();
  expect(others).toEqual([]);
  expect(late).toMatchObject({ kind: "freshness", subject: "mon.orders", severity: "critical", reopened: 0 });
  expect(late.text).toContain("usually something comes within 24 h");
  // The board reads nothing either, and that is the same cause.
  await pass(day);
  await pass(day);
  expect(seen(await open())).toEqual(["freshness mon.orders"]);
  expect(told.map(({ type }) => type as string)).toEqual(["incident.opened"]);
  expect(told[0]).toMatchObject({ data: { incident: late.id, kind: "freshness", severity: "critical" } });

  await batch("mon.orders", 101);
  await pass(10 * 60_000);
  // The feed is back and the board is not.
  expect(seen(await open())).toEqual(["readers board"]);
  expect((await open())[0].text).toBe("board has stopped reading mon.orders.");
  await read("mon.orders", "board");
  await pass(10 * 60_000);
  expect(await open()).toEqual([]);
  const types = told.map(({ type, data }) => `${type as string} ${data.subject as string}`);
  expect(types.sort()).toEqual([
    "incident.closed board",
    "incident.closed mon.orders",
    "incident.opened board",
    "incident.opened mon.orders",
  ]);
  expect((await at.app.ask("GET", `/v1/incidents/${late.id as string}`)).closedAt).not.toBeNull();
});

test("a batch of an odd size is an incident until one of the usual size comes; what comes back within a day is the same one", async () => {
  await pass(day);
  await batch("mon.orders", 700);
  await read("mon.orders", "board");
  await pass(10 * 60_000);
  const [odd] = await open();
  expect(odd).toMatchObject({ kind: "volume", subject: "mon.orders", data: { rows: 700, expected: 101 } });
  expect(odd.text).toContain("brought 700 rows; 70 to 132 are usual");
  await batch("mon.orders", 100);
  await pass(10 * 60_000);
  expect(await open()).toEqual([]);
  await batch("mon.orders", 800);
  await pass(10 * 60_000);
  expect(await open()).toMatchObject([{ id: odd.id, reopened: 1, ackedBy: null, data: { rows: 800 } }]);

  const shown = await at.type("incident", "show", odd.id as string);
  expect(shown.text).toMatch(/is open: The newest batch[\s\S]*came back 1 time[\s\S]*→ tidegate incident ack inc_/);
  expect((await at.type("incident", "ack", odd.id as string, "--note", "the supplier is told")).text).toContain("is seen to by root.");
  expect((await at.type("incident", "list")).text).toMatch(/^1 incident\.[\s\S]*seen to by root/);
  // What a person merges is intended: what is usual begins anew.
  await batch("mon.orders", 900, false);
  await pass(10 * 60_000);
  expect(await open()).toEqual([]);
  await batch("mon.orders", 5);
  await pass(10 * 60_000);
  expect(await open()).toEqual([]);
  expect(await at.app.refused("POST", `/v1/incidents/${odd.id as string}/ack`, { body: {} })).toMatchObject({
    status: 409,
    code: "incident.closed",
  });
  expect(await at.app.refused("GET", "/v1/incidents/inc_nothing")).toMatchObject({ status: 404, code: "incident.not_found" });
  expect((await at.type("incident", "list")).text).toContain("No incidents.");
  expect((await at.type("incident", "list", "--all")).text).toMatch(/^3 incidents\./);
  const record: Data[] = await at.app.ask("GET", `/v1/audit?subject=${odd.id as string}`);
  expect(record.map(({ action }) => action as string).reverse()).toEqual([
    "incident.open",
    "incident.close",
    "incident.open",
    "incident.ack",
    "incident.close",
  ]);
});

test("a contract's service level counts from the first arrival on, and holds before any history", async () => {
  const { lake } = at.app;
  await importText(lake, "mon.promised", csv(10), ["id"]);
  const { text } = await at.type("contract", "infer", "mon.promised");
  const path = await lake.file("promised.yaml", `${text}slaProperties:\n  - property: frequency\n    value: 4\n    unit: h\n`);
  const set = await at.type("contract", "set", "mon.promised", path);
  const id = /chg_[0-9a-z]{12}/.exec(set.text)?.[0] ?? set.text;
  await at.type("merge", id, "--acknowledge");
  await pass(5 * hour);
  expect(seen(await open())).not.toContain("freshness mon.promised");
  await pass(2 * hour);
  const found = (await open()).find(({ subject }) => subject === "mon.promised");
  expect(found).toMatchObject({ kind: "freshness", severity: "info" });
  expect(found.text).toContain("its contract promises it within 6 h");
});
