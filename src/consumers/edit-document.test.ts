import { expect, test } from "vitest";
import { parseConsumerTests } from "./consumer-document.ts";
import { testIn, withoutTest, withTests } from "./edit-document.ts";

const text = `# the board of operations
tests:
  # what the front page shows
  - name: total # in euro
    query: { sql: select sum(amount) from orders }
  - name: rows
    query:
      sql: |
        select count(*)
        from orders
`;

test("a test that is added leaves what people wrote as it is", () => {
  const next = withTests(text, [{ name: "more", query: { sql: "select 1\nfrom orders", key: undefined } }]);
  expect(next.startsWith(text.trimEnd())).toBe(true);
  expect(parseConsumerTests("board", next).map((item) => item.name)).toEqual(["total", "rows", "more"]);
  expect(next).toContain("sql: |-\n        select 1\n        from orders\n");
});

test("a test of the same name is replaced where it stands, and taken out by its name", () => {
  const next = withTests(text, [{ name: "TOTAL", query: { sql: "select 2" } }]);
  expect(parseConsumerTests("board", next).map((item) => item.name)).toEqual(["TOTAL", "rows"]);
  expect(withoutTest(text, "Rows")).not.toContain("count");
  expect(withoutTest(text, "rows")).toContain("# what the front page shows");
  expect(testIn(text, "rows")).toEqual({ name: "rows", query: { sql: "select count(*)\nfrom orders\n" } });
  expect(testIn(text, "nothing")).toBeUndefined();
});

test.each([undefined, "", "tests: []\n", "tests:\n"])("a document that has no tests yet gets a list: %j", (before) => {
  expect(withTests(before, [{ name: "a", query: { sql: "select 1" } }])).toBe("tests:\n  - name: a\n    query:\n      sql: select 1\n");
});
