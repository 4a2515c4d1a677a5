import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, chown, mkdir, open, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { AppError } from "../../lib/errors.ts";
import { isRoot, nobody, reachableByAll, usableBinaries } from "./binaries.ts";
import { processStart } from "./start-lock.ts";

/** Where the pieces of an embedded Postgres stand. */
export interface Cluster {
  /** Folder of the cluster's own; entered by its owner only. */
  home: string;
  /** PGDATA. */
  data: string;
  password: string;
  binaries: string;
}

export interface Postmaster {
  pid: number;
  host: string;
  port: number;
}

const user = () => (isRoot() ? nobody : {});
const run = promisify(execFile);

/** Postgres refuses socket paths of 107 bytes and more. */
const longestSocketPath = 100;

/**
 * Finds the cluster of a data folder, and makes it if there is none: in a folder beside it first, then by rename, so that a kill leaves
 * either no cluster or a whole one. As root it lives where «nobody» can reach it, and the data folder names the place.
 */
export async function openCluster(dataDir: string): Promise<Cluster> {
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  const home = await homeOf(await realpath(dataDir));
  await mkdir(home, { recursive: true, mode: 0o700 });
  if (isRoot()) await chown(home, nobody.uid, nobody.gid);
  await chmod(home, 0o700);
  const data = join(home, "data");
  const password = await passwordOf(join(dataDir, "postgres.password"));
  const binaries = await usableBinaries(isRoot() ? "/var/lib/tidegate/postgres" : join(home, "binaries"));
  return { home, data, password, binaries };
}

async function homeOf(dataDir: string): Promise<string> {
  const named = await readFile(join(dataDir, "postgres.location"), "utf8").catch(() => undefined);
  if (named !== undefined) return named.trim();
  if (!isRoot() || (await reachableByAll(dataDir))) return join(dataDir, "postgres");
  const home = join("/var/lib/tidegate", createHash("sha256").update(dataDir).digest("hex").slice(0, 16));
  await mkdir("/var/lib/tidegate", { recursive: true, mode: 0o755 });
  await writeFile(join(dataDir, "postgres.location"), `${home}\n`);
  return home;
}

async function passwordOf(path: string): Promise<string> {
  try {
    await writeFile(path, randomBytes(24).toString("base64url"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return (await readFile(path, "utf8")).trim();
}

/** Runs initdb unless the cluster is there. The caller holds the start lock. */
export async function initCluster(cluster: Cluster): Promise<void> {
  const present = await readFile(join(cluster.data, "PG_VERSION"), "utf8").catch(() => undefined);
  if (present !== undefined) return;
  const temporary = join(cluster.home, `data-new-${process.pid}`);
  const passwordFile = join(cluster.home, `password-${process.pid}`);
  await writeFile(passwordFile, cluster.password, { mode: 0o600 });
  if (isRoot()) await chown(passwordFile, nobody.uid, nobody.gid);
  try {
    const options = ["-D", temporary, "-U", "tidegate", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--no-locale"];
    await run(join(cluster.binaries, "initdb"), options, { ...user(), cwd: cluster.home, env: {} });
    await rename(temporary, cluster.data);
  } catch (error) {
    throw startError(error instanceof Error && "stderr" in error ? String(error.stderr) : String(error));
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

export function startError(found: string): AppError {
  return new AppError("db.start_failed", "The built-in Postgres did not start.", {
    expected: "a running Postgres in the data folder",
    found: found.trim().slice(-600),
    hint: "read postgres.log in the data folder, or set DATABASE_URL",
  });
}

/** The postmaster that owns the cluster, if its process lives. A dead one's lock is cleared. */
export async function findPostmaster(cluster: Cluster): Promise<Postmaster | undefined> {
  const path = join(cluster.data, "postmaster.pid");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const [pid, , , port, socketFolder, address] = text.split("\n");
  if (pid === undefined || !(await isPostmaster(Number(pid), cluster))) {
    if (pid !== undefined && pid !== "" && (await readFile(path, "utf8").catch(() => "")) === text) await rm(path, { force: true });
    return undefined;
  }
  if (port === undefined || port === "") return undefined;
  const host = socketFolder !== undefined && socketFolder !== "" ? socketFolder : (address ?? "127.0.0.1");
  return { pid: Number(pid), host, port: Number(port) };
}

async function isPostmaster(pid: number, cluster: Cluster): Promise<boolean> {
  if (processStart(pid) === undefined) return false;
  if (process.platform !== "linux") return true;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(cluster.data);
  } catch {
    return false;
  }
}

/** Starts the postmaster in a session of its own, so that Ctrl-C in our terminal does not reach it. The caller holds the start lock. */
export async function startPostmaster(cluster: Cluster): Promise<number> {
  const socket = join(cluster.home, ".s.PGSQL.5432");
  const onSocket = Buffer.byteLength(socket) < longestSocketPath;
  const place = onSocket
    ? ["listen_addresses=", `unix_socket_directories=${cluster.home}`, "unix_socket_permissions=0700", "port=5432"]
    : ["listen_addresses=127.0.0.1", "unix_socket_directories=", `port=${await freePort()}`];
  const settings = [
    ...place,
    "shared_buffers=16MB",
    "max_connections=120",
    "fsync=on",
    "timezone=UTC",
    "log_timezone=UTC",
    "max_wal_size=256MB",
  ];
  const log = await open(join(cluster.home, "postgres.log"), "a");
  try {
    if (isRoot()) await log.chown(nobody.uid, nobody.gid);
    const options = ["-D", cluster.data, ...settings.flatMap((setting) => ["-c", setting])];
    const child = spawn(join(cluster.binaries, "postgres"), options, {
      ...user(),
      cwd: cluster.home,
      env: {},
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    child.on("error", () => undefined);
    child.unref();
    if (child.pid === undefined) throw startError("its process could not be created");
    return child.pid;
  } finally {
    await log.close();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

export async function lastLog(cluster: Cluster): Promise<string> {
  return (await readFile(join(cluster.home, "postgres.log"), "utf8").catch(() => "no log")).slice(-600);
}
