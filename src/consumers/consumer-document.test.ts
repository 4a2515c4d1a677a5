import { describe, expect, test } from "vitest";
import { asAppError } from "../lib/errors.ts";
import { consumerOfPath, parseConsumerTests } from "./consumer-document.ts";

test("a document lists queries with their key, tolerance and limit of time", () => {
  const text = `# the board of operations
tests:
  - name: revenue by region
    query:
      sql: |
        select region, sum(amount) as revenue
        from orders group by region
      key: [region]
      tolerance: { relative: 0.01, rows: 0.1 }
      timeout: 2min
  - name: count
    query: { sql: select count(*) from orders, tolerance: 0.5, timeout: 500ms }
`;
  expect(parseConsumerTests("board", text)).toEqual([
    {
      kind: "query",
      name: "revenue by region",
      sql: "select region, sum(amount) as revenue\nfrom orders group by region",
      key: ["region"],
      tolerance: { relative: 0.01, rows: 0.1 },
      timeoutMs: 120_000,
    },
    { kind: "query", name: "count", sql: "select count(*) from orders", key: undefined, tolerance: { relative: 0.5 }, timeoutMs: 500 },
  ]);
});

test.each(["", "tests:\n", "tests: []\n", "{}\n"])("a document without tests is fine: %j", (text) => {
  expect(parseConsumerTests("board", text)).toEqual([]);
});

describe("every mistake is told with its line", () => {
  test.each<[string, [number, string][]]>([
    ["tests: 3\n", [[1, "array"]]],
    ["checks: []\n", [[1, "unknown key checks"]]],
    ["tests:\n  - name: a\n", [[2, "none of them"]]],
    [
      "tests:\n  - name: a\n    query: { sq: select 1 }\n",
      [
        [3, "string"],
        [3, "unknown key sq"],
      ],
    ],
    ["tests:\n  - name: a\n    query:\n      sql: select 1\n      timeout: soon\n", [[5, "a time such as"]]],
    ["tests:\n  - name: a\n    query: { sql: select 1 }\n  - name: A\n    query: { sql: select 2 }\n", [[4, "taken"]]],
    [
      "tests:\n  - name: ../x\n    query: { sql: select 1 }\n  - query: { sql: '' }\n",
      [
        [2, "letters"],
        [4, "string"],
        [4, "Too small"],
      ],
    ],
    ["tests: [\n", [[2, "Flow"]]],
    ["a: &x [1]\ntests: *x\n", [[2, "aliases"]]],
  ])("%j", (text, expected) => {
    const attempt = (): unknown => {
      try {
        return parseConsumerTests("board", text);
      } catch (caught) {
        return caught;
      }
    };
    const error = asAppError(attempt());
    expect(error.code).toBe("consumer.test_invalid");
    const { problems } = error.details as { problems: { line: number; message: string }[] };
    expect(problems.map(({ line }) => line)).toEqual(expected.map(([line]) => line));
    for (const [at, [, message]] of expected.entries()) expect(problems[at]?.message).toContain(message);
    expect(error.message).toContain(`line ${expected[0]?.[0]}`);
  });
});

test("a path names the consumer", () => {
  expect([consumerOfPath("consumers/board"), consumerOfPath("policy")]).toEqual(["board", undefined]);
});
