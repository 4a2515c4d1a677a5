import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expandPaths } from "./expand-paths.ts";

let cwd: string;

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), "tidegate-paths-"));
  for (const folder of ["a/b", "c", ".hidden"]) mkdirSync(join(cwd, folder), { recursive: true });
  for (const name of ["2.csv", "1.csv", "x.json", "a/3.csv", "a/b/4.csv", ".dot.csv", ".hidden/5.csv", "odd[1].csv", "star*.csv"])
    writeFileSync(join(cwd, name), "");
  symlinkSync("..", join(cwd, "c/up"));
});
afterAll(() => rmSync(cwd, { recursive: true }));

test.each([
  [["1.csv"], ["1.csv"]],
  [["?.csv"], ["1.csv", "2.csv"]],
  [["[1].csv"], ["[1].csv"]],
  [["odd[1].*"], ["odd[1].csv"]],
  [["star*.csv"], ["star*.csv"]],
  [
    ["x.json", "*.csv", "1.csv"],
    ["x.json", "1.csv", "2.csv", "odd[1].csv", "star*.csv"],
  ],
  [["*/3.csv"], ["a/3.csv"]],
  [["**/?.csv"], ["1.csv", "2.csv", "a/3.csv", "a/b/4.csv"]],
  [["a/**"], ["a/3.csv", "a/b/4.csv"]],
  [[".*.csv"], [".dot.csv"]],
  [["./a/../?.json"], ["x.json"]],
])("%j", async (patterns, expected) => {
  expect(await expandPaths(patterns, { cwd })).toEqual(expected.map((name) => join(cwd, name)));
});

test("a pattern that finds nothing is an error; an absolute one works from anywhere", async () => {
  await expect(expandPaths(["*.tsv"], { cwd })).rejects.toMatchObject({ code: "input.not_found" });
  expect(await expandPaths([join(cwd, "a/*.csv")], { cwd: "/" })).toEqual([join(cwd, "a/3.csv")]);
});
