import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import {
  findPostmaster,
  initCluster,
  lastLog,
  openCluster,
  startError,
  startPostmaster,
  type Cluster,
  type Postmaster,
} from "./cluster.ts";
import { processStart, tryStartLock } from "./start-lock.ts";

/** A Postgres that this process may use until it releases it. */
export interface EmbeddedPostgres {
  config: pg.PoolConfig;
  pid: number;
  /** Gives up this process's share; the last one out stops Postgres. */
  release(): Promise<void>;
}

/** Every process that uses the folder's Postgres holds this lock shared, on a connection of its own. */
const inUse = 0x71d6a7e;
const pause = 40;
const patience = 1500;

/**
 * Starts the data folder's own Postgres, or joins the one that runs. Many processes may do so at once. An orphan of a killed process is
 * adopted; one that is starting or shutting down is waited for.
 */
export async function startEmbedded(dataDir: string): Promise<EmbeddedPostgres> {
  const cluster = await openCluster(dataDir);
  let started: number | undefined;
  for (let tries = 0; tries < patience; tries += 1) {
    const postmaster = await findPostmaster(cluster);
    const joined = postmaster === undefined ? undefined : await joinServer(cluster, postmaster);
    if (joined !== undefined) return joined;
    if (postmaster === undefined) started = await tryStart(cluster, started);
    await sleep(pause);
  }
  throw startError(await lastLog(cluster));
}

/** Starts the postmaster if nobody else is about to. A start of ours that died is an error, with what its log says. */
async function tryStart(cluster: Cluster, started: number | undefined): Promise<number | undefined> {
  if (started !== undefined && processStart(started) !== undefined) return started;
  const unlock = await tryStartLock(join(cluster.home, "start.lock"));
  if (unlock === undefined) return started;
  try {
    await initCluster(cluster);
    if ((await findPostmaster(cluster)) !== undefined) return started;
    const pid = await startPostmaster(cluster);
    for (let tries = 0; tries < 250; tries += 1) {
      if ((await findPostmaster(cluster)) !== undefined) return pid;
      if (processStart(pid) === undefined) break;
      await sleep(20);
    }
    const log = await lastLog(cluster);
    // Backends of a killed postmaster may hold its memory for a moment longer.
    if (log.includes("is still in use")) return undefined;
    if (processStart(pid) === undefined && (await findPostmaster(cluster)) === undefined && log.includes("FATAL")) throw startError(log);
    return pid;
  } finally {
    await unlock();
  }
}

function configOf(cluster: Cluster, postmaster: Postmaster): pg.PoolConfig {
  return { host: postmaster.host, port: postmaster.port, user: "tidegate", password: cluster.password, database: "postgres" };
}

/** Connects and takes the shared lock; undefined when the server is just starting, stopping or gone. */
async function joinServer(cluster: Cluster, postmaster: Postmaster): Promise<EmbeddedPostgres | undefined> {
  const config = configOf(cluster, postmaster);
  const client = new pg.Client({ ...config, application_name: "tidegate share" });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock_shared(${inUse})`);
  } catch (error) {
    await client.end().catch(() => undefined);
    const { code } = error as { code?: string };
    if (code === "28P01" || code === "28000") throw startError((error as Error).message);
    return undefined;
  }
  return { config, pid: postmaster.pid, release: () => release(client, postmaster) };
}

async function release(client: pg.Client, postmaster: Postmaster): Promise<void> {
  try {
    await client.query(`select pg_advisory_unlock_shared(${inUse})`);
    const { rows } = await client.query<{ last: boolean }>(`select pg_try_advisory_lock(${inUse}) as last`);
    if (rows[0]?.last !== true) return;
    // Whoever connects from now on waits for the lock that this connection holds, and is sent away by the shutdown.
    process.kill(postmaster.pid, "SIGINT");
    for (let tries = 0; tries < 250 && processStart(postmaster.pid) !== undefined; tries += 1) await sleep(20);
  } catch {
    // A server that is gone needs no stopping.
  } finally {
    await client.end().catch(() => undefined);
  }
}
