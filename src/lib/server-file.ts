import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** How other processes on a data folder find its server. */
export interface ServerFile {
  url: string;
  pid: number;
  /** Opens the server for whoever may read this file. */
  token: string;
}

const pathOf = (dataDir: string): string => join(dataDir, "server.json");

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** What a server file says; undefined when it was cut short. */
function parsed(text: string): ServerFile | undefined {
  try {
    return JSON.parse(text) as ServerFile;
  } catch {
    return undefined;
  }
}

/** The server that runs on a data folder; undefined when there is none, or its process is gone or does not answer. */
export async function readServerFile(dataDir: string): Promise<ServerFile | undefined> {
  const text = await readFile(pathOf(dataDir), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const server = parsed(text);
  if (server === undefined || !isAlive(server.pid)) return undefined;
  const answer = await fetch(`${server.url}/v1/whoami`, {
    headers: { authorization: `Bearer ${server.token}` },
    signal: AbortSignal.timeout(5000),
  }).catch(() => undefined);
  return answer?.ok === true ? server : undefined;
}

/** Publishes a server, readable by its own user only. */
export async function writeServerFile(dataDir: string, server: ServerFile): Promise<void> {
  const temporary = `${pathOf(dataDir)}.${server.pid}`;
  await writeFile(temporary, JSON.stringify(server), { mode: 0o600 });
  await rename(temporary, pathOf(dataDir));
}

export async function removeServerFile(dataDir: string, pid: number): Promise<void> {
  const text = await readFile(pathOf(dataDir), "utf8").catch(() => undefined);
  if (text !== undefined && parsed(text)?.pid === pid) await rm(pathOf(dataDir), { force: true });
}
