/*
 * The catalogue's operations over HTTP, as a client in a thread of its own sees them, with 2 000 and with 10 000 datasets: creating a branch
 * (a name for a commit), merging what needs no test, rolling back; one client, then 8 at once. Beside them what none of them can do without:
 * one durable commit of the same Postgres. And reading a version against DuckDB reading the same Parquet files by hand.
 *
 *   npm run bench -- loop [--scale 0.01]      BENCH_ASSERT=1 fails when a bar of the design is missed
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { openServices } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { merge } from "../src/changes/merge-service.ts";
import { propose } from "../src/changes/propose-service.ts";
import type { OperationRequest } from "../src/changes/operation.ts";
import { scan } from "../src/effects/table-state.ts";
import { duckdbEngine } from "../src/engine/duckdb/duckdb-engine.ts";
import { serve } from "../src/http/serve.ts";
import type { Services } from "../src/http/services.ts";
import { quantile, startClient, type Call, type Client, type Measured } from "./client.lib.ts";
import { readServerFile } from "../src/lib/server-file.ts";
import { answerFor, readRows } from "../src/reading/read-service.ts";

const scale = Number(process.env["BENCH_SCALE"] ?? 1);
const clients = 8;
/** Operations of one client; 8 clients make as many of each kind together. */
const rounds = Math.max(clients, Math.round(80 * scale));
const rows = Math.max(10_000, Math.round(2_000_000 * scale));
const sizes = [2000, 10_000].map((size) => Math.max(4 * rounds, Math.round(size * scale)));
const actor = "bench";

const median = (values: readonly number[]): number => quantile(values, 0.5);

async function timed(count: number, work: (round: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < count; round += 1) {
    const began = performance.now();
    await work(round);
    times.push(performance.now() - began);
  }
  return median(times);
}

let missed = 0;

/** One line per operation, and whether the bars hold. */
function tell(name: string, one: Measured, many: Measured, facts: { commit: number; bar: number; goal: number }): void {
  const p50 = median(one.each);
  const share = many.total / one.total;
  if (p50 >= facts.bar || share > 1) missed += 1;
  console.log(
    `${name.padEnd(9)} p50 ${p50.toFixed(1).padStart(6)} ms  ${(p50 / facts.commit).toFixed(1).padStart(5)} × one commit  (bar ${facts.bar}, goal ${facts.goal} ms)   ` +
      `8 clients: ${((many.each.length * 1000) / many.total).toFixed(0).padStart(4)}/s against ${((one.each.length * 1000) / one.total).toFixed(0).padStart(4)}/s, ` +
      `${share.toFixed(2)} × the time of one (bar 1)`,
  );
}

async function measureSize(dir: string, services: Services, datasets: number, ask: Client["ask"]): Promise<void> {
  const have = Number(
    (
      await services.db
        .selectFrom("datasets")
        .select((eb) => eb.fn.countAll().as("n"))
        .executeTakeFirstOrThrow()
    ).n,
  );
  const many: OperationRequest[] = Array.from({ length: Math.max(0, datasets - have) }, (_, index) => ({
    kind: "create",
    dataset: `bench.d${have + index}`,
    columns: [{ name: "id", type: "long" }],
    key: ["id"],
  }));
  const created = await propose(services, { operations: many, actor, origin: "import" });
  await merge(services, { changeId: created.change?.id ?? "", actor, byPerson: true });
  const names = many.slice(0, 2 * rounds).map((operation) => operation.dataset);
  const waiting: string[] = [];
  for (const [index, dataset] of names.entries()) {
    const path = join(dir, "rows.csv");
    await writeFile(path, `id\n${index}\n`);
    const source = { paths: [path], names: ["rows.csv"] };
    waiting.push(
      (await propose(services, { operations: [{ kind: "append", dataset, source }], actor, origin: "person" })).change?.id ?? "",
    );
  }
  await services.drainOutbox();
  // What the preparation left to be written and counted is none of the work that is measured.
  await sql`checkpoint`.execute(services.db);
  await sql`analyze`.execute(services.db);
  const table = sql.table(`bench_commit_${datasets}`);
  await sql`create table ${table} (n integer)`.execute(services.db);
  const commit = await timed(rounds, (round) => sql`insert into ${table} values (${round})`.execute(services.db));
  console.log(`\n${datasets} datasets, ${rounds} of each; one durable commit ${commit.toFixed(2)} ms`);
  const both = async (name: string, calls: (from: number) => Call[], bars: { bar: number; goal: number }) => {
    const one = await ask(calls(0), 1);
    const eight = await ask(calls(rounds), clients);
    tell(name, one, eight, { commit, ...bars });
  };
  const calls = (call: (index: number) => Call) => (from: number) => Array.from({ length: rounds }, (_, index) => call(from + index));
  const post = (path: string, body: unknown): Call => ({ method: "POST", path, body });
  await ask([post("/v1/tags", { name: `warm${datasets}` })], 1);
  await both(
    "branch",
    calls((index) => post("/v1/tags", { name: `b${datasets}_${index}` })),
    { bar: 5, goal: 2 },
  );
  await both(
    "merge",
    calls((index) => post(`/v1/changes/${waiting[index]}/merge`, {})),
    { bar: 50, goal: 15 },
  );
  await services.drainOutbox();
  await both(
    "rollback",
    calls((index) => post("/v1/rollback", { target: names[index], reason: "bench" })),
    { bar: 10, goal: 5 },
  );
}

async function measureRead(dir: string, services: Services): Promise<void> {
  const path = join(dir, "orders.csv");
  const lines = Array.from({ length: rows }, (_, index) => `${index},${(index * 7919) % 1000},customer ${index % 500}`).join("\n");
  await writeFile(path, `id,amount,customer\n${lines}\n`);
  const source = { paths: [path], names: ["orders.csv"] };
  const big = await propose(services, {
    operations: [{ kind: "create", dataset: "bench.orders", source, key: ["id"] }],
    actor,
    origin: "import",
  });
  await merge(services, { changeId: big.change?.id ?? "", actor, byPerson: true });
  const answer = await answerFor(services, { consumer: undefined, run: undefined, at: undefined }, "bench.orders");
  const { state } = await services.tables.open(answer.version);
  const drain = async (batches: AsyncIterable<string[]>) => {
    let count = 0;
    for await (const batch of batches) count += batch.length;
    if (count !== rows) throw new Error(`read ${count} of ${rows} rows`);
  };
  const hand = await duckdbEngine({ memoryMb: 2048, threads: 2, tempDir: join(dir, "hand") });
  const plain = scan(services.store, state.files, state.schema.fields);
  const reads = Math.max(3, Math.round(5 * scale));
  const byHand = await timed(reads, () => drain(hand.stream(plain)));
  const reader = { consumer: actor, run: undefined, at: undefined };
  const read = await timed(reads, async () => drain((await readRows(services, reader, "bench.orders", {})).rows));
  await hand.close();
  console.log(`\nread of ${rows} rows ${read.toFixed(0)} ms, ${(read / byHand).toFixed(2)} × DuckDB on the same files (bar: no tax)`);
}

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "tidegate-bench-"));
  const dataDir = join(dir, "data");
  const services = await openServices(readConfig({ TIDEGATE_DATA: dataDir }, dir));
  const server = await serve(services, { host: "127.0.0.1", port: 0 });
  const token = (await readServerFile(dataDir))?.token ?? "";
  const client = startClient({ url: server.url, token });
  try {
    for (const size of sizes) await measureSize(dir, services, size, client.ask);
    await measureRead(dir, services);
    console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`);
    if (missed > 0 && process.env["BENCH_ASSERT"] === "1") process.exitCode = 1;
  } finally {
    await client.end();
    await server.close();
    await services.close();
    await rm(dir, { recursive: true, force: true });
  }
}

await main();
process.exit();
