import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeDataFolder } from "./data-folder.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-folder-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a data folder is made with all that is missing above it, again and by many at once, and nothing is left in it", async () => {
  const deep = join(folder, "a", "b", "c");
  await Promise.all(Array.from({ length: 8 }, () => makeDataFolder(deep)));
  await makeDataFolder(deep);
  expect(await readdir(deep)).toEqual([]);
});

test("a folder below a file, or a file in its place, is refused by name", async () => {
  writeFileSync(join(folder, "file"), "x");
  await expect(makeDataFolder(join(folder, "file"))).rejects.toMatchObject({ code: "data.unwritable", found: "a file stands there" });
  await expect(makeDataFolder(join(folder, "file", "below"))).rejects.toMatchObject({
    code: "data.unwritable",
    found: "a part of its path is a file",
  });
});

test.runIf(process.platform === "linux")("a place where no folder can be made is refused at once, not tried for ever", async () => {
  for (const place of ["/proc/tidegate", "/proc/tidegate/below"]) {
    const refused = makeDataFolder(place);
    await expect(refused).rejects.toMatchObject({ code: "data.unwritable", message: "The folder /proc/tidegate cannot be written." });
  }
  await expect(makeDataFolder("/proc")).rejects.toMatchObject({ code: "data.unwritable" });
});
