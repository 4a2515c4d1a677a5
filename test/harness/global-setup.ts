import { randomBytes } from "node:crypto";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { connect } from "../../src/db/connect.ts";
import { isRoot, nobody, usableBinaries } from "../../src/db/embedded/binaries.ts";
import { migrate } from "../../src/db/migrate.ts";
import { systemClock } from "../../src/edges/clock.ts";
import { onDatabase } from "./postgres-url.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The maintenance database of the run's server. */
    postgresUrl: string;
    /** Name of the migrated database that test databases are copies of. */
    postgresTemplate: string;
  }
}

/** One real Postgres for the whole run, fast and not durable, or the server that TIDEGATE_TEST_POSTGRES_URL names. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TIDEGATE_TEST_POSTGRES_URL"];
  const server = given === undefined || given === "" ? await startServer() : { url: given, stop: () => undefined };
  const name = `tidegate_template_${randomBytes(4).toString("hex")}`;
  await admin(server.url, `create database ${name}`);
  const template = connect({ connectionString: onDatabase(server.url, name), max: 1 });
  await migrate(template.db, systemClock);
  await template.close();
  project.provide("postgresUrl", server.url);
  project.provide("postgresTemplate", name);
  return async () => {
    if (given !== undefined && given !== "") await admin(server.url, `drop database if exists ${name} with (force)`);
    server.stop();
  };
}

async function admin(url: string, statement: string): Promise<void> {
  const { pool, close } = connect({ connectionString: url, max: 1 });
  try {
    await pool.query(statement);
  } finally {
    await close();
  }
}

async function startServer(): Promise<{ url: string; stop: () => void }> {
  const dir = mkdtempSync(join(tmpdir(), "tidegate-pg-"));
  const user = isRoot() ? nobody : {};
  if (isRoot()) chownSync(dir, nobody.uid, nobody.gid);
  chmodSync(dir, 0o700);
  const binaries = await usableBinaries(isRoot() ? "/var/lib/tidegate" : dir);
  const data = join(dir, "data");
  const options = ["-D", data, "-U", "tidegate", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"];
  execFileSync(join(binaries, "initdb"), options, { ...user, cwd: dir, stdio: "ignore" });
  const place = ["listen_addresses=", `unix_socket_directories=${dir}`, "max_connections=200"];
  const fast = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
  ];
  const settings = [...place, ...fast].flatMap((setting) => ["-c", setting]);
  const server = spawn(join(binaries, "postgres"), ["-D", data, ...settings], { ...user, cwd: dir, stdio: "ignore" });
  const url = `postgres://tidegate@localhost/postgres?host=${encodeURIComponent(dir)}`;
  await ready(url);
  return {
    url,
    stop: () => {
      server.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

async function ready(url: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await admin(url, "select 1");
      return;
    } catch (error) {
      if (tries > 400) throw error;
      await sleep(25);
    }
  }
}
