import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { Output } from "./output.ts";

const hostile = "a\u001b]0;owned\u0007\u001b[2J\u001b[8m\rb\u202e";

function told(tell: (output: Output) => void, color = false): string {
  let text = "";
  const write = (part: string | Uint8Array): boolean => {
    text += String(part);
    return true;
  };
  tell(new Output({ json: false, quiet: false, color, ascii: false, width: 80, write, writeError: write, drained: async () => undefined }));
  return text;
}

test.each([
  ["lines and hints", (output: Output) => output.result({}, [`title ${hostile}`], hostile)],
  ["notes", (output: Output) => output.note(hostile)],
  [
    "errors",
    (output: Output) => output.failure(new AppError("name.invalid", hostile, { expected: hostile, found: hostile, hint: hostile })),
  ],
  [
    "conflicts",
    (output: Output) =>
      output.failure(
        new AppError("merge.conflict", "x", { details: { conflicts: [{ keys: [{ key: [hostile], ours: { [hostile]: hostile } }] }] } }),
      ),
  ],
  ["tables", (output: Output) => output.result({}, output.table([hostile], [{ title: hostile, value: (row) => row }]))],
  ["rows", (output: Output) => output.result({}, output.rows([{ [hostile]: hostile }]))],
  ["folded rows", (output: Output) => output.result({}, output.rows([{ [hostile]: hostile.repeat(9) }]))],
] as const)("what others wrote steers no terminal: %s", (_what, tell) => {
  // oxlint-disable-next-line no-control-regex
  const acting = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;
  expect(told(tell)).not.toMatch(acting);
  // oxlint-disable-next-line no-control-regex
  expect(told(tell, true).replaceAll(/\u001b\[(?:0|2|31)m/g, "")).not.toMatch(acting);
  expect(told(tell)).toContain("\\u001b");
});

test("our own colours act, and a cell keeps its line ends to itself", () => {
  const text = told(
    (output) => output.result({}, [output.dim("dim"), ...output.table(["x\ny"], [{ title: "t", value: (row) => row }])]),
    true,
  );
  expect(text).toContain("\u001b[2mdim\u001b[0m\n");
  expect(text).toContain("x\\ny\n");
});
