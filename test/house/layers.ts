import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** Which folders of src each folder may import from, beside itself. Arrows point down; what is not listed is forbidden. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  edges: ["lib"],
  db: ["lib", "edges"],
  lake: ["lib", "edges", "engine"],
  engine: ["lib", "edges", "lake"],
  audit: ["lib", "edges", "db"],
  access: ["lib", "edges", "db", "audit"],
  contracts: ["lib", "db", "lake"],
  catalog: ["lib", "edges", "db", "audit", "lake"],
  evidence: ["lib", "edges", "db"],
  effects: ["lib", "edges", "db", "audit", "engine", "lake", "catalog", "contracts"],
  usage: ["lib", "edges", "db"],
  diffs: ["lib", "edges", "db", "engine", "lake", "catalog", "contracts", "effects", "evidence"],
  checks: ["lib", "edges", "db", "engine", "lake", "catalog", "contracts", "effects", "evidence", "diffs"],
  consumers: ["lib", "edges", "db", "audit", "access", "engine", "lake", "catalog", "contracts", "effects", "evidence", "lineage"],
  lineage: ["lib", "edges", "db", "engine", "lake", "catalog", "contracts", "effects", "evidence"],
  feeds: ["lib", "edges", "db"],
  reviews: [
    "lib",
    "edges",
    "db",
    "audit",
    "access",
    "lake",
    "catalog",
    "contracts",
    "evidence",
    "diffs",
    "checks",
    "consumers",
    "feeds",
    "rollouts",
  ],
  rollouts: [
    "lib",
    "edges",
    "db",
    "audit",
    "access",
    "engine",
    "lake",
    "catalog",
    "contracts",
    "effects",
    "evidence",
    "checks",
    "lineage",
    "consumers",
    "usage",
  ],
  monitors: ["lib", "edges", "db", "audit", "lake", "contracts"],
  // How the process itself fares, and what it does by itself.
  operations: ["lib", "edges", "db", "lake", "effects", "consumers", "rollouts", "changes"],
  webhooks: ["lib", "edges", "db", "audit", "feeds", "access", "rollouts"],
  changes: [
    "lib",
    "edges",
    "db",
    "access",
    "audit",
    "engine",
    "lake",
    "catalog",
    "contracts",
    "effects",
    "evidence",
    "diffs",
    "checks",
    "consumers",
    "feeds",
    "lineage",
    "reviews",
    "rollouts",
    "webhooks",
  ],
  apply: ["lib", "db", "access", "engine", "catalog", "contracts", "lake", "consumers", "reviews", "changes"],
  reading: ["lib", "edges", "db", "audit", "engine", "lake", "catalog", "contracts", "effects", "rollouts", "usage"],
  http: [
    "lib",
    "edges",
    "access",
    "apply",
    "audit",
    "catalog",
    "changes",
    "checks",
    "consumers",
    "contracts",
    "diffs",
    "engine",
    "feeds",
    "lake",
    "lineage",
    "reading",
    "reviews",
    "rollouts",
    "usage",
    "webhooks",
    "monitors",
    "operations",
    "config",
  ],
  cli: ["lib", "apply", "diffs", "config", "compose", "http"],
  config: ["lib"],
  "local-config": ["lib", "lake", "consumers", "webhooks"],
  compose: ["*"],
  main: ["cli", "edges"],
};

/** Adapters are built in one place; everybody else sees ports. */
const adapters = [/^engine\/duckdb\//, /^engine\/onnx\//, /^engine\/input\/(?!source-format)/, /^lake\/local-store/, /^db\/embedded\//];

export interface Violation {
  rule: "layer" | "adapter" | "cycle" | "length" | "clock" | "timer" | "environment" | "sql-clock" | "workplace";
  file: string;
  found: string;
}

export interface SourceFile {
  path: string;
  text: string;
  imports: string[];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : entry.name.endsWith(".ts") ? [path] : [];
  });
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\b[^;]*?from\s*"(?<from>\.[^"]+)"|import\("(?<dynamic>\.[^"]+)"\)|(?:^|\n)import "(?<bare>\.[^"]+)"/g;

/** Reads a source tree: paths relative to `root`, imports resolved to such paths. Tests are left out. */
export function readTree(root: string): SourceFile[] {
  return filesBelow(root)
    .filter((path) => !path.endsWith(".test.ts"))
    .map((path) => {
      const text = readFileSync(path, "utf8");
      const imports = [...text.matchAll(importPattern)].map((match) => {
        const target = match.groups?.["from"] ?? match.groups?.["dynamic"] ?? match.groups?.["bare"] ?? "";
        return relative(root, resolve(dirname(path), target));
      });
      return { path: relative(root, path), text, imports };
    });
}

const folderOf = (path: string): string => path.split("/")[0]?.replace(/\.ts$/, "") ?? path;

function checkImports(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, imports }) =>
    imports.flatMap((target): Violation[] => {
      const [from, to] = [folderOf(path), folderOf(target)];
      const allowed = layers[from] ?? [];
      const found: Violation[] = [];
      if (from !== to && !allowed.includes("*") && !allowed.includes(to)) found.push({ rule: "layer", file: path, found: target });
      const isAdapter = adapters.some((pattern) => pattern.test(target));
      if (isAdapter && from !== "compose" && !adapters.some((pattern) => pattern.test(path)))
        found.push({ rule: "adapter", file: path, found: target });
      return found;
    }),
  );
}

/** Files that import each other in a circle; type imports count, because they tell who knows whom. */
function findCycles(files: readonly SourceFile[]): Violation[] {
  const edges = new Map(files.map((file) => [file.path, file.imports]));
  const state = new Map<string, "open" | "done">();
  const found: Violation[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      found.push({ rule: "cycle", file: path, found: [...trail.slice(trail.indexOf(path)), path].join(" → ") });
      return;
    }
    state.set(path, "open");
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, "done");
  };
  for (const file of files) visit(file.path, []);
  return found;
}

const clock = /\bDate\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|process\.hrtime/;
/** Work on a timer belongs to the clock that was given. Waiting for another process (`sleep`) is real time, and no timer. */
const timer = /\bset(?:Timeout|Interval)\(/;
const realTime = new Set(["edges", "cli", "engine"]);
const environment = /process\.env\b/;
const sqlClock = /\bnow\(\)|current_timestamp|localtimestamp/i;
// Put together from parts, so that this file does not hold what it looks for.
const workplace = new RegExp([["\\.\\.", "shared"].join("/"), `/${"work"}/`, ["registry", "npmjs"].join("\\.")].join("|"));

/** Files that may break a rule, and why. */
const exceptions: Readonly<Record<string, string>> = {
  "environment engine/duckdb/instance.ts": "the size of the thread pool that libuv took from the environment",
  "sql-clock engine/duckdb/sandbox/repeatable.ts": "names the words that a derived dataset's SQL may not hold",
  "timer http/serve.ts": "connections that do not end when the server stops",
  "timer http/chores.ts": "a breath after each change",
};

function checkText({ path, text }: SourceFile): Violation[] {
  const found: Violation[] = [];
  const folder = folderOf(path);
  const lines = text.split("\n");
  const code = lines.filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line)).join("\n");
  if (lines.length > 401) found.push({ rule: "length", file: path, found: `${lines.length} lines` });
  if (folder !== "edges" && clock.test(code)) found.push({ rule: "clock", file: path, found: clock.exec(code)?.[0] ?? "" });
  if (!realTime.has(folder) && timer.test(code)) found.push({ rule: "timer", file: path, found: timer.exec(code)?.[0] ?? "" });
  if (folder !== "main" && environment.test(code)) found.push({ rule: "environment", file: path, found: "process.env" });
  if (folder !== "edges" && sqlClock.test(code.replaceAll(/\.now\(\)/g, "")))
    found.push({ rule: "sql-clock", file: path, found: sqlClock.exec(code)?.[0] ?? "" });
  if (workplace.test(text)) found.push({ rule: "workplace", file: path, found: workplace.exec(text)?.[0] ?? "" });
  return found.filter((violation) => exceptions[`${violation.rule} ${violation.file}`] === undefined);
}

export function violationsOf(files: readonly SourceFile[]): Violation[] {
  return [...checkImports(files), ...findCycles(files), ...files.flatMap(checkText)];
}
