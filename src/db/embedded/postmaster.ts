import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import { startError } from "./start-error.ts";
import { processExists, processStart } from "./start-lock.ts";

/** What the cluster's lock file tells: nobody runs it, or a process that lives does and can be asked at `host` and `port` soon. */
export type Postmaster =
  | { running: false; stalePid: number | undefined }
  | { running: true; pid: number; host: string; port: number | undefined };

/** Postgres refuses socket paths of 107 bytes and more. */
const longestSocketPath = 100;
const socketName = ".s.PGSQL.5432";
const pause = 20;

/** Looks who runs the cluster. Changes nothing. */
export async function findPostmaster(cluster: Cluster): Promise<Postmaster> {
  const text = await readFile(join(cluster.data, "postmaster.pid"), "utf8").catch(() => "");
  const [first = "", , , port = "", socketFolder = "", address = ""] = text.split("\n");
  const pid = Number(first);
  if (first === "" || !isPostmaster(pid, cluster)) return { running: false, stalePid: first === "" ? undefined : pid };
  // The socket's folder moves with the cluster, also while Postgres runs; what it wrote down at its start does not.
  const host = socketFolder === "" && address !== "" ? address : cluster.home;
  return { running: true, pid, host, port: port === "" ? undefined : Number(port) };
}

/** Whether a process lives and is this cluster's postmaster: its number may have gone to another one. */
function isPostmaster(pid: number, cluster: Cluster): boolean {
  if (processStart(pid) === undefined) return false;
  if (process.platform !== "linux") return true;
  try {
    const [cwd, data] = [statSync(`/proc/${pid}/cwd`), statSync(cluster.data)];
    return cwd.ino === data.ino && cwd.dev === data.dev;
  } catch {
    // Root without the right to trace, as in a container, may not see it.
  }
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words[words.indexOf("-D") + 1] === cluster.data;
  } catch {
    return false;
  }
}

/**
 * Starts Postgres on the cluster in a session of its own, so that Ctrl-C in our terminal does not reach it, and waits until its lock file
 * stands. False when remains of an earlier one are in the way for a moment longer. The caller holds the start lock.
 */
export async function startPostmaster(cluster: Cluster): Promise<boolean> {
  await clearDeadLock(cluster);
  const logPath = join(cluster.home, "postgres.log");
  const logged = await rotateLog(logPath);
  const log = await open(logPath, "a", 0o600);
  let exited = false;
  try {
    if (cluster.user !== undefined) await log.chown(cluster.user.uid, cluster.user.gid);
    const options = ["-D", cluster.data, ...(await settings(cluster)).flatMap((setting) => ["-c", setting])];
    const child = spawn(join(cluster.binaries, "postgres"), options, {
      ...cluster.user,
      cwd: cluster.home,
      env: {},
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    child.once("error", () => (exited = true));
    child.once("exit", () => (exited = true));
    child.unref();
  } finally {
    await log.close();
  }
  const deadline = AbortSignal.timeout(30_000);
  for (;;) {
    const found = await findPostmaster(cluster);
    if (found.running && found.port !== undefined) return true;
    if (exited || deadline.aborted) break;
    await sleep(pause);
  }
  const said = (await readFile(logPath)).subarray(logged).toString();
  if (/is still in use|already exists|already in use/.test(said)) return false;
  throw startError(said === "" ? "the process ended without a word" : said);
}

/** Postgres itself clears the lock of a process that is gone, but takes a zombie, or whoever has its number now, for its owner. */
async function clearDeadLock(cluster: Cluster): Promise<void> {
  const found = await findPostmaster(cluster);
  if (found.running) return;
  if (found.stalePid !== undefined && processExists(found.stalePid)) await rm(join(cluster.data, "postmaster.pid"), { force: true });
  for (const name of [socketName, `${socketName}.lock`]) await rm(join(cluster.home, name), { force: true });
}

/** Starts a new log when the old one has grown; gives the size of what stands in it. */
async function rotateLog(path: string): Promise<number> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size < 4 * 2 ** 20) return size;
  await rename(path, `${path}.1`);
  return 0;
}

async function settings(cluster: Cluster): Promise<string[]> {
  const onSocket = Buffer.byteLength(join(cluster.home, socketName)) < longestSocketPath;
  const place = onSocket
    ? ["listen_addresses=", `unix_socket_directories=${cluster.home}`, "unix_socket_permissions=0700", "port=5432"]
    : ["listen_addresses=127.0.0.1", "unix_socket_directories=", `port=${await keptPort(join(cluster.home, "port"))}`];
  const small = [
    "shared_buffers=16MB",
    "max_connections=100",
    "max_wal_size=256MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "io_method=sync",
    "jit=off",
  ];
  return [...place, ...small, "fsync=on", "timezone=UTC", "log_timezone=UTC", "log_checkpoints=off"];
}

/** The port that the cluster had before, so that processes that were connected find it again; another one when it is taken. */
async function keptPort(path: string): Promise<number> {
  const before = Number(await readFile(path, "utf8").catch(() => "0"));
  const port = await freePort(before).catch(() => freePort(0));
  await writeFile(path, String(port));
  return port;
}

function freePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** Stops Postgres: sends its clients away, writes a checkpoint, and waits until it is gone. */
export async function stopPostmaster(cluster: Cluster): Promise<void> {
  const found = await findPostmaster(cluster);
  if (!found.running) return;
  process.kill(found.pid, "SIGINT");
  const deadline = AbortSignal.timeout(20_000);
  while (processStart(found.pid) !== undefined && !deadline.aborted) await sleep(pause);
}
