import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";

/*
 * Readers that we did not write: pyiceberg and DuckDB's own Iceberg extension from PyPI, Spark with the Iceberg runtime from Maven Central.
 * They are installed once into the CI cache.
 */

export const readers = ["pyiceberg", "duckdb", "spark"] as const;
export type ReaderName = (typeof readers)[number];

export interface Fixture {
  name: string;
  /** Path of the metadata file. */
  metadata: string;
  /** The same rows as our own engine gives them, as plain Parquet; absent for a table that is broken on purpose. */
  expected?: string;
  /** Conditions that all readers understand, by name. */
  filters?: Record<string, string>;
  without?: ReaderName[];
}

export interface Filtered {
  error?: string;
  /** Rows that the filter leaves, read with all columns; and counted, with as few columns as can be. */
  rows?: number;
  count?: number | null;
  /** Data files that the reader planned to open (DuckDB: opened) for it; null where nothing is planned. */
  files?: number | null;
}

export interface Reading {
  name: string;
  error?: string;
  rows?: number;
  columns?: string[];
  nulls?: Record<string, number>;
  sums?: Record<string, number>;
  checksum?: string;
  /** The answer to `count(*)`. */
  count?: number | null;
  filters?: Record<string, Filtered>;
}

export const cache = process.env["TIDEGATE_CI_CACHE"] ?? join(homedir(), ".cache", "tidegate-ci");
const here = dirname(fileURLToPath(import.meta.url));
const venv = join(cache, "strict");
const packages = [
  "pyiceberg[pyarrow]==0.12.0",
  "duckdb==1.5.5",
  "duckdb-extension-iceberg==1.5.5",
  "duckdb-extension-avro==1.5.5",
  "duckdb-extension-httpfs==1.5.5",
  "pyspark==4.1.4",
  "pandas==3.1.1",
  "polars==2.1.0",
];
/** Python with these packages, where `installReaders` has put them. */
export const python = join(venv, "bin", "python");
/** Spark's Iceberg runtime, where `installReaders` has put it. */
export const sparkJar = () => join(cache, jarName);
const jarName = "iceberg-spark-runtime-4.1_2.13-1.12.0.jar";
export const maven = process.env["MAVEN_CENTRAL_URL"] ?? "https://repo1.maven.org/maven2";

function has(command: string, argument: string): boolean {
  return spawnSync(command, [argument], { stdio: "ignore" }).status === 0;
}

/** Whether the process that made a lock has died and left it. A lock that is empty is being made. */
function isLeft(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, "utf8"));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Suites that run side by side install one after the other. */
async function oneAtATime<T>(lock: string, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (isLeft(lock)) rmSync(lock, { force: true });
      await new Promise((resolve) => {
        setTimeout(resolve, 500);
      });
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Installs what is missing; gives what is missing on this machine when it cannot be. */
export async function installReaders(): Promise<string | undefined> {
  if (!has("python3", "--version")) return "python3 is not installed";
  if (!has("java", "-version")) return "java is not installed";
  mkdirSync(cache, { recursive: true });
  return oneAtATime(join(cache, "strict.lock"), install);
}

async function install(): Promise<string | undefined> {
  const mark = join(venv, `installed-${packages.join(" ").replaceAll(/[^a-z0-9.=-]+/gi, "_")}`);
  if (!existsSync(mark)) {
    const done = existsSync(join(venv, "bin", "pip")) ? 0 : spawnSync("python3", ["-m", "venv", venv], { stdio: "inherit" }).status;
    if (done !== 0) return "a Python environment cannot be made";
    if (spawnSync(join(venv, "bin", "pip"), ["install", "-q", ...packages], { stdio: "inherit" }).status !== 0)
      return "the readers cannot be installed from PyPI";
    writeFileSync(mark, "");
  }
  const jar = join(cache, jarName);
  if (!existsSync(jar)) {
    const response = await fetch(`${maven}/org/apache/iceberg/iceberg-spark-runtime-4.1_2.13/1.12.0/${jarName}`).catch(() => undefined);
    if (response?.ok !== true || response.body === null) return "the Iceberg runtime cannot be fetched from Maven Central";
    await pipeline(Readable.fromWeb(response.body as never), createWriteStream(`${jar}.tmp`));
    renameSync(`${jar}.tmp`, jar);
  }
  return undefined;
}

/** A Python process of the readers' environment that is asked by lines and answers by lines of JSON. */
export function startPython(script: string, args: readonly string[], folder: string) {
  const child = spawn(python, [join(here, script), ...args], {
    cwd: folder,
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, TZ: "UTC" },
  });
  child.stdin.on("error", () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? `exit ${code ?? ""}`));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    ended,
    /** The answer to a question; undefined when the process has ended instead. */
    ask: async (question: object): Promise<unknown> => {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) return undefined;
        if (value.startsWith("{")) return JSON.parse(value) as unknown;
      }
    },
  };
}

export interface ReaderProcess {
  /** What the reader finds in each fixture that is for it. */
  read(fixtures: readonly Fixture[]): Promise<Map<string, Reading>>;
  close(): void;
}

/** A reader in a process of its own, which stays: some readers abort theirs on a broken table, and a new one goes on then. */
export function openReader(reader: ReaderName | "expected", folder: string): ReaderProcess {
  const begin = () => startPython("read.py", [reader, ...(reader === "spark" ? [sparkJar()] : [])], folder);
  let running = begin();
  const ask = async (fixture: Fixture): Promise<Reading> => {
    const answer = await running.ask(fixture);
    if (answer !== undefined) return answer as Reading;
    const reason = await running.ended;
    running = begin();
    return { name: fixture.name, error: `process ended: ${reason}` };
  };
  return {
    read: async (fixtures) => {
      const readings = new Map<string, Reading>();
      for (const fixture of fixtures) {
        const isMine = reader === "expected" ? fixture.expected !== undefined : fixture.without?.includes(reader) !== true;
        if (isMine) readings.set(fixture.name, await ask(fixture));
      }
      return readings;
    },
    close: () => running.child.stdin.end(),
  };
}
