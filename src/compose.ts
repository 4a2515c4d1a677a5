import { mkdtemp, realpath, rm } from "node:fs/promises";
import { availableParallelism, tmpdir, totalmem, userInfo } from "node:os";
import { join } from "node:path";
import { ensureAdmin } from "./access/person-service.ts";
import { appendingHeadFile } from "./audit/head-file.ts";
import { StandingAnswers } from "./audit/standing.ts";
import { deliverDue } from "./webhooks/deliver-service.ts";
import { readLocalConfig } from "./local-config.ts";
import { initialise } from "./catalog/initialise.ts";
import { relocateStore } from "./catalog/relocate-service.ts";
import type { Config } from "./config.ts";
import { connect } from "./db/connect.ts";
import { startEmbedded } from "./db/embedded/launcher.ts";
import { migrate } from "./db/migrate.ts";
import type { DiffResult, RowPage } from "./diffs/diff.ts";
import { runFileDiff, runFileRows, type FileDiffOptions } from "./diffs/file-diff.ts";
import { systemClock } from "./edges/clock.ts";
import { systemIds } from "./edges/ids.ts";
import { systemOutbound } from "./edges/outbound.ts";
import { defaultRowsPerFile } from "./effects/table-state.ts";
import { TableReader } from "./effects/version-writer.ts";
import { duckdbEngine } from "./engine/duckdb/duckdb-engine.ts";
import { duckdbSandbox } from "./engine/duckdb/sandbox/duckdb-sandbox.ts";
import { sourceReader } from "./engine/input/source-reader.ts";
import { modelMemory, onnxModels } from "./engine/onnx/onnx-models.ts";
import { runtimePlaces } from "./engine/onnx/runtime.ts";
import { budgetOf, shareResources } from "./engine/resources.ts";
import type { Services } from "./http/services.ts";
import { makeDataFolder } from "./lib/data-folder.ts";
import { localStore } from "./lake/local-store.ts";
import type { ObjectStore } from "./lake/store.ts";
import { doWhatIsDue } from "./operations/due-work.ts";
import { ViewResolver } from "./rollouts/views/view-resolver.ts";
import { ExposureLedger } from "./usage/exposure-ledger.ts";

/**
 * Builds everything over a data folder. The caller closes it, also when it only asked one question; one that stays (`serving`) keeps a process
 * ready for the next query.
 */
export async function openServices(config: Config, { serving = false } = {}): Promise<Services> {
  await makeDataFolder(config.dataDir);
  const embedded = config.databaseUrl === undefined ? await startEmbedded(config.dataDir) : undefined;
  const database = connect(embedded?.config ?? { connectionString: config.databaseUrl });
  const closers: (() => Promise<void>)[] = [() => database.close(), async () => embedded?.release()];
  try {
    const [clock, ids] = [systemClock, systemIds];
    const headFile = appendingHeadFile(join(config.dataDir, "audit.head"));
    await migrate(database.db, clock);
    const { store, root } = await openStore(config.dataDir);
    const base = { db: database.db, clock, ids, headFile };
    await initialise(base, { storeRoot: root, environment: config.environment });
    const admin = await ensureAdmin(base, localUser());
    const resources = resourcesOf(config);
    const tempDir = join(config.dataDir, "tmp");
    const engine = await duckdbEngine({ ...resources.engine, tempDir });
    closers.unshift(() => engine.close());
    const sources = sourceReader({ ...resources.input, tempDir });
    closers.unshift(() => sources.close());
    const sandbox = duckdbSandbox({ ...resources.sandbox, tempDir, warm: serving ? 1 : 0 });
    closers.unshift(() => sandbox.close());
    const models = onnxModels({ tempDir, places: runtimePlaces(config.onnxDir), memoryMb: modelMemory(resources.sandbox.memoryMb) });
    const ledger = new ExposureLedger(base);
    const standing = new StandingAnswers(base);
    closers.unshift(() => ledger.flush().catch(() => undefined));
    const local = readLocalConfig(config.dataDir);
    const lake = {
      ...base,
      store,
      engine,
      tables: new TableReader(store),
      rowsPerFile: defaultRowsPerFile,
      commands: local.commands,
      sandbox,
      models,
      sqlCaps: { rows: 10_000_000, bytes: 2 ** 30, memoryMb: resources.sandbox.memoryMb, milliseconds: 60_000 },
      sources,
      environment: config.environment,
    };
    const telling = { ...base, outbound: systemOutbound, webhookSettings: local.webhooks };
    const close = async (): Promise<void> => {
      for (const closer of closers.splice(0)) await closer();
    };
    return {
      ...lake,
      ...telling,
      config,
      ledger,
      standing,
      resolver: new ViewResolver({ ...base, environment: config.environment, standing }),
      localAdmin: admin.name,
      drainOutbox: () => doWhatIsDue(lake),
      deliverWebhooks: () => deliverDue(telling),
      poolUsage: () => {
        const { totalCount: total, idleCount: idle, waitingCount: waiting } = database.pool;
        return { total, idle, waiting };
      },
      close,
    };
  } catch (error) {
    for (const closer of closers.splice(0)) await closer().catch(() => undefined);
    throw error;
  }
}

/** Makes the tables of a data folder that has moved name their present place. No server may run on it. */
export async function relocate(config: Config): Promise<{ versions: number; root: string; from: string }> {
  const embedded = config.databaseUrl === undefined ? await startEmbedded(config.dataDir) : undefined;
  const database = connect(embedded?.config ?? { connectionString: config.databaseUrl });
  try {
    await migrate(database.db, systemClock);
    const base = { db: database.db, clock: systemClock, ids: systemIds, headFile: appendingHeadFile(join(config.dataDir, "audit.head")) };
    const { store, root } = await openStore(config.dataDir);
    const engine = await duckdbEngine({ ...resourcesOf(config).engine, tempDir: join(config.dataDir, "tmp") });
    try {
      return await relocateStore({ ...base, store, engine }, { root, actor: localUser() });
    } finally {
      await engine.close();
    }
  } finally {
    await database.close();
    await embedded?.release();
  }
}

/** The store of a data folder, and its real place: a folder that is reached through a link has not moved. */
async function openStore(dataDir: string): Promise<{ store: ObjectStore; root: string }> {
  const folder = join(dataDir, "lake");
  const store = await localStore(folder, undefined, readLocalConfig(dataDir).addresses);
  return { store, root: await realpath(folder) };
}

function resourcesOf(config: Pick<Config, "memoryMb" | "threads">): ReturnType<typeof shareResources> {
  const machine = { memoryMb: totalmem() / 2 ** 20, processors: availableParallelism() };
  return shareResources(budgetOf(machine, { memoryMb: config.memoryMb, threads: config.threads }));
}

type FileRowsPage = Parameters<typeof runFileRows>[2];

/** How plain files are compared. */
export interface FileDiff {
  diffFiles(options: FileDiffOptions): Promise<DiffResult>;
  diffFileRows(options: FileDiffOptions, page: FileRowsPage): Promise<RowPage>;
}

/** Lets work compare plain files: an engine in a temporary folder, and nothing else. */
export async function withFileDiff<T>(config: Pick<Config, "memoryMb" | "threads">, work: (files: FileDiff) => Promise<T>): Promise<T> {
  const tempDir = await mkdtemp(join(tmpdir(), "tidegate-diff-"));
  const resources = resourcesOf(config);
  const engine = await duckdbEngine({ ...resources.engine, tempDir });
  const sources = sourceReader({ ...resources.input, tempDir });
  try {
    return await work({
      diffFiles: (options) => runFileDiff({ engine, sources }, options),
      diffFileRows: (options, page) => runFileRows({ engine, sources }, options, page),
    });
  } finally {
    await sources.close();
    await engine.close();
    await rm(tempDir, { recursive: true, force: true });
  }
}

function localUser(): string {
  const name = userInfo()
    .username.toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "");
  return name === "" ? "admin" : name;
}
