import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { AppError } from "../../lib/errors.ts";
import { errorCode, isConnectionLoss } from "../pg-errors.ts";
import { initCluster, openCluster, type Cluster } from "./cluster.ts";
import { findPostmaster, startPostmaster, stopPostmaster } from "./postmaster.ts";
import { startError } from "./start-error.ts";
import { tryStartLock } from "./start-lock.ts";

/** A Postgres that this process may use until it releases it. */
export interface EmbeddedPostgres {
  /** How to connect; stays valid when Postgres has to be started again. */
  config: pg.PoolConfig;
  /** Gives up this process's share; the last one out stops Postgres. The caller's own connections must be closed. */
  release(): Promise<void>;
}

/** Every process that uses the cluster holds this advisory lock shared, on a connection of its own. */
const inUse = 0x71d6a7e;
const pause = 25;
const patience = 60_000;
const retryPause = 3000;
const tooManyConnections = "53300";
const lockNotAvailable = "55P03";

/**
 * Starts the data folder's own Postgres, or joins the one that runs. Many processes may do so at once. An orphan of a killed process is
 * adopted; one that is starting or shutting down is waited for. When Postgres dies under this process, it is started again.
 */
export async function startEmbedded(dataDir: string): Promise<EmbeddedPostgres> {
  const cluster = await openCluster(dataDir).catch((error: unknown) => {
    throw error instanceof AppError ? error : startError((error as Error).message, { cause: error });
  });
  const released = new AbortController();
  let share: pg.Client | undefined;
  let returning = Promise.resolve();
  const enter = async (): Promise<pg.PoolConfig> => {
    const joined = await joinServer(cluster, released.signal);
    share = joined.client;
    share.once("end", () => {
      share = undefined;
      if (!released.signal.aborted) returning = comeBack();
    });
    return joined.config;
  };
  const comeBack = async (): Promise<void> => {
    while (!released.signal.aborted) {
      const back = await enter().then(
        () => true,
        () => false,
      );
      if (back) return;
      await sleep(retryPause, undefined, { ref: false, signal: released.signal }).catch(() => undefined);
    }
  };
  const config = await enter();
  return {
    config,
    release: async () => {
      released.abort();
      await returning;
      if (share !== undefined) await leave(cluster, share);
    },
  };
}

interface Joined {
  client: pg.Client;
  config: pg.PoolConfig;
}

/** Joins the running server, or starts one first. Whoever started one joins it, also when asked to stop, or stops it. */
async function joinServer(cluster: Cluster, stop: AbortSignal): Promise<Joined> {
  const deadline = AbortSignal.timeout(patience);
  let started = false;
  try {
    while (!deadline.aborted && (started || !stop.aborted)) {
      const found = await findPostmaster(cluster);
      if (!found.running) started = (await tryStart(cluster)) || started;
      else if (found.port !== undefined) {
        const joined = await takeShare(cluster, found.host, found.port);
        if (joined !== undefined) return joined;
      }
      await sleep(pause);
    }
    throw startError(`no answer within ${patience / 1000} seconds`, {
      hint: `is a process stopped that holds ${join(cluster.home, "start.lock")}?`,
    });
  } catch (error) {
    if (started) await stopPostmaster(cluster);
    throw error;
  }
}

/** Starts Postgres unless another process is about to; whether it was started. */
async function tryStart(cluster: Cluster): Promise<boolean> {
  const unlock = await tryStartLock(join(cluster.home, "start.lock"));
  if (unlock === undefined) return false;
  try {
    await initCluster(cluster);
    const found = await findPostmaster(cluster);
    return found.running ? false : await startPostmaster(cluster);
  } finally {
    await unlock();
  }
}

/** Connects and takes the shared lock; undefined when the server is just starting, stopping or gone. */
async function takeShare(cluster: Cluster, host: string, port: number): Promise<Joined | undefined> {
  const config: pg.PoolConfig = { host, port, user: "tidegate", password: cluster.password, database: "postgres", ssl: false };
  const client = new pg.Client({
    ...config,
    application_name: "tidegate share",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    // Whoever is about to stop the server holds the lock exclusively, and is waited for no longer than this.
    options: "-c lock_timeout=10s",
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock_shared(${inUse})`);
    return { client, config };
  } catch (error) {
    await client.end().catch(() => undefined);
    const { message } = error as Error;
    const code = errorCode(error);
    if (code === "28P01")
      throw startError(message, {
        expected: "the password in postgres.password",
        hint: "bring postgres.password in the data folder back",
        cause: error,
      });
    if (isConnectionLoss(error) || code === tooManyConnections || code === lockNotAvailable || message === "timeout expired")
      return undefined;
    throw startError(message, { cause: error });
  }
}

async function leave(cluster: Cluster, client: pg.Client): Promise<void> {
  try {
    await client.query(`select pg_advisory_unlock_shared(${inUse})`);
    const { rows } = await client.query<{ last: boolean }>(`select pg_try_advisory_lock(${inUse}) as last`);
    // Whoever connects from now on waits for the lock that this connection holds, and is sent away by the shutdown.
    if (rows[0]?.last === true) await stopPostmaster(cluster);
  } catch {
    // A server that is gone needs no stopping.
  } finally {
    await client.end().catch(() => undefined);
  }
}
