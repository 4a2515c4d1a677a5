import { access, constants, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError } from "./errors.ts";

const reasons: Readonly<Record<string, string>> = {
  EACCES: "not permitted for this user",
  EPERM: "not permitted there",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of its path is a file",
  EEXIST: "a file stands there",
  ENOENT: "no folder can be made there",
  ENOSPC: "the disk is full",
  ENAMETOOLONG: "its name is too long",
  ELOOP: "its path leads in a circle",
};

function unwritable(folder: string, error: unknown): AppError {
  const { code = "" } = error as NodeJS.ErrnoException;
  return new AppError("data.unwritable", `The folder ${folder} cannot be written.`, {
    expected: "a folder that this user may write to",
    found: reasons[code] ?? (code === "" ? String(error) : code),
    hint: "--data <folder>, or TIDEGATE_DATA, names another one",
    cause: error,
  });
}

/**
 * Makes the data folder, and says which folder cannot be written and why before anything is started in it. One folder at a time: Node's own
 * recursive mkdir never returns where the kernel says that a parent which is there is not, as below /proc.
 */
export async function makeDataFolder(folder: string): Promise<void> {
  const missing: string[] = [];
  let present = folder;
  while (!(await isFolder(present))) {
    missing.unshift(present);
    present = dirname(present);
  }
  for (const path of missing) {
    await mkdir(path, { mode: 0o755 }).catch((error: unknown) => {
      // Another process may have made it at this moment.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unwritable(path, error);
    });
  }
  await checkWritable(folder, await isFolder(join(folder, "lake")));
}

async function isFolder(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && dirname(path) !== path) return false;
    throw unwritable(path, error);
  }
  throw unwritable(path, Object.assign(new Error(`${path} is a file`), { code: "EEXIST" }));
}

/** Rights are asked for, and in a folder that is new to us a file is tried too: rights alone do not tell of places such as /proc. */
async function checkWritable(folder: string, known: boolean): Promise<void> {
  for (const path of [folder, join(folder, "lake"), join(folder, "tmp")]) {
    await access(path, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      if (path === folder || (error as NodeJS.ErrnoException).code !== "ENOENT") throw unwritable(path, error);
    });
  }
  if (known) return;
  const trial = join(folder, `.writable-${process.pid}`);
  try {
    await writeFile(trial, "");
    await rm(trial);
  } catch (error) {
    throw unwritable(folder, error);
  }
}
