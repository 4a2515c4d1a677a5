/*
 * «Which consumers does this schema change break», over 1 000 stored queries on 40 datasets, in a server: the first time, when the queries that it
 * may hit are planned on the new columns; and asked again. Before it what planning all of them once costs, which the server does by itself when
 * queries or columns are merged, and what one process of the sandbox costs to start.
 *
 *   npm run bench -- impact [--scale 0.1]      BENCH_ASSERT=1 fails when asking again is not answered in 100 ms
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addConsumer } from "../src/access/consumer-service.ts";
import { addTests } from "../src/changes/consumer-tests-service.ts";
import { sidesOfChange } from "../src/changes/change-sides.ts";
import { importDataset } from "../src/changes/import-service.ts";
import type { OperationRequest } from "../src/changes/operation.ts";
import { propose } from "../src/changes/propose-service.ts";
import { openServices } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { schemaImpact } from "../src/consumers/impact-service.ts";
import type { Services } from "../src/http/services.ts";

const scale = Number(process.env["BENCH_SCALE"] ?? 1);
const queries = Math.max(50, Math.round(1000 * scale));
const datasets = Math.max(4, Math.round(40 * scale));
const actor = "bench";

async function prepare(services: Services, dir: string): Promise<void> {
  const path = join(dir, "rows.csv");
  await writeFile(path, `id,region,${Array.from({ length: 20 }, (_, at) => `c${at}`).join(",")}\n1,at,${"1,".repeat(19)}1\n`);
  for (let at = 0; at < datasets; at += 1)
    await importDataset(services, { dataset: `shop.t${at}`, source: { paths: [path], names: [path] }, key: ["id"], actor });
  await addConsumer(services, actor, { name: "board", kind: "dashboard", criticality: "high", labels: {} });
  const items = Array.from({ length: queries }, (_, at) => {
    const [one, other] = [at % datasets, (at * 7 + 1) % datasets];
    const join = one === other ? "" : ` join shop.t${other} b using (id)`;
    return {
      name: `q${at}`,
      query: { sql: `select a.region, sum(a.c${at % 20}) as n from t${one} a${join} where a.c${(at + 3) % 20} > ${at} group by 1` },
    };
  });
  await addTests(services, { consumer: "board", items, actor });
}

async function impact(services: Services, edit: OperationRequest[]): Promise<string> {
  const { change } = await propose(services, { operations: edit, actor, origin: "person" });
  if (change === undefined) throw new Error("nothing was proposed");
  const sides = await sidesOfChange(services.db, change);
  const tell: string[] = [];
  for (const what of ["first", "again"]) {
    const began = performance.now();
    const found = await schemaImpact(services, sides);
    const took = performance.now() - began;
    const count = (kind: string): number => found.filter((item) => item.impact === kind).length;
    tell.push(`${what} ${took.toFixed(0)} ms (${count("breaks")} break, ${count("uses")} use, ${count("safe")} safe)`);
    if (what === "again" && process.env["BENCH_ASSERT"] === "1" && took > 100) throw new Error(`asked again: ${took.toFixed(0)} ms`);
  }
  return tell.join(", ");
}

const dir = await mkdtemp(join(tmpdir(), "tidegate-impact-"));
const services = await openServices(readConfig({}, dir, { data: join(dir, "data") }), { serving: true });
try {
  await prepare(services, dir);
  const began = performance.now();
  await services.sandbox.planAll({ queries: [{ sql: "select 1", tables: [] }], milliseconds: 10_000 });
  process.stdout.write(
    `${queries} stored queries, ${datasets} datasets; one process of the sandbox ${(performance.now() - began).toFixed(0)} ms\n`,
  );
  const aheadFrom = performance.now();
  await services.drainOutbox();
  process.stdout.write(`planned ahead, once, in the background: ${(performance.now() - aheadFrom).toFixed(0)} ms\n`);
  const all = (edit: (at: number) => OperationRequest): OperationRequest[] => Array.from({ length: datasets }, (_, at) => edit(at));
  const schema = (at: number, edits: Extract<OperationRequest, { kind: "schema" }>["edits"]): OperationRequest => ({
    kind: "schema",
    dataset: `shop.t${at}`,
    edits,
  });
  const lines: [string, OperationRequest[]][] = [
    ["a rename in one dataset", [schema(0, [{ edit: "rename", name: "region", to: "area" }])]],
    ["a drop in one dataset", [schema(1, [{ edit: "drop", name: "c3" }])]],
    ["a rename in every dataset", all((at) => schema(at, [{ edit: "rename", name: "c5", to: "d5" }]))],
    ["a drop in every dataset", all((at) => schema(at, [{ edit: "drop", name: "c7" }]))],
  ];
  for (const [name, edit] of lines) process.stdout.write(`  ${name.padEnd(28)} ${await impact(services, edit)}\n`);
} finally {
  await services.close();
  await rm(dir, { recursive: true, force: true });
}
