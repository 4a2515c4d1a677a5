import { join, resolve } from "node:path";
import { AppError } from "./lib/errors.ts";

/** What the surroundings say; read once, here and nowhere else. */
export interface Config {
  /** Folder of everything that Tidegate keeps. */
  dataDir: string;
  /** A Postgres of the user's own, in place of the built-in one. */
  databaseUrl: string | undefined;
  /** A server to talk to, in place of the data folder. */
  serverUrl: string | undefined;
  token: string | undefined;
  /** Memory in MB for queries, all instances and children together. */
  memoryMb: number | undefined;
  threads: number | undefined;
  host: string;
  port: number;
  /** Folders below which a server reads files that a request names by path. */
  importRoots: string[];
  /** Folder in which the runtime for models is installed, when it is not beside Tidegate. */
  onnxDir: string | undefined;
  environment: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

function positive(env: Environment, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new AppError("usage.invalid", `${name} is not a positive whole number.`, {
    expected: "such as 2048",
    found: text,
    hint: `unset ${name}`,
  });
}

/** Reads the configuration from environment variables; flags given on the command line win. */
export function readConfig(env: Environment, cwd: string, flags: { data?: string | undefined; server?: string | undefined } = {}): Config {
  const text = (name: string) => (env[name] === undefined || env[name] === "" ? undefined : env[name]);
  return {
    dataDir: resolve(cwd, flags.data ?? text("TIDEGATE_DATA") ?? join(cwd, ".tidegate")),
    databaseUrl: text("DATABASE_URL"),
    serverUrl: flags.server ?? text("TIDEGATE_URL"),
    token: text("TIDEGATE_TOKEN"),
    memoryMb: positive(env, "TIDEGATE_MEMORY_MB"),
    threads: positive(env, "TIDEGATE_THREADS"),
    host: text("TIDEGATE_HOST") ?? "127.0.0.1",
    port: positive(env, "TIDEGATE_PORT") ?? 7420,
    importRoots: (text("TIDEGATE_IMPORT_ROOTS") ?? "").split(":").filter((root) => root !== ""),
    onnxDir: text("TIDEGATE_ONNX") === undefined ? undefined : resolve(cwd, text("TIDEGATE_ONNX") ?? ""),
    environment: "production",
  };
}
