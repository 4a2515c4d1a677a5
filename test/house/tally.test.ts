import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/tally.mjs", import.meta.url));

function tally(testResults: readonly object[]): unknown {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-tally-"));
  try {
    const report = join(folder, "report.json");
    writeFileSync(report, JSON.stringify({ testResults }));
    return JSON.parse(execFileSync(process.execPath, [script, report], { encoding: "utf8" })) as unknown;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const file = (status: string, ...assertionResults: object[]) => ({ status, assertionResults });

test("what could not run for want of test data or of an engine is counted apart, never as passed", () => {
  const skipped = { status: "skipped", meta: {} };
  expect(tally([file("passed", { status: "passed", meta: {} }, { ...skipped, meta: { noData: true } }, skipped)])).toEqual({
    passed: 1,
    failed: 0,
    noData: 1,
    notRun: 1,
  });
});

test("a file that does not load, or whose set-up fails, is a failure", () => {
  const skipped = { status: "skipped", meta: {} };
  expect(tally([file("failed"), file("failed", skipped), file("failed", { status: "failed", meta: {} })])).toEqual({
    passed: 0,
    failed: 3,
    noData: 0,
    notRun: 1,
  });
});
