import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { cache, maven } from "./readers.ts";

/*
 * A Trino server from Maven Central: the last release that is published as archives, with the one plugin that is needed. It wants a newer Java
 * than Spark does.
 */

const version = "476";
const home = join(cache, `trino-${version}`);
const javaHomes = "/usr/lib/jvm";

/** A Java that this Trino runs on. */
function javaCommand(): string | undefined {
  const named = existsSync(javaHomes) ? readdirSync(javaHomes).map((name) => join(javaHomes, name, "bin", "java")) : [];
  return ["java", ...named].find((command) => {
    const { status, stderr } = spawnSync(command, ["-version"], { encoding: "utf8" });
    return status === 0 && Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) >= 24;
  });
}

async function fetchArchive(artefact: string, end: string): Promise<string | undefined> {
  const path = join(cache, `${artefact}-${version}.${end}.tmp`);
  const response = await fetch(`${maven}/io/trino/${artefact}/${version}/${artefact}-${version}.${end}`).catch(() => undefined);
  if (response?.ok !== true || response.body === null) return undefined;
  await pipeline(Readable.fromWeb(response.body as never), createWriteStream(path));
  return path;
}

/** Installs the server once into the CI cache; gives what is missing when it cannot be. */
export async function installTrino(): Promise<string | undefined> {
  if (javaCommand() === undefined) return "no Java of version 24 or newer";
  if (existsSync(home)) return undefined;
  mkdirSync(cache, { recursive: true });
  const draft = `${home}.tmp`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(join(draft, "plugin", "iceberg"), { recursive: true });
  const [server, plugin] = [await fetchArchive("trino-server-core", "tar.gz"), await fetchArchive("trino-iceberg", "zip")];
  if (server === undefined || plugin === undefined) return "Trino cannot be fetched from Maven Central";
  const unpacked = [
    spawnSync("tar", ["-xzf", server, "-C", draft, "--strip-components=1", "--wildcards", "*/lib/*"]),
    spawnSync("python3", ["-m", "zipfile", "-e", plugin, join(draft, "zip")]),
  ];
  for (const path of [server, plugin]) rmSync(path);
  if (unpacked.some(({ status }) => status !== 0)) return "Trino cannot be unpacked";
  rmSync(join(draft, "plugin"), { recursive: true });
  mkdirSync(join(draft, "plugin"));
  renameSync(join(draft, "zip", `trino-iceberg-${version}`), join(draft, "plugin", "iceberg"));
  renameSync(draft, home);
  return undefined;
}

export interface TrinoServer {
  /** Rows of a statement; what the server says when it fails is thrown. */
  query(sql: string): Promise<unknown[][]>;
  close(): void;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

interface Page {
  nextUri?: string;
  data?: unknown[][];
  error?: { message: string };
}

/** Starts the server in a folder of its own and waits until it answers. Catalogues are added by statements. */
export async function startTrino(folder: string): Promise<TrinoServer> {
  const port = await freePort();
  const config = join(folder, "config.properties");
  mkdirSync(folder, { recursive: true });
  const settings = {
    coordinator: "true",
    "node-scheduler.include-coordinator": "true",
    "http-server.http.port": port,
    "discovery.uri": `http://127.0.0.1:${port}`,
    "catalog.management": "dynamic",
    "catalog.store": "memory",
    "plugin.dir": join(home, "plugin"),
    "query.max-memory": "400MB",
    "query.max-memory-per-node": "400MB",
    "web-ui.enabled": "false",
  };
  writeFileSync(
    config,
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(""),
  );
  const jvm = [
    "-Xmx1G",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djdk.attach.allowAttachSelf=true",
    "--add-modules=jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED",
  ];
  const node = [
    `-Dnode.data-dir=${folder}`,
    "-Dnode.environment=test",
    "-Dnode.id=n1",
    "-Dnode.internal-address=127.0.0.1",
    `-Dconfig=${config}`,
  ];
  const child = spawn(javaCommand() ?? "java", [...jvm, ...node, "-cp", join(home, "lib", "*"), "io.trino.server.TrinoServer"], {
    cwd: folder,
    stdio: "ignore",
  });
  const ask = async (url: string, init: RequestInit = {}): Promise<Page> => {
    const response = await fetch(url, { ...init, headers: { "x-trino-user": "test" } });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as Page;
  };
  const query = async (sql: string): Promise<unknown[][]> => {
    const rows: unknown[][] = [];
    let page = await ask(`http://127.0.0.1:${port}/v1/statement`, { method: "POST", body: sql });
    for (;;) {
      if (page.error !== undefined) throw new Error(page.error.message);
      rows.push(...(page.data ?? []));
      if (page.nextUri === undefined) return rows;
      page = await ask(page.nextUri);
    }
  };
  const began = performance.now();
  for (;;) {
    const up = await query("select 1").catch(() => undefined);
    if (up !== undefined) break;
    if (child.exitCode !== null) throw new Error(`Trino has ended: ${child.exitCode}`);
    if (performance.now() - began > 240_000) throw new Error("Trino does not answer");
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
  }
  return { query, close: () => void child.kill("SIGKILL") };
}
