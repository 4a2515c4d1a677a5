import { expect, test } from "vitest";
import { z } from "zod";
import { readYaml, schemaProblems, type YamlSource } from "./yaml.ts";

function sourceOf(text: string): YamlSource {
  const read = readYaml(text);
  if ("problems" in read) throw new Error(JSON.stringify(read.problems));
  return read.source;
}

const problems = (text: string) => {
  const read = readYaml(text);
  return "problems" in read ? read.problems : [];
};

test("a value has its line and column; what is missing has those of what is around it", () => {
  const source = sourceOf("rules:\n  - name: a\n    when: {origin: [feed]}\n");
  expect(source.value).toEqual({ rules: [{ name: "a", when: { origin: ["feed"] } }] });
  expect(source.place(["rules", 0, "when", "origin", 0])).toEqual({ line: 3, column: 21 });
  expect(source.place(["rules", 0, "nowhere"])).toEqual({ line: 2, column: 5 });
});

test("JSON is read as it is; large integers keep their digits", () => {
  expect(sourceOf("a: 123456789012345678901\nb: 12\n").value).toEqual({ a: 123456789012345678901n, b: 12 });
  expect(sourceOf('{"a": [1, "x", null]}').value).toEqual({ a: [1, "x", null] });
});

test("every mistake of form is told with its line", () => {
  expect(problems("a: 1\nb: [1\nc: 2\n")[0]).toMatchObject({ line: expect.any(Number), message: expect.any(String) });
  expect(problems("a: 1\na: 2\n")).toMatchObject([{ line: 2, message: "Map keys must be unique" }]);
});

test("a bomb of aliases is refused without being built, each alias by its line", () => {
  const bomb = [
    "a: &a [x, x]",
    ...Array.from({ length: 20 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? "a" : `b${i - 1}`}, *${i === 0 ? "a" : `b${i - 1}`}]`),
  ];
  const found = problems(bomb.join("\n"));
  expect(found[0]).toMatchObject({ line: 2, message: "aliases (*name) are not taken: write the value out" });
});

test.each([
  ["brackets", "[".repeat(100_000)],
  ["braces", `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`],
  ["dashes", `${"- ".repeat(5000)}1`],
  ["indentation", Array.from({ length: 3000 }, (_, i) => `${" ".repeat(i * 2)}a:`).join("\n")],
  ["question marks", `${"? ".repeat(5000)}1`],
  ["lines", "\n".repeat(100_000)],
  ["lines of one quoted text", `a: "${"\\\n".repeat(100_000)}"`],
  ["values", `[${"1,".repeat(150_000)}1]`],
  ["size", `a: ${"x".repeat(5 * 2 ** 20)}`],
])("a document that is too deep, too long or too large (%s) is refused quickly", (_name, text) => {
  expect(problems(text).length).toBeGreaterThan(0);
});

test("what a schema refuses is named by path and line, unknown keys by their name", () => {
  const source = sourceOf("name: x\nrules:\n  - name: 5\n    wenn: {}\n");
  const result = z.strictObject({ name: z.string(), rules: z.array(z.strictObject({ name: z.string() })) }).safeParse(source.value);
  expect(result.error && schemaProblems(result.error, source)).toMatchObject([
    { path: "rules[0].name", line: 3 },
    { path: "rules[0].wenn", line: 4, message: "unknown key wenn" },
  ]);
});

test("no text keeps its reader busy: spaces before a key, and a map of very many keys", () => {
  const began = process.cpuUsage();
  for (let spaces = 120; spaces < 300; spaces += 1) readYaml(`${" ".repeat(spaces)}key: 1`);
  expect(sourceOf(`${" ".repeat(257)}key: 1`).value).toEqual({ key: 1 });
  const keys = Array.from({ length: 20_000 }, (_, at) => `k${at}: ${at}\n`);
  expect(Object.keys(sourceOf(keys.join("")).value as object)).toHaveLength(20_000);
  expect(problems([...keys, "k7: 1\n"].join(""))).toMatchObject([{ line: 20_001, message: "Map keys must be unique" }]);
  const { user, system } = process.cpuUsage(began);
  expect((user + system) / 1e6).toBeLessThan(8);
});
