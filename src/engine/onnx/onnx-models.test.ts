import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compiled } from "../../../test/harness/compiled.ts";
import { logistic } from "../../../test/harness/onnx-model.ts";
import { asAppError } from "../../lib/errors.ts";
import type { ModelRequest, ModelRunner } from "../models.ts";
import { onnxModels } from "./onnx-models.ts";

/*
 * The child in which models run, with packages in the runtime's place that do what a bad model could make a runtime do. The real runtime:
 * test/slow/models.test.ts.
 */

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-onnx-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const temp = (): string => join(root, "tmp");

/** A runner whose runtime, once a session is asked for, does this. */
function runnerThat(name: string, session: string, memoryMb = 400): ModelRunner {
  const folder = join(root, name);
  const inside = join(folder, "node_modules", "onnxruntime-node");
  mkdirSync(join(inside, "dist"), { recursive: true });
  writeFileSync(join(inside, "package.json"), JSON.stringify({ name: "onnxruntime-node", version: "9.9.9", main: "dist/index.js" }));
  writeFileSync(
    join(inside, "dist", "index.js"),
    `exports.Tensor = class { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } };
     exports.InferenceSession = { create: async (bytes, options) => { ${session} } };`,
  );
  return onnxModels({ tempDir: temp(), places: [join(folder, "package.json")], memoryMb, entry: () => compiled("engine/onnx/child.ts") });
}

const request = (more: Partial<ModelRequest> = {}): ModelRequest => ({
  model: logistic([1], 0),
  rows: 2,
  features: [{ name: "x", kind: "number", values: Float64Array.of(1, 2) }],
  inputs: ["x"],
  scores: false,
  milliseconds: 20_000,
  ...more,
});
const metadata = `{ inputMetadata: [{ name: "features", isTensor: true, type: "float32", shape: ["n", 1] }],
  outputMetadata: [{ name: "score", isTensor: true, type: "float32", shape: ["n", 1] }],`;
const saying = (text: string) => `throw new Error(${text});`;
const refusal = (runner: ModelRunner, more?: Partial<ModelRequest>) => runner.predict(request(more)).then(() => undefined, asAppError);
const leftOver = () => readdirSync(temp()).filter((name) => name.includes("-model-"));

test("without a runtime nothing is started, and the error says what to type", async () => {
  const runner = onnxModels({ tempDir: temp(), places: [join(root, "package.json")], memoryMb: 400 });
  expect(runner.version()).toBeUndefined();
  expect(await refusal(runner)).toMatchObject({
    code: "model.runtime_missing",
    exit: 4,
    hint: "npm install --ignore-scripts --no-save onnxruntime-node@1.30.0",
  });
});

test("a runtime that is installed meanwhile is found without a restart", () => {
  const place = join(root, "later", "package.json");
  const runner = onnxModels({ tempDir: temp(), places: [place], memoryMb: 400 });
  expect(runner.version()).toBeUndefined();
  expect(runnerThat("later", "").version()).toBe("onnxruntime-node 9.9.9");
  expect(runner.version()).toBe("onnxruntime-node 9.9.9");
});

test("the child has no environment, stands in a folder with its job alone, runs one thread on the format that was looked through", async () => {
  process.env["TIDEGATE_SECRET_OF_TEST"] = "do not tell";
  const env = await refusal(runnerThat("env", saying(`Object.keys(process.env).join(",")`)));
  delete process.env["TIDEGATE_SECRET_OF_TEST"];
  expect(env).toMatchObject({ code: "model.invalid", message: "The model cannot be loaded: TZ" });
  const folder = await refusal(runnerThat("folder", saying(`require("node:fs").readdirSync(".").sort().join(",")`)));
  expect(folder?.message).toBe("The model cannot be loaded: column-0,model.onnx");
  const options = await refusal(
    runnerThat(
      "options",
      saying(`JSON.stringify([bytes instanceof Uint8Array, options.intraOpNumThreads, options.interOpNumThreads, options.extra])`),
    ),
  );
  expect(options?.message).toBe('The model cannot be loaded: [true,1,1,{"session":{"load_model_format":"ONNX"}}]');
});

test("a child that dies, that never ends, that eats memory: each is told, and nothing of it is left", async () => {
  expect(await refusal(runnerThat("dies", `process.kill(process.pid, "SIGSEGV"); await new Promise(() => {});`))).toMatchObject({
    code: "model.crashed",
    found: "SIGSEGV",
  });
  expect(await refusal(runnerThat("endless", "for (;;);"), { milliseconds: 500 })).toMatchObject({
    code: "model.limit",
    expected: "at most 500 ms",
  });
  expect(
    await refusal(
      runnerThat("hungry", "const all = []; for (;;) { all.push(Buffer.alloc(2 ** 24, 1)); await new Promise(setImmediate); }"),
    ),
  ).toMatchObject({
    code: "model.limit",
    expected: "at most 400 MB",
  });
  expect(leftOver()).toEqual([]);
});

test("an error of a run and a run that says nothing for a row are told apart", async () => {
  expect(
    await refusal(runnerThat("fails", `return ${metadata} run: async () => { throw new Error("no such row\\nat x"); } };`)),
  ).toMatchObject({
    code: "model.failed",
    message: "The model failed: no such row",
  });
  expect(
    await refusal(runnerThat("short", `return ${metadata} run: async () => ({ score: { type: "float32", data: [1], dims: [1, 1] } }) };`)),
  ).toMatchObject({
    code: "model.output",
  });
  const fine = `return ${metadata} run: async ({ features }) => ({ score: { type: "float32", data: [NaN, Infinity], dims: [2, 1] } }) };`;
  expect(await runnerThat("fine", fine).predict(request())).toMatchObject({
    kind: "score",
    output: "score",
    values: [Number.NaN, Number.POSITIVE_INFINITY],
  });
});
