import { describe, expect, test } from "vitest";
import { asAppError } from "../../lib/errors.ts";
import type { FeatureColumn, FeatureNames, ModelTensor } from "../models.ts";
import { bindInputs } from "./bind-inputs.ts";
import { pickColumn, pickOutput } from "./pick-output.ts";
import { inputTensor, predictionsIn } from "./tensors.ts";

const number = (name: string, ...values: number[]): FeatureColumn => ({ name, kind: "number", values: Float64Array.from(values) });
const whole = (name: string, ...values: (bigint | number)[]): FeatureColumn => ({
  name,
  kind: "whole",
  values: BigInt64Array.from(values.map(BigInt)),
});
const text = (name: string, ...values: (string | null)[]): FeatureColumn => ({ name, kind: "text", values });
const yes = (name: string, ...values: (boolean | null)[]): FeatureColumn => ({ name, kind: "boolean", values });
const input = (type: string, shape: (number | string)[], name = "x"): ModelTensor => ({ name, type, shape });
const codeOf = (work: () => unknown) => {
  try {
    work();
    return undefined;
  } catch (error) {
    const { code, message, found, hint } = asAppError(error);
    return { code, message, found, hint };
  }
};

test("the only input takes columns in their order, row by row; several take them by name", () => {
  const columns = [number("a", 1, 2), whole("b", 3, 4)];
  const [bound] = bindInputs([input("float32", ["n", 2])], columns, ["b", "a"]);
  expect(bound).toMatchObject({ name: "x", batch: undefined, flat: false });
  expect(inputTensor(bound!, 0, 2, 2)).toEqual({ data: Float32Array.of(3, 1, 4, 2), dims: [2, 2] });
  const two = [input("float32", ["n", 1], "a"), input("int64", ["n"], "b")];
  const byName = bindInputs(two, columns, ["a", "b"]);
  expect(byName.map((item) => inputTensor(item, 1, 1, 2))).toEqual([
    { data: Float32Array.of(2), dims: [1, 1] },
    { data: BigInt64Array.of(4n), dims: [1] },
  ]);
  const said = bindInputs(two, columns, { a: ["b"], b: ["b"] });
  expect(inputTensor(said[0]!, 0, 2, 2).data).toEqual(Float32Array.of(3, 4));
});

test("a model that says how many rows it takes gets as many: the last row again past the end", () => {
  const [bound] = bindInputs([input("float32", [4, 1])], [number("a", 1, 2, 3)], ["a"]);
  expect(bound?.batch).toBe(4);
  expect(inputTensor(bound!, 0, 4, 3).data).toEqual(Float32Array.of(1, 2, 3, 3));
});

test("NULL is NaN for numbers; whole numbers keep every digit; texts and truths are what they are", () => {
  const [real] = bindInputs([input("float64", ["n", 1])], [number("a", Number.NaN, 1)], ["a"]);
  expect(inputTensor(real!, 0, 2, 2).data).toEqual(Float64Array.of(Number.NaN, 1));
  const [long] = bindInputs([input("int64", ["n", 1])], [whole("a", 9_007_199_254_740_993n)], ["a"]);
  expect(inputTensor(long!, 0, 1, 1).data).toEqual(BigInt64Array.of(9_007_199_254_740_993n));
  const [words] = bindInputs([input("string", ["n"])], [text("a", "AT", "")], ["a"]);
  expect(inputTensor(words!, 0, 2, 2)).toEqual({ data: ["AT", ""], dims: [2] });
  const [truth] = bindInputs([input("bool", ["n", 1])], [yes("a", true, false)], ["a"]);
  expect(inputTensor(truth!, 0, 2, 2).data).toEqual(Uint8Array.of(1, 0));
});

describe("what does not fit is told with the column, the input and the next command", () => {
  const float = input("float32", ["n", 2]);
  test.each<[string, ModelTensor[], FeatureColumn[], FeatureNames, string]>([
    ["a column that the query does not give", [float], [number("a", 1)], ["a", "gone"], "gives no column gone"],
    ["too few columns", [float], [number("a", 1)], ["a"], "takes 2 columns, and 1 is given"],
    ["no column", [input("float32", ["n", "k"])], [number("a", 1)], [], "takes 1 column, and 0 are given"],
    ["an input that is no list of rows", [input("float32", ["n", 3, 224, 224])], [number("a", 1)], ["a"], "is no list of rows"],
    [
      "an input without a column of its name",
      [input("float32", ["n", 1], "p"), input("float32", ["n", 1], "q")],
      [number("p", 1)],
      ["p"],
      "gives no column q",
    ],
    [
      "an input that nobody names",
      [input("float32", ["n", 1], "p"), input("float32", ["n", 1], "q")],
      [number("p", 1)],
      { p: ["p"] },
      "for the input q",
    ],
    ["an input that the model has not", [input("float32", ["n", 1])], [number("p", 1)], { y: ["p"] }, "has no input y"],
    [
      "text for numbers",
      [input("float32", ["n", 1])],
      [text("a", "1")],
      ["a"],
      "column a does not fit the input x of the model, which takes float32",
    ],
    ["numbers for text", [input("string", ["n", 1])], [number("a", 1)], ["a"], "which takes string"],
    ["numbers for true and false", [input("bool", ["n", 1])], [whole("a", 1)], ["a"], "which takes bool"],
    ["halves for whole numbers", [input("int64", ["n", 1])], [number("a", 2.5)], ["a"], "which takes int64"],
    ["NULL for whole numbers", [input("int32", ["n", 1])], [number("a", Number.NaN)], ["a"], "which takes int32"],
    ["NULL for text", [input("string", ["n", 1])], [text("a", null)], ["a"], "which takes string"],
    ["numbers that are too large", [input("int8", ["n", 1])], [whole("a", 128)], ["a"], "which takes int8"],
    ["numbers below zero", [input("uint64", ["n", 1])], [whole("a", -1)], ["a"], "which takes uint64"],
    ["a type that is not offered", [input("float16", ["n", 1])], [number("a", 1)], ["a"], "which takes float16"],
  ])("%s", (_what, inputs, columns, names, message) => {
    expect(codeOf(() => bindInputs(inputs, columns, names))).toMatchObject({
      code: "model.input",
      message: expect.stringContaining(message) as string,
      hint: expect.any(String) as string,
    });
  });
});

describe("the output that counts", () => {
  const outputs = [input("int64", ["n"], "label"), input("float32", ["n", 2], "probabilities")];
  test("is the named one, the only one, or the only one of real numbers", () => {
    expect(pickOutput(outputs, undefined).name).toBe("probabilities");
    expect(pickOutput(outputs, "label").name).toBe("label");
    expect(pickOutput([outputs[0]!], undefined).name).toBe("label");
    expect([pickColumn("p", 1, undefined), pickColumn("p", 2, undefined), pickColumn("p", 2, 0), pickColumn("p", 5, 3)]).toEqual([
      0, 1, 0, 3,
    ]);
  });

  test.each([
    [() => pickOutput(outputs, "score"), "no output score"],
    [() => pickOutput([...outputs, input("float32", ["n", 1], "raw")], undefined), "not said which one counts"],
    [() => pickOutput([input("no tensor", [], "maps")], undefined), "no list of numbers or texts"],
    [() => pickColumn("p", 3, undefined), "has 3 columns, and none of them is named"],
    [() => pickColumn("p", 3, 3), "no column 3"],
    [() => predictionsIn("p", { type: "float32", data: Float32Array.of(1), dims: [1] }, 2, undefined), "no value for each row"],
  ])("%#: is told when there is none", (work, message) => {
    expect(codeOf(work)).toMatchObject({
      code: "model.output",
      message: expect.stringContaining(message) as string,
      hint: expect.any(String) as string,
    });
  });
});
