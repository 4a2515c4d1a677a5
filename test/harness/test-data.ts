import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { test, type TestContext } from "vitest";

declare module "vitest" {
  interface TaskMeta {
    /** Skipped for want of the test data; the closing line counts it apart. */
    noData?: boolean;
  }
}

const root = resolve(process.env["TIDEGATE_TEST_DATA"] ?? join(fileURLToPath(new URL("../../", import.meta.url)), "../shared/data"));

/** Path of a file or folder of the test data; undefined where this machine has none. */
export function testData(path: string): string | undefined {
  const found = join(root, path);
  return existsSync(found) ? found : undefined;
}

/** A test that needs the test data: where they are missing it is skipped with the note «no data», never passed. */
export function dataTest(
  name: string,
  path: string,
  work: (folder: string, context: TestContext) => Promise<void> | void,
  timeout?: number,
): void {
  const folder = testData(path);
  test(
    name,
    async (context) => {
      if (folder === undefined) {
        await context.annotate(`no data: ${path} (set TIDEGATE_TEST_DATA)`, "notice");
        context.task.meta.noData = true;
        context.skip("no data");
        return;
      }
      await work(folder, context);
    },
    timeout,
  );
}
