import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asAppError } from "../../lib/errors.ts";
import { classifier, byName, int, logistic, part, strange } from "../../../test/harness/onnx-model.ts";
import { readModelFile } from "./model-file.ts";

const refusal = (bytes: Uint8Array) => {
  try {
    readModelFile(bytes);
    return undefined;
  } catch (error) {
    return asAppError(error);
  }
};

test("a model says what it takes and gives; weights that are listed among the inputs are none", () => {
  expect(readModelFile(logistic([1, 2], 0))).toEqual({
    inputs: [{ name: "features", type: "float32", shape: ["rows", 2] }],
    outputs: [{ name: "score", type: "float32", shape: ["rows", 1] }],
  });
  expect(readModelFile(classifier([1, 2], 0)).outputs).toEqual([
    { name: "label", type: "int64", shape: ["rows"] },
    { name: "probabilities", type: "float32", shape: ["rows", 2] },
  ]);
  expect(readModelFile(byName()).inputs.map(({ name, type }) => `${name} ${type}`)).toEqual([
    "amount float32",
    "visits int64",
    "country string",
  ]);
});

describe("a model that would do more than compute is refused", () => {
  test.each([
    ["weights in a file", strange.outside("w.bin"), "w.bin"],
    ["weights in a file outside", strange.outside("/etc/passwd"), "/etc/passwd"],
    ["weights in a branch of a condition", strange.outsideDeep("../w.bin"), "../w.bin"],
    ["an address in memory", strange.outside("*/_ORT_MEM_ADDR_/*"), "*/_ORT_MEM_ADDR_/*"],
    ["an operator of a library", strange.custom(), "evil.ops.Shell"],
  ])("%s", (_what, bytes, found) => {
    expect(refusal(bytes)).toMatchObject({ code: "model.invalid", found, hint: expect.any(String) as string });
  });

  test("values said to lie elsewhere, without saying where; the same in a second graph, which parsers put together with the first", () => {
    const weight = Buffer.concat([int(1, 1), int(2, 1), int(14, 1)]);
    const graph = (bytes: Uint8Array) => part(7, part(5, bytes));
    expect(refusal(graph(weight))).toMatchObject({ code: "model.invalid", found: "values in another file" });
    const second = Buffer.concat([logistic([1], 0), graph(weight)]);
    expect(refusal(second)).toMatchObject({ code: "model.invalid", found: "values in another file" });
  });

  test("the runtime's own format, also where the rest could pass for ONNX", () => {
    const bytes = Buffer.concat([Uint8Array.of(0x0a, 6, 0, 0), Buffer.from("ORTM"), logistic([1], 0)]);
    expect(refusal(bytes)).toMatchObject({ code: "model.invalid", found: "an .ort file" });
  });

  test("an operator of a function that the model defines itself is its own", () => {
    const own = Buffer.concat([strange.custom(), part(25, Buffer.concat([part(1, "Shell"), part(10, "evil.ops")]))]);
    expect(readModelFile(own).outputs).toHaveLength(1);
  });
});

describe("what is no model is told, and nothing else happens", () => {
  test.each([
    ["nothing", new Uint8Array()],
    ["text", Buffer.from("id,speed\n1,2\n")],
    ["a message without a graph", Buffer.from([8, 8])],
    ["one that ends early", logistic([1, 2], 0).subarray(0, 60)],
    [
      "one that is nested without end",
      Array.from({ length: 90 }).reduce<Uint8Array>((inner) => part(1, part(5, part(6, inner))), new Uint8Array()),
    ],
  ])("%s", (_what, bytes) => {
    const whole = _what === "one that is nested without end" ? part(7, bytes) : bytes;
    expect(refusal(whole)).toMatchObject({ code: "model.invalid", message: expect.stringContaining("no ONNX model") as string });
  });

  test("any bytes, and any byte of a model changed, give an answer or model.invalid", () => {
    const model = classifier([1, 2], 0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect([undefined, "model.invalid"]).toContain(refusal(bytes)?.code);
      }),
    );
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), (at, byte) => {
        const changed = Uint8Array.from(model);
        changed[at] = byte;
        expect([undefined, "model.invalid"]).toContain(refusal(changed)?.code);
      }),
      { numRuns: 500 },
    );
  });
});
