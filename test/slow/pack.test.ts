import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const folder = mkdtempSync(join(tmpdir(), "tidegate-pack-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const npm = (...args: string[]): string => execFileSync("npm", [...args, "--loglevel=error"], { cwd: folder, encoding: "utf8" });

test("the package, installed in an empty folder, compares two files with nothing set up", () => {
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", folder, "--loglevel=error"], { cwd: root, encoding: "utf8" }).replace(
      /^[^[]*/,
      "",
    ),
  ) as [{ filename: string; files: { path: string }[] }];
  expect(packed.files.filter(({ path }) => /\.test\.|^test\/|^src\/|^bench\//.test(path))).toEqual([]);
  expect(packed.files.map(({ path }) => path)).toContain("dist/console/index.html");
  expect(statSync(join(folder, packed.filename)).size).toBeLessThan(1_250_000);
  writeFileSync(join(folder, "package.json"), '{ "name": "empty", "private": true }');
  npm("install", "--ignore-scripts", "--no-audit", "--no-fund", join(folder, packed.filename));
  writeFileSync(join(folder, "a.csv"), "id,name\n1,one\n2,two\n");
  writeFileSync(join(folder, "b.csv"), "id,name\n1,one\n2,zwei\n3,drei\n");
  const text = execFileSync("npx", ["tidegate", "diff", "a.csv", "b.csv", "--key", "id"], { cwd: folder, encoding: "utf8" });
  expect(text).toContain("1 added, 1 modified in name.");
});
