import { expect, test } from "vitest";
import { resultWith } from "../../../test/harness/diff-result.ts";
import { renderText } from "./text.ts";
import { widthOf } from "./terminal.ts";

const plain = { width: 80, color: false, ascii: false };

test("first the answer, then one table, then the next command", () => {
  expect(renderText(resultWith(), plain)).toBe(
    [
      "14 of 3 378 rows differ: 2 added, 1 removed, 11 modified in 2 columns; 1 new",
      "column.",
      "",
      "  column        kind        cells   example",
      "  elevation_ft  + new           –   int, 0.1 % null",
      "  name          ≠ modified      5   LAS  McCarran Internat… → Harry Reid Intern…",
      "  latitude      ≠ modified      4   DEN  39.858408 → 39.861667",
      "",
      "→ --rows shows them, --html diff.html makes a page, --json for programs",
      "",
    ].join("\n"),
  );
});

test("rows fold under their key", () => {
  const text = renderText(resultWith(), plain, { rows: true });
  expect(text).toContain("−  ORD\n    name Chicago O'Hare · latitude 41.979595\n");
  expect(text).toContain("≠  LAS\n    name  McCarran International → Harry Reid International\n");
  expect(text).toContain("and 11 further rows");
});

test("a plain terminal gets signs of ASCII only, and no colours unless asked", () => {
  const ascii = renderText(resultWith(), { ...plain, ascii: true }, { rows: true });
  // eslint-disable-next-line no-control-regex
  expect(ascii).toMatch(/^[\n\x20-\x7e]*$/);
  expect(renderText(resultWith(), plain)).not.toContain("\u001b");
  expect(renderText(resultWith(), { ...plain, color: true })).toContain("\u001b[1m14 of");
});

const hostile = [
  "\u001b[2J\u001b]0;owned\u0007",
  "a\u202egnp.exe",
  "line\r\nbreak\ttab",
  "\u0000",
  "\u200bhidden",
  "漢字".repeat(60),
  "x".repeat(500),
];

test("values can neither steer the terminal nor hide, and no line is wider than asked", () => {
  for (const value of hostile) {
    const result = resultWith({ name: [value, `${value}!`], key: value, column: value.slice(0, 100) });
    for (const width of [40, 80, 132]) {
      for (const rows of [false, true]) {
        const text = renderText(result, { width, color: false, ascii: false }, { rows });
        // eslint-disable-next-line no-control-regex
        expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/);
        for (const line of text.split("\n")) expect(widthOf(line)).toBeLessThanOrEqual(width);
      }
    }
  }
});
