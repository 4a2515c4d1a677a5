import type { SpokenError } from "../locked-child.ts";
import type { FeatureColumn, FeatureNames } from "../models.ts";

/** A column of features, whose values lie in a file of the child's folder. */
export interface ColumnFile {
  name: string;
  kind: FeatureColumn["kind"];
  file: string;
}

/** The one thing that a child does in its life. */
export interface ModelJob {
  /** Entry of the runtime's package. */
  runtime: string;
  model: string;
  rows: number;
  columns: readonly ColumnFile[];
  inputs: FeatureNames;
  output?: string | undefined;
  column?: number | undefined;
  scores: boolean;
}

/** What a child says: after `predicting` each line is one prediction as JSON, until `end`. */
export type ModelMessage =
  | { say: "predicting"; kind: "score" | "label"; output: string }
  | { say: "end"; rows: number; milliseconds: number }
  | SpokenError;
