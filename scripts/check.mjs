import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureInstalled, root } from "./ensure.mjs";

/* All that CI checks beside tests, one line each. `--fix` formats. */

ensureInstalled();
const bin = (name) => join(root, "node_modules", ".bin", name);
const fix = process.argv.includes("--fix");
const steps = [
  ["format", bin("oxfmt"), fix ? ["."] : ["--check", "."]],
  ["lint", bin("oxlint"), ["--type-aware", "--deny-warnings", "src", "test", "bench", "scripts", "web"]],
  ["types", bin("tsc"), ["-p", "tsconfig.json"]],
  ["types of the console", bin("tsc"), ["-p", join("web", "tsconfig.json")]],
  ["dead code", bin("knip"), ["--no-progress"]],
  ["generated files", process.execPath, [join(root, "scripts", "generate.mjs"), "--check"]],
  ["imports and files", bin("vitest"), ["run", "--project", "house"]],
];
let failed = 0;
for (const [name, command, args] of steps) {
  const began = Date.now();
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  const ok = done.status === 0;
  process.stdout.write(`${ok ? "ok  " : "FAIL"} ${name}  ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  if (!ok) {
    failed += 1;
    process.stdout.write(`${done.stdout}${done.stderr}\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
