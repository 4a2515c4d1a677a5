import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dataTest } from "../../test/harness/test-data.ts";
import { canonicalJson } from "../lib/json.ts";
import { parseText, readContract } from "./contract-document.ts";
import { contractYaml, editText } from "./contract-text.ts";

const head = "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: active\n";
const column = `${head}schema:\n- name: t\n  properties:\n  - name: a\n    logicalType: string\n`;

const brief = (text: string) => readContract(text).problems.map(({ line, column: at, reason, level }) => [line, at, reason, level]);

describe("what is wrong is said at once, with its place", () => {
  test("errors of many kinds in one document", () => {
    const text = `${head.replace("status", "state")}schema:
- name: t
  properties:
  - name: a
    logicalType: text
    required: "yes"
    logicalTypeOptions: { minLength: -1 }
  - name: A
    quality:
    - metric: nullValues
      mustBe: 0
      mustBe: 1
      mustBeLessThan: 2
  - logicalType: integer
    logicalTypeOptions: { maxLength: 3, multipleOf: 0 }
`;
    const found = readContract(text);
    expect(found.contract).toBeUndefined();
    // A key that stands twice makes a document ambiguous: nothing else is said until that is mended.
    expect(brief(text)).toEqual([[17, 7, "duplicate_key", "error"]]);
    expect(brief(text.replace("      mustBe: 1\n", ""))).toEqual([
      [1, 1, "missing_key", "error"],
      [5, 1, "unknown_key", "error"],
      [10, 5, "wrong_value", "error"],
      [11, 5, "wrong_type", "error"],
      [13, 5, "duplicate_id", "error"],
      [17, 7, "ambiguous", "error"],
      [18, 5, "missing_key", "error"],
      [19, 27, "unknown_key", "error"],
      [19, 41, "wrong_value", "error"],
    ]);
  });

  test.each([
    ["an unknown key", `${head}extra: 1\n`, [6, 1, "unknown_key", "error"]],
    ["a reference that would be fetched", `${column}    $ref: http://127.0.0.1/x\n`, [11, 5, "unknown_key", "error"]],
    ["a key of 3.2 in a document of 3.1", `${column}    enum: [{ value: a }]\n`, [11, 5, "unknown_key", "error"]],
    ["a version that is not read", head.replace("v3.1.0", "v2.2.2"), [1, 1, "wrong_value", "error"]],
    ["a list where an object stands", "- a\n", [1, 1, "wrong_type", "error"]],
    ["nothing", "", [1, 1, "wrong_type", "error"]],
    ["YAML that ends too soon", `${head}name: "x\n`, [7, 1, "syntax", "error"]],
    ["two documents", `${head}---\n${head}`, [6, 1, "syntax", "error"]],
    ["a tag of a program", `${head}name: !!python/object x\n`, [6, 7, "syntax", "error"]],
    ["an alias of nothing", `${head}name: *x\n`, [6, 1, "syntax", "error"]],
    ["infinity", `${head}price: { priceAmount: .inf }\n`, [6, 10, "wrong_value", "error"]],
    ["a text without a value", `${head}name:\n`, [6, 1, "wrong_type", "error"]],
    ["JSON with a key twice", '{"id": "a",\n "id": "b"}', [2, 2, "duplicate_key", "error"]],
  ])("%s", (_name, text, place) => {
    expect(brief(text)[0]).toEqual(place);
  });

  test("a key that is nearly one of the standard's is told which", () => {
    expect(readContract(`${column}    requird: true\n`).problems).toMatchObject([{ reason: "unknown_key", expected: "required" }]);
  });

  test("version 3.0 closed only its top: unknown keys further down are kept, and said", () => {
    const text = `${column.replace("v3.1.0", "v3.0.2")}    isNullable: false\n`;
    expect(brief(text)).toEqual([[11, 5, "unknown_key", "warning"]]);
    expect(JSON.stringify(readContract(text).contract)).toContain("isNullable");
  });

  test("3.2 needs no status, has enums, and keeps vendors that nobody knows", () => {
    const text = `${column.replace("v3.1.0", "v3.2.0").replace("status: active\n", "")}    enum: [{ value: a }]
    customProperties: [{ property: x, value: { deep: [1] }, vendor: nobody }]
`;
    const read = readContract(text);
    expect(read.problems).toEqual([]);
    expect(canonicalJson(read.contract)).toContain('"vendor":"nobody"');
    expect(read.rules.map((rule) => rule.id)).toContain("a/enum");
  });

  test("places in JSON are places too", () => {
    const text = `{"apiVersion": "v3.1.0",\n "kind": "DataContract", "id": "a",\n "version": 1, "status": "active"}`;
    expect(brief(text)).toEqual([[3, 2, "wrong_type", "error"]]);
  });
});

describe("hostile documents are refused soon", () => {
  const rules = (count: number) =>
    `${column}    quality:\n${Array.from({ length: count }, (_, at) => `    - {id: r${at}, metric: nullValues, mustBeLessThan: ${at}}\n`).join("")}`;
  const letters = [..."abcdefghijk"];
  const bomb = letters.map(
    (letter, at) =>
      `${letter}: &${letter} [${Array(9)
        .fill(at === 0 ? "1" : `*${letters[at - 1]}`)
        .join(",")}]`,
  );

  test.each([
    ["brackets", `a: ${"[".repeat(500_000)}`, "too_deep"],
    ["brackets that close", `a: ${"[".repeat(200)}${"]".repeat(200)}`, "too_deep"],
    ["dashes", "- ".repeat(400_000), "too_deep"],
    ["question marks", "? ".repeat(400_000), "too_deep"],
    ["steps of indentation", Array.from({ length: 1400 }, (_, at) => `${" ".repeat(at)}a:`).join("\n"), "too_deep"],
    ["a few steps too many", Array.from({ length: 150 }, (_, at) => `${" ".repeat(at)}a:`).join("\n"), "too_deep"],
    ["aliases of aliases", bomb.join("\n"), "too_large"],
    ["more than a megabyte", `name: ${"x".repeat(1_100_000)}`, "too_large"],
    ["JSON with too many values", `{"a": [${"1,".repeat(300_000)}1]}`, "too_large"],
  ])("%s", (_name, text, reason) => {
    expect(readContract(text).problems[0]?.reason).toBe(reason);
  });

  test("10 000 rules are read", () => {
    const text = rules(10_000);
    expect(readContract(text).rules).toHaveLength(10_002);
  });

  test("10 000 errors are as many places, the first thousand of which are said", () => {
    const text = rules(10_000).replaceAll("mustBeLessThan: ", "mustBeLessThan: x");
    expect(readContract(text).problems).toHaveLength(1000);
  });
});

describe("nothing that was written is lost", () => {
  test("digits, keys and order of lists survive the way to YAML and back", () => {
    const text = `${column}    logicalTypeOptions: { minLength: 1 }
    customProperties:
    - { property: big, value: 123456789012345678901234567890 }
    - { property: fine, value: 0.1000000000000000055511151231257827 }
    - { property: exponent, value: 1e400 }
    - { property: text, value: "0012" }
    - { property: nothing, value: null }
    - { property: __proto__, value: { __proto__: 1 } }
`;
    const { contract } = readContract(text);
    if (contract === undefined) throw new Error("it is valid");
    const again = readContract(contractYaml(contract));
    expect(again.problems).toEqual([]);
    expect(canonicalJson(again.contract)).toBe(canonicalJson(contract));
    expect(contractYaml(contract)).toContain("1e400");
    expect(contractYaml(contract)).toContain("0.1000000000000000055511151231257827");
  });

  test("an edit in place keeps comments, quotes and what it does not name", () => {
    const text = `# ours
${column}    # why
    required: true # since May
    quality:
    # the first
    - { metric: nullValues, mustBe: 0 }
    tags: ['x', "y"]
`;
    const path = ["schema", 0, "properties", 0] as const;
    const edited = editText(text, [
      { path: [...path, "quality"], what: "add", value: { metric: "duplicateValues", mustBe: 0 } },
      { path: [...path, "required"], what: "set", value: false },
      { path: ["status"], what: "remove" },
      { path: ["schema", 0, "quality"], what: "add", value: { metric: "rowCount", mustBeGreaterThan: 0 } },
    ]);
    for (const kept of ["# ours", "# why", "# since May", "# the first", `'x', "y"`]) expect(edited).toContain(kept);
    expect(parseText(edited).value).toMatchObject({
      schema: [
        {
          properties: [{ required: false, quality: [{ metric: "nullValues" }, { metric: "duplicateValues" }] }],
          quality: [{ metric: "rowCount" }],
        },
      ],
    });
    expect(edited).not.toContain("status");
  });
});

test("ten thousand rules of one kind are read as quickly as others, and each has an id of its own", () => {
  const began = process.cpuUsage();
  const rules = Array.from({ length: 10_000 }, () => ({ metric: "rowCount", mustBeGreaterThan: 0 }));
  const document = { apiVersion: "v3.1.0", kind: "DataContract", id: "a", version: "1.0.0", status: "active" };
  const many = readContract(JSON.stringify({ ...document, schema: [{ name: "t", quality: rules }] }));
  expect(many.problems).toEqual([]);
  expect(new Set(many.rules.map(({ id }) => id)).size).toBe(many.rules.length);
  expect(many.rules.length).toBeGreaterThanOrEqual(10_000);
  const { user } = process.cpuUsage(began);
  expect(user / 1e6).toBeLessThan(4);
});

const invalid = new Set([
  "lint-invalid.odcs.yaml",
  "lint-invalid_multiple_errors.odcs.yaml",
  "lint-invalid_multiple_schema_errors.odcs.yaml",
]);

dataTest("contracts of others are read or refused as they should be, and written again without loss", "odcs", (folder) => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".yaml"));
  expect(files.length).toBeGreaterThanOrEqual(26);
  for (const file of files) {
    const { contract, problems } = readContract(readFileSync(join(folder, file), "utf8"));
    const name = file.split("/").at(-1) as string;
    const isInvalid = invalid.has(name) || name.startsWith("lint-odcs_with_extra");
    expect([file, contract === undefined, problems.filter((problem) => problem.level === "error")]).toEqual([
      file,
      isInvalid,
      isInvalid ? (expect.any(Array) as unknown) : [],
    ]);
    if (contract !== undefined) expect(canonicalJson(readContract(contractYaml(contract)).contract)).toBe(canonicalJson(contract));
  }
});
