import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, chown, link, mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { isRoot, nobody, reachableByAll, usableBinaries } from "./binaries.ts";
import { startError } from "./start-error.ts";
import { draftOf } from "./start-lock.ts";

/** Where the pieces of an embedded Postgres stand. */
export interface Cluster {
  /** Folder of the cluster's own; entered by its owner only. */
  home: string;
  /** PGDATA. */
  data: string;
  password: string;
  /** Folder of the programs. */
  binaries: string;
  /** Who Postgres runs as, where that is not ourselves. */
  user: { uid: number; gid: number } | undefined;
}

const run = promisify(execFile);

/** Where clusters of root's private data folders live. */
const systemFolder = "/var/lib/tidegate";

/**
 * Finds the place of a data folder's cluster, and makes its folder and password. As root it lives where «nobody» can reach it, and the
 * data folder names the place.
 */
export async function openCluster(dataDir: string): Promise<Cluster> {
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  const folder = await realpath(dataDir);
  const password = await passwordOf(join(folder, "postgres.password"));
  const home = await realpath(await homeOf(folder, password));
  const user = await ownerOf(home);
  await chmod(home, 0o700);
  const binaries = await usableBinaries(isRoot() ? systemFolder : home);
  return { home, data: join(home, "data"), password, binaries, user };
}

/** Written beside and linked, so that no other process ever reads half of it. */
async function passwordOf(path: string): Promise<string> {
  const known = await readFile(path, "utf8").catch(() => "");
  if (known !== "") return known.trim();
  const draft = draftOf(path);
  await writeFile(draft, randomBytes(24).toString("base64url"), { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return (await readFile(path, "utf8")).trim();
}

async function homeOf(folder: string, password: string): Promise<string> {
  const location = join(folder, "postgres.location");
  const named = (await readFile(location, "utf8").catch(() => "")).trim();
  if (named !== "") {
    await checkNamed(folder, named);
    return named;
  }
  const inside = join(folder, "postgres");
  if (!isRoot() || (await reachableByAll(folder))) {
    await mkdir(inside, { recursive: true, mode: 0o700 });
    return inside;
  }
  // The password is in the hash: a data folder that was deleted and made again must not find the cluster of the old one.
  const home = join(systemFolder, createHash("sha256").update(`${folder}\n${password}`).digest("hex").slice(0, 16));
  await mkdir(systemFolder, { recursive: true });
  await chmod(systemFolder, 0o755);
  await mkdir(home, { recursive: true, mode: 0o700 });
  await replaceFile(join(home, "data-folder"), `${folder}\n`);
  await replaceFile(location, `${home}\n`);
  return home;
}

/** A data folder that was moved takes its cluster along; a copy must not share the cluster of the original. */
async function checkNamed(folder: string, home: string): Promise<void> {
  const owner = await readFile(join(home, "data-folder"), "utf8").catch(() => undefined);
  if (owner === undefined) {
    throw startError(`no cluster in ${home}`, {
      expected: `the cluster that ${join(folder, "postgres.location")} names`,
      hint: "bring that folder back: without it the data folder has no state",
    });
  }
  if (owner.trim() === folder) return;
  const original = (await readFile(join(owner.trim(), "postgres.location"), "utf8").catch(() => "")).trim();
  if (original === home) {
    throw startError(`${folder} is a copy of ${owner.trim()}, and both name the cluster in ${home}`, {
      expected: "a data folder with a cluster of its own",
      hint: `use ${owner.trim()}, or set DATABASE_URL`,
    });
  }
  await replaceFile(join(home, "data-folder"), `${folder}\n`);
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = draftOf(path);
  await writeFile(draft, text);
  await rename(draft, path);
}

/** Root runs Postgres as whoever owns the cluster, and as «nobody» where it is new; anybody else must be its owner. */
async function ownerOf(home: string): Promise<Cluster["user"]> {
  const { uid, gid } = await stat(home);
  if (!isRoot()) {
    if (process.getuid !== undefined && uid !== process.getuid()) {
      throw startError(`${home} belongs to user ${uid}`, {
        expected: `a folder of user ${process.getuid()}`,
        hint: "run as that user, or as root",
      });
    }
    return undefined;
  }
  if (uid !== 0) return { uid, gid };
  await chown(home, nobody.uid, nobody.gid);
  return nobody;
}

/** Runs initdb beside and renames, so that a kill leaves either no cluster or a whole one. The caller holds the start lock. */
export async function initCluster(cluster: Cluster): Promise<void> {
  await removeDrafts(cluster.home);
  const present = await stat(join(cluster.data, "PG_VERSION")).catch(() => undefined);
  if (present !== undefined) return;
  const draft = join(cluster.home, `data-new-${process.pid}`);
  const passwordFile = join(cluster.home, `password-${process.pid}`);
  await writeFile(passwordFile, cluster.password, { mode: 0o600 });
  if (cluster.user !== undefined) await chown(passwordFile, cluster.user.uid, cluster.user.gid);
  try {
    const options = ["-D", draft, "-U", "tidegate", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--no-locale"];
    await run(join(cluster.binaries, "initdb"), options, { ...cluster.user, cwd: cluster.home, env: {} });
    await rename(draft, cluster.data);
    await syncFolder(dirname(cluster.data));
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw startError(stderr === undefined || stderr === "" ? message : stderr, { cause: error });
  } finally {
    await removeDrafts(cluster.home);
  }
}

/** What killed processes left behind, and our own. */
async function removeDrafts(home: string): Promise<void> {
  const drafts = (await readdir(home)).filter((name) => /^(data-new|password)-\d+$/.test(name));
  for (const name of drafts) await rm(join(home, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
