import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Compiles the command where a source is newer. Whoever compiles without need rewrites what processes of another suite are just loading. */
export function buildCommand(): void {
  const module = pathToFileURL(join(root, "scripts", "ensure.mjs")).href;
  execFileSync(process.execPath, ["--input-type=module", "-e", `import { ensureBuilt } from "${module}"; ensureBuilt();`], {
    stdio: "ignore",
  });
}

export interface Ran {
  /** Exit code; undefined when a signal ended the process. */
  exit: number | undefined;
  data: unknown;
  /** Code of the error, when there was one. */
  code: string | undefined;
  message: string | undefined;
  /** The next command to type, as the error says it. */
  hint: string | undefined;
}

export interface Running {
  child: ChildProcess;
  done: Promise<Ran>;
}

/** Starts one command on a data folder, as a process of its own, with JSON output. */
export function start(dataDir: string, args: readonly string[]): Running {
  const env = { ...process.env, TIDEGATE_DATA: dataDir, TIDEGATE_MEMORY_MB: "512" };
  const child = spawn(process.execPath, [join(root, "dist", "main.js"), ...args, "--json"], { env, stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const done = new Promise<Ran>((resolve) => {
    child.once("close", (exit) => resolve(ranOf(exit ?? undefined, text)));
  });
  return { child, done };
}

function ranOf(exit: number | undefined, text: string): Ran {
  try {
    const envelope = JSON.parse(text) as { data?: unknown; error?: { code: string; message: string; hint?: string } };
    return { exit, data: envelope.data, code: envelope.error?.code, message: envelope.error?.message, hint: envelope.error?.hint };
  } catch {
    return { exit, data: undefined, code: undefined, message: undefined, hint: undefined };
  }
}

export async function command(dataDir: string, ...args: string[]): Promise<Ran> {
  return start(dataDir, args).done;
}

/** The data of a command that must work. */
export async function must<T>(dataDir: string, ...args: string[]): Promise<T> {
  const ran = await command(dataDir, ...args);
  if (ran.exit !== 0) throw new Error(`tidegate ${args.join(" ")}: exit ${ran.exit ?? "by signal"} ${ran.code ?? ""} ${ran.message ?? ""}`);
  return ran.data as T;
}

/** Process id of the data folder's Postgres; undefined when none runs. */
export function postmasterOf(dataDir: string): number | undefined {
  const place = (() => {
    try {
      return readFileSync(join(dataDir, "postgres.location"), "utf8").trim();
    } catch {
      return join(dataDir, "postgres");
    }
  })();
  try {
    return Number(readFileSync(join(place, "data", "postmaster.pid"), "utf8").split("\n")[0]);
  } catch {
    return undefined;
  }
}

export function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It was gone already.
  }
}

/** A small seeded generator, so that a run can be repeated. */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}
