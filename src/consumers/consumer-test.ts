import type { FeatureNames } from "../engine/models.ts";
import type { Verdict } from "../evidence/evidence.ts";
import type { Criticality } from "../access/consumer.ts";

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
  /** Name of the file as people know it, and the hash under which its bytes are kept. */
  file: string;
  sha256: string;
  /** One SELECT that gives the rows to predict on. */
  sql: string;
  /** Columns that identify a row: predictions of both sides are paired by them. */
  key: readonly string[];
  /** Columns in the order of the model's only input, or by the name of each input; else all that are neither key nor segment. */
  features?: FeatureNames | undefined;
  /** Column by whose values shares and flips are told apart. */
  segment?: string | undefined;
  output?: string | undefined;
  /** Which column of the output is the score. */
  class?: number | undefined;
  /** A score at or above it is a decision; rows whose decision changes are flips. */
  threshold?: number | undefined;
  /** What a row with that decision is called: `blocked`. */
  decision?: string | undefined;
  tolerance?: Tolerance | undefined;
  timeoutMs?: number | undefined;
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
  /** The same as numbers, without rounding; only of what may be shown. */
  numbers?: { before: number; after: number } | undefined;
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

/** What the runs of a test found, for whoever keeps it. */
export interface RunFinding extends TestFinding {
  /** It hangs on a run that was stopped at a limit, or whose process died: it counts now, and is asked again next time. */
  untold?: boolean;
}

/** One consumer test on one pair of states. */
export interface TestResult extends TestFinding {
  consumer: string;
  owner: string | null;
  criticality: Criticality;
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
