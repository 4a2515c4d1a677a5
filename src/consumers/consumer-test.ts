import type { Verdict } from "../evidence/evidence.ts";

/** The integration test of data: what a consumer does with the data, on current and on candidate. */
export type ConsumerTest =
  | QueryTest
  /** A command of the consumer; its exit code and the JSON of numbers that it prints. Only where the local configuration allows commands. */
  | {
      kind: "command";
      name: string;
      command: readonly string[];
      reads: readonly string[];
      tolerance?: Tolerance | undefined;
      timeoutMs?: number | undefined;
    }
  | ModelTest;

export interface QueryTest {
  kind: "query";
  name: string;
  /** One SELECT. */
  sql: string;
  /** Columns that identify a row of the result, so that it is compared row by row; else as a multiset (or in order, with ORDER BY). */
  key?: readonly string[] | undefined;
  tolerance?: Tolerance | undefined;
  timeoutMs?: number | undefined;
}

/** An ONNX model: predictions on both sides, compared row by row. */
export interface ModelTest {
  kind: "model";
  name: string;
  /** Path of the model file below the configured folder of models, and its SHA-256. */
  model: string;
  sha256: string;
  /** SELECT that gives the features; its columns are the model's inputs by name, `key` is left out. */
  sql: string;
  key: readonly string[];
  /** A score at or above is a «yes»; flips of that decision are counted. */
  threshold?: number | undefined;
  /** Column of the features by whose values flips are told apart. */
  segment?: string | undefined;
  /** How much may move before it is `moved`: share of flips, mean absolute score shift. */
  tolerance?: Tolerance | undefined;
}

/** How much two numbers may differ and still be the same. */
export interface Tolerance {
  relative?: number | undefined;
  absolute?: number | undefined;
  /** Share of rows of the result (or of predictions) that may differ. */
  rows?: number | undefined;
}

/** What the pair of runs shows. */
export type TestOutcome = "same" | "moved" | "broken" | "already_broken" | "fixed" | "new" | "slower" | "nondeterministic" | "not_run";

/** One consumer test on one pair of states. */
export interface TestResult {
  consumer: string;
  owner: string | null;
  criticality: "low" | "normal" | "high" | "critical";
  test: string;
  kind: ConsumerTest["kind"];
  outcome: TestOutcome;
  /** pass: same, fixed, new that runs; fail: broken, moved, slower; inconclusive: nondeterministic, not_run. `already_broken` passes. */
  verdict: Verdict;
  /** The headline: `renewal_rate 0.61 → 0.82`. */
  summary: string;
  /** What moved, number by number or row by row; at most 20. */
  moves: { what: string; before: string | null; after: string | null }[];
  error: { before: string | null; after: string | null };
  milliseconds: { before: number; after: number } | null;
  rowsScanned: { before: number; after: number } | null;
  /** Datasets and columns that the test reads. */
  reads: { dataset: string; columns: readonly string[] | "all" }[];
  evidence: string;
  reused: boolean;
}
