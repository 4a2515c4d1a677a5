import { createWriteStream, readFileSync } from "node:fs";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { stopwatch } from "../../edges/stopwatch.ts";
import { AppError, asAppError } from "../../lib/errors.ts";
import { messageSign } from "../locked-child.ts";
import type { FeatureColumn, ModelTensor } from "../models.ts";
import { bindInputs, type BoundInput } from "./bind-inputs.ts";
import { readModelFile } from "./model-file.ts";
import { pickOutput } from "./pick-output.ts";
import type { ColumnFile, ModelJob, ModelMessage } from "./protocol.ts";
import type { OnnxMetadata, OnnxRuntime, OnnxSession, OnnxTensor } from "./runtime.ts";
import { inputTensor, predictionsIn } from "./tensors.ts";

/*
 * Entry of the child process that runs one model on one set of features, and ends. The model is loaded from its bytes, after it was looked
 * through: no path is known from which another file could be found.
 */

const answers = createWriteStream("", { fd: 3 });

async function write(text: string): Promise<void> {
  if (!answers.write(text)) await once(answers, "drain");
}

const say = (message: ModelMessage): Promise<void> => write(`${messageSign}${JSON.stringify(message)}\n`);

const sessionOptions = {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: "sequential",
  logSeverityLevel: 4,
  // Whatever the bytes look like, they are read as the format that was looked through.
  extra: { session: { load_model_format: "ONNX" } },
};

/** Rows that a model takes at once when it does not say how many. */
const batchRows = 4096;

async function predict(job: ModelJob): Promise<void> {
  const bytes = readFileSync(job.model);
  readModelFile(bytes);
  const { InferenceSession, Tensor } = createRequire(job.runtime)(job.runtime) as OnnxRuntime;
  const session = await InferenceSession.create(bytes, sessionOptions).catch((error: unknown) => {
    throw new AppError("model.invalid", `The model cannot be loaded: ${lineOf(error)}`, {
      expected: "a model that ONNX Runtime loads",
      found: "an error",
      hint: 'python -c "import onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1])" <file>',
    });
  });
  const output = pickOutput(session.outputMetadata.map(tensorOf), job.output);
  const inputs = bindInputs(session.inputMetadata.map(tensorOf), job.columns.map(readColumn), job.inputs);
  const isLabel = !job.scores && !output.type.startsWith("float");
  // JSON has no number for NaN and the infinities.
  const text = (value: number | string): string => (isLabel || !Number.isFinite(value) ? JSON.stringify(String(value)) : String(value));
  await say({ say: "predicting", kind: isLabel ? "label" : "score", output: output.name });
  const batch = inputs.find((input) => input.batch !== undefined)?.batch ?? batchRows;
  let milliseconds = 0;
  for (let from = 0; from < job.rows; from += batch) {
    const count = Math.min(batch, job.rows - from);
    // A model that says how many rows it takes gets as many.
    const padded = inputs.some((input) => input.batch !== undefined) ? batch : count;
    const made = inputs.map((input) => [input.name, tensorFor(Tensor, input, from, padded, job.rows)] as const);
    const elapsed = stopwatch();
    const results = await run(session, Object.fromEntries(made), output.name);
    milliseconds += elapsed();
    const tensor = results[output.name] as OnnxTensor;
    const found = predictionsIn(output.name, tensor, padded, job.column).slice(0, count);
    await write(`${found.map(text).join("\n")}\n`);
  }
  await say({ say: "end", rows: job.rows, milliseconds });
}

function tensorFor(Tensor: OnnxRuntime["Tensor"], input: BoundInput, from: number, count: number, rows: number) {
  const { data, dims } = inputTensor(input, from, count, rows);
  return new Tensor(input.type, data, dims);
}

async function run(session: OnnxSession, feeds: Parameters<OnnxSession["run"]>[0], output: string): ReturnType<OnnxSession["run"]> {
  return session.run(feeds, [output]).catch((error: unknown) => {
    throw new AppError("model.failed", `The model failed: ${lineOf(error)}`, {
      expected: "a prediction for each row",
      found: "an error",
      hint: "run it by hand on the rows of the query",
    });
  });
}

const tensorOf = (metadata: OnnxMetadata): ModelTensor =>
  metadata.isTensor
    ? { name: metadata.name, type: metadata.type, shape: metadata.shape }
    : { name: metadata.name, type: "no tensor", shape: [] };

function readColumn({ name, kind, file }: ColumnFile): FeatureColumn {
  const bytes = readFileSync(file);
  const part = (): [ArrayBufferLike, number, number] => [bytes.buffer, bytes.byteOffset, bytes.byteLength / 8];
  if (kind === "number") return { name, kind, values: new Float64Array(...part()) };
  if (kind === "whole") return { name, kind, values: new BigInt64Array(...part()) };
  const values: unknown = JSON.parse(bytes.toString("utf8"));
  return kind === "boolean" ? { name, kind, values: values as (boolean | null)[] } : { name, kind, values: values as (string | null)[] };
}

/** The first line of an error, short. */
function lineOf(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}

/** Ends the process without waiting for the runtime, which may be in the middle of something. */
const end = (): never => process.kill(process.pid, "SIGKILL") as never;

const lines = createInterface({ input: process.stdin });
// The parent is gone, or has changed its mind.
lines.once("close", end);
lines.once("line", (line) => {
  void predict(JSON.parse(line) as ModelJob)
    .catch((error: unknown) => {
      const { code, message, expected, found, hint } = asAppError(error);
      return say({
        say: "error",
        code,
        message,
        ...(expected === undefined ? {} : { expected }),
        ...(found === undefined ? {} : { found }),
        ...(hint === undefined ? {} : { hint }),
      });
    })
    .then(() => answers.end(end));
});
