import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCommand } from "../harness/command.ts";
import { runPage } from "../harness/page.ts";
import { installReaders, python } from "./strict/readers.ts";

let folder = "";
let missing: string | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-python-"));
  missing = await installReaders();
  buildCommand();
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("docs/how-to/read-from-python.md runs as it is written: pyiceberg, polars and pandas, one run is one state", async (context) => {
  if (missing !== undefined && process.env["TIDEGATE_CI"] !== "1") context.skip(`not run: ${missing}`);
  expect(missing).toBeUndefined();
  expect(await runPage("how-to/read-from-python.md", folder, { python: [python] })).toBeGreaterThan(10);
});
