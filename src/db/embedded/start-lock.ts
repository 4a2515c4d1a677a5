import { readFileSync } from "node:fs";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";

/**
 * When a process began, as the kernel counts it, so that a number that is used again is not taken for its first owner; undefined when it
 * does not run. A dead process whose parent has not asked for it (a zombie) does not run.
 */
export function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return processExists(pid) ? "unknown" : undefined;
  }
}

/** Whether the number is taken, if only by a zombie. */
export function processExists(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

let drafts = 0;

/** A name beside a file for its draft, which no other process and no other call uses. */
export function draftOf(path: string): string {
  drafts += 1;
  return `${path}.${process.pid}-${drafts}`;
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

function identity(pid: number): string | undefined {
  const start = processStart(pid);
  return start === undefined ? undefined : `${pid} ${start} ${bootId()}`;
}

/**
 * Takes a lock file unless a process that lives holds it. Gives the function that releases it, or undefined: the lock is held, or a dead
 * holder's lock was just cleared and the next try may succeed. (Node has no flock.)
 */
export async function tryStartLock(path: string): Promise<(() => Promise<void>) | undefined> {
  const draft = draftOf(path);
  await writeFile(draft, identity(process.pid) ?? "");
  try {
    await link(draft, path);
    return () => rm(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(draft, { force: true });
  }
  if (!(await heldByLiving(path))) await clear(path);
  return undefined;
}

async function heldByLiving(path: string): Promise<boolean> {
  const holder = await readFile(path, "utf8").catch(() => undefined);
  return holder === undefined || identity(Number.parseInt(holder, 10)) === holder;
}

/** Moves a dead holder's lock aside before it is removed: if somebody else took the lock in this moment, it is put back. */
async function clear(path: string): Promise<void> {
  const aside = draftOf(path);
  try {
    await rename(path, aside);
    if (await heldByLiving(aside)) await link(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EEXIST") throw error;
  } finally {
    await rm(aside, { force: true });
  }
}
