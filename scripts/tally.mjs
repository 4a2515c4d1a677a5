import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/*
 * Counts what a vitest JSON report says. A test that needs the test data and has none says `noData` in its meta, since notes do not reach the
 * report; any other test that was skipped could not run here, an engine being missing. `node scripts/tally.mjs <report>` prints the counts.
 */
export function tally({ testResults }) {
  const tests = testResults.flatMap((file) => file.assertionResults);
  const count = (test) => tests.filter(test).length;
  const isSkipped = (test) => test.status !== "passed" && test.status !== "failed";
  return {
    passed: count((test) => test.status === "passed"),
    // A file that does not even load is a failure too.
    failed:
      count((test) => test.status === "failed") +
      testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")).length,
    noData: count((test) => isSkipped(test) && test.meta?.noData === true),
    notRun: count((test) => isSkipped(test) && test.meta?.noData !== true),
  };
}

if (process.argv[2] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${JSON.stringify(tally(JSON.parse(readFileSync(process.argv[2], "utf8"))))}\n`);
}
