import { createRequire } from "node:module";
import { join, sep } from "node:path";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { ChangeLine, DatasetLine, ProposedAnswer } from "../../http/answers.ts";
import type { ContractProposed } from "../../http/contract-answers.ts";
import type { VerdictAnswer } from "../../http/verdict-answers.ts";
import { boardSql, delaysSql, flightsContract } from "../demo-contract.ts";
import type { RunningServer } from "../../http/serve.ts";
import { openClient, type Client } from "../client.ts";
import { interrupted, type Surroundings } from "../command.ts";
import { addFlags, addVerb } from "../verb.ts";
import { portOf } from "./system.ts";

/** Where the npm package with real data stands. */
function dataFolder(): string {
  try {
    // The package exports its code only; its data stands two folders above.
    const entry = createRequire(import.meta.url).resolve("vega-datasets");
    return join(entry.slice(0, entry.lastIndexOf(`${sep}build${sep}`)), "data");
  } catch (error) {
    throw new AppError("input.not_found", "The demo's data is not installed.", {
      expected: "the package vega-datasets",
      found: "nothing",
      hint: "npm install vega-datasets",
      cause: error,
    });
  }
}

/** demo: real data, one change that went wrong and was rolled back, one that waits; then it serves. */
export function addDemoCommand(surroundings: Surroundings): void {
  const command = addVerb(
    surroundings.program,
    "demo",
    "Set up real data with one change that was rolled back and one that waits, and serve it.",
    ["tidegate demo", "tidegate demo --port 8000", "tidegate demo --exit"],
  ).action(async (options: { port?: string; exit?: boolean }) => {
    const config = surroundings.config();
    const [{ openServices }, { serve }] = await Promise.all([import("../../compose.ts"), import("../../http/serve.ts")]);
    const services = await openServices(config, { serving: true });
    try {
      const server = await serve(services, { host: config.host, port: portOf(options.port) ?? config.port });
      try {
        const client = await openClient(config, { signal: surroundings.signal });
        await setUp(client, async () => {
          await services.drainOutbox();
        });
        await tell(surroundings, client, server);
        if (options.exit !== true) await interrupted(surroundings.signal);
      } finally {
        await server.close();
      }
    } finally {
      await services.close();
    }
  });
  addFlags(command, "How", [
    ["--port <port>", "where to serve; 0 takes a free one"],
    ["--exit", "set up and end, without serving"],
  ]);
}

async function setUp(client: Client, settle: () => Promise<void>): Promise<void> {
  const listed = await client.ask<DatasetLine[]>("GET", "/v1/datasets");
  if (listed.some((dataset) => dataset.name === "demo.airports")) return;
  const data = dataFolder();
  const scratch = await mkdtemp(join(tmpdir(), "tidegate-demo-"));
  try {
    const importFile = async (dataset: string, file: string, key: string[]) =>
      client.ask("POST", "/v1/imports", { body: { dataset, key, source: await client.source([join(data, file)]) } });
    await importFile("demo.airports", "airports.csv", ["iata"]);
    await importFile("demo.flights", "flights-20k.json", []);
    await promises(client);
    await badChange(client);
    await settle();
    await mergeRevert(client);
    await waitingChange(client, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Flights get a contract, a mart is built from both, and a board tests what it shows. */
async function promises(client: Client): Promise<void> {
  const contract = { text: flightsContract, title: "What flights promise" };
  await mergeProposed(client, await client.ask<ContractProposed>("POST", "/v1/datasets/demo.flights/contract", { body: contract }));
  const operations = [{ kind: "derive", dataset: "demo.delays_by_airport", sql: delaysSql, key: ["origin"] }];
  const mart = { title: "Delays by airport", operations };
  await mergeProposed(client, await client.ask<ProposedAnswer>("POST", "/v1/changes", { body: mart }));
  await client.ask("POST", "/v1/consumers", { body: { name: "arrival-model", kind: "model", criticality: "high" } });
  await client.ask("POST", "/v1/consumers", { body: { name: "delay-board", kind: "dashboard" } });
  const tests = [{ name: "flights", query: { sql: boardSql } }];
  await client.ask("POST", "/v1/consumers/delay-board/tests", { body: { tests } });
}

async function mergeProposed(client: Client, { change }: Pick<ProposedAnswer, "change">): Promise<void> {
  await client.ask("POST", `/v1/changes/${change?.id ?? ""}/merge`);
}

/** A sign was lost upstream: merged, read by two consumers, rolled back. */
async function badChange(client: Client): Promise<void> {
  const operations = [
    { kind: "update", dataset: "airports", set: [{ column: "longitude", expression: "abs(longitude)" }], where: "state = 'CO'" },
  ];
  const cleaned = { title: "Longitudes of Colorado, cleaned", operations };
  await mergeProposed(client, await client.ask<ProposedAnswer>("POST", "/v1/changes", { body: cleaned }));
  await read(client, "delay-board", "iata,city,state");
  await read(client, "arrival-model", "iata,latitude,longitude");
  await client.ask("POST", "/v1/rollback", { body: { target: "airports", reason: "Denver lies in China" } });
}

/** The revert opened by itself; merged, it makes main good again. */
async function mergeRevert(client: Client): Promise<void> {
  const open = await client.ask<ChangeLine[]>("GET", "/v1/changes", { query: { state: "waiting" } });
  const revert = open.find((change) => change.origin === "revert");
  if (revert !== undefined) await client.ask("POST", `/v1/changes/${revert.id}/merge`);
}

async function read(client: Client, consumer: string, columns: string): Promise<void> {
  const { body } = await client.open("GET", "/v1/datasets/airports/rows", {
    query: { as: consumer, columns, format: "ndjson", run: `${consumer}-1` },
  });
  for await (const _chunk of body);
}

async function waitingChange(client: Client, scratch: string): Promise<void> {
  const names = join(scratch, "names.csv");
  const gone = join(scratch, "gone.csv");
  const lines = [
    "LAS,Harry Reid International,Las Vegas,NV,USA,36.08036111,-115.1523333",
    "RSW,Southwest Florida International,Fort Myers,FL,USA,26.53616667,-81.75516667",
  ];
  await writeFile(names, `iata,name,city,state,country,latitude,longitude\n${lines.join("\n")}\n`);
  await writeFile(gone, "iata\nORD\n");
  const operations = [
    { kind: "upsert", dataset: "airports", source: await client.source([names]) },
    { kind: "delete", dataset: "airports", source: await client.source([gone]) },
  ];
  await client.ask("POST", "/v1/changes", { body: { title: "FAA airports file, November", operations } });
}

async function tell(surroundings: Surroundings, client: Client, server: RunningServer): Promise<void> {
  const { url } = server;
  const datasets = await client.ask<DatasetLine[]>("GET", "/v1/datasets");
  const waiting = await client.ask<ChangeLine[]>("GET", "/v1/changes", { query: { state: "waiting" } });
  const change = waiting.find((item) => item.origin === "person");
  const verdict = change === undefined ? undefined : await client.ask<VerdictAnswer>("GET", `/v1/changes/${change.id}/verdict`);
  const open = server.link(change === undefined ? "/" : `/changes/${change.id}`);
  const rows = datasets.map((item) => `${item.name.replace(/^demo\./, "")} ${counted(item.version.rows, "row")}`).join("   ");
  const lines = [
    `Tidegate is up at ${url}   (Ctrl-C stops; data in ${surroundings.config().dataDir})`,
    `  ${rows}`,
    "  One change was merged, read by two consumers, and rolled back.",
    ...(change === undefined || verdict === undefined
      ? []
      : [`  One change waits for you: ${change.id} «${change.title}»`, `  ${verdict.decision.summary}`]),
    ...(open === undefined ? [] : ["", `Open ${open}`]),
    "",
    "In another terminal, in this folder:",
    ...(change === undefined ? [] : [`  npx tidegate check ${change.id}`]),
    "  npx tidegate who-read airports@2",
    "  npx tidegate log --live",
  ];
  surroundings
    .output()
    .result(
      { url, open: open ?? null, datasets, waiting },
      lines,
      change === undefined ? "npx tidegate change list" : `npx tidegate change show ${change.id}`,
    );
}
