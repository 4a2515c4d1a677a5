import { execFileSync, spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
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
  /** The same rows as our own engine gives them, as plain Parquet. */
  expected: string;
  /** A condition that all readers understand, for rows and pruning. */
  filter?: string;
  without?: ReaderName[];
}

export interface Reading {
  name: string;
  error?: string;
  rows?: number;
  columns?: string[];
  nulls?: Record<string, number>;
  sums?: Record<string, number>;
  checksum?: string;
  /** Rows that the filter leaves, and files that the reader planned to open for it. */
  filtered?: number;
  planned?: number;
}

const cache = process.env["TIDEGATE_CI_CACHE"] ?? join(homedir(), ".cache", "tidegate-ci");
const here = dirname(fileURLToPath(import.meta.url));
const venv = join(cache, "strict");
const packages = [
  "pyiceberg[pyarrow]==0.12.0",
  "duckdb==1.5.5",
  "duckdb-extension-iceberg==1.5.5",
  "duckdb-extension-avro==1.5.5",
  "pyspark==4.1.4",
];
const jarName = "iceberg-spark-runtime-4.1_2.13-1.12.0.jar";
const maven = process.env["MAVEN_CENTRAL_URL"] ?? "https://repo1.maven.org/maven2";

function has(command: string, argument: string): boolean {
  return spawnSync(command, [argument], { stdio: "ignore" }).status === 0;
}

/** Installs what is missing; gives what is missing on this machine when it cannot be. */
export async function installReaders(): Promise<string | undefined> {
  if (!has("python3", "--version")) return "python3 is not installed";
  if (!has("java", "-version")) return "java is not installed";
  mkdirSync(cache, { recursive: true });
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

/** Reads all fixtures with one reader, in a process of its own: some readers abort theirs on a broken table. */
export function readWith(reader: ReaderName | "expected", fixtures: readonly Fixture[], folder: string): Map<string, Reading> {
  const list = join(folder, `fixtures-${reader}.json`);
  writeFileSync(list, JSON.stringify(fixtures));
  const args = [join(here, "read.py"), reader, list, ...(reader === "spark" ? [join(cache, jarName)] : [])];
  try {
    const text = execFileSync(join(venv, "bin", "python"), args, {
      encoding: "utf8",
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "ignore"],
      cwd: folder,
    });
    const readings = text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Reading);
    return new Map(readings.map((reading) => [reading.name, reading]));
  } finally {
    rmSync(list, { force: true });
  }
}
