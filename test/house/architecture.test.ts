import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readTree, violationsOf, type SourceFile } from "./layers.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

test("src keeps the rules: arrows point down, adapters are built in one place, no cycle, no long file, no hidden clock, no timer of one's own", () => {
  expect(violationsOf(readTree(join(root, "src")))).toEqual([]);
});

test("every committed text file of tests, scripts, benches and the console keeps to 400 lines", () => {
  const files = execFileSync("git", ["ls-files", "test", "scripts", "bench", "web", "*.mjs"], { cwd: root, encoding: "utf8" })
    .trim()
    .split("\n");
  const long = files
    .filter((file) => /\.(tsx?|css|mjs|py)$/.test(file))
    .filter((file) => readFileSync(join(root, file), "utf8").split("\n").length > 401);
  expect(long).toEqual([]);
});

const file = (path: string, text: string, imports: string[] = []): SourceFile => ({ path, text, imports });

const planted: [string, SourceFile[]][] = [
  ["layer", [file("lake/store.ts", "", ["changes/change.ts"]), file("changes/change.ts", "")]],
  ["adapter", [file("effects/carry.ts", "", ["lake/local-store.ts"]), file("lake/local-store.ts", "")]],
  ["cycle", [file("lib/a.ts", "", ["lib/b.ts"]), file("lib/b.ts", "", ["lib/a.ts"])]],
  ["length", [file("lib/long.ts", "line\n".repeat(401))]],
  ["clock", [file("usage/exposure.ts", "const at = new Date();")]],
  ["timer", [file("rollouts/step-service.ts", "setInterval(() => advance(), 60_000);")]],
  ["environment", [file("http/app.ts", "const port = process.env.PORT;")]],
  ["sql-clock", [file("db/query.ts", "sql`update t set at = now()`")]],
  ["workplace", [file("lib/path.ts", `const data = "${"/"}work${"/"}main";`)]],
];

test.each(planted)("the rule «%s» finds its planted violation, and only that", (rule, files) => {
  expect(violationsOf(files).map((violation) => violation.rule)).toEqual([rule]);
});

test("imports are found in every form", () => {
  const tree = readTree(join(root, "src"));
  const importsOf = (path: string) => tree.find((item) => item.path === path)?.imports ?? [];
  expect(importsOf("cli/client.ts")).toEqual(expect.arrayContaining(["compose.ts", "http/app.ts", "lib/json.ts"]));
  expect(tree.length).toBeGreaterThan(100);
});
