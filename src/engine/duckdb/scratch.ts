import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Scratch } from "../engine.ts";

const folderName = /^scratch-(\d+)-/;

/** Makes a scratch folder that names its process, so that a later one can tell when its owner is dead. */
export async function makeScratch(tempDir: string): Promise<Scratch> {
  await mkdir(tempDir, { recursive: true, mode: 0o700 });
  return { dir: await mkdtemp(join(tempDir, `scratch-${process.pid}-`)) };
}

export async function dropScratch(scratch: Scratch): Promise<void> {
  await rm(scratch.dir, { recursive: true, force: true });
}

/** Deletes the scratch folders of processes that are gone. */
export async function sweepScratch(tempDir: string): Promise<void> {
  const names = await readdir(tempDir).catch(() => []);
  for (const name of names) {
    const pid = folderName.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(tempDir, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

let made = 0;

/** A file name in a scratch folder that no other call of this process gets. */
export function scratchFile(scratch: Scratch, kind: string): string {
  made += 1;
  return join(scratch.dir, `${kind}-${made}.parquet`);
}
