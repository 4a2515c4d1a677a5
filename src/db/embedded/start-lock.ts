import { readFileSync } from "node:fs";
import { link, readFile, rm, writeFile } from "node:fs/promises";

/** When a process began, as the kernel counts it; so that a pid that is used again is not taken for its first owner. */
export function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return processExists(pid) ? "unknown" : undefined;
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Takes a lock file if nobody alive has it. Gives the function that releases it, or undefined. */
export async function tryStartLock(path: string): Promise<(() => Promise<void>) | undefined> {
  const own = `${process.pid} ${processStart(process.pid) ?? ""}`;
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, own);
  try {
    await link(temporary, path);
    return () => rm(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  const holder = await readFile(path, "utf8").catch(() => "");
  const [pid, start] = holder.split(" ");
  const alive = pid !== undefined && pid !== "" && processStart(Number(pid)) === start;
  // Whoever finds a dead holder clears the lock and tries again like everybody else.
  if (!alive && (await readFile(path, "utf8").catch(() => "")) === holder) await rm(path, { force: true });
  return undefined;
}
