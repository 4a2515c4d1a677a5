import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { coloursOf, consoleViolations, contrast, readConsole, type ConsoleFile } from "./console.ts";

const root = fileURLToPath(new URL("../../web/src", import.meta.url));
const files = readConsole(root);

test("the console imports its own files and a few packages, its parts point down, no file is long, colours stand in one file", () => {
  expect(consoleViolations(files)).toEqual([]);
  expect(files.length).toBeGreaterThan(30);
  expect(files.find(({ path }) => path === "main.tsx")?.imports).toEqual(
    expect.arrayContaining(["./styles/tokens.css", "./router.tsx", "react"]),
  );
});

const file = (path: string, text: string, imports: string[] = []): ConsoleFile => ({ path, text, imports });
const planted: [string, ConsoleFile][] = [
  ["leaves", file("api/client.ts", "", ["./../../src/lib/json.ts"])],
  ["package", file("ui/chart.tsx", "", ["d3"])],
  ["part", file("ui/chip.tsx", "", ["./pages/change/change-data.ts"])],
  ["length", file("pages/long.tsx", "line\n".repeat(401))],
  ["colour", file("styles/parts.css", "a { color: #fff; }")],
  ["inline", file("pages/x.tsx", "<p dangerouslySetInnerHTML={{ __html: text }} />")],
];

test.each(planted)("the console's rule «%s» finds its planted violation, and only that", (rule, item) => {
  expect(consoleViolations([item]).map((violation) => violation.rule)).toEqual([rule]);
});

const inks = ["ink", "ink-2", "ink-3"];
const grounds = ["bg", "surface", "sunken", "hover", "accent-soft"];
const tints = ["pass", "fail", "warn", "inc", "still"].map((name) => [name, `${name}-bg`] as const);
const sides = ["after", "before"].map((name) => [name, `${name}-bg`] as const);

test.each(["light", "dark"] as const)("every text of the console can be read on what stands behind it, %s", (theme) => {
  const colours = coloursOf(readFileSync(join(root, "styles/tokens.css"), "utf8"), theme);
  const colour = (name: string): string => colours.get(name) ?? expect.fail(`no colour ${name}`);
  const pairs: (readonly [string, string])[] = [
    ...inks.flatMap((ink) => grounds.map((ground) => [ink, ground] as const)),
    ...tints,
    ...sides,
    ...["accent", "after", "before", "pass", "fail", "warn", "inc"].map((name) => [name, "surface"] as const),
    ["accent-ink", "accent"],
    ["on-fill", "fail-fill"],
  ];
  const weak = pairs.filter(([ink, ground]) => contrast(colour(ink), colour(ground)) < 4.5);
  expect(weak).toEqual([]);
  // Borders of what can be operated.
  expect(contrast(colour("line-2"), colour("surface"))).toBeGreaterThanOrEqual(3);
});
