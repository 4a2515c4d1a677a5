/*
 * Readers: what a reader's view costs to look up, in process and over HTTP beside a plain route of the same framework; how long after a
 * rollback a thousand readers on open connections still get the version that was barred; and the ledger: reads a second with their first
 * touch committed, and who read a version, with ten million rows of history.
 *
 *   npm run bench -- readers [--scale 0.01]      BENCH_ASSERT=1 fails when a reader gets a barred version that it asked for after the rollback
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { sql } from "kysely";
import { addConsumer } from "../src/access/consumer-service.ts";
import { createToken } from "../src/access/token-service.ts";
import { resolveDataset } from "../src/catalog/dataset-store.ts";
import { importDataset } from "../src/changes/import-service.ts";
import { merge } from "../src/changes/merge-service.ts";
import { propose } from "../src/changes/propose-service.ts";
import { openServices } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { serve } from "../src/http/serve.ts";
import type { Services } from "../src/http/services.ts";
import { rollback } from "../src/rollouts/rollback/rollback-service.ts";
import { readersOf } from "../src/usage/usage-reads.ts";
import { quantile, startClient, type Measured } from "./client.lib.ts";

const scale = Number(process.env["BENCH_SCALE"] ?? 1);
const actor = "bench";
const dataset = "bench.rows";
const rounds = Math.max(50, Math.round(2000 * scale));
const readers = Math.max(10, Math.round(1000 * scale));
const history = Math.max(10_000, Math.round(10_000_000 * scale));
const identity = { consumer: actor, run: undefined, at: undefined };
const now = (): number => performance.timeOrigin + performance.now();
const perSecond = ({ each, total }: Measured): string => ((each.length * 1000) / total).toFixed(0);

async function prepare(services: Services, dir: string): Promise<string> {
  const path = join(dir, "rows.csv");
  await writeFile(path, "id,value\n1,1\n2,2\n");
  await importDataset(services, { dataset, source: { paths: [path], names: [path] }, key: ["id"], actor });
  await addConsumer(services, actor, { name: actor, kind: "service", criticality: "normal", labels: {} });
  return (await createToken(services, actor, { consumer: actor, label: "" })).token;
}

async function measureResolve(services: Services, url: string, token: string): Promise<void> {
  const began = performance.now();
  for (let round = 0; round < rounds; round += 1) await services.resolver.resolve(identity);
  const inProcess = (performance.now() - began) / rounds;
  const statement = performance.now();
  for (let round = 0; round < rounds; round += 1) await sql`select 1`.execute(services.db);
  const one = (performance.now() - statement) / rounds;
  console.log(
    `a view in process: ${(1000 / inProcess).toFixed(0)}/s, ${(inProcess / one).toFixed(1)} × one short statement (${one.toFixed(2)} ms)`,
  );
  const together = Math.min(rounds, 1000);
  const batches = Math.max(3, Math.round(200 * scale));
  const crowd = performance.now();
  for (let batch = 0; batch < batches; batch += 1)
    await Promise.all(Array.from({ length: together }, () => services.resolver.resolve(identity)));
  const each = (performance.now() - crowd) / batches;
  console.log(
    `${together} views at once in process: ${((together * 1000) / each).toFixed(0)}/s, all in ${(each / one).toFixed(1)} × one short statement`,
  );
  const plain = new Hono();
  plain.get("/plain", (c) => c.json({ ok: true }));
  const listener = getRequestListener(plain.fetch);
  const server = createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const beside = startClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token });
  const client = startClient({ url, token });
  const calls = (path: string) => Array.from({ length: rounds }, () => ({ method: "GET", path }));
  for (const [words, atOnce] of [
    ["one client", 1],
    ["8 clients", 8],
  ] as const) {
    const [view, route] = [`/v1/view?datasets=${dataset}`, "/plain"];
    await client.ask(calls(view).slice(0, 50), atOnce);
    await beside.ask(calls(route).slice(0, 50), atOnce);
    const [ours, theirs] = [await client.ask(calls(view), atOnce), await beside.ask(calls(route), atOnce)];
    const of = (measured: Measured) => `p50 ${quantile(measured.each, 0.5).toFixed(2)}, p99 ${quantile(measured.each, 0.99).toFixed(2)} ms`;
    console.log(
      `a view over HTTP, ${words}: ${perSecond(ours)}/s, ${of(ours)}; plain Hono route ${perSecond(theirs)}/s, ${of(theirs)}; ` +
        `${(ours.total / theirs.total).toFixed(1)} ×`,
    );
  }
  await client.end();
  await beside.end();
  server.close();
}

/** Readers ask without a pause while a bad version is released and taken back. */
async function measureRollback(services: Services, dir: string, url: string, token: string): Promise<void> {
  const path = join(dir, "bad.csv");
  await writeFile(path, "id,value\n1,-1\n");
  const { change } = await propose(services, {
    operations: [{ kind: "upsert", dataset, source: { paths: [path], names: [path] } }],
    actor,
    origin: "person",
  });
  await merge(services, { changeId: change?.id ?? "", actor, byPerson: true });
  const bad = await services.resolver.version(await services.resolver.resolve(identity), await resolveDataset(services.db, dataset));
  const client = startClient({ url, token });
  const polling = client.poll(`/v1/view?datasets=${dataset}`, readers);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const began = now();
  await rollback(services, { target: dataset, reason: "bench", actor, environment: services.environment });
  const returned = now();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const answers = await polling.stop();
  await client.end();
  const isBad = ({ body }: { body: string }): boolean => body.includes(`"version":${bad.number}}`);
  const after = answers.filter((answer) => answer.asked > returned);
  const late = answers.filter((answer) => isBad(answer) && answer.got > returned);
  const wrong = after.filter(isBad);
  const last = Math.max(0, ...late.map((answer) => answer.got - returned));
  console.log(
    `rollback under ${readers} readers (${((answers.length / ((answers.at(-1)?.got ?? 0) - (answers[0]?.asked ?? 0))) * 1000).toFixed(0)} reads/s): ` +
      `${(returned - began).toFixed(0)} ms; asked for afterwards ${after.length}, of them barred ${wrong.length}; ` +
      `the last answer that was under way came ${last.toFixed(0)} ms after`,
  );
  if (!answers.some(isBad) || after.length === 0) throw new Error("the readers saw nothing of the rollback");
  if (wrong.length > 0 && process.env["BENCH_ASSERT"] === "1") process.exitCode = 1;
}

async function measureLedger(services: Services): Promise<void> {
  const { id: datasetId } = await resolveDataset(services.db, dataset);
  const version = await services.resolver.version(await services.resolver.resolve(identity), { id: datasetId, name: dataset });
  const touch = async (consumer: string, count: number): Promise<number> => {
    const began = performance.now();
    for (let round = 0; round < count; round += 1) {
      const exposure = await services.ledger.open([
        { consumer: `${consumer}${count === rounds ? round : ""}`, versionId: version.id, columns: ["id"], door: "rows", run: "" },
      ]);
      exposure.done({ rows: 1, bytes: 10 });
    }
    return (count * 1000) / (performance.now() - began);
  };
  const first = await touch("first", rounds);
  const again = await touch("again", rounds + 1);
  const flushed = performance.now();
  await services.ledger.flush();
  console.log(
    `ledger: ${first.toFixed(0)} first touches/s, each committed; ${again.toFixed(0)} reads/s of known readers; ` +
      `the counters of ${rounds + 1} readers are written in ${(performance.now() - flushed).toFixed(0)} ms`,
  );
  const whoRead = async (): Promise<number> => {
    const began = performance.now();
    await readersOf(services.db, [version.id]);
    return performance.now() - began;
  };
  await whoRead();
  const before = await whoRead();
  const days = 30;
  for (let day = 1; day <= days; day += 1) {
    const from = new Date(Date.UTC(2026, 0, day));
    const name = `exposures_${from.toISOString().slice(0, 10).replaceAll("-", "")}`;
    const to = new Date(from.getTime() + 86_400_000);
    await sql`create table if not exists ${sql.table(name)} partition of exposures for values from (${sql.lit(from.toISOString())}) to (${sql.lit(to.toISOString())})`.execute(
      services.db,
    );
    await sql`insert into exposures (hour, consumer, version_id, column_set, door, run, reads, rows, bytes, first_at, last_at, mixed)
      select ${from}::timestamptz + (n % 24) * interval '1 hour', 'c' || (n % 1000), 'v' || (n / 24000), n / 1000, 'rows', '', 1, 1, 1,
        ${from}::timestamptz, ${from}::timestamptz, false
      from generate_series(1, ${Math.round(history / days)}::int) n`.execute(services.db);
  }
  await sql`analyze exposures`.execute(services.db);
  await whoRead();
  const later = await whoRead();
  console.log(
    `who read a version: ${before.toFixed(1)} ms; with ${history} rows of history ${later.toFixed(1)} ms, ${(later / before).toFixed(2)} ×`,
  );
}

const dir = await mkdtemp(join(tmpdir(), "tidegate-readers-"));
const services = await openServices(readConfig({}, dir, { data: join(dir, "data") }), { serving: true });
const server = await serve(services, { host: "127.0.0.1", port: 0 });
try {
  const token = await prepare(services, dir);
  await measureResolve(services, server.url, token);
  await measureRollback(services, dir, server.url, token);
  await measureLedger(services);
} finally {
  await server.close();
  await services.close();
  await rm(dir, { recursive: true, force: true });
}
process.exit();
