import { expect, test } from "vitest";
import { toRe2, toStrptime } from "./pattern.ts";

test.each([
  ["^[A-Z]{2}\\d{3}$", "^[A-Z]{2}\\d{3}$"],
  ["a.b", "a[^\\n\\r\\x{2028}\\x{2029}]b"],
  ["[\\s\\S]*", "(?s:.)*"],
  ["[^]", "(?s:.)"],
  ["\\u00e9\\x41\\cJ\\0", "\\x{00e9}\\x{41}\\x{a}\\x00"],
  ["(?<year>\\d{4})-(?:x|y)", "(\\d{4})-(?:x|y)"],
  ["[[a]", "[\\[a]"],
  ["[\\b]\\b", "[\\x08]\\b"],
  ["\\/\\i", "\\/i"],
  ["\\s", "[\\t-\\r \\x{a0}\\x{feff}\\p{Z}]"],
  ["a{2,}b{,3}", "a{2,}b{,3}"],
])("«%s» is «%s» in RE2", (pattern, re2) => {
  expect(toRe2(pattern)).toEqual({ re2 });
});

test.each([
  ["(?=x)y", "lookaround"],
  ["(?!x)y", "lookaround"],
  ["(?<=x)y", "lookaround"],
  ["(?<!x)y", "lookaround"],
  ["(a)\\1", "refers back"],
  ["(?<n>a)\\k<n>", "refers back"],
  ["a{1001}", "more than 1000"],
  ["(a", "Unterminated group"],
  ["a".repeat(1001), "longer than 1000"],
])("«%s» is refused with its reason", (pattern, reason) => {
  expect(toRe2(pattern)).toEqual({ refused: expect.stringContaining(reason) as string });
});

test.each([
  ["yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "%Y-%m-%dT%H:%M:%S.%g%z"],
  ["d MMM yy, h a", "%-d %b %y, %-I %p"],
  ["yyyy''MM", "%Y'%m"],
  ["QQQ yyyy", undefined],
])("the format «%s» is «%s»", (format, strptime) => {
  expect(toStrptime(format)).toBe(strptime);
});
