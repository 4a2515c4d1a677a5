import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AppError } from "../../lib/errors.ts";
import { LockedChild, type ChildKind } from "../locked-child.ts";
import type { FeatureColumn, ModelRequest, ModelRunner, Predictions } from "../models.ts";
import { readModelFile } from "./model-file.ts";
import type { ColumnFile, ModelJob, ModelMessage } from "./protocol.ts";
import { findRuntime, runtimePackage, runtimeVersion, type FoundRuntime } from "./runtime.ts";

export interface ModelSettings {
  /** Folder for the children's own folders. */
  tempDir: string;
  /** Where the runtime is looked for: files from which its package would be imported. */
  places: readonly string[];
  /** Memory of one child, all together. */
  memoryMb: number;
  /** Compiled entry of the child process, asked for when the first model runs. */
  entry?: () => string;
}

/** The child beside this file; a plain Node cannot run it as TypeScript, so sources take the built one. */
const builtEntry = (): string =>
  fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../../../dist/engine/onnx/child.js" : "./child.js", import.meta.url));

/** Memory of one child: what the runtime itself takes, and as much again as a query may. */
export const modelMemory = (queryMb: number): number => 300 + queryMb;

/** Bytes of predictions that are read. */
const mostBytes = 2 ** 28;

/** Models in locked children of one run each, by onnxruntime-node where it is installed. */
export function onnxModels(settings: ModelSettings): ModelRunner {
  let kind: ChildKind | undefined;
  let runtime: FoundRuntime | undefined;
  // Looked for anew as long as it is not there: who installs it meanwhile need not start again.
  const found = (): FoundRuntime | undefined => (runtime ??= findRuntime(settings.places));
  return {
    version: () => {
      const there = found();
      return there === undefined ? undefined : `${runtimePackage} ${there.version}`;
    },
    read: readModelFile,
    predict: async (request, { signal } = {}) => {
      const there = found();
      if (there === undefined) throw missingRuntime();
      kind ??= kindOf((settings.entry ?? builtEntry)());
      mkdirSync(settings.tempDir, { recursive: true, mode: 0o700 });
      const child = new LockedChild<ModelJob, ModelMessage>(kind, settings.tempDir);
      try {
        const job = await jobOf(child.folder, there.entry, request);
        return await gather(
          child.run(job, { milliseconds: request.milliseconds, residentMb: settings.memoryMb, bytes: mostBytes }, signal),
        );
      } finally {
        await child.close();
      }
    },
  };
}

export const missingRuntime = (): AppError =>
  new AppError("model.runtime_missing", "The runtime for models is not installed.", {
    expected: `${runtimePackage}, beside Tidegate or in the folder that TIDEGATE_ONNX names`,
    found: "none",
    hint: `npm install --ignore-scripts --no-save ${runtimePackage}@${runtimeVersion}`,
  });

/** Lays out the model and the features in the child's folder, which goes with it. */
async function jobOf(folder: string, runtime: string, request: ModelRequest): Promise<ModelJob> {
  const model = join(folder, "model.onnx");
  await writeFile(model, request.model);
  const columns: ColumnFile[] = [];
  for (const [at, column] of request.features.entries()) {
    const file = join(folder, `column-${at}`);
    await writeFile(file, bytesOf(column));
    columns.push({ name: column.name, kind: column.kind, file });
  }
  const { rows, inputs, output, column, scores } = request;
  return { runtime, model, rows, columns, inputs, output, column, scores };
}

function bytesOf({ kind, values }: FeatureColumn): Uint8Array | string {
  if (kind === "number" || kind === "whole") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return JSON.stringify(values);
}

async function gather(answers: AsyncGenerator<ModelMessage | string[]>): Promise<Predictions> {
  let kind: "score" | "label" = "score";
  let output = "";
  const values: (number | string)[] = [];
  for await (const answer of answers) {
    if (Array.isArray(answer)) for (const line of answer) values.push(JSON.parse(line) as number | string);
    else if (answer.say === "predicting") ({ kind, output } = answer);
    else if (answer.say === "end") {
      const { milliseconds } = answer;
      if (kind === "label") return { kind, output, milliseconds, values: values.map(String) };
      return { kind, output, milliseconds, values: values.map(Number) };
    }
  }
  throw crashed("no end");
}

const crashed = (reason: string): AppError =>
  new AppError("model.crashed", "The process that ran the model died.", {
    expected: "predictions to their end",
    found: reason,
    hint: "run it again; if it dies again, run the model by hand on the rows of the query",
  });

const kindOf = (entry: string): ChildKind => ({
  entry,
  name: "model",
  openings: new Set(["predicting"]),
  limit: (what, most) =>
    new AppError("model.limit", `The model ${what}.`, {
      expected: `at most ${most}`,
      found: "more",
      hint: "give it fewer rows, or another timeout, or raise TIDEGATE_MEMORY_MB",
    }),
  crashed,
  stopped: () => new AppError("interrupted", "The model was stopped."),
});
