import { defineConfig } from "vitest/config";

const common = { pool: "forks", globalSetup: ["test/harness/global-setup.ts"] } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
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
