import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const common = { pool: "forks", globalSetup: ["test/harness/global-setup.ts"] } as const;

const budgets = JSON.parse(readFileSync(new URL("./test/slow/budgets.json", import.meta.url), "utf8")) as Record<string, number>;
const budgetOf = ({ moduleId }: TestSpecification): number => budgets[basename(moduleId, ".test.ts")] ?? 0;

/** The longest suites first: one that begins last would keep a single core busy while the other has nothing to do. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((one, other) => budgetOf(other) - budgetOf(one));
  }
}

export default defineConfig({
  test: {
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...common,
          name: "fast",
          include: ["src/**/*.test.ts", "test/*.test.ts"],
          // No test is timed: this only ends one that hangs, also on a busy machine.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      { test: { name: "house", include: ["test/house/*.test.ts"], testTimeout: 60_000 } },
      {
        test: {
          ...common,
          name: "slow",
          include: ["test/slow/**/*.test.ts", "test/simulation/*.test.ts", "test/incidents/*.test.ts"],
          // The full counts of a soak take their hours.
          testTimeout: process.env["TIDEGATE_SOAK"] === "1" ? 7_200_000 : 900_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
