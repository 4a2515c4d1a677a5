import type { RunOptions } from "./engine.ts";

/** A tensor that a model takes or gives. A dimension that is text may have any size. */
export interface ModelTensor {
  name: string;
  type: string;
  shape: readonly (number | string)[];
}

/** What a model file says of itself, read without running it. */
export interface ModelShape {
  inputs: ModelTensor[];
  outputs: ModelTensor[];
}

/** One column of features, row by row. What SQL has no value for is NaN among numbers, null among texts. */
export type FeatureColumn = { name: string } & (
  | { kind: "number"; values: Float64Array }
  /** Whole numbers without a null, with every digit. */
  | { kind: "whole"; values: BigInt64Array }
  | { kind: "boolean"; values: readonly (boolean | null)[] }
  | { kind: "text"; values: readonly (string | null)[] }
);

/** Columns of features in the order of the only input, or by the name of each input. */
export type FeatureNames = readonly string[] | Readonly<Record<string, readonly string[]>>;

export interface ModelRequest {
  model: Uint8Array;
  rows: number;
  features: readonly FeatureColumn[];
  inputs: FeatureNames;
  /** The output that is looked at; else the only one, or the only one of real numbers. */
  output?: string | undefined;
  /** Which column of an output of several; the second of two unless said. */
  column?: number | undefined;
  /** Whole numbers and texts are labels unless scores are wanted. */
  scores: boolean;
  milliseconds: number;
}

/** One score or one label for each row, in the order of the rows. */
export type Predictions = { output: string; milliseconds: number } & (
  | { kind: "score"; values: number[] }
  | { kind: "label"; values: string[] }
);

/**
 * Runs models written by others, each run in a locked child process of its own with one thread, limits of memory and time, no environment and
 * no file beside the runtime's own. `model.runtime_missing` where no runtime is installed; `model.invalid` for what is no model, or one that
 * would read other files; `model.input` and `model.output` where the model and the features do not fit; `model.failed` for an error of the
 * run; `model.limit` and `model.crashed` say something of the machine.
 */
export interface ModelRunner {
  /** Name and version of the runtime; undefined where there is none. */
  version(): string | undefined;
  /** Reads a model file: what it takes and gives. `model.invalid` for anything that is refused. */
  read(model: Uint8Array): ModelShape;
  predict(request: ModelRequest, options?: RunOptions): Promise<Predictions>;
}
