import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Plain Node, no dependency: these run on a clone where nothing is installed.
 */

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Runs a command in the project; ends this process with its code when it fails. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (done.error) throw done.error;
  if (done.status !== 0) process.exit(done.status ?? 1);
}

/** Installs from the lock file what is missing, and only then. Install scripts stay off: the project needs none. */
export function ensureInstalled() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const mark = join(root, "node_modules", ".tidegate-lock");
  if (existsSync(mark) && readFileSync(mark, "utf8") === lock) return;
  process.stderr.write("Installing dependencies (once) …\n");
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(mark, lock);
}

function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return latest;
}

/** Whether what was built is older than what it is built from. */
function isStale(built, sources) {
  return !existsSync(built) || statSync(built).mtimeMs < Math.max(...sources.map(newest));
}

/** Compiles src to dist when a source is newer. */
export function ensureCompiled() {
  if (!isStale(join(root, "dist", "main.js"), [join(root, "src")])) return;
  process.stderr.write("Compiling …\n");
  buildCommand();
}

/** Compiles the command and builds the console beside it, each when a source is newer. */
export function ensureBuilt() {
  ensureCompiled();
  if (isStale(join(root, "dist", "console", "index.html"), [join(root, "web")])) {
    process.stderr.write("Building the console …\n");
    buildConsole();
  }
}

export function buildCommand() {
  run(join(root, "node_modules", ".bin", "tsc"), ["-p", "tsconfig.build.json"]);
  markBuilt("main.js");
}

export function buildConsole() {
  // Whoever builds, a test too, builds what is shipped.
  const env = { ...process.env, NODE_ENV: "production" };
  run(join(root, "node_modules", ".bin", "vite"), ["build", "web", "--logLevel", "warn"], { env });
  markBuilt("console", "index.html");
}

/** Compilers leave unchanged outputs alone; the mark says that all are current. */
function markBuilt(...path) {
  const now = new Date();
  utimesSync(join(root, "dist", ...path), now, now);
}
