import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { buildCommand } from "../harness/command.ts";
import { runPage } from "../harness/page.ts";

let folder = "";

beforeAll(buildCommand);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-page-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["tour.md", 15],
  ["tour-rollouts.md", 25],
  ["how-to/feed-by-cron.md", 12],
  ["how-to/apply-from-git.md", 9],
  ["how-to/roll-out-in-rings.md", 11],
  ["how-to/let-the-judge-decide.md", 11],
  ["consumer-tests.md", 15],
  ["derived-datasets.md", 15],
])("docs/%s runs as it is written, output included", async (page, least) => {
  expect(await runPage(page, folder)).toBeGreaterThan(least);
});
