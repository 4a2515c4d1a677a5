import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, root } from "./ensure.mjs";
import { tally } from "./tally.mjs";

/*
 * Runs a vitest project and says at the end, in plain words, how many tests ran, which could not, and why. `no data` (the test-data folder
 * is not there) and `not run` (an engine is missing) are counted apart, never as passed.
 */

const [project = "fast", ...rest] = process.argv.slice(2);
ensureInstalled();
ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), "tidegate-report-"));
const report = join(folder, "report.json");
const began = Date.now();
const args = ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...rest];
const done = spawnSync(join(root, "node_modules", ".bin", "vitest"), args, {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, NO_COLOR: "1" },
});
let summary = { passed: 0, failed: 1, noData: 0, notRun: 0 };
try {
  const result = JSON.parse(readFileSync(report, "utf8"));
  summary = tally(result);
  if (project !== "fast") suites(result);
} catch (error) {
  process.stderr.write(`no report: ${error.message}\n`);
}
rmSync(folder, { recursive: true, force: true });
const seconds = ((Date.now() - began) / 1000).toFixed(1);
process.stdout.write(
  `\n${project}: ${summary.passed} passed, ${summary.failed} failed, ${summary.noData} no data, ${summary.notRun} not run, ${seconds} s\n`,
);
const inCi = process.env.TIDEGATE_CI === "1";
process.exit(done.status !== 0 || summary.failed > 0 || (inCi && summary.notRun > 0) ? 1 : 0);

function suites(result) {
  const budgets = JSON.parse(readFileSync(join(root, "test", "slow", "budgets.json"), "utf8"));
  process.stdout.write("\nseconds of budget  suite\n");
  for (const file of result.testResults) {
    const name = file.name.slice(file.name.lastIndexOf("/") + 1).replace(".test.ts", "");
    const took = Math.round((file.endTime - file.startTime) / 1000);
    const over = took > (budgets[name] ?? 300) ? "  over its budget" : "";
    process.stdout.write(`${String(took).padStart(7)} of ${String(budgets[name] ?? 300).padEnd(6)}  ${name}${over}\n`);
  }
}
