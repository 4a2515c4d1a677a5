import { expect, test } from "vitest";
import { resultWith } from "../../../test/harness/diff-result.ts";
import { maskText } from "../../contracts/contract.ts";
import { renderHtml } from "./html.ts";

/** Every tag of a page with its attributes' names, so that a test sees what a browser would. */
function tagsOf(page: string): { name: string; attributes: string[] }[] {
  const body = page.replace(/<style>[\s\S]*?<\/style>/, "");
  return [...body.matchAll(/<([a-zA-Z!/][^\s>]*)((?:"[^"]*"|[^">])*)>/g)].map(([, name = "", rest = ""]) => ({
    name: name.toLowerCase(),
    attributes: [...rest.replace(/"[^"]*"/g, '""').matchAll(/([^\s"=/]+)=?/g)].map(([, attribute = ""]) => attribute),
  }));
}

const known = new Set(tagsOf(renderHtml(resultWith())).map((tag) => tag.name));
const knownAttributes = new Set(tagsOf(renderHtml(resultWith())).flatMap((tag) => tag.attributes));

const hostile = [
  "<script>alert(1)</script>",
  "</style><script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  "<svg/onload=alert(1)>",
  "javascript:alert(1)",
  "</title><iframe srcdoc='<script>alert(1)</script>'>",
  "&lt;script&gt;",
  "<!--",
  "${alert(1)}",
  "]]><a href=//evil.example>x</a>",
  "\u202e<b>\u0000",
];

test("no value, key, column name or label can become markup", () => {
  for (const value of hostile) {
    const page = renderHtml(resultWith({ name: [value, `${value} later`], key: value, column: value, label: value }));
    for (const tag of tagsOf(page)) {
      expect(known).toContain(tag.name);
      for (const attribute of tag.attributes) expect(knownAttributes).toContain(attribute);
    }
    // eslint-disable-next-line no-control-regex
    expect(page).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/);
  }
});

test("the test above would see markup that a value brought in", () => {
  const page = renderHtml(resultWith()).replace("LAS", '<img src="x" onerror="alert(1)">');
  expect(tagsOf(page).some((tag) => !known.has(tag.name))).toBe(true);
});

test("the page needs nothing from elsewhere and runs no script", () => {
  const page = renderHtml(resultWith());
  expect(page).toContain("default-src 'none'");
  expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|https?:|\/\/[a-z]/i);
  expect(known.has("script")).toBe(false);
});

test("it says the headline, the numbers, the cells before and after, and what is masked is nowhere", () => {
  const page = renderHtml(resultWith());
  expect(page).toContain("14 of 3\u00a0378 rows differ: 2 added, 1 removed, 11 modified in 2 columns; 1 new column.");
  expect(page).toContain("<del><u>McCarran</u> International</del><ins><u>Harry Reid</u> International</ins>");
  expect(page).toContain('<tr class="removed">');
  const masked = resultWith({ name: [maskText, maskText] });
  expect(renderHtml(masked)).toContain(`<del>${maskText}</del><ins>${maskText}</ins>`);
});

test("a null share is never rounded to none or all", () => {
  const result = resultWith();
  const column = result.columns[3];
  if (column?.statistics?.after) column.statistics.after = { ...column.statistics.after, rows: 1_000_000, nulls: 1 };
  expect(renderHtml(result)).toContain("&lt; 0.1 %");
});
