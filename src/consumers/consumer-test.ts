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

/** One thing that moved: a number of the result, a row by its key, a column. */
export interface TestMove {
  what: string;
  before: string | null;
  after: string | null;
}

/** What the runs of a test found. */
export interface TestFinding {
  outcome: TestOutcome;
  /** The headline: `renewal_rate 0.61 → 0.82`. */
  summary: string;
  /** What moved, number by number or row by row; at most 20. */
  moves: TestMove[];
  error: { before: string | null; after: string | null };
  /** The shortest of the runs of each side. */
  milliseconds: { before: number; after: number } | null;
  /** Known when the runs were looked at more closely, because something moved or became slow. */
  rowsScanned: { before: number; after: number } | null;
  /** Datasets and columns that the test reads. */
  reads: { dataset: string; columns: readonly string[] | "all" }[];
}

/** One consumer test on one pair of states. */
export interface TestResult extends TestFinding {
  consumer: string;
  owner: string | null;
  criticality: "low" | "normal" | "high" | "critical";
  test: string;
  kind: ConsumerTest["kind"];
  verdict: Verdict;
  evidence: string;
  reused: boolean;
}

const verdicts: Readonly<Record<TestOutcome, Verdict>> = {
  same: "pass",
  fixed: "pass",
  new: "pass",
  // It tells nothing of this change.
  already_broken: "pass",
  moved: "fail",
  broken: "fail",
  slower: "fail",
  nondeterministic: "inconclusive",
  not_run: "inconclusive",
};

export const verdictOf = (outcome: TestOutcome): Verdict => verdicts[outcome];
